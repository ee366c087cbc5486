//! Data sets: a restaurant with any number of orders behind it, invented from a seed.
//!
//! They are written into a copy that replaces the database at the end: a process that dies leaves the
//! data as it was. So nothing has to be synced on the way, and indices are built once, not row by row.

mod draw;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use rusqlite::{Connection, Statement, params};

use super::backup::{install, private_folder};
use super::bistro;
use super::engine::OpenError;
use super::engine::copy::{copy, settle};
use super::{BISTRO_FILE, StoreError};
use crate::domain::ledger::Kind;
use crate::domain::money::Money;
use crate::domain::order::TicketState;
use crate::web::secret::{NoRandomness, hex, random_bytes};
use draw::{By, Dish, Draw};

/// Orders in one data set.
pub const ORDERS_MAX: u64 = 10_000_000;
/// 2025-01-01T10:00:00Z: the same whenever it is invented.
const FIRST_MS: i64 = 1_735_725_600_000;
/// They lie so far apart, or closer where so many would come from the future.
const APART_MS: i64 = 15_000;
const SPAN_MS: i64 = 300 * 24 * 3_600 * 1_000;
/// Orders between two signs of progress.
const TOLD_EVERY: u64 = 2_000;
/// Nobody reads the file before it is whole; 256 MiB hold the one index that grows at random, of ids.
const PRAGMAS: &str = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE; \
                       PRAGMA foreign_keys = OFF; PRAGMA cache_size = -262144; PRAGMA temp_store = MEMORY;";
const UNFINISHED: &str = ".generating-";
const INDICES: &str = "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL";

/// What was invented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generated {
    pub orders: u64,
    pub deliveries: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    #[error("{0} orders are too many; {ORDERS_MAX} at most")]
    TooMany(u64),
    #[error("these orders are there already: they were made with the same seed")]
    ThereAlready,
    #[error("{0} can't be added to: {1}")]
    Unusable(PathBuf, String),
    #[error("{0}: {1}")]
    Io(PathBuf, #[source] io::Error),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

impl From<rusqlite::Error> for GenerateError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::ConstraintViolation) => GenerateError::ThereAlready,
            _ => GenerateError::Store(error.into()),
        }
    }
}

/// Adds orders to the restaurant of a data folder that no server runs on; makes it when there is none.
/// `progress` hears how many there are. All of them, or none. Blocks.
pub fn generate(
    folder: &Path,
    orders: u64,
    seed: u64,
    progress: &mut dyn FnMut(u64),
) -> Result<Generated, GenerateError> {
    if orders > ORDERS_MAX {
        return Err(GenerateError::TooMany(orders));
    }
    let target = folder.join(BISTRO_FILE);
    let workshop = Workshop::beside(folder)?;
    let copied = workshop.0.join(BISTRO_FILE);
    if target.exists() {
        settle(&target).map_err(|why| GenerateError::Unusable(target.clone(), why))?;
        copy(&target, &copied, &AtomicBool::new(false))?;
    }
    bistro::migrate(&copied)?;
    let generated = add(&copied, orders, seed, progress)?;
    install(&copied, &target).map_err(|error| GenerateError::Io(target, error))?;
    Ok(generated)
}

/// Where it is put together; goes with this value.
struct Workshop(PathBuf);

impl Workshop {
    /// Whoever died over it before held the folder alone, too: what they left is nobody's.
    fn beside(folder: &Path) -> Result<Workshop, GenerateError> {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                drop(Workshop(entry.path()));
            }
        }
        let path = folder.join(format!("{UNFINISHED}{}", hex(&random_bytes::<8>()?)));
        private_folder(&path).map_err(|error| GenerateError::Io(path.clone(), error))?;
        Ok(Workshop(path))
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            log::warn!("{} is left behind: {error}", self.0.display());
        }
    }
}

fn add(path: &Path, orders: u64, seed: u64, progress: &mut dyn FnMut(u64)) -> Result<Generated, GenerateError> {
    let mut db = Connection::open(path)?;
    db.set_prepared_statement_cache_capacity(32);
    db.execute_batch(PRAGMAS)?;
    let transaction = db.transaction()?;
    let indices: Vec<(String, String)> = {
        let mut statement = transaction.prepare(INDICES)?;
        let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        found.collect::<rusqlite::Result<_>>()?
    };
    for (name, _) in &indices {
        transaction.execute_batch(&format!("DROP INDEX \"{name}\""))?;
    }
    let mut house = House::read(&transaction, seed)?;
    let generated = house.fill(&transaction, orders, progress)?;
    house.write_totals(&transaction)?;
    for (_, sql) in &indices {
        transaction.execute_batch(sql)?;
    }
    transaction.commit()?;
    db.close().map_err(|(_, error)| error)?;
    Ok(generated)
}

