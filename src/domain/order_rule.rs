//! The rule of an order: what it costs and what it takes from the pantry, or why it can't be had.
//! Pure: the facts come in, a plan comes out, and the store carries it out in the same transaction.

use super::menu::MenuItemId;
use super::money::Money;
use super::order::{OrderLine, OrderRequest};
use super::pantry::{PantryItemId, Quantity, Take};

/// What is known about the dishes asked for, and the pantry items in their recipes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    pub dishes: Vec<DishFact>,
    pub pantry: Vec<PantryFact>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DishFact {
    pub id: MenuItemId,
    pub name: String,
    pub price: Money,
    /// Of one portion.
    pub recipe: Vec<(PantryItemId, Quantity)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PantryFact {
    pub id: PantryItemId,
    pub stock: Quantity,
}

/// An order that can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub lines: Vec<OrderLine>,
    pub total: Money,
    /// One entry an item, however many lines need it.
    pub takes: Vec<Take>,
}

/// Why it can't. `line` counts from 0 and is the first that fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no dish {id}")]
    UnknownDish { line: usize, id: MenuItemId },
    #[error("the pantry does not hold enough for {name}")]
    OutOfStock { line: usize, name: String },
    #[error("the total is beyond what can be counted")]
    TooMuch { line: usize },
}

/// Prices the lines and takes stock for them.
pub fn plan(request: &OrderRequest, facts: &Facts) -> Result<Plan, Refusal> {
    let (lines, total) = price(request, facts)?;
    let takes = take_stock(request, facts)?;
    Ok(Plan { lines, total, takes })
}

/// The lines with today's names and prices, and their total.
pub fn price(request: &OrderRequest, facts: &Facts) -> Result<(Vec<OrderLine>, Money), Refusal> {
    let mut lines = Vec::with_capacity(request.lines.len());
    let mut total_cents = 0_i64;
    for (line, wanted) in request.lines.iter().enumerate() {
        let dish = dish(facts, line, wanted.menu_item_id)?;
        let line_total = dish.price.times(wanted.quantity).ok_or(Refusal::TooMuch { line })?;
        total_cents = total_cents.checked_add(line_total.cents()).ok_or(Refusal::TooMuch { line })?;
        lines.push(OrderLine {
            menu_item_id: dish.id,
            name: dish.name.clone(),
            quantity: wanted.quantity,
            unit_price: dish.price,
            line_total,
        });
    }
    Ok((lines, Money::from_cents(total_cents)))
}

/// What the lines take together. An item that the facts don't list has no stock.
pub fn take_stock(request: &OrderRequest, facts: &Facts) -> Result<Vec<Take>, Refusal> {
    let mut takes: Vec<Take> = Vec::new();
    for (line, wanted) in request.lines.iter().enumerate() {
        let dish = dish(facts, line, wanted.menu_item_id)?;
        for &(id, portion) in &dish.recipe {
            let out = || Refusal::OutOfStock { line, name: dish.name.clone() };
            let needed = portion.checked_mul(i64::from(wanted.quantity)).ok_or_else(out)?;
            let index = takes.iter().position(|take| take.pantry_item_id == id).unwrap_or_else(|| {
                let left = facts.pantry.iter().find(|item| item.id == id).map_or(0, |item| item.stock);
                takes.push(Take { pantry_item_id: id, quantity: 0, left });
                takes.len() - 1
            });
            let take = &mut takes[index];
            if needed > take.left {
                return Err(out());
            }
            take.quantity += needed;
            take.left -= needed;
        }
    }
    Ok(takes)
}

/// How a total came about, as people write it: `2 x 7.50 + 4.50 = 19.50`.
pub fn sum_in_words(lines: &[OrderLine], total: Money) -> String {
    let term = |line: &OrderLine| match line.quantity {
        1 => line.unit_price.to_string(),
        quantity => format!("{quantity} x {}", line.unit_price),
    };
    let terms: Vec<_> = lines.iter().map(term).collect();
    format!("{} = {total}", terms.join(" + "))
}

