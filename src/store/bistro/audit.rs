//! Everything that must be true of the restaurant, as rules over all its rows: for the tests, for
//! `data verify`, for each backup.

use rusqlite::Connection;

use super::super::StoreError;
use super::super::engine::{Touched, unwatched};
use super::Bistro;
use crate::domain::money::Money;

/// The invariants of the restaurant, worked out from every row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    pub orders: i64,
    /// Of all ledger entries.
    pub ledger_sum: Money,
    pub stock_min: i64,
    /// What is not as it must be, in words; empty when all is well.
    pub wrong: Vec<String>,
}

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    Orders,
    Tickets,
    Ledger,
    Stock,
}

struct Rule {
    about: About,
    /// Rows of which there must be none.
    what: &'static str,
    /// Their number, in one pass over each table.
    sql: &'static str,
}

const RULES: [Rule; 15] = [
    Rule {
        about: About::Tickets,
        what: "placed orders without a ticket",
        // Those placed and those with a ticket, less twice those that are both.
        sql: "SELECT (SELECT count(*) FROM orders WHERE placed_at_ms IS NOT NULL) + count(*) - 2 * count(placed_at_ms) \
              FROM ticket JOIN orders ON seq = order_seq",
    },
    Rule {
        about: About::Tickets,
        what: "orders whose state is not that of their ticket",
        sql: "SELECT count(*) FROM orders JOIN ticket ON order_seq = seq WHERE ticket.state <> CASE orders.state \
         WHEN 'placed' THEN iif(ticket.state = 'dead', 'dead', 'waiting') WHEN 'cooking' THEN 'cooking' \
         WHEN 'cancelled' THEN 'cancelled' ELSE 'done' END",
    },
    Rule {
        about: About::Orders,
        what: "orders whose lines don't add up",
        sql: "SELECT count(*) FROM orders LEFT JOIN (SELECT order_seq, sum(line_total_cents) AS sum FROM order_line \
         GROUP BY order_seq) ON order_seq = seq WHERE total_cents <> coalesce(sum, 0)",
    },
    Rule {
        about: About::Orders,
        what: "lines that are not price times quantity",
        sql: "SELECT count(*) FROM order_line WHERE line_total_cents <> quantity * unit_price_cents",
    },
    Rule {
        about: About::Ledger,
        what: "transactions that do not sum to zero",
        sql: "SELECT count(*) FROM (SELECT 1 FROM entry GROUP BY kind, order_seq, purchase_id \
         HAVING sum(amount_cents) <> 0 OR count(*) <> 2)",
    },
    Rule {
        about: About::Ledger,
        what: "orders that are not booked as their state says",
        sql: "SELECT count(*) FROM orders LEFT JOIN (SELECT order_seq, \
         total(CASE WHEN kind = 'sale' AND account = 'sales' THEN -amount_cents END) AS sale, \
         total(CASE WHEN kind = 'cancellation' AND account = 'sales' THEN amount_cents END) AS cancelled, \
         total(CASE WHEN kind = 'payment' AND account = 'cash' THEN amount_cents END) AS paid, \
         total(CASE WHEN kind = 'refund' AND account = 'cash' THEN -amount_cents END) AS refunded \
         FROM entry WHERE order_seq IS NOT NULL GROUP BY order_seq) ON order_seq = seq \
         WHERE coalesce(sale, 0) <> iif(placed_at_ms IS NULL, 0, total_cents) \
         OR coalesce(cancelled, 0) <> iif(state = 'cancelled' AND placed_at_ms IS NOT NULL, total_cents, 0) \
         OR coalesce(paid, 0) <> iif(state IN ('paid', 'refunded'), total_cents, 0) \
         OR coalesce(refunded, 0) <> iif(state = 'refunded', total_cents, 0)",
    },
    Rule {
        about: About::Ledger,
        what: "entries of orders that were never placed",
        sql: "SELECT count(*) FROM entry LEFT JOIN orders ON seq = order_seq \
         WHERE order_seq IS NOT NULL AND placed_at_ms IS NULL",
    },
    Rule {
        about: About::Ledger,
        what: "accounts whose balance is not that of their entries",
        sql: "SELECT count(*) FROM account LEFT JOIN (SELECT account, sum(amount_cents) AS sum, count(*) AS count \
         FROM entry GROUP BY account) AS booked ON booked.account = account.id \
         WHERE balance_cents <> coalesce(sum, 0) OR entries <> coalesce(count, 0)",
    },
    Rule {
        about: About::Tickets,
        what: "queues whose lengths are not those of their tickets",
        sql: "SELECT count(*) FROM kitchen WHERE waiting <> (SELECT count(*) FROM ticket WHERE state = 'waiting') \
         OR cooking <> (SELECT count(*) FROM ticket WHERE state = 'cooking') \
         OR dead <> (SELECT count(*) FROM ticket WHERE state = 'dead')",
    },
    Rule {
        about: About::Stock,
        what: "pantry items below zero",
        sql: "SELECT count(*) FROM pantry_item WHERE stock < 0",
    },
    Rule {
        about: About::Stock,
        what: "pantry items whose use is not that of the orders",
        sql: "SELECT count(*) FROM pantry_item LEFT JOIN (SELECT pantry_item_id, \
         sum(recipe_line.quantity * dishes.quantity) AS sum FROM recipe_line JOIN (SELECT menu_item_id, \
         sum(order_line.quantity) AS quantity FROM order_line JOIN orders ON seq = order_seq \
         WHERE state NOT IN ('draft', 'cancelled') GROUP BY menu_item_id) AS dishes USING (menu_item_id) \
         GROUP BY pantry_item_id) AS taken ON taken.pantry_item_id = pantry_item.id WHERE used <> coalesce(sum, 0)",
    },
    Rule {
        about: About::Stock,
        what: "pantry items whose deliveries are not those of the purchases",
        sql: "SELECT count(*) FROM pantry_item LEFT JOIN (SELECT pantry_item_id, sum(quantity) AS sum FROM purchase \
         WHERE state = 'delivered' GROUP BY pantry_item_id) AS bought ON bought.pantry_item_id = pantry_item.id \
         WHERE delivered <> coalesce(sum, 0)",
    },
    Rule {
        about: About::Ledger,
        what: "business days whose report is not that of their entries",
        sql: "SELECT count(*) FROM business_day AS day WHERE \
         (SELECT coalesce(sum(entries), 0) FROM business_day_line WHERE day_id = day.id) <> (SELECT count(*) FROM entry \
         WHERE id <= day.last_entry AND id > coalesce((SELECT max(last_entry) FROM business_day WHERE id < day.id), 0)) \
         OR (SELECT coalesce(sum(amount_cents), 0) FROM business_day_line WHERE day_id = day.id) <> 0",
    },
    Rule {
        about: About::Ledger,
        what: "business days that don't say what guests owed",
        sql: "SELECT count(*) FROM (SELECT receivable_cents, sum(moved) OVER (ORDER BY day_id) AS owed \
         FROM (SELECT day_id, total(CASE WHEN account = 'receivable' THEN amount_cents END) AS moved \
         FROM business_day_line GROUP BY day_id) JOIN business_day ON id = day_id) WHERE receivable_cents <> owed",
    },
    Rule {
        about: About::Ledger,
        what: "totals of the open day that are not those of its entries",
        sql: "SELECT count(*) FROM (SELECT 1 FROM (SELECT kind, account, entries, amount_cents FROM open_day_line \
         UNION ALL SELECT kind, account, -1, -amount_cents FROM entry \
         WHERE id > (SELECT coalesce(max(last_entry), 0) FROM business_day)) \
         GROUP BY kind, account HAVING sum(entries) <> 0 OR sum(amount_cents) <> 0)",
    },
];

