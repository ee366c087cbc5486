//! The queue as the chef sees it, of one moment.

use rusqlite::{Connection, Row};

use super::super::super::StoreError;
use super::super::super::engine::Touched;
use super::super::super::rows::{moment, parsed};
use super::super::Bistro;
use crate::domain::kitchen::{KitchenTicket, Lengths, Queue};
use crate::domain::order::{OrderId, TicketState};
use crate::observe::span::Span;

const LENGTHS: &str = "SELECT waiting, cooking, dead, paused FROM kitchen WHERE only_row = 1";

macro_rules! lane {
    ($chosen:literal, $order:literal) => {
        concat!(
            "SELECT chosen.id, orders.id, table_number, chosen.state, priority, queued_at_ms, due_at_ms, attempts, ",
            "worker, lease_until_ms, last_error, quantity, name FROM (SELECT * FROM ticket WHERE ",
            $chosen,
            " LIMIT 50) AS chosen JOIN orders ON orders.seq = chosen.order_seq ",
            "JOIN order_line ON order_line.order_seq = chosen.order_seq ORDER BY ",
            $order,
            ", line"
        )
    };
}

// The second condition of each always holds: it has SQLite search the lane's index from one end, as far as the limit.
const WAITING: &str = lane!(
    "state = 'waiting' AND priority >= -1 ORDER BY priority DESC, due_at_ms, id",
    "priority DESC, due_at_ms, chosen.id"
);
const COOKING: &str =
    lane!("state = 'cooking' AND lease_until_ms > 0 ORDER BY lease_until_ms", "lease_until_ms, chosen.id");
const DEAD: &str = lane!("state = 'dead' AND id > 0 ORDER BY id DESC", "chosen.id DESC");

impl Bistro {
    /// How long the queue is; None when the database can't say at once.
    pub fn kitchen_lengths(&self) -> Option<Lengths> {
        self.engine.glance(lengths)
    }

    /// The kitchen's queue.
    pub async fn kitchen(&self, span: &Span) -> Result<Queue, StoreError> {
        let at = self.clock.now();
        self.engine.read(span, |db| {
            db.step("Read the kitchen's queue", &[LENGTHS, WAITING, COOKING, DEAD], |connection| {
                let transaction = connection.unchecked_transaction()?;
                let lengths = lengths(&transaction)?;
                let [waiting, cooking, dead] =
                    [lane(&transaction, WAITING)?, lane(&transaction, COOKING)?, lane(&transaction, DEAD)?];
                let rows = 1 + waiting.len() + cooking.len() + dead.len();
                Ok((Queue { at, lengths, waiting, cooking, dead }, Touched::Returned(rows)))
            })
        })
    }
}

fn lengths(connection: &Connection) -> rusqlite::Result<Lengths> {
    connection.prepare_cached(LENGTHS)?.query_row([], |row| {
        let (waiting, cooking, dead) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Lengths { waiting, cooking, dead, paused: row.get(3)? })
    })
}

fn lane(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<KitchenTicket>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut tickets = Vec::<KitchenTicket>::new();
    while let Some(row) = rows.next()? {
        let id = row.get::<_, i64>(0)?;
        if tickets.last().is_none_or(|ticket| ticket.id != id) {
            tickets.push(ticket(row)?);
        }
        if let Some(ticket) = tickets.last_mut() {
            ticket.dishes.push((row.get(11)?, row.get(12)?));
        }
    }
    Ok(tickets)
}

fn ticket(row: &Row<'_>) -> rusqlite::Result<KitchenTicket> {
    let lease: Option<i64> = row.get(9)?;
    Ok(KitchenTicket {
        id: row.get(0)?,
        order: parsed(row, 1, OrderId::parse)?,
        table: row.get(2)?,
        state: parsed(row, 3, TicketState::from_id)?,
        priority: row.get(4)?,
        queued_at: moment(row, 5)?,
        due_at: moment(row, 6)?,
        attempts: row.get(7)?,
        worker: row.get(8)?,
        lease_until: lease.map(|_| moment(row, 9)).transpose()?,
        last_error: row.get(10)?,
        dishes: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::kitchen::LANE_MAX;

    #[test]
    fn the_statements_and_the_bound_agree() {
        for sql in [WAITING, COOKING, DEAD] {
            assert!(sql.contains(&format!(" LIMIT {LANE_MAX})")));
        }
    }
}