fn dish(facts: &Facts, line: usize, id: MenuItemId) -> Result<&DishFact, Refusal> {
    facts.dishes.iter().find(|dish| dish.id == id).ok_or(Refusal::UnknownDish { line, id })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::order::LineRequest;
    use proptest::prelude::*;

    fn request(lines: &[(MenuItemId, u32)]) -> OrderRequest {
        let lines = lines.iter().map(|&(menu_item_id, quantity)| LineRequest { menu_item_id, quantity }).collect();
        OrderRequest { table: 1, lines }
    }

    fn dish(id: MenuItemId, cents: i64, recipe: &[(PantryItemId, Quantity)]) -> DishFact {
        DishFact { id, name: format!("dish {id}"), price: Money::from_cents(cents), recipe: recipe.to_vec() }
    }

    /// Dishes 0..4 over pantry items 0..4, with any prices, recipes and stocks.
    fn any_facts() -> impl Strategy<Value = Facts> {
        let recipe = prop::collection::btree_map(0..4_i64, 1..50_i64, 1..4);
        let dishes = prop::collection::vec((1..10_000_i64, recipe), 4);
        let stocks = prop::collection::vec(0..2_000_i64, 4);
        (dishes, stocks).prop_map(|(dishes, stocks)| Facts {
            dishes: (0..)
                .zip(dishes)
                .map(|(id, (cents, recipe))| dish(id, cents, &recipe.into_iter().collect::<Vec<_>>()))
                .collect(),
            pantry: (0..).zip(stocks).map(|(id, stock)| PantryFact { id, stock }).collect(),
        })
    }

    fn any_lines() -> impl Strategy<Value = Vec<(MenuItemId, u32)>> {
        prop::collection::vec((0..4_i64, 1..50_u32), 1..10)
    }

    proptest! {
        #[test]
        fn the_total_is_the_sum_of_the_lines(facts in any_facts(), lines in any_lines()) {
            if let Ok(plan) = plan(&request(&lines), &facts) {
                prop_assert_eq!(plan.total, plan.lines.iter().map(|line| line.line_total).sum());
                for line in &plan.lines {
                    prop_assert_eq!(Some(line.line_total), line.unit_price.times(line.quantity));
                }
            }
        }

        #[test]
        fn no_more_is_taken_than_there_is_and_nothing_is_refused_that_is_there(facts in any_facts(), lines in any_lines()) {
            let mut needed = [0_i64; 4];
            for &(id, quantity) in &lines {
                for &(item, portion) in &facts.dishes[id as usize].recipe {
                    needed[item as usize] += portion * i64::from(quantity);
                }
            }
            let enough = facts.pantry.iter().all(|item| needed[item.id as usize] <= item.stock);
            let planned = plan(&request(&lines), &facts);
            prop_assert_eq!(planned.is_ok(), enough);
            for take in planned.into_iter().flat_map(|plan| plan.takes) {
                let stock = facts.pantry[take.pantry_item_id as usize].stock;
                prop_assert_eq!(take.quantity, needed[take.pantry_item_id as usize]);
                prop_assert_eq!(take.left, stock - take.quantity);
                prop_assert!(take.left >= 0);
            }
        }

        #[test]
        fn one_dish_in_several_lines_adds_up(facts in any_facts(), first in 1..25_u32, second in 1..25_u32) {
            let apart = plan(&request(&[(0, first), (0, second)]), &facts);
            let together = plan(&request(&[(0, first + second)]), &facts);
            let of = |planned: Result<Plan, Refusal>| planned.ok().map(|plan| (plan.total, plan.takes));
            prop_assert_eq!(of(apart), of(together));
        }
    }

    #[test]
    fn the_first_line_that_fails_is_named() {
        let facts = Facts { dishes: vec![dish(1, 100, &[(7, 10)])], pantry: vec![PantryFact { id: 7, stock: 25 }] };
        let unknown = plan(&request(&[(1, 1), (9, 1)]), &facts);
        assert_eq!(unknown, Err(Refusal::UnknownDish { line: 1, id: 9 }));
        let out = plan(&request(&[(1, 2), (1, 1)]), &facts);
        assert_eq!(out, Err(Refusal::OutOfStock { line: 1, name: "dish 1".into() }));
    }

    #[test]
    fn a_total_beyond_64_bits_is_refused_and_not_wrapped() {
        let facts = Facts { dishes: vec![dish(1, i64::MAX / 2, &[])], pantry: Vec::new() };
        assert_eq!(plan(&request(&[(1, 3)]), &facts), Err(Refusal::TooMuch { line: 0 }));
        assert_eq!(plan(&request(&[(1, 2), (1, 2)]), &facts), Err(Refusal::TooMuch { line: 1 }));
    }

    #[test]
    fn a_sum_reads_as_on_the_bill() {
        let facts = Facts { dishes: vec![dish(1, 750, &[]), dish(2, 450, &[])], pantry: Vec::new() };
        let (lines, total) = price(&request(&[(1, 2), (2, 1)]), &facts).unwrap_or_default();
        assert_eq!(sum_in_words(&lines, total), "2 x 7.50 + 4.50 = 19.50");
    }
}
