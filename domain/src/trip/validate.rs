//! What always holds of a trip's state.

use super::limits;
use super::state::State;
use crate::{ItemId, Role};
use std::collections::BTreeSet;

pub(super) fn validate(state: &State) -> Result<(), String> {
    let Some(trip) = &state.trip else {
        return if state.members.is_empty() && state.activities.is_empty() { Ok(()) } else { Err("things without a trip".into()) };
    };
    let creator = state.member(trip.creator).ok_or("the creator is no member")?;
    ensure(creator.role == Role::Organizer, || "the creator is no organizer".into())?;
    if let (Some(start), Some(end)) = (trip.details.item.start_date, trip.details.item.end_date) {
        ensure(start <= end, || format!("the trip ends on {end}, before {start}"))?;
    }
    lists(state)?;
    references(state)?;
    expenses(state)?;
    sizes(state)?;
    stamps(state)
}

/// Each activity is in exactly one list, the one of its day, once.
fn lists(state: &State) -> Result<(), String> {
    let mut seen = BTreeSet::<ItemId>::new();
    let days = state.days.iter().map(|(day, list)| (Some(*day), list));
    for (day, list) in days.chain([(None, &state.unscheduled)]) {
        ensure(day.is_none() || !list.is_empty(), || format!("an empty list for {day:?}"))?;
        for id in list {
            ensure(seen.insert(*id), || format!("activity {id} is in two lists or twice in one"))?;
            let activity = state.activity(*id).ok_or_else(|| format!("activity {id} is in the list of {day:?} and nowhere else"))?;
            ensure(activity.day == day, || format!("activity {id} of {:?} is in the list of {day:?}", activity.day))?;
        }
    }
    ensure(seen.len() == state.activities.len(), || "an activity is in no list".into())
}

fn references(state: &State) -> Result<(), String> {
    for (id, activity) in state.activities.iter().map(|(id, tracked)| (id, &tracked.item)) {
        ensure(*id == activity.id, || format!("activity {id} has another id"))?;
        ensure(activity.place.is_none_or(|place| state.place(place).is_some()), || format!("activity {id} is at a place that is gone"))?;
        ensure(activity.assignees.iter().all(|user| state.member(*user).is_some()), || format!("activity {id} is assigned to a stranger"))?;
        if let (Some(day), Some(start)) = (activity.day, &activity.start) {
            ensure(start.date() == day, || format!("activity {id} of {day} starts on {}", start.date()))?;
        }
        if let Some(end) = &activity.end {
            let start = activity.start.as_ref().ok_or_else(|| format!("activity {id} ends and does not start"))?;
            ensure(start.not_after(end) == Some(true), || format!("activity {id} ends before it starts"))?;
        }
    }
    for (id, place) in state.places.iter().map(|(id, tracked)| (id, &tracked.item)) {
        ensure(*id == place.id, || format!("place {id} has another id"))?;
        ensure(place.votes.iter().all(|user| state.member(*user).is_some()), || format!("a stranger voted for place {id}"))?;
    }
    let mut twins = BTreeSet::new();
    for place in state.places.values().map(|tracked| &tracked.item) {
        let position = place.position.map(|position| (position.lat().to_bits(), position.lon().to_bits()));
        ensure(twins.insert((place.name.as_str().to_lowercase(), position)), || format!("two places are {:?}", place.name))?;
    }
    ensure(state.reads.keys().all(|user| state.member(*user).is_some()), || "a stranger has read the chat".into())?;
    ensure(state.reads.values().all(|seq| *seq <= state.seq), || "something is read before it is written".into())
}

/// Each expense adds up, each person is in it once, and no pool is in the trip twice. People may have left since.
fn expenses(state: &State) -> Result<(), String> {
    let mut pools = BTreeSet::new();
    for (id, expense) in state.expenses.iter().map(|(id, tracked)| (id, &tracked.item)) {
        ensure(*id == expense.id, || format!("expense {id} has another id"))?;
        let sum: i64 = expense.shares.iter().map(|share| share.minor.get()).sum();
        ensure(sum == expense.amount.minor.get() && sum > 0, || format!("the shares of expense {id} are {sum}"))?;
        ensure(expense.shares.iter().all(|share| share.minor.get() >= 0), || format!("a share of expense {id} is negative"))?;
        ensure(expense.shares.is_sorted_by(|one, next| one.user < next.user), || format!("the shares of expense {id} are out of order"))?;
        ensure(expense.pool.is_none_or(|pool| pools.insert(pool)), || format!("expense {id} is of a pool that has one already"))?;
    }
    Ok(())
}

fn sizes(state: &State) -> Result<(), String> {
    let sizes = [
        (state.members.len(), limits::MEMBERS_MAX, "members"),
        (state.activities.len(), limits::ACTIVITIES_MAX, "activities"),
        (state.places.len(), limits::PLACES_MAX, "places"),
        (state.expenses.len(), limits::EXPENSES_MAX, "expenses"),
        (state.messages.len(), limits::MESSAGES_IN_STATE, "messages"),
        (state.tombstones.len(), limits::TOMBSTONES_MAX, "tombstones"),
    ];
    sizes.iter().try_for_each(|(len, max, what)| ensure(len <= max, || format!("{len} {what}")))
}

fn stamps(state: &State) -> Result<(), String> {
    let members = state.members.values().map(|tracked| &tracked.stamps);
    let activities = state.activities.values().map(|tracked| &tracked.stamps);
    let places = state.places.values().map(|tracked| &tracked.stamps);
    let expenses = state.expenses.values().map(|tracked| &tracked.stamps);
    let details = state.trip.iter().map(|trip| &trip.details.stamps);
    for stamps in members.chain(activities).chain(places).chain(expenses).chain(details) {
        ensure(stamps.newest().seq <= state.seq, || "a stamp of an event that did not happen yet".into())?;
        ensure(stamps.changed.iter().all(|(_, stamp)| stamp.seq >= stamps.created.seq), || "changed before it was made".into())?;
    }
    let in_order = state.messages.iter().zip(state.messages.iter().skip(1)).all(|(older, newer)| older.seq < newer.seq);
    ensure(in_order, || "messages are out of order".into())
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
