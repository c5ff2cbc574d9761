//! Expenses: what somebody paid, and exactly whose it was.

use super::{Judgement, Room, full};
use crate::trip::command::{AddExpense, RemoveExpense, UpdateExpense};
use crate::trip::event::Event;
use crate::trip::fields::{Tracked, Unseen};
use crate::trip::limits::{EXPENSES_MAX, SHARES_MAX};
use crate::trip::types::{Expense, ExpenseShare};
use crate::{Decision, ErrorCode, ItemId, Rejection, UserId};

pub(super) fn add(room: &Room<'_>, command: &AddExpense) -> Judgement {
    if room.state.expenses.len() >= EXPENSES_MAX {
        return Err(full("expenses", EXPENSES_MAX));
    }
    let pool = room.ctx.origin;
    if let Some(known) = pool.and_then(|pool| room.state.expense_of(pool)) {
        let message = format!("What the pool costs is in the trip already ({})", known.id);
        return Err(Rejection::new(ErrorCode::AlreadyExists, message));
    }
    let expense = Expense {
        id: room.new_id(command.id)?,
        title: command.title.clone(),
        payer: command.payer,
        amount: command.amount,
        shares: sorted(&command.shares),
        date: command.date,
        pool,
    };
    check(room, None, &expense, &command.shares)?;
    Ok(Decision::event(Event::ExpenseAdded { expense: Box::new(expense) }))
}

pub(super) fn update(room: &Room<'_>, command: &UpdateExpense) -> Judgement {
    let tracked = find(room, command.expense)?;
    let expense = &tracked.item;
    let asked = command.shares.as_deref().unwrap_or(&expense.shares);
    // As it is kept, so that another order is no change.
    let sorted = UpdateExpense { shares: command.shares.as_deref().map(sorted), ..command.clone() };
    let changes = sorted.changes(expense);
    if expense.pool.is_some() {
        let fixed = [(changes.payer.is_some(), "/payer"), (changes.amount.is_some(), "/amount"), (changes.shares.is_some(), "/shares")];
        if let Some((_, pointer)) = fixed.iter().find(|(changed, _)| *changed) {
            let message = "it came from a pool, which settled it; remove it and add what you agreed on";
            return Err(Rejection::invalid(*pointer, message));
        }
    }
    let mut after = tracked.clone();
    changes.apply(&mut after, tracked.stamps.created);
    check(room, Some(expense), &after.item, asked)?;
    let mut unseen = Unseen::new(room.ctx, format!("/expenses/{}", expense.id), &tracked.stamps);
    changes.note(&mut unseen);
    let conflicts = unseen.conflicts;
    let event = Event::ExpenseUpdated { expense: expense.id, title: expense.title.clone(), changes: Box::new(changes) };
    Ok(Decision { events: vec![event], conflicts })
}

pub(super) fn remove(room: &Room<'_>, command: RemoveExpense) -> Judgement {
    let tracked = find(room, command.expense)?;
    let mut unseen = Unseen::new(room.ctx, format!("/expenses/{}", tracked.item.id), &tracked.stamps);
    unseen.remove(&tracked.item);
    let conflicts = unseen.conflicts;
    Ok(Decision { events: vec![Event::ExpenseRemoved { expense: Box::new(tracked.item.clone()) }], conflicts })
}

fn find<'a>(room: &Room<'a>, id: ItemId) -> Result<&'a Tracked<Expense>, Rejection> {
    room.state.expenses.get(&id).ok_or_else(|| room.missing("expense", "/expense", id))
}

fn sorted(shares: &[ExpenseShare]) -> Vec<ExpenseShare> {
    let mut shares = shares.to_vec();
    shares.sort_by_key(|share| share.user);
    shares
}

/// What an expense must be. `asked` are its shares in the order of the command, for the pointers.
fn check(room: &Room<'_>, before: Option<&Expense>, expense: &Expense, asked: &[ExpenseShare]) -> Result<(), Rejection> {
    if expense.amount.minor.get() <= 0 {
        return Err(Rejection::invalid("/amount/minor", "must be more than nothing"));
    }
    if asked.is_empty() || asked.len() > SHARES_MAX {
        return Err(Rejection::invalid("/shares", format!("must be of 1 to {SHARES_MAX} people")));
    }
    // Who has left since stays in what was there; nobody else gets into an expense without being a member.
    let stays = |user: UserId| {
        before.is_some_and(|before| before.payer == user || before.shares.iter().any(|share| share.user == user))
            || room.state.member(user).is_some()
    };
    if !stays(expense.payer) {
        return Err(Rejection::invalid("/payer", format!("{} is no member of the trip", expense.payer)));
    }
    for (index, share) in asked.iter().enumerate() {
        if asked.iter().take(index).any(|other| other.user == share.user) {
            return Err(Rejection::invalid(format!("/shares/{index}/user"), "is in the shares twice"));
        }
        if !stays(share.user) {
            return Err(Rejection::invalid(format!("/shares/{index}/user"), format!("{} is no member of the trip", share.user)));
        }
        if share.minor.get() < 0 {
            return Err(Rejection::invalid(format!("/shares/{index}/minor"), "must not be negative"));
        }
    }
    // At most 50 times a million million: far from the end of the type.
    let sum: i64 = asked.iter().map(|share| share.minor.get()).sum();
    if sum != expense.amount.minor.get() {
        let message = format!("add up to {sum} minor units, and the amount is {}", expense.amount.minor.get());
        return Err(Rejection::invalid("/shares", message));
    }
    Ok(())
}