/// An item of the pantry while orders take from it.
struct Item {
    id: i64,
    stock: i64,
    initial: i64,
    reorder_at: i64,
    used: i64,
    delivered: i64,
}

/// The restaurant while it is filled: what the rows add up to is written once, at the end.
struct House {
    seed: u64,
    menu: Vec<Dish>,
    pantry: Vec<Item>,
    waiter: i64,
    manager: i64,
    next_order: i64,
    next_purchase: i64,
    guest: Option<i64>,
    /// Entries and cents, of each kind on each account.
    booked: BTreeMap<(&'static str, &'static str), (i64, i64)>,
}

/// The statements of one order.
struct Statements<'a> {
    guest: Statement<'a>,
    order: Statement<'a>,
    line: Statement<'a>,
    ticket: Statement<'a>,
    event: Statement<'a>,
    entry: Statement<'a>,
    purchase: Statement<'a>,
}

impl<'a> Statements<'a> {
    fn prepare(db: &'a Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            guest: db.prepare("INSERT INTO person (role, name, created_at_ms) VALUES ('guest', NULL, ?1)")?,
            order: db.prepare(
                "INSERT INTO orders (seq, id, person_id, table_number, state, version, total_cents, created_at_ms, \
                 placed_at_ms, changed_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9)",
            )?,
            line: db.prepare(
                "INSERT INTO order_line (order_seq, line, menu_item_id, name, quantity, unit_price_cents, \
                 line_total_cents) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?,
            ticket: db.prepare(
                "INSERT INTO ticket (order_seq, state, queued_at_ms, due_at_ms, attempts, lease, ended_at_ms) \
                 VALUES (?1, ?2, ?3, ?3, ?4, ?4, ?5)",
            )?,
            event: db.prepare("INSERT INTO order_event (order_seq, action, person_id, at_ms) VALUES (?1, ?2, ?3, ?4)")?,
            entry: db.prepare(
                "INSERT INTO entry (kind, order_seq, purchase_id, account, amount_cents, at_ms) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?,
            purchase: db.prepare(
                "INSERT INTO purchase (id, key, pantry_item_id, quantity, state, attempts, wanted_at_ms, due_at_ms, \
                 lease, delivery, cost_cents, ended_at_ms) VALUES (?1, ?2, ?3, ?4, 'delivered', 1, ?5, ?5, 1, ?2, ?6, ?5)",
            )?,
        })
    }
}

