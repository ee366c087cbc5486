//! The ledger: double entry, so every transaction's entries sum to zero.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::money::Money;

/// Where money stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Account {
    /// Owed by guests for what they ordered.
    Receivable,
    /// Earned by selling dishes.
    Sales,
}

impl Account {
    pub const ALL: [Account; 2] = [Account::Receivable, Account::Sales];

    pub const fn id(self) -> &'static str {
        match self {
            Account::Receivable => "receivable",
            Account::Sales => "sales",
        }
    }

    pub fn from_id(id: &str) -> Option<Account> {
        Account::ALL.into_iter().find(|account| account.id() == id)
    }
}

/// One side of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub id: i64,
    pub order_id: super::order::OrderId,
    pub account: Account,
    /// Debits positive, credits negative.
    pub amount: Money,
    pub at: OffsetDateTime,
}

/// What the manager reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    /// The latest, newest first.
    pub entries: Vec<Entry>,
    /// Of all there are.
    pub count: i64,
    /// Of all there are: zero, or something is wrong.
    pub sum: Money,
    /// Of each account.
    pub balances: Vec<(Account, Money)>,
}

/// The entries of a sale.
pub fn sale(total: Money) -> [(Account, Money); 2] {
    [(Account::Receivable, total), (Account::Sales, -total)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_sale_sums_to_zero(cents in 0..1_000_000_000_i64) {
            let sum: Money = sale(Money::from_cents(cents)).into_iter().map(|(_, amount)| amount).sum();
            prop_assert_eq!(sum, Money::ZERO);
        }
    }
}
