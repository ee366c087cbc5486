//! The orders as text, one after the other: however many there are, only one is held at a time.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rusqlite::Row;
use serde::Serialize;
use time::OffsetDateTime;

use super::engine::look::look_once;
use super::rows::moment;
use super::{BISTRO_FILE, bistro};
use crate::domain::money::CURRENCY;

/// By number, which is the order in which they came; drafts are no orders yet.
const ORDERS: &str = "SELECT orders.id, table_number, orders.state, version, total_cents, created_at_ms, placed_at_ms, \
                      changed_at_ms, ticket.id, ticket.state, menu_item_id, name, quantity, unit_price_cents, \
                      line_total_cents FROM orders LEFT JOIN ticket ON ticket.order_seq = seq \
                      JOIN order_line ON order_line.order_seq = seq WHERE placed_at_ms IS NOT NULL ORDER BY seq, line";
const HEADER: &str = "id,table,state,version,created_at,placed_at,changed_at,total_cents,currency,ticket_id,ticket_state,\
                      line,menu_item_id,name,quantity,unit_price_cents,line_total_cents";

/// How orders are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// An order a line, with its lines in it (jsonlines.org).
    Jsonl,
    /// A line of an order a record, with its order repeated (RFC 4180).
    Csv,
}

/// Why not all of it was written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("{0} is no data folder: it holds no {BISTRO_FILE}")]
    NoDataFolder(PathBuf),
    #[error("{0}: {1}")]
    Unknown(PathBuf, String),
    #[error("a server was started on {0} meanwhile; run it again")]
    Moved(PathBuf),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// Of the place that it is written to.
    #[error(transparent)]
    Io(io::Error),
}

#[derive(Serialize)]
struct Order {
    id: String,
    table: i64,
    state: String,
    version: i64,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    placed_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    changed_at: OffsetDateTime,
    total_cents: i64,
    currency: &'static str,
    ticket: Option<Ticket>,
    lines: Vec<Line>,
}

#[derive(Serialize)]
struct Ticket {
    id: i64,
    state: String,
}

#[derive(Serialize)]
struct Line {
    menu_item_id: i64,
    name: String,
    quantity: i64,
    unit_price_cents: i64,
    line_total_cents: i64,
}

/// Writes the orders of a data folder, of one moment, beside a running server or without one. Returns
/// how many there were.
pub fn export(folder: &Path, format: Format, out: &mut dyn Write) -> Result<u64, ExportError> {
    let path = folder.join(BISTRO_FILE);
    if !path.is_file() {
        return Err(ExportError::NoDataFolder(folder.to_owned()));
    }
    // What the other end of the pipe says is no error of the database.
    let exported = look_once(&path, |db| {
        if let Err(why) = bistro::known(db)? {
            return Ok(Err(ExportError::Unknown(path.clone(), why)));
        }
        let mut statement = db.prepare(ORDERS)?;
        let mut rows = statement.query([])?;
        let mut writer = Writer { format, out: &mut *out, orders: 0 };
        if let Err(error) = writer.header() {
            return Ok(Err(ExportError::Io(error)));
        }
        let mut under_way: Option<Order> = None;
        while let Some(row) = rows.next()? {
            let id = row.get_ref(0)?.as_str()?;
            if under_way.as_ref().is_none_or(|order| order.id != id)
                && let Some(done) = under_way.replace(order(row)?)
                && let Err(error) = writer.order(&done)
            {
                return Ok(Err(ExportError::Io(error)));
            }
            if let Some(order) = &mut under_way {
                order.lines.push(line(row)?);
            }
        }
        let written = under_way.map_or(Ok(()), |last| writer.order(&last)).and_then(|()| writer.out.flush());
        Ok(written.map(|()| writer.orders).map_err(ExportError::Io))
    });
    exported?.ok_or_else(|| ExportError::Moved(folder.to_owned()))?
}

fn order(row: &Row<'_>) -> rusqlite::Result<Order> {
    let ticket: Option<i64> = row.get(8)?;
    Ok(Order {
        id: row.get(0)?,
        table: row.get(1)?,
        state: row.get(2)?,
        version: row.get(3)?,
        total_cents: row.get(4)?,
        created_at: moment(row, 5)?,
        placed_at: moment(row, 6)?,
        changed_at: moment(row, 7)?,
        currency: CURRENCY,
        ticket: ticket.map(|id| Ok::<_, rusqlite::Error>(Ticket { id, state: row.get(9)? })).transpose()?,
        lines: Vec::new(),
    })
}

fn line(row: &Row<'_>) -> rusqlite::Result<Line> {
    Ok(Line {
        menu_item_id: row.get(10)?,
        name: row.get(11)?,
        quantity: row.get(12)?,
        unit_price_cents: row.get(13)?,
        line_total_cents: row.get(14)?,
    })
}

struct Writer<'a> {
    format: Format,
    out: &'a mut dyn Write,
    orders: u64,
}

impl Writer<'_> {
    fn header(&mut self) -> io::Result<()> {
        match self.format {
            Format::Jsonl => Ok(()),
            // RFC 4180, section 2: lines end in CRLF.
            Format::Csv => write!(self.out, "{HEADER}\r\n"),
        }
    }

    fn order(&mut self, order: &Order) -> io::Result<()> {
        self.orders += 1;
        match self.format {
            Format::Jsonl => {
                serde_json::to_writer(&mut *self.out, order).map_err(io::Error::from)?;
                self.out.write_all(b"\n")
            }
            Format::Csv => (1..).zip(&order.lines).try_for_each(|(number, line)| self.record(order, number, line)),
        }
    }

    fn record(&mut self, order: &Order, number: usize, line: &Line) -> io::Result<()> {
        let rfc3339 =
            |at: OffsetDateTime| at.format(&time::format_description::well_known::Rfc3339).map_err(io::Error::other);
        let (ticket, state) = order.ticket.as_ref().map_or((String::new(), ""), |t| (t.id.to_string(), &t.state));
        write!(
            self.out,
            "{},{},{},{},{},{},{},{},{},{},{},{number},{},{},{},{},{}\r\n",
            field(&order.id),
            order.table,
            field(&order.state),
            order.version,
            rfc3339(order.created_at)?,
            rfc3339(order.placed_at)?,
            rfc3339(order.changed_at)?,
            order.total_cents,
            order.currency,
            ticket,
            field(state),
            line.menu_item_id,
            field(&line.name),
            line.quantity,
            line.unit_price_cents,
            line.line_total_cents,
        )
    }
}

/// A text as RFC 4180, section 2, quotes it. One that a spreadsheet would carry out as a formula gets an
/// apostrophe before it (OWASP, CSV Injection); JSON Lines have the text as it is.
fn field(text: &str) -> String {
    let text = match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') => format!("'{text}"),
        _ => text.to_owned(),
    };
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn a_field_is_quoted_where_it_must_be() {
        for (text, quoted) in [
            ("Soup", "Soup"),
            ("Soup, hot", "\"Soup, hot\""),
            ("\"Soup\"", "\"\"\"Soup\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("", ""),
        ] {
            assert_eq!(field(text), quoted);
        }
    }

    #[test]
    fn no_text_is_a_formula() {
        for (text, tame) in
            [("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "'-1"), ("@a", "'@a"), ("=\"a\",b", "\"'=\"\"a\"\",b\"")]
        {
            assert_eq!(field(text), tame);
        }
    }
}