impl House {
    fn read(db: &Connection, seed: u64) -> rusqlite::Result<House> {
        let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0));
        let mut house = House {
            seed,
            menu: Vec::new(),
            pantry: Vec::new(),
            waiter: number("SELECT min(id) FROM person WHERE role = 'waiter'")?,
            manager: number("SELECT min(id) FROM person WHERE role = 'manager'")?,
            next_order: number("SELECT coalesce(max(seq), 0) + 1 FROM orders")?,
            next_purchase: number("SELECT coalesce(max(id), 0) + 1 FROM purchase")?,
            guest: None,
            booked: BTreeMap::new(),
        };
        // What nobody sells again would run out.
        let mut items = db.prepare(
            "SELECT id, stock, initial, reorder_at FROM pantry_item WHERE reorder_at IS NOT NULL ORDER BY id",
        )?;
        let items = items.query_map([], |row| {
            let (id, stock, initial, reorder_at) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            Ok(Item { id, stock, initial, reorder_at, used: 0, delivered: 0 })
        })?;
        house.pantry = items.collect::<rusqlite::Result<_>>()?;
        let mut recipe = db.prepare("SELECT pantry_item_id, quantity FROM recipe_line WHERE menu_item_id = ?1")?;
        let mut dishes = db.prepare("SELECT id, name, price_cents FROM menu_item ORDER BY id")?;
        let mut rows = dishes.query([])?;
        while let Some(row) = rows.next()? {
            let (id, name, price_cents) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let takes = recipe.query_map([id], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
            let takes: Vec<(i64, i64)> = takes.collect::<rusqlite::Result<_>>()?;
            let position = |item| house.pantry.iter().position(|known| known.id == item);
            let recipe: Option<Vec<_>> =
                takes.into_iter().map(|(item, quantity)| Some((position(item)?, quantity))).collect();
            house.menu.extend(recipe.map(|recipe| Dish { id, name, price_cents, recipe }));
        }
        Ok(house)
    }

    fn fill(
        &mut self,
        db: &Connection,
        orders: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Generated, GenerateError> {
        if self.menu.is_empty() {
            return Err(StoreError::Internal("there is no dish that can be had again and again".to_owned()).into());
        }
        let mut statements = Statements::prepare(db)?;
        let mut draw = Draw::new(self.seed);
        let first_purchase = self.next_purchase;
        let apart = APART_MS.min(SPAN_MS / i64::try_from(orders.max(1)).unwrap_or(i64::MAX));
        let mut at = FIRST_MS;
        for number in 1..=orders {
            self.order(&mut statements, &mut draw, at)?;
            at += apart;
            if number % TOLD_EVERY == 0 || number == orders {
                progress(number);
            }
        }
        Ok(Generated { orders, deliveries: (self.next_purchase - first_purchase) as u64 })
    }

    fn order(&mut self, to: &mut Statements<'_>, draw: &mut Draw, at: i64) -> rusqlite::Result<()> {
        let order = draw.order(self.menu.len());
        let seq = self.next_order;
        self.next_order += 1;
        let guest = match self.guest.filter(|_| !order.new_guest) {
            Some(guest) => guest,
            None => to.guest.insert([at])?,
        };
        self.guest = Some(guest);
        let mut total = 0;
        for (number, &(dish, portions)) in (1_i64..).zip(&order.lines) {
            let dish = &self.menu[dish];
            let sum = dish.price_cents * portions;
            total += sum;
            to.line.execute(params![seq, number, dish.id, dish.name, portions, dish.price_cents, sum])?;
        }
        let version = 1 + order.events.len() as i64;
        let (id, state, changed) = (order.id.as_str(), order.state.id(), at + order.last_ms());
        to.order.execute(params![seq, id, guest, order.table, state, version, total, at, changed])?;
        let (ticket, ended) = order.ticket();
        let attempts = i64::from(ticket != TicketState::Cancelled);
        to.ticket.execute(params![seq, ticket.id(), at, attempts, at + ended])?;
        for event in &order.events {
            let by = match event.by {
                By::Kitchen => None,
                By::Guest => Some(guest),
                By::Waiter => Some(self.waiter),
                By::Manager => Some(self.manager),
            };
            to.event.execute(params![seq, event.action.id(), by, at + event.after_ms])?;
        }
        for (kind, after) in order.kinds() {
            self.book(to, kind, Some(seq), None, total, at + after)?;
        }
        if ticket != TicketState::Cancelled {
            self.take(to, &order.lines, at)?;
        }
        Ok(())
    }

    fn book(
        &mut self,
        to: &mut Statements<'_>,
        kind: Kind,
        order: Option<i64>,
        purchase: Option<i64>,
        cents: i64,
        at: i64,
    ) -> rusqlite::Result<()> {
        for (account, amount) in kind.entries(Money::from_cents(cents)) {
            to.entry.execute(params![kind.id(), order, purchase, account.id(), amount.cents(), at])?;
            let (entries, cents) = self.booked.entry((kind.id(), account.id())).or_default();
            *entries += 1;
            *cents += amount.cents();
        }
        Ok(())
    }

    /// Takes what the dishes are made of, and has delivered what runs low, before it runs out.
    fn take(&mut self, to: &mut Statements<'_>, lines: &[(usize, i64)], at: i64) -> rusqlite::Result<()> {
        for &(dish, portions) in lines {
            for index in 0..self.menu[dish].recipe.len() {
                let (position, quantity) = self.menu[dish].recipe[index];
                let taken = quantity * portions;
                let item = &mut self.pantry[position];
                if item.stock - taken <= item.reorder_at {
                    let missing = (item.initial - item.stock).max(0) + taken;
                    item.stock += missing;
                    item.delivered += missing;
                    let id = item.id;
                    self.buy(to, id, missing, at)?;
                }
                let item = &mut self.pantry[position];
                item.stock -= taken;
                item.used += taken;
            }
        }
        Ok(())
    }

    fn buy(&mut self, to: &mut Statements<'_>, item: i64, quantity: i64, at: i64) -> rusqlite::Result<()> {
        let id = self.next_purchase;
        self.next_purchase += 1;
        // A cent for ten grams: cheap enough to live on.
        let cost = quantity / 10 + 1;
        let key = format!("set-{:016x}-{id}", self.seed);
        to.purchase.execute(params![id, key, item, quantity, at, cost])?;
        self.book(to, Kind::Delivery, None, Some(id), cost, at)
    }

    fn write_totals(&self, db: &Connection) -> rusqlite::Result<()> {
        let mut pantry =
            db.prepare("UPDATE pantry_item SET used = used + ?2, delivered = delivered + ?3 WHERE id = ?1")?;
        for item in &self.pantry {
            pantry.execute([item.id, item.used, item.delivered])?;
        }
        let mut account =
            db.prepare("UPDATE account SET balance_cents = balance_cents + ?2, entries = entries + ?3 WHERE id = ?1")?;
        let mut day = db.prepare(
            "INSERT INTO open_day_line (kind, account, entries, amount_cents) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT DO UPDATE SET entries = entries + ?3, amount_cents = amount_cents + ?4",
        )?;
        for ((kind, id), (entries, cents)) in &self.booked {
            account.execute(params![id, cents, entries])?;
            day.execute(params![kind, id, entries, cents])?;
        }
        Ok(())
    }
}
