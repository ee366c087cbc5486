//! A till: a program as small as can be that takes orders through the store and says which were acknowledged,
//! for tests that cut its power or break its disk.
//!
//! It is a test only so that it is a process that the others can start. It reads a command a line and answers
//! with a line: `order` → `ok ID` or `refused CAUSE`; `menu` → `menu DISHES` or `refused CAUSE`; `audit` → the
//! audit as JSON; `drain`, what a backup does to the log → `fenced TIMES`; `run GUESTS` → lines of `order`, without
//! end; `close` → `closed`.

use std::error::Error;
use std::io::{BufRead, Write};
use std::path::Path;

use roundtrip::domain::order::{LineRequest, OrderRequest};
use roundtrip::store::bistro::{Bistro, NewOrder, Options, PlaceError};
use roundtrip::store::engine::{self, Durability, unwatched};
use roundtrip::store::{StoreError, WallClock};

type Outcome = Result<(), Box<dyn Error>>;

/// Names the database.
pub const DATABASE: &str = "TILL_DATABASE";
/// `full` or `normal`.
pub const DURABILITY: &str = "TILL_DURABILITY";
/// The first line that it says.
pub const OPEN: &str = "the till is open";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the other tests start it, as a process of its own"]
#[allow(clippy::disallowed_methods, reason = "how one test process tells the other what to do")]
async fn till() -> Outcome {
    let (path, durability) = (std::env::var(DATABASE)?, std::env::var(DURABILITY)?);
    let durability = match &*durability {
        "full" => Durability::Full,
        "normal" => Durability::Normal,
        other => return Err(format!("{other} is neither full nor normal").into()),
    };
    let engine = engine::Options { durability, ..engine::Options::default() };
    let bistro = Bistro::open(Path::new(&path), Options { engine, clock: WallClock::default() })?;
    say(OPEN)?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("order", _) => say(&order(&bistro).await)?,
            ("menu", _) => say(&match bistro.menu(&unwatched("menu")).await {
                Ok(menu) => format!("menu {}", menu.len()),
                Err(error) => refused(&error),
            })?,
            ("audit", _) => {
                let audit = bistro.audit().await?;
                let wrong = serde_json::json!({ "orders": audit.orders, "wrong": audit.wrong });
                say(&wrong.to_string())?;
            }
            ("run", guests) => run(&bistro, guests.parse()?).await?,
            ("drain", _) => {
                let (bistro, path) = (bistro.clone(), path.clone());
                let fences = move || {
                    bistro.hold_checkpoints().drain_log(Path::new(&path));
                    bistro.figures().fences
                };
                say(&format!("fenced {}", tokio::task::spawn_blocking(fences).await?))?;
            }
            ("close", _) => {
                bistro.close().await?;
                say("closed")?;
            }
            (other, _) => return Err(format!("{other} is no command").into()),
        }
    }
    Ok(())
}

async fn run(bistro: &Bistro, guests: usize) -> Outcome {
    let guests: Vec<_> = (0..guests)
        .map(|_| {
            let bistro = bistro.clone();
            tokio::spawn(async move {
                loop {
                    // Nobody listens any more: it is over.
                    if say(&order(&bistro).await).is_err() {
                        return;
                    }
                }
            })
        })
        .collect();
    for guest in guests {
        guest.await?;
    }
    Ok(())
}

async fn order(bistro: &Bistro) -> String {
    let lines = [(1, 1), (12, 2), (31, 1)];
    let lines = lines.map(|(menu_item_id, quantity)| LineRequest { menu_item_id, quantity }).into();
    let order = NewOrder { person: None, request: OrderRequest { table: 4, lines }, idempotency: None };
    match bistro.place_order(&unwatched("order"), order).await {
        Ok(placed) => format!("ok {}", placed.order.id.as_str()),
        Err(PlaceError::Store(error)) => refused(&error),
        Err(other) => format!("refused {other}"),
    }
}

fn refused(error: &StoreError) -> String {
    match error {
        StoreError::Unavailable { cause, .. } => format!("refused {cause:?}"),
        StoreError::Internal(what) => format!("refused because {what}"),
    }
}

/// One line at once: what was said before a kill was said.
fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes())?;
    out.flush()
}
