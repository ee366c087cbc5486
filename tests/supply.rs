//! The pantry and its supplier: what runs low is bought, whatever the supplier does, and comes once.

mod harness;

#[path = "supply/express.rs"]
mod express;
#[path = "supply/house.rs"]
mod house;
#[path = "supply/purchases.rs"]
mod purchases;
#[path = "supply/shop.rs"]
mod shop;
#[path = "supply/world.rs"]
mod world;
