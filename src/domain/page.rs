//! Lists in pages. A page ends at a position, not after a count: what is added meanwhile moves nothing.

use time::OffsetDateTime;

use super::order::OrderState;

/// Entries in a page at most.
pub const PAGE_MAX: usize = 100;

/// Where a page ended: what its last entry is sorted by, and the number that tells equals apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub key: i64,
    pub number: i64,
}

/// Some entries of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Where the next one begins; None: this is the last.
    pub next: Option<Position>,
}

impl<T> Page<T> {
    pub const EMPTY: Page<T> = Page { items: Vec::new(), next: None };
}

/// How many, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// From 1 to [`PAGE_MAX`].
    pub limit: usize,
    pub after: Option<Position>,
}

/// In what order. A draft's time is when it was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OrderSort {
    #[default]
    NewestFirst,
    OldestFirst,
    DearestFirst,
    CheapestFirst,
}

impl OrderSort {
    pub const ALL: [OrderSort; 4] =
        [OrderSort::NewestFirst, OrderSort::OldestFirst, OrderSort::DearestFirst, OrderSort::CheapestFirst];

    /// As addresses name it.
    pub const fn id(self) -> &'static str {
        match self {
            OrderSort::NewestFirst => "-placed",
            OrderSort::OldestFirst => "placed",
            OrderSort::DearestFirst => "-total",
            OrderSort::CheapestFirst => "total",
        }
    }

    pub fn from_id(id: &str) -> Option<OrderSort> {
        OrderSort::ALL.into_iter().find(|sort| sort.id() == id)
    }

    pub const fn descends(self) -> bool {
        matches!(self, OrderSort::NewestFirst | OrderSort::DearestFirst)
    }

    pub const fn by_total(self) -> bool {
        matches!(self, OrderSort::DearestFirst | OrderSort::CheapestFirst)
    }
}

/// Which orders. None: any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OrderFilter {
    pub state: Option<OrderState>,
    pub table: Option<u16>,
    /// Placed then or later; with either of the two, what was never placed is left out.
    pub placed_from: Option<OffsetDateTime>,
    /// Placed before then.
    pub placed_to: Option<OffsetDateTime>,
}

/// A list of orders that somebody asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderListing {
    pub filter: OrderFilter,
    pub sort: OrderSort,
    pub cut: Cut,
}
