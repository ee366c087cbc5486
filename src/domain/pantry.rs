//! The pantry: what dishes are made of.

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
