//! The pantry: what dishes are made of, and what is bought for it.

use time::OffsetDateTime;

use super::money::Money;

/// The number of an item in the pantry.
pub type PantryItemId = i64;

/// An amount of one item, in the item's own unit (grams, millilitres or pieces).
pub type Quantity = i64;

/// What an order takes of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Take {
    pub pantry_item_id: PantryItemId,
    pub quantity: Quantity,
    /// In the pantry once it is taken; never negative.
    pub left: Quantity,
}

/// What there is of one item, and what is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PantryItem {
    pub id: PantryItemId,
    pub name: String,
    /// g, ml or piece.
    pub unit: String,
    pub initial: Quantity,
    pub stock: Quantity,
    /// More is bought when the stock falls to it; None: nobody sells it.
    pub reorder_at: Option<Quantity>,
    pub open: Option<OpenPurchase>,
    pub last_delivery: Option<Delivery>,
}

/// A purchase that was not delivered yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPurchase {
    pub quantity: Quantity,
    /// Somebody asks the supplier for it now; otherwise it waits until `due_at`.
    pub asking: bool,
    pub attempts: u32,
    pub wanted_at: OffsetDateTime,
    pub due_at: OffsetDateTime,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub quantity: Quantity,
    pub cost: Money,
    pub at: OffsetDateTime,
}

/// A purchase that somebody holds under a lease, to ask the supplier for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurchaseClaim {
    pub id: i64,
    /// The lease's number: whoever comes with an older one has lost the purchase.
    pub lease: i64,
    /// The Idempotency-Key that the supplier gets, however often it is asked.
    pub key: String,
    pub item: String,
    pub quantity: Quantity,
    /// This one included.
    pub attempts: u32,
}

/// What the supplier says it delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The supplier's number for it.
    pub delivery: String,
    pub cost: Money,
}

/// An item of which an order needs more than there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    pub id: PantryItemId,
    pub name: String,
    pub needed: Quantity,
    /// Whether anybody sells it.
    pub sold: bool,
}
