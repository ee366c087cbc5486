//! Which dishes can be had from now on, or can't, because the stock of one item changed.

use rusqlite::Connection;

use super::super::cache::Availability;
use crate::domain::menu::MenuItemId;
use crate::domain::pantry::{PantryItemId, Quantity};

pub const ENDS: &str = "SELECT menu_item_id FROM recipe_line \
                        WHERE pantry_item_id = ?1 AND quantity <= ?2 AND quantity > ?3";
/// Those that lacked this item, and nothing else.
pub const COMES_BACK: &str = "SELECT menu_item_id FROM recipe_line \
                              WHERE pantry_item_id = ?1 AND quantity > ?2 AND quantity <= ?3 AND NOT EXISTS \
                              (SELECT 1 FROM recipe_line AS other JOIN pantry_item ON pantry_item.id = other.pantry_item_id \
                              WHERE other.menu_item_id = recipe_line.menu_item_id AND stock < other.quantity)";

/// The stock fell from `from` to `to`.
pub fn ended(
    connection: &Connection,
    item: PantryItemId,
    from: Quantity,
    to: Quantity,
    changes: &mut Vec<Availability>,
) -> rusqlite::Result<()> {
    find(connection, ENDS, [item, from, to], false, changes)
}

/// The stock rose from `from` to `to`, which is written already.
pub fn came_back(
    connection: &Connection,
    item: PantryItemId,
    from: Quantity,
    to: Quantity,
    changes: &mut Vec<Availability>,
) -> rusqlite::Result<()> {
    find(connection, COMES_BACK, [item, from, to], true, changes)
}

fn find(
    connection: &Connection,
    statement: &'static str,
    parameters: [i64; 3],
    available: bool,
    changes: &mut Vec<Availability>,
) -> rusqlite::Result<()> {
    let mut dishes = connection.prepare_cached(statement)?;
    let dishes = dishes.query_map(parameters, |row| row.get::<_, MenuItemId>(0))?;
    for dish in dishes {
        changes.push(Availability { dish: dish?, available });
    }
    Ok(())
}
