//! The ledger: double entry, so every transaction's entries sum to zero.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::money::Money;
use super::page::Page;

/// Where money stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Account {
    /// In the till.
    Cash,
    /// Owed to suppliers for what they delivered.
    Payable,
    /// Owed by guests for what they ordered.
    Receivable,
    /// Given back to guests.
    Refunds,
    /// Earned by selling dishes.
    Sales,
    /// Spent on what dishes are made of.
    Supplies,
}

impl Account {
    pub const ALL: [Account; 6] =
        [Account::Cash, Account::Payable, Account::Receivable, Account::Refunds, Account::Sales, Account::Supplies];

    pub const fn id(self) -> &'static str {
        match self {
            Account::Cash => "cash",
            Account::Payable => "payable",
            Account::Receivable => "receivable",
            Account::Refunds => "refunds",
            Account::Sales => "sales",
            Account::Supplies => "supplies",
        }
    }

    pub fn from_id(id: &str) -> Option<Account> {
        Account::ALL.into_iter().find(|account| account.id() == id)
    }
}

/// Why money moves. Each kind happens to an order (a delivery: to a purchase) once at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Sale,
    Payment,
    Cancellation,
    Refund,
    Delivery,
}

impl Kind {
    pub const ALL: [Kind; 5] = [Kind::Sale, Kind::Payment, Kind::Cancellation, Kind::Refund, Kind::Delivery];

    pub const fn id(self) -> &'static str {
        match self {
            Kind::Sale => "sale",
            Kind::Payment => "payment",
            Kind::Cancellation => "cancellation",
            Kind::Refund => "refund",
            Kind::Delivery => "delivery",
        }
    }

    pub fn from_id(id: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.id() == id)
    }

    /// The two entries of such a transaction: what is debited and what is credited.
    pub fn entries(self, amount: Money) -> [(Account, Money); 2] {
        let (debit, credit) = match self {
            Kind::Sale => (Account::Receivable, Account::Sales),
            Kind::Payment => (Account::Cash, Account::Receivable),
            Kind::Cancellation => (Account::Sales, Account::Receivable),
            Kind::Refund => (Account::Refunds, Account::Cash),
            Kind::Delivery => (Account::Supplies, Account::Payable),
        };
        [(debit, amount), (credit, -amount)]
    }
}

/// One side of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub id: i64,
    pub kind: Kind,
    /// None: a delivery's.
    pub order_id: Option<super::order::OrderId>,
    pub account: Account,
    /// Debits positive, credits negative.
    pub amount: Money,
    pub at: OffsetDateTime,
}

/// What the manager reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    /// Newest first.
    pub entries: Page<Entry>,
    /// Of all there are.
    pub count: i64,
    /// Of all there are: zero, or something is wrong.
    pub sum: Money,
    /// Of each account.
    pub balances: Vec<(Account, Money)>,
}

/// A business day that was closed, as it is reported. What is booked afterwards belongs to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// Numbered from 1.
    pub id: i64,
    #[serde(with = "time::serde::timestamp::milliseconds")]
    pub closed_at: OffsetDateTime,
    /// The last entry that belongs to it.
    pub last_entry: i64,
    pub lines: Vec<DayLine>,
    /// What guests still owed when it was closed, of this day and those before.
    pub receivable: Money,
}

/// What one kind of transaction has moved on one account in a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayLine {
    pub kind: Kind,
    pub account: Account,
    pub entries: i64,
    pub amount: Money,
}

impl Day {
    fn line(&self, kind: Kind, account: Account) -> Option<&DayLine> {
        self.lines.iter().find(|line| line.kind == kind && line.account == account)
    }

    /// Orders placed.
    pub fn orders(&self) -> i64 {
        self.line(Kind::Sale, Account::Sales).map_or(0, |line| line.entries)
    }

    /// What came into the till.
    pub fn takings(&self) -> Money {
        self.line(Kind::Payment, Account::Cash).map_or(Money::ZERO, |line| line.amount)
    }

    /// What went out of it again.
    pub fn refunds(&self) -> Money {
        self.line(Kind::Refund, Account::Cash).map_or(Money::ZERO, |line| -line.amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_transaction_sums_to_zero(cents in 0..1_000_000_000_i64) {
            for kind in Kind::ALL {
                let sum: Money = kind.entries(Money::from_cents(cents)).into_iter().map(|(_, amount)| amount).sum();
                prop_assert_eq!(sum, Money::ZERO);
            }
        }
    }
}
