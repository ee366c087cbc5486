//! Reads of orders. One statement brings an order with its lines and its ticket, so that all are of
//! one moment.

use rusqlite::{Connection, Params, Row, params};

use super::super::StoreError;
use super::super::engine::{Db, Touched};
use super::super::rows::{millis, moment, money, parsed};
use super::Bistro;
use crate::domain::order::{Order, OrderEvent, OrderId, OrderLine, OrderState, Ticket, TicketState};
use crate::domain::order_life::Action;
use crate::domain::page::{OrderListing, OrderSort, Page, Position};
use crate::domain::permission::Role;
use crate::domain::session::PersonId;
use crate::observe::span::Span;

macro_rules! orders {
    ($($chosen:literal),+; $($sorted:literal),+) => {
        concat!(
            "SELECT chosen.id, table_number, chosen.state, version, total_cents, created_at_ms, placed_at_ms, ",
            "changed_at_ms, person_id, ticket.id, ticket.state, ",
            "menu_item_id, name, quantity, unit_price_cents, line_total_cents, chosen.seq ",
            "FROM (SELECT * FROM orders WHERE ",
            $($chosen,)+
            ") AS chosen LEFT JOIN ticket ON ticket.order_seq = chosen.seq ",
            "JOIN order_line ON order_line.order_seq = chosen.seq ORDER BY ",
            $($sorted,)+
            "line"
        )
    };
}

const BY_ID: &str = orders!("id = ?1"; "");
pub(super) const BY_SEQ: &str = orders!("seq = ?1"; "");

/// A page of a list: those that `$which` finds by an index, from where the page before ended
/// (sqlite.org/rowvalue.html, "Scrolling Window Queries"). `?1 ?2` the position, `?3` how many, `?4 ?5` from when
/// and until before when, `?6` state, `?7` table, `?8` whether only what was placed, `?9` whose. The plus
/// keeps the planner from an index that does not serve the order.
macro_rules! page {
    ($which:literal, newest) => {
        page!($which, "listed_at_ms", "listed_at_ms", "<", " DESC")
    };
    ($which:literal, oldest) => {
        page!($which, "listed_at_ms", "listed_at_ms", ">", "")
    };
    ($which:literal, dearest) => {
        page!($which, "total_cents", "+listed_at_ms", "<", " DESC")
    };
    ($which:literal, cheapest) => {
        page!($which, "total_cents", "+listed_at_ms", ">", "")
    };
    ($which:literal, $key:literal, $time:literal, $after:literal, $direction:literal) => {
        orders!(
            $which,
            " AND (",
            $key,
            ", seq) ",
            $after,
            " (?1, ?2) AND ",
            $time,
            " >= ?4 AND ",
            $time,
            " < ?5 AND (?6 IS NULL OR state = ?6) AND (?7 IS NULL OR table_number = ?7) ",
            "AND (NOT ?8 OR placed_at_ms IS NOT NULL) ORDER BY ",
            $key,
            $direction,
            ", seq",
            $direction,
            " LIMIT ?3";
            "chosen.",
            $key,
            $direction,
            ", chosen.seq",
            $direction,
            ", "
        )
    };
}

/// The four orders of one choice, as [`OrderSort::ALL`] has them.
macro_rules! pages {
    ($which:literal) => {
        [page!($which, newest), page!($which, oldest), page!($which, dearest), page!($which, cheapest)]
    };
}

// One person's are few enough to be sorted by total; of all orders there is an index for that.
const OF_PERSON: [&str; 4] = pages!("person_id = ?9");
const OF_STATE: [&str; 4] = pages!("?9 IS NULL AND state = ?6");
const OF_TABLE: [&str; 4] = pages!("?9 IS NULL AND table_number = ?7");
const OF_ALL: [&str; 4] = pages!("?9 IS NULL");

const EVENTS: &str = "SELECT action, role, at_ms FROM order_event JOIN orders ON seq = order_seq \
                      LEFT JOIN person ON person.id = order_event.person_id \
                      WHERE orders.id = ?1 ORDER BY order_event.id DESC LIMIT 100";

