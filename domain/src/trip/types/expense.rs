//! What somebody paid for others.

use super::Title;
use crate::civil::Date;
use crate::money::{MinorUnits, Money};
use crate::{ItemId, RoomId, UserId};
use serde::{Deserialize, Serialize};

/// What somebody paid for others. Whoever has left the trip stays in its expenses: debts do not end by leaving.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expense {
    /// Its id.
    pub id: ItemId,
    /// What was paid for.
    pub title: Title,
    /// Who paid.
    pub payer: UserId,
    /// What was paid; more than nothing.
    pub amount: Money,
    /// Whose it was, in the currency of the amount: adds up to it exactly. Sorted by user, each once.
    pub shares: Vec<ExpenseShare>,
    /// The day on which it was paid.
    pub date: Option<Date>,
    /// The pool whose ride it is. Set by the server alone; such an expense keeps payer, amount and shares. One per pool.
    #[serde(default)]
    pub pool: Option<RoomId>,
}

/// What an expense is to one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpenseShare {
    /// Who.
    pub user: UserId,
    /// How much, in minor units of the amount's currency; not negative.
    pub minor: MinorUnits,
}
