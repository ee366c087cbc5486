//! Durable orders a second, of 64 clients at once, against the limit that the same disk sets: a bare loop that writes
//! the same rows with prepared statements, 64 orders a commit, and does nothing else.
//!
//! `cargo bench --bench orders`. The store is 64 tasks that place orders; the stack is 64 connections of `wrk` (where
//! it is installed) that send them over TLS through edge, balancer and three instances. In turn, in short slices;
//! ratios are of the same round. ROUNDS and SLICE (seconds) may be set in the environment.

#[path = "../harness/mod.rs"]
mod harness;

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use harness::House;
use harness::people::Ask;
use roundtrip::domain::order::{LineRequest, OrderRequest};
use roundtrip::store::bistro::{Bistro, NewOrder, Options};
use roundtrip::store::engine::unwatched;
use rusqlite::{Connection, params};
use serde_json::json;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const CLIENTS: usize = 64;
/// Dish and portions; what it takes of the pantry is read from the recipes.
const LINES: [(i64, i64); 2] = [(12, 2), (31, 1)];

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Outcome {
    // cargo passes --bench; there is nothing to choose.
    let (rounds, slice) = (count("ROUNDS", 5), Duration::from_secs(count("SLICE", 2)));
    let folders = [tempfile::tempdir()?, tempfile::tempdir()?, tempfile::tempdir()?];
    for folder in &folders {
        stocked(folder.path()).await?;
    }
    let mut raw = Raw::open(&folders[0].path().join("bistro.db"))?;
    let bistro = Bistro::open(&folders[1].path().join("bistro.db"), Options::default())?;
    let house = House::on(folders[2].path(), 3).await;
    let wrk = Wrk::at(&house, folders[2].path()).await?;
    println!("{:>6} {:>12} {:>20} {:>20}", "round", "raw", "store", "stack");
    let (mut of_store, mut of_stack) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let limit = raw.run(slice)?;
        let store = store(&bistro, slice).await?;
        let stack = match &wrk {
            Some(wrk) => wrk.run(&house, slice).await?,
            None => f64::NAN,
        };
        println!(
            "{round:>6} {limit:>10.0}/s {store:>10.0}/s ({:.2}) {stack:>10.0}/s ({:.2})",
            store / limit,
            stack / limit
        );
        of_store.push(store / limit);
        of_stack.push(stack / limit);
    }
    println!("median of the ratios: store {:.2}, stack {:.2}", median(of_store), median(of_stack));
    for (name, audit) in [("store", bistro.audit().await?), ("raw", raw.audit(folders[0].path()).await?)] {
        assert_eq!(audit.wrong, Vec::<String>::new(), "{name}");
    }
    bistro.close().await?;
    house.stop().await;
    Ok(())
}

/// A restaurant that sells for hours.
async fn stocked(folder: &Path) -> Outcome {
    let path = folder.join("bistro.db");
    Bistro::open(&path, Options::default())?.close().await?;
    Connection::open(&path)?.execute_batch("UPDATE pantry_item SET initial = initial * 100000")?;
    Ok(())
}

/// The bare loop.
struct Raw {
    connection: Connection,
    next: i64,
    prices: Vec<i64>,
    takes: Vec<(i64, i64)>,
}

impl Raw {
    fn open(path: &Path) -> Outcome<Raw> {
        let connection = Connection::open(path)?;
        connection.execute_batch(
            "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0; \
             PRAGMA temp_store = MEMORY; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON; \
             PRAGMA journal_size_limit = 67108864; INSERT INTO person (role, created_at_ms) VALUES ('guest', 0);",
        )?;
        let mut prices = Vec::new();
        let mut takes = std::collections::BTreeMap::new();
        for (dish, portions) in LINES {
            prices.push(
                connection.query_row("SELECT price_cents FROM menu_item WHERE id = ?1", [dish], |row| row.get(0))?,
            );
            let mut recipe =
                connection.prepare("SELECT pantry_item_id, quantity FROM recipe_line WHERE menu_item_id = ?1")?;
            let mut rows = recipe.query([dish])?;
            while let Some(row) = rows.next()? {
                *takes.entry(row.get::<_, i64>(0)?).or_insert(0) += row.get::<_, i64>(1)? * portions;
            }
        }
        Ok(Raw { connection, next: 1, prices, takes: takes.into_iter().collect() })
    }

    fn run(&mut self, slice: Duration) -> Outcome<f64> {
        let (began, first) = (Instant::now(), self.next);
        while began.elapsed() < slice {
            self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            for _ in 0..CLIENTS {
                self.order()?;
            }
            self.connection.prepare_cached("COMMIT")?.execute([])?;
        }
        Ok((self.next - first) as f64 / began.elapsed().as_secs_f64())
    }

