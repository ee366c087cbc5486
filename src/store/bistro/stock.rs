//! What an order takes from the pantry through its recipes, and gives back when it is cancelled.

use rusqlite::{Connection, OptionalExtension};

use super::super::StoreError;
use super::super::engine::{Db, Touched, Transaction};
use super::super::rows::money;
use super::place::PlaceError;
use super::wakes::Wakes;
use crate::domain::menu::MenuItemId;
use crate::domain::money::Money;
use crate::domain::order::{OrderLine, OrderRequest};
use crate::domain::order_rule::{self, DishFact, Facts, PantryFact, Plan};
use crate::domain::pantry::Take;

const DISH: &str = "SELECT name, price_cents FROM menu_item WHERE id = ?1";
const RECIPE: &str = "SELECT pantry_item_id, quantity, stock FROM recipe_line \
                      JOIN pantry_item ON pantry_item.id = pantry_item_id WHERE menu_item_id = ?1";
const TAKE: &str = "UPDATE pantry_item SET used = used + ?2 WHERE id = ?1 RETURNING portion_max";
/// Whether a dish needs more than ?2 and at most ?3 of it: can be had with the one and not with the other.
const TURNS: &str = "SELECT EXISTS (SELECT 1 FROM recipe_line WHERE pantry_item_id = ?1 \
                     AND quantity > ?2 AND quantity <= ?3)";
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

/// Takes what was planned. The menu changes when a dish can't be had any more that could before.
pub fn take(transaction: &mut Transaction<'_>, takes: &[Take], wakes: &Wakes) -> Result<(), StoreError> {
    let runs_out = transaction.db.step("Take stock from the pantry", &[TAKE, TURNS], |connection| {
        let mut update = connection.prepare_cached(TAKE)?;
        let mut runs_out = false;
        for take in takes {
            let id = take.pantry_item_id;
            let portion_max: i64 = update.query_row([id, take.quantity], |row| row.get(0))?;
            if take.left < portion_max {
                runs_out |= turns(connection, id, take.left, take.left + take.quantity)?;
            }
        }
        Ok((runs_out, Touched::Changed(takes.len())))
    })?;
    if runs_out {
        wakes.menu(transaction);
    }
    Ok(())
}

/// Gives back what the order of that number has taken. The menu changes when a dish can be had again.
pub fn give_back(transaction: &mut Transaction<'_>, seq: i64, wakes: &Wakes) -> Result<(), StoreError> {
    let statements = [TAKEN, GIVE_BACK, TURNS];
    let returns = transaction.db.step("Give stock back to the pantry", &statements, |connection| {
        let mut taken = connection.prepare_cached(TAKEN)?;
        let taken = taken.query_map([seq], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut give_back = connection.prepare_cached(GIVE_BACK)?;
        let (mut returns, mut changed) = (false, 0);
        for item in taken {
            let (id, quantity): (i64, i64) = item?;
            let stock: i64 = give_back.query_row([id, quantity], |row| row.get(0))?;
            returns |= turns(connection, id, stock - quantity, stock)?;
            changed += 1;
        }
        Ok((returns, Touched::Changed(changed)))
    })?;
    if returns {
        wakes.menu(transaction);
    }
    Ok(())
}

fn turns(connection: &Connection, item: i64, less: i64, more: i64) -> rusqlite::Result<bool> {
    connection.prepare_cached(TURNS)?.query_row([item, less, more], |row| row.get(0))
}

fn read_facts(db: &mut Db<'_>, request: &OrderRequest) -> Result<Facts, StoreError> {
    db.step("Read the dishes and the pantry", &[DISH, RECIPE], |connection| facts(connection, request))
}

/// Each dish once, however many lines name it. What is not on the menu is left out: the rule names it.
fn facts(connection: &Connection, request: &OrderRequest) -> rusqlite::Result<(Facts, Touched)> {
    let mut ids: Vec<MenuItemId> = request.lines.iter().map(|line| line.menu_item_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let (mut facts, mut rows) = (Facts::default(), 0);
    let mut dish = connection.prepare_cached(DISH)?;
    let mut recipe = connection.prepare_cached(RECIPE)?;
    for id in ids {
        let named = dish.query_row([id], |row| Ok((row.get(0)?, money(row, 1)?))).optional()?;
        let Some((name, price)) = named else { continue };
        let mut portions = Vec::new();
        let mut items = recipe.query([id])?;
        while let Some(row) = items.next()? {
            let (item, quantity, stock) = (row.get(0)?, row.get(1)?, row.get(2)?);
            portions.push((item, quantity));
            if facts.pantry.iter().all(|known| known.id != item) {
                facts.pantry.push(PantryFact { id: item, stock });
            }
        }
        rows += 1 + portions.len();
        facts.dishes.push(DishFact { id, name, price, recipe: portions });
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