impl Bistro {
    /// A page of a list: one person's orders, or everybody's.
    pub async fn list_orders(
        &self,
        span: &Span,
        owner: Option<PersonId>,
        listing: &OrderListing,
    ) -> Result<Page<Order>, StoreError> {
        let OrderListing { filter, sort, cut } = listing;
        let statement = statement(owner, listing);
        let none = if sort.descends() { i64::MAX } else { i64::MIN };
        let after = cut.after.unwrap_or(Position { key: none, number: none });
        let (from, to) = (filter.placed_from.map_or(i64::MIN, millis), filter.placed_to.map_or(i64::MAX, millis));
        let only_placed = filter.placed_from.is_some() || filter.placed_to.is_some();
        let state = filter.state.map(OrderState::id);
        let rows = self.engine.read(span, |db| {
            db.step("Read a page of orders", &[statement], |connection| {
                let owner = owner.map(|person| person.0);
                // One more than asked for tells whether there is a next page.
                let (after, count) = ((after.key, after.number), cut.limit as i64 + 1);
                let params = params![after.0, after.1, count, from, to, state, filter.table, only_placed, owner];
                select(connection, statement, params)
            })
        })?;
        let key = |order: &Order| match sort.by_total() {
            true => order.total.cents(),
            false => millis(order.placed_at.unwrap_or(order.created_at)),
        };
        let Page { items, next } = page(rows, cut.limit, |(seq, order)| Position { key: key(order), number: *seq });
        Ok(Page { items: items.into_iter().map(|(_, order)| order).collect(), next })
    }

    /// One order, whosever it is; None when there is no such id.
    pub async fn order(&self, span: &Span, id: &OrderId) -> Result<Option<Order>, StoreError> {
        let rows = self.engine.read(span, |db| {
            db.step("Read the order", &[BY_ID], |connection| select(connection, BY_ID, [id.as_str()]))
        })?;
        Ok(rows.into_iter().next().map(|(_, order)| order))
    }

    /// What happened to an order, in its order: the latest hundred.
    pub async fn order_events(&self, span: &Span, id: &OrderId) -> Result<Vec<OrderEvent>, StoreError> {
        self.engine.read(span, |db| {
            db.step("Read the order's events", &[EVENTS], |connection| {
                let mut statement = connection.prepare_cached(EVENTS)?;
                let found = statement.query_map([id.as_str()], event)?;
                let mut events: Vec<_> = found.collect::<rusqlite::Result<_>>()?;
                events.reverse();
                let rows = events.len();
                Ok((events, Touched::Returned(rows)))
            })
        })
    }
}

/// By state before table: there are few in any state that somebody waits for.
fn statement(owner: Option<PersonId>, OrderListing { filter, sort, .. }: &OrderListing) -> &'static str {
    let pages = match (owner, filter.state, filter.table) {
        (Some(_), _, _) => &OF_PERSON,
        (None, Some(_), _) if !sort.by_total() => &OF_STATE,
        (None, None, Some(_)) if !sort.by_total() => &OF_TABLE,
        _ => &OF_ALL,
    };
    match sort {
        OrderSort::NewestFirst => pages[0],
        OrderSort::OldestFirst => pages[1],
        OrderSort::DearestFirst => pages[2],
        OrderSort::CheapestFirst => pages[3],
    }
}

/// The first `limit` of `rows`, and where the next page begins if there are more.
pub(super) fn page<T>(mut rows: Vec<T>, limit: usize, position: impl FnOnce(&T) -> Position) -> Page<T> {
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = if more { rows.last().map(position) } else { None };
    Page { items: rows, next }
}

/// The order of that number, in the transaction of whoever calls.
pub(super) fn by_seq(db: &mut Db<'_>, name: &'static str, seq: i64) -> Result<Order, StoreError> {
    let rows = db.step(name, &[BY_SEQ], |connection| select(connection, BY_SEQ, [seq]))?;
    let order = rows.into_iter().next().map(|(_, order)| order);
    order.ok_or_else(|| StoreError::Internal(format!("there is no order number {seq}")))
}

/// The orders that such a statement finds, each with its number.
fn select(connection: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<(Vec<(i64, Order)>, Touched)> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let (mut orders, mut count) = (Vec::<(i64, Order)>::new(), 0);
    while let Some(row) = rows.next()? {
        count += 1;
        let seq = row.get(16)?;
        if orders.last().is_none_or(|(last, _)| *last != seq) {
            orders.push((seq, order(row)?));
        }
        if let Some((_, order)) = orders.last_mut() {
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

fn event(row: &Row<'_>) -> rusqlite::Result<OrderEvent> {
    Ok(OrderEvent {
        action: parsed(row, 0, Action::from_id)?,
        by: row.get::<_, Option<String>>(1)?.map(|_| parsed(row, 1, Role::from_id)).transpose()?,
        at: moment(row, 2)?,
    })
}
