//! Commands about expenses.

use crate::civil::Date;
use crate::money::Money;
use crate::trip::fields::patch;
use crate::trip::types::{Expense, ExpenseShare, Title};
use crate::{ItemId, UserId};
use serde::{Deserialize, Serialize};

/// Adds an expense.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddExpense {
    /// Its id, when the client makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<ItemId>,
    /// What was paid for.
    pub title: Title,
    /// The member who paid.
    pub payer: UserId,
    /// What was paid; more than nothing.
    pub amount: Money,
    /// What it is to each member who takes part; adds up to the amount exactly.
    pub shares: Vec<ExpenseShare>,
    /// The day on which it was paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<Date>,
}

patch! {
    /// Changes an expense. What becomes of it must add up. Of one that came from a pool only title and date can be changed.
    command UpdateExpense {
        /// Which.
        expense: ItemId,
    }
    /// What changed about an expense.
    changes ExpenseChanges of Expense {
        /// What was paid for.
        title (Title): Title,
        /// Who paid.
        payer (Payer): UserId,
        /// What was paid; more than nothing.
        amount (Amount): Money,
        /// What it is to each, replaced as a whole.
        shares (Shares): Vec<ExpenseShare>,
        /// The day on which it was paid.
        date (Date): Option<Date>,
    }
}

/// Removes an expense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveExpense {
    /// Which.
    pub expense: ItemId,
}
