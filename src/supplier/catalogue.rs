//! What the supplier sells, and for how much. It is the supplier's own list: the restaurant's pantry may hold
//! what is not on it (white truffle).

use serde::Serialize;

/// A price is for so many of the unit: a gram of flour costs less than a cent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Offer {
    pub item: &'static str,
    pub unit: &'static str,
    pub per: i64,
    pub price_cents: i64,
}

impl Offer {
    /// The price of `quantity`, rounded up to whole cents; None beyond what 64 bits hold.
    pub fn cost_cents(&self, quantity: i64) -> Option<i64> {
        Some(quantity.checked_mul(self.price_cents)?.checked_add(self.per - 1)? / self.per)
    }
}

pub fn find(item: &str) -> Option<&'static Offer> {
    OFFERS.iter().find(|offer| offer.item == item)
}

const fn kilogram(item: &'static str, price_cents: i64) -> Offer {
    Offer { item, unit: "g", per: 1_000, price_cents }
}

const fn litre(item: &'static str, price_cents: i64) -> Offer {
    Offer { item, unit: "ml", per: 1_000, price_cents }
}

const fn piece(item: &'static str, price_cents: i64) -> Offer {
    Offer { item, unit: "piece", per: 1, price_cents }
}

pub static OFFERS: &[Offer] = &[
    kilogram("Tomatoes", 180),
    kilogram("Onions", 90),
    kilogram("Garlic", 520),
    kilogram("Carrots", 95),
    kilogram("Potatoes", 80),
    kilogram("Red lentils", 210),
    kilogram("Chickpeas", 190),
    kilogram("Aubergine", 230),
    kilogram("Courgette", 190),
    kilogram("Peppers", 260),
    kilogram("Spinach", 420),
    kilogram("Mushrooms", 380),
    kilogram("Lettuce", 240),
    kilogram("Cucumber", 150),
    piece("Lemons", 28),
    piece("Oranges", 32),
    kilogram("Apples", 170),
    kilogram("Strawberries", 490),
    kilogram("Basil", 1_450),
    kilogram("Mint", 1_300),
    litre("Olive oil", 720),
    kilogram("Butter", 690),
    litre("Cream", 410),
    litre("Milk", 95),
    piece("Eggs", 22),
    kilogram("Mozzarella", 760),
    kilogram("Parmesan", 1_680),
    kilogram("Feta", 880),
    kilogram("Flour", 60),
    kilogram("Sourdough bread", 340),
    kilogram("Spaghetti", 170),
    kilogram("Arborio rice", 290),
    kilogram("Basmati rice", 240),
    kilogram("Couscous", 250),
    kilogram("Chicken", 640),
    kilogram("Beef", 1_390),
    kilogram("Cod", 1_720),
    kilogram("Prawns", 1_890),
    kilogram("Bacon", 980),
    litre("Coconut milk", 310),
    kilogram("Curry paste", 890),
    kilogram("Chilli", 960),
    kilogram("Sugar", 110),
    kilogram("Dark chocolate", 1_150),
    kilogram("Coffee beans", 1_480),
    kilogram("Black tea", 1_950),
    litre("Sparkling water", 35),
    litre("House wine", 460),
    litre("Lager", 190),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_cent_is_a_cent() {
        let flour = find("Flour").expect("on the list");
        assert_eq!([0, 1, 16, 17, 1_000].map(|grams| flour.cost_cents(grams)), [0, 1, 1, 2, 60].map(Some));
        assert_eq!(flour.cost_cents(i64::MAX), None);
    }

    #[test]
    fn white_truffle_is_not_sold() {
        assert_eq!(find("White truffle"), None);
    }
}
