//! Reads of the menu.

use rusqlite::{OptionalExtension, Row};

use super::super::StoreError;
use super::super::engine::Touched;
use super::super::rows::{money, parsed};
use super::Bistro;
use crate::domain::menu::{Course, MenuItem, MenuItemId};
use crate::observe::span::Span;

/// A dish is available while the pantry holds one portion of everything in its recipe.
macro_rules! menu_items {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, description, course, price_cents, tags, NOT EXISTS (",
            "SELECT 1 FROM recipe_line JOIN pantry_item ON pantry_item.id = pantry_item_id ",
            "WHERE menu_item_id = menu_item.id AND stock < quantity) FROM menu_item ",
            $rest
        )
    };
}

const MENU: &str = menu_items!("ORDER BY id");
const ITEM: &str = menu_items!("WHERE id = ?1");

impl Bistro {
    /// The whole menu, in its order.
    pub async fn menu(&self, span: &Span) -> Result<Vec<MenuItem>, StoreError> {
        self.engine.read(span, |db| {
            db.step("Read the menu", &[MENU], |connection| {
                let items: Vec<_> =
                    connection.prepare_cached(MENU)?.query_map([], menu_item)?.collect::<rusqlite::Result<_>>()?;
                let rows = items.len();
                Ok((items, Touched::Returned(rows)))
            })
        })
    }

    /// One dish; None when there is no such number.
    pub async fn menu_item(&self, span: &Span, id: MenuItemId) -> Result<Option<MenuItem>, StoreError> {
        self.engine.read(span, |db| {
            db.step("Read the dish", &[ITEM], |connection| {
                let item = connection.prepare_cached(ITEM)?.query_row([id], menu_item).optional()?;
                let rows = usize::from(item.is_some());
                Ok((item, Touched::Returned(rows)))
            })
        })
    }
}

fn menu_item(row: &Row<'_>) -> rusqlite::Result<MenuItem> {
    let tags = row.get_ref(5)?.as_str()?;
    Ok(MenuItem {
        id: row.get(0)?,
        name: row.get(1)?,
        description: row.get(2)?,
        course: parsed(row, 3, Course::from_id)?,
        price: money(row, 4)?,
        available: row.get(6)?,
        tags: tags.split_whitespace().map(str::to_owned).collect(),
    })
}