impl Bistro {
    /// Checks every invariant against every row. Slow by nature: for tests and drills.
    pub async fn audit(&self) -> Result<Audit, StoreError> {
        self.engine.survey(&unwatched("Audit"), |db| {
            db.step("Audit", &[], |connection| {
                let transaction = connection.unchecked_transaction()?;
                Ok((audit(&transaction)?, Touched::Returned(1)))
            })
        })
    }
}

/// What breaks the rules, in words, each with what it is about. The caller holds a read transaction.
pub fn broken(connection: &Connection) -> rusqlite::Result<Vec<(About, String)>> {
    let mut broken = Vec::new();
    for Rule { about, what, sql } in RULES {
        match connection.query_row(sql, [], |row| row.get::<_, i64>(0))? {
            0 => {}
            count => broken.push((about, format!("{count} {what}"))),
        }
    }
    Ok(broken)
}

/// Of all ledger entries; zero, or money came from nowhere.
pub fn ledger_sum(connection: &Connection) -> rusqlite::Result<Money> {
    let sum = connection.query_row("SELECT coalesce(sum(amount_cents), 0) FROM entry", [], |row| row.get(0))?;
    Ok(Money::from_cents(sum))
}

fn audit(connection: &Connection) -> rusqlite::Result<Audit> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    Ok(Audit {
        orders: number("SELECT count(*) FROM orders")?,
        ledger_sum: ledger_sum(connection)?,
        stock_min: number("SELECT min(stock) FROM pantry_item")?,
        wrong: broken(connection)?.into_iter().map(|(_, words)| words).collect(),
    })
}
