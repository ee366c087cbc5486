//! Reads of orders. One statement brings an order with its lines and its ticket, so that all are of
//! one moment.

use rusqlite::{Connection, Params, Row};

use super::super::StoreError;
use super::super::engine::Touched;
use super::super::rows::{moment, money, parsed};
use super::Bistro;
use crate::domain::order::{Order, OrderId, OrderLine, OrderState, Ticket, TicketState};
use crate::domain::session::PersonId;
use crate::observe::span::Span;

/// Orders in a list at most.
pub const LIST_MAX: usize = 100;

macro_rules! orders {
    ($chosen:literal) => {
        concat!(
            "SELECT chosen.id, table_number, chosen.state, version, total_cents, created_at_ms, placed_at_ms, ",
            "changed_at_ms, person_id, ticket.id, ticket.state, ",
            "menu_item_id, name, quantity, unit_price_cents, line_total_cents ",
            "FROM (SELECT * FROM orders WHERE ",
            $chosen,
            ") AS chosen LEFT JOIN ticket ON ticket.order_seq = chosen.seq ",
            "JOIN order_line ON order_line.order_seq = chosen.seq ORDER BY chosen.seq DESC, line"
        )
    };
}

const BY_ID: &str = orders!("id = ?1");
pub(super) const BY_SEQ: &str = orders!("seq = ?1");
const OF_PERSON: &str = orders!("person_id = ?1 ORDER BY seq DESC LIMIT 100");
/// Orders are never deleted: the latest hundred are a range, and need no scan.
const LATEST: &str = orders!("seq > (SELECT max(seq) FROM orders) - 100");

impl Bistro {
    /// The latest orders of one person, newest first, at most [`LIST_MAX`].
    pub async fn orders_of(&self, span: &Span, person: PersonId) -> Result<Vec<Order>, StoreError> {
        self.orders(span, "Read the person's orders", OF_PERSON, [person.0]).await
    }

    /// The latest orders of all, newest first, at most [`LIST_MAX`].
    pub async fn latest_orders(&self, span: &Span) -> Result<Vec<Order>, StoreError> {
        self.orders(span, "Read the latest orders", LATEST, []).await
    }

    /// One order, whosever it is; None when there is no such id.
    pub async fn order(&self, span: &Span, id: &OrderId) -> Result<Option<Order>, StoreError> {
        self.orders(span, "Read the order", BY_ID, [id.as_str()]).await.map(|mut orders| orders.pop())
    }

    async fn orders(
        &self,
        span: &Span,
        name: &'static str,
        sql: &'static str,
        params: impl Params,
    ) -> Result<Vec<Order>, StoreError> {
        self.engine.read(span, |db| db.step(name, &[sql], |connection| select(connection, sql, params)))
    }
}

/// The orders that a statement made by `orders!` finds, and its rows.
pub(super) fn select(
    connection: &Connection,
    sql: &str,
    params: impl Params,
) -> rusqlite::Result<(Vec<Order>, Touched)> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let (mut orders, mut count) = (Vec::<Order>::new(), 0);
    while let Some(row) = rows.next()? {
        count += 1;
        let id = row.get_ref(0)?.as_str()?;
        if orders.last().is_none_or(|order| order.id.as_str() != id) {
            orders.push(order(row)?);
        }
        if let Some(order) = orders.last_mut() {
            order.lines.push(line(row)?);
        }
    }
    Ok((orders, Touched::Returned(count)))
}

fn order(row: &Row<'_>) -> rusqlite::Result<Order> {
    let ticket = match row.get(9)? {
        Some(id) => Some(Ticket { id, state: parsed(row, 10, TicketState::from_id)? }),
        None => None,
    };
    let placed: Option<i64> = row.get(6)?;
    Ok(Order {
        id: parsed(row, 0, OrderId::parse)?,
        table: row.get(1)?,
        state: parsed(row, 2, OrderState::from_id)?,
        version: row.get(3)?,
        lines: Vec::new(),
        total: money(row, 4)?,
        created_at: moment(row, 5)?,
        placed_at: placed.map(|_| moment(row, 6)).transpose()?,
        changed_at: moment(row, 7)?,
        owner: PersonId(row.get(8)?),
        ticket,
    })
}

fn line(row: &Row<'_>) -> rusqlite::Result<OrderLine> {
    Ok(OrderLine {
        menu_item_id: row.get(11)?,
        name: row.get(12)?,
        quantity: row.get(13)?,
        unit_price: money(row, 14)?,
        line_total: money(row, 15)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statements_and_the_bound_agree() {
        assert!(OF_PERSON.contains(&format!("LIMIT {LIST_MAX})")));
        assert!(LATEST.contains(&format!("- {LIST_MAX})")));
    }
}