    fn order(&mut self) -> Outcome {
        let (db, seq) = (&self.connection, self.next);
        let total: i64 = LINES.iter().zip(&self.prices).map(|((_, portions), price)| portions * price).sum();
        for take in &self.takes {
            db.prepare_cached("UPDATE pantry_item SET used = used + ?2 WHERE id = ?1")?.execute([take.0, take.1])?;
        }
        db.prepare_cached(
            "INSERT INTO orders (seq, id, person_id, table_number, state, total_cents, created_at_ms, placed_at_ms, \
             changed_at_ms) SELECT ?1, ?2, max(id), 4, 'placed', ?3, ?1, ?1, ?1 FROM person",
        )?
        .execute(params![seq, format!("ord_{seq:026}"), total])?;
        for (line, ((dish, portions), price)) in (1_i64..).zip(LINES.iter().zip(&self.prices)) {
            db.prepare_cached(
                "INSERT INTO order_line (order_seq, line, menu_item_id, name, quantity, unit_price_cents, \
                 line_total_cents) VALUES (?1, ?2, ?3, 'A dish of the house', ?4, ?5, ?6)",
            )?
            .execute(params![seq, line, dish, portions, price, portions * price])?;
        }
        db.prepare_cached(
            "INSERT INTO ticket (order_seq, state, queued_at_ms, due_at_ms) VALUES (?1, 'waiting', ?1, ?1)",
        )?
        .execute([seq])?;
        db.prepare_cached("UPDATE kitchen SET waiting = waiting + 1 WHERE only_row = 1")?.execute([])?;
        for (account, cents) in [("receivable", total), ("sales", -total)] {
            db.prepare_cached(
                "INSERT INTO entry (kind, order_seq, account, amount_cents, at_ms) VALUES ('sale', ?1, ?2, ?3, ?1)",
            )?
            .execute(params![seq, account, cents])?;
            db.prepare_cached(
                "UPDATE account SET balance_cents = balance_cents + ?2, entries = entries + 1 WHERE id = ?1",
            )?
            .execute(params![account, cents])?;
            db.prepare_cached(
                "INSERT INTO open_day_line (kind, account, entries, amount_cents) VALUES ('sale', ?1, 1, ?2) \
                 ON CONFLICT DO UPDATE SET entries = entries + 1, amount_cents = amount_cents + ?2",
            )?
            .execute(params![account, cents])?;
        }
        self.next += 1;
        Ok(())
    }

    /// What the loop wrote is what orders are: else the comparison is none.
    async fn audit(self, folder: &Path) -> Outcome<roundtrip::store::bistro::Audit> {
        drop(self.connection);
        Ok(Bistro::open(&folder.join("bistro.db"), Options::default())?.audit().await?)
    }
}

/// 64 tasks that know the store alone.
async fn store(bistro: &Bistro, slice: Duration) -> Outcome<f64> {
    let lines: Vec<_> = LINES
        .iter()
        .map(|&(menu_item_id, portions)| LineRequest { menu_item_id, quantity: u32::try_from(portions).unwrap_or(1) })
        .collect();
    let order =
        |person| NewOrder { person, request: OrderRequest { table: 4, lines: lines.clone() }, idempotency: None };
    let guest = bistro.place_order(&unwatched("bench"), order(None)).await?.order.owner;
    let began = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (bistro, order) = (bistro.clone(), order(Some(guest)));
            tokio::spawn(async move {
                let mut placed = 0_u32;
                while began.elapsed() < slice {
                    bistro.place_order(&unwatched("bench"), order.clone()).await?;
                    placed += 1;
                }
                Ok::<_, roundtrip::store::bistro::PlaceError>(placed)
            })
        })
        .collect();
    let mut placed = 0;
    for client in clients {
        placed += client.await??;
    }
    Ok(f64::from(placed) / began.elapsed().as_secs_f64())
}

/// The load on the whole stack, from a process of its own.
struct Wrk {
    script: std::path::PathBuf,
    url: String,
}

impl Wrk {
    /// None where it is not installed.
    async fn at(house: &House, folder: &Path) -> Outcome<Option<Wrk>> {
        if Command::new("wrk").arg("--version").output().is_err() {
            println!("wrk is not installed: the stack is left out");
            return Ok(None);
        }
        let guest = house.visitor();
        let lines: Vec<_> =
            LINES.iter().map(|(dish, portions)| json!({ "menu_item_id": dish, "quantity": portions })).collect();
        let body = json!({ "table": 4, "lines": lines });
        let placed =
            guest.send(Ask::new("POST", "/api/v1/orders").header("sec-fetch-site", "same-origin").json(&body)).await;
        assert_eq!(placed.status, 201, "{}", placed.text());
        let script = folder.join("order.lua");
        let headers =
            [("Content-Type", "application/json"), ("Sec-Fetch-Site", "same-origin"), ("Cookie", &guest.cookies())];
        let headers: String =
            headers.iter().map(|(name, value)| format!("wrk.headers[{name:?}] = {value:?}\n")).collect();
        std::fs::write(&script, format!("wrk.method = \"POST\"\nwrk.body = [[{body}]]\n{headers}"))?;
        let port = house.stack.app().port();
        Ok(Some(Wrk { script, url: format!("https://127.0.0.1:{port}/api/v1/orders") }))
    }

    /// What the books say, not what the client counts.
    async fn run(&self, house: &House, slice: Duration) -> Outcome<f64> {
        let orders = async || Ok::<_, Box<dyn Error>>(house.stack.counts().await?.ok_or("a restaurant")?.orders);
        let (before, began) = (orders().await?, Instant::now());
        let (script, url) = (self.script.clone(), self.url.clone());
        let (clients, seconds) = (format!("-c{CLIENTS}"), format!("-d{}", slice.as_secs()));
        let run = move || Command::new("wrk").args(["-t1", &clients, &seconds, "-s"]).arg(script).arg(url).output();
        let output = tokio::task::spawn_blocking(run).await??;
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && !said.contains("Non-2xx"), "{said}");
        Ok((orders().await? - before) as f64 / began.elapsed().as_secs_f64())
    }
}

fn median(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A count from the environment.
#[allow(clippy::disallowed_methods, reason = "how long to measure is no setting of the program")]
fn count(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}
