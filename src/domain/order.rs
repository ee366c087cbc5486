//! Orders, and the tickets that the kitchen works through.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::menu::MenuItemId;
use super::money::Money;

/// Tables in the house, numbered from 1.
pub const TABLES: u16 = 20;
/// Lines an order may have.
pub const LINES_MAX: usize = 40;
/// Portions of one dish an order may ask for.
pub const QUANTITY_MAX: u32 = 50;
/// Drafts that one person may have open.
pub const DRAFTS_MAX: usize = 5;

/// The public id of an order: `ord_` and 26 characters that can't be guessed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderId(String);

impl OrderId {
    const PREFIX: &'static str = "ord_";
    /// 128 bits in base 32.
    const DIGITS: usize = 26;

    /// The id of 128 random bits, in Crockford's base 32 (no i, l, o, u).
    pub fn from_bits(mut bits: u128) -> Self {
        const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let mut digits = [b'0'; Self::DIGITS];
        for digit in digits.iter_mut().rev() {
            *digit = ALPHABET[(bits & 31) as usize];
            bits >>= 5;
        }
        Self(Self::PREFIX.to_owned() + &String::from_utf8_lossy(&digits))
    }

    /// None for what can't be an order's id.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(Self::PREFIX)?;
        let valid = |b: u8| b.is_ascii_digit() || (b.is_ascii_lowercase() && !b"ilou".contains(&b));
        (digits.len() == Self::DIGITS && digits.bytes().all(valid)).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where an order is in its life; [`super::order_life`] says what leads from one to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderState {
    /// Being put together: nobody cooks it, nothing is taken or booked for it.
    Draft,
    /// Its ticket waits, what it needs is set aside.
    Placed,
    Cooking,
    Ready,
    Served,
    Paid,
    Cancelled,
    Refunded,
}

impl OrderState {
    pub const ALL: [OrderState; 8] = [
        OrderState::Draft,
        OrderState::Placed,
        OrderState::Cooking,
        OrderState::Ready,
        OrderState::Served,
        OrderState::Paid,
        OrderState::Cancelled,
        OrderState::Refunded,
    ];

    pub const fn id(self) -> &'static str {
        match self {
            OrderState::Draft => "draft",
            OrderState::Placed => "placed",
            OrderState::Cooking => "cooking",
            OrderState::Ready => "ready",
            OrderState::Served => "served",
            OrderState::Paid => "paid",
            OrderState::Cancelled => "cancelled",
            OrderState::Refunded => "refunded",
        }
    }

    pub fn from_id(id: &str) -> Option<OrderState> {
        OrderState::ALL.into_iter().find(|state| state.id() == id)
    }
}

/// What a guest asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRequest {
    pub table: u16,
    pub lines: Vec<LineRequest>,
}

/// One line of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineRequest {
    pub menu_item_id: MenuItemId,
    pub quantity: u32,
}

/// An order. It can be written down whole: as the answer that an idempotency key keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub id: OrderId,
    pub table: u16,
    pub state: OrderState,
    /// Counts its changes, from 1.
    pub version: i64,
    pub lines: Vec<OrderLine>,
    pub total: Money,
    #[serde(with = "time::serde::timestamp::milliseconds")]
    pub created_at: OffsetDateTime,
    /// None: not placed yet, or cancelled before.
    #[serde(with = "time::serde::timestamp::milliseconds::option")]
    pub placed_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::timestamp::milliseconds")]
    pub changed_at: OffsetDateTime,
    /// From when it is placed.
    pub ticket: Option<Ticket>,
    /// Whose it is.
    pub owner: super::session::PersonId,
}

/// The answer to somebody who placed an order, or began a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    pub order: Order,
    /// The same request had come before: this is its order, nothing was done again.
    pub replayed: bool,
    /// Of a guest who came without one.
    pub new_session: Option<super::session::SessionSecret>,
    /// Tickets in the kitchen's queue, this one among them; None when none was added.
    pub queue_waiting: Option<i64>,
}

/// The answer to somebody who changed an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    pub order: Order,
    /// As of [`Placed`].
    pub replayed: bool,
    pub queue_waiting: Option<i64>,
}

/// Which versions of an order a change is meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    Any,
    OneOf(Vec<i64>),
}

impl Expected {
    pub fn allows(&self, version: i64) -> bool {
        match self {
            Expected::Any => true,
            Expected::OneOf(versions) => versions.contains(&version),
        }
    }
}

/// One thing that happened to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderEvent {
    pub action: super::order_life::Action,
    /// None: the kitchen's workers.
    pub by: Option<super::permission::Role>,
    pub at: OffsetDateTime,
}

/// One line, with the name and price of the moment it was placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    pub menu_item_id: MenuItemId,
    pub name: String,
    pub quantity: u32,
    pub unit_price: Money,
    pub line_total: Money,
}

/// The kitchen's slip for an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    pub id: i64,
    pub state: TicketState,
}

/// Where a ticket is. It ends in exactly one of the last three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TicketState {
    Waiting,
    /// A worker holds its lease.
    Cooking,
    Done,
    /// Every attempt failed; a chef may queue it again.
    Dead,
    /// Its order was.
    Cancelled,
}

impl TicketState {
    pub const ALL: [TicketState; 5] =
        [TicketState::Waiting, TicketState::Cooking, TicketState::Done, TicketState::Dead, TicketState::Cancelled];

    pub const fn id(self) -> &'static str {
        match self {
            TicketState::Waiting => "waiting",
            TicketState::Cooking => "cooking",
            TicketState::Done => "done",
            TicketState::Dead => "dead",
            TicketState::Cancelled => "cancelled",
        }
    }

    pub fn from_id(id: &str) -> Option<TicketState> {
        TicketState::ALL.into_iter().find(|state| state.id() == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_order_id_reads_back(bits: u128) {
            let id = OrderId::from_bits(bits);
            prop_assert_eq!(OrderId::parse(id.as_str()), Some(id));
        }
    }

    #[test]
    fn what_is_no_order_id_is_refused() {
        for bad in ["", "ord_", "ord_0123", "1", "ord_0000000000000000000000000i", "ord_00000000000000000000000000'"] {
            assert_eq!(OrderId::parse(bad), None, "{bad}");
        }
    }
}
