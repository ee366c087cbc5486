//! What an order takes from the pantry through its recipes, and gives back when it is cancelled.

use rusqlite::{Connection, Row};
use time::OffsetDateTime;

use super::super::StoreError;
use super::super::cache::Availability;
use super::super::engine::{Db, Touched, Transaction};
use super::super::rows::money;
use super::place::PlaceError;
use super::wakes::Wakes;
use super::{availability, purchase};
use crate::domain::menu::MenuItemId;
use crate::domain::money::Money;
use crate::domain::order::{OrderLine, OrderRequest};
use crate::domain::order_rule::{self, DishFact, Facts, PantryFact, Plan};
use crate::domain::pantry::{PantryItemId, Quantity, Take};

/// All dishes of an order at once, from a JSON list of their ids. CROSS JOIN: in this order (sqlite.org/optoverview.html,
/// section 8.3).
pub(super) const DISHES: &str = "SELECT menu_item.id, name, price_cents FROM json_each(?1) \
                                 CROSS JOIN menu_item ON menu_item.id = json_each.value";
pub(super) const RECIPES: &str = "SELECT menu_item_id, pantry_item_id, quantity, stock FROM json_each(?1) \
                                  CROSS JOIN recipe_line ON menu_item_id = json_each.value \
                                  CROSS JOIN pantry_item ON pantry_item.id = pantry_item_id";
const TAKE: &str = "UPDATE pantry_item SET used = used + ?2 WHERE id = ?1 RETURNING portion_max, reorder_at";
const TAKEN: &str = "SELECT pantry_item_id, sum(recipe_line.quantity * order_line.quantity) FROM order_line \
                     JOIN recipe_line ON recipe_line.menu_item_id = order_line.menu_item_id \
                     WHERE order_seq = ?1 GROUP BY pantry_item_id";
const GIVE_BACK: &str = "UPDATE pantry_item SET used = used - ?2 WHERE id = ?1 RETURNING stock";

/// What the order costs and takes, or why it can't be had.
pub fn plan(db: &mut Db<'_>, request: &OrderRequest) -> Result<Plan, PlaceError> {
    let facts = read_facts(db, request)?;
    let price = || order_rule::price(request, &facts);
    let (lines, total) =
        db.rule("Price the dishes", price, |(lines, total)| order_rule::sum_in_words(lines, *total))?;
    let take = || order_rule::take_stock(request, &facts);
    let takes = db.rule("Check the stock through the recipes", take, |takes| scarcest(takes))?;
    Ok(Plan { lines, total, takes })
}

/// What it would cost now: a draft takes nothing.
pub fn price(db: &mut Db<'_>, request: &OrderRequest) -> Result<(Vec<OrderLine>, Money), PlaceError> {
    let facts = read_facts(db, request)?;
    let price = || order_rule::price(request, &facts);
    Ok(db.rule("Price the dishes", price, |(lines, total)| order_rule::sum_in_words(lines, *total))?)
}

/// What taking stock led to.
#[derive(Default)]
struct Taken {
    /// Dishes that can't be had any more.
    ended: Vec<Availability>,
    /// Items that fell to the point at which more is bought.
    low: Vec<PantryItemId>,
}

/// Takes what was planned. Caches hear of the dishes that ran out, and more is bought of what runs low.
pub fn take(
    transaction: &mut Transaction<'_>,
    takes: &[Take],
    wakes: &Wakes,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let statements = [TAKE, availability::ENDS];
    let taken = transaction.db.step("Take stock from the pantry", &statements, |connection| {
        let mut update = connection.prepare_cached(TAKE)?;
        let mut taken = Taken::default();
        for take in takes {
            let id = take.pantry_item_id;
            let (portion_max, reorder_at): (Quantity, Option<Quantity>) =
                update.query_row([id, take.quantity], |row| Ok((row.get(0)?, row.get(1)?)))?;
            if take.left < portion_max {
                availability::ended(connection, id, take.left + take.quantity, take.left, &mut taken.ended)?;
            }
            if reorder_at.is_some_and(|reorder_at| take.left <= reorder_at) {
                taken.low.push(id);
            }
        }
        Ok((taken, Touched::Changed(takes.len())))
    })?;
    wakes.menu(transaction, taken.ended);
    if !taken.low.is_empty() && purchase::want(&mut transaction.db, &taken.low, now)? {
        wakes.purchases(transaction);
    }
    Ok(())
}

/// Gives back what the order of that number has taken. Caches hear of the dishes that can be had again.
pub fn give_back(transaction: &mut Transaction<'_>, seq: i64, wakes: &Wakes) -> Result<(), StoreError> {
    let statements = [TAKEN, GIVE_BACK, availability::COMES_BACK];
    let back = transaction.db.step("Give stock back to the pantry", &statements, |connection| {
        let mut taken = connection.prepare_cached(TAKEN)?;
        let taken = taken.query_map([seq], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut give_back = connection.prepare_cached(GIVE_BACK)?;
        let mut given = Vec::new();
        for item in taken {
            let (id, quantity): (PantryItemId, Quantity) = item?;
            let stock: Quantity = give_back.query_row([id, quantity], |row| row.get(0))?;
            given.push((id, stock - quantity, stock));
        }
        // Not before all of it is back: a dish may have lacked more than one.
        let mut back = Vec::new();
        for (id, from, to) in &given {
            availability::came_back(connection, *id, *from, *to, &mut back)?;
        }
        Ok((back, Touched::Changed(given.len())))
    })?;
    wakes.menu(transaction, back);
    Ok(())
}

fn read_facts(db: &mut Db<'_>, request: &OrderRequest) -> Result<Facts, StoreError> {
    db.step("Read the dishes and the pantry", &[DISHES, RECIPES], |connection| facts(connection, request))
}

/// Each dish once, however many lines name it. What is not on the menu is left out: the rule names it.
pub(super) fn facts(connection: &Connection, request: &OrderRequest) -> rusqlite::Result<(Facts, Touched)> {
    let mut ids: Vec<MenuItemId> = request.lines.iter().map(|line| line.menu_item_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let ids = serde_json::json!(ids).to_string();
    let mut facts = Facts::default();
    let mut dishes = connection.prepare_cached(DISHES)?;
    let dish =
        |row: &Row<'_>| Ok(DishFact { id: row.get(0)?, name: row.get(1)?, price: money(row, 2)?, recipe: Vec::new() });
    for named in dishes.query_map([&ids], dish)? {
        facts.dishes.push(named?);
    }
    let mut rows = facts.dishes.len();
    let mut recipes = connection.prepare_cached(RECIPES)?;
    let mut portions = recipes.query([&ids])?;
    while let Some(row) = portions.next()? {
        let (id, item, quantity, stock): (MenuItemId, _, _, _) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        if let Some(dish) = facts.dishes.iter_mut().find(|dish| dish.id == id) {
            dish.recipe.push((item, quantity));
        }
        if facts.pantry.iter().all(|known| known.id != item) {
            facts.pantry.push(PantryFact { id: item, stock });
        }
        rows += 1;
    }
    Ok((facts, Touched::Returned(rows)))
}

/// What the check found, in words.
fn scarcest(takes: &[Take]) -> String {
    let portions = |take: &Take| take.left / take.quantity.max(1);
    match takes.iter().min_by_key(|take| portions(take)) {
        Some(take) => {
            format!("{} ingredients, enough for {} such orders more", takes.len(), portions(take))
        }
        None => "no ingredients".to_owned(),
    }
}
