//! The itinerary.
//!
//! While an activity has a day and a start, the start is on that day: a start on another day takes the activity there, and a move to
//! another day takes start and end along. An unscheduled activity may keep a start, as a proposal.

use super::{Judgement, Room, full, not_negative};
use crate::civil::{Date, Moment};
use crate::trip::Change;
use crate::trip::command::{ActivityChanges, AddActivity, MoveActivity, RemoveActivity, UpdateActivity};
use crate::trip::event::{Event, Moved};
use crate::trip::fields::{Field, Tracked, Unseen};
use crate::trip::limits::{ACTIVITIES_MAX, ASSIGNEES_MAX};
use crate::trip::types::{Activity, Slot};
use crate::{Decision, ItemId, Rejection};

pub(super) fn add(room: &Room<'_>, command: &AddActivity) -> Judgement {
    if room.state.activities.len() >= ACTIVITIES_MAX {
        return Err(full("activities", ACTIVITIES_MAX));
    }
    let start = known_zone("/start", command.start.as_ref())?;
    let end = known_zone("/end", command.end.as_ref())?;
    let day = command.day.or_else(|| start.as_ref().map(Moment::date));
    if let (Some(day), Some(start)) = (day, &start)
        && start.date() != day
    {
        return Err(Rejection::invalid("/start", format!("the start must be on the activity's day, {day}")));
    }
    let activity = Activity {
        id: room.new_id(command.id)?,
        title: command.title.clone(),
        kind: command.kind,
        status: command.status,
        day,
        start,
        end,
        place: command.place,
        cost: command.cost,
        assignees: command.assignees.clone(),
        notes: command.notes.clone(),
    };
    check(room, &activity)?;
    let after = resolve(room, activity.id, day, command.after);
    Ok(Decision::event(Event::ActivityAdded { activity: Box::new(activity), after }))
}

pub(super) fn update(room: &Room<'_>, command: &UpdateActivity) -> Judgement {
    let tracked = find(room, command.activity)?;
    let old = &tracked.item;
    let mut command = command.clone();
    if let Some(start) = &mut command.start {
        *start = known_zone("/start", start.as_ref())?;
    }
    if let Some(end) = &mut command.end {
        *end = known_zone("/end", end.as_ref())?;
    }
    let changes = command.changes(old);
    let mut new = Tracked { item: old.clone(), stamps: tracked.stamps.clone() };
    changes.apply(&mut new, tracked.stamps.created);
    check(room, &new.item)?;

    let mut unseen = Unseen::new(room.ctx, pointer(old.id), &tracked.stamps);
    changes.note(&mut unseen);
    let new_day = new.item.start.as_ref().map(Moment::date).filter(|day| changes.start.is_some() && old.day != Some(*day));
    let moved = new_day.map(|day| {
        let to = Slot { day: Some(day), after: resolve(room, old.id, Some(day), None) };
        Moved { from: room.state.slot(old), to }
    });
    if let Some(moved) = &moved {
        unseen.write(Field::Day, &moved.from, &moved.to);
    }
    let conflicts = unseen.conflicts;
    let event = Event::ActivityUpdated { activity: old.id, title: old.title.clone(), changes: Box::new(changes), moved };
    Ok(Decision { events: vec![event], conflicts })
}

pub(super) fn remove(room: &Room<'_>, command: RemoveActivity) -> Judgement {
    let tracked = find(room, command.activity)?;
    let activity = &tracked.item;
    let mut unseen = Unseen::new(room.ctx, pointer(activity.id), &tracked.stamps);
    unseen.remove(activity);
    let conflicts = unseen.conflicts;
    let after = room.state.before(activity.day, activity.id);
    Ok(Decision { events: vec![Event::ActivityRemoved { activity: Box::new(activity.clone()), after }], conflicts })
}

pub(super) fn relocate(room: &Room<'_>, command: MoveActivity) -> Judgement {
    let tracked = find(room, command.activity)?;
    let activity = &tracked.item;
    if command.after == Some(Some(activity.id)) {
        return Err(Rejection::invalid("/after", "an activity cannot follow itself"));
    }
    let day = command.day.unwrap_or(activity.day);
    let from = room.state.slot(activity);
    let to = Slot { day, after: resolve(room, activity.id, day, command.after) };
    let changes = times_moved(activity, day)?;
    let mut unseen = Unseen::new(room.ctx, pointer(activity.id), &tracked.stamps);
    if from != to {
        unseen.write(Field::Day, &from, &to);
    }
    changes.note(&mut unseen);
    let conflicts = unseen.conflicts;
    let event = Event::ActivityMoved { activity: activity.id, title: activity.title.clone(), from, to, changes: Box::new(changes) };
    Ok(Decision { events: vec![event], conflicts })
}

fn find<'a>(room: &Room<'a>, id: ItemId) -> Result<&'a Tracked<Activity>, Rejection> {
    room.state.activities.get(&id).ok_or_else(|| room.missing("activity", "/activity", id))
}

fn pointer(id: ItemId) -> String {
    format!("/activities/{id}")
}

/// The activity that one will stand behind. Wanted is: absent for the end of the list, none for its beginning, or an activity; when that
/// one is not in the list (any more), the end. So whatever others moved or removed meanwhile, there is one answer and nothing is lost.
fn resolve(room: &Room<'_>, id: ItemId, day: Option<Date>, wanted: Option<Option<ItemId>>) -> Option<ItemId> {
    let list = room.state.list(day);
    match wanted {
        Some(None) => None,
        Some(Some(after)) if after != id && list.contains(&after) => Some(after),
        Some(Some(_)) | None => list.iter().rev().find(|other| **other != id).copied(),
    }
}

/// How start and end move along with an activity to a day.
fn times_moved(activity: &Activity, day: Option<Date>) -> Result<ActivityChanges, Rejection> {
    let mut changes = ActivityChanges::default();
    let (Some(day), Some(start)) = (day, &activity.start) else { return Ok(changes) };
    let days = day.days_since(start.date());
    if days == 0 {
        return Ok(changes);
    }
    let shifted =
        |moment: &Moment| moment.plus_days(days).ok_or_else(|| Rejection::invalid("/day", "the activity would leave the calendar"));
    let new_start = shifted(start)?;
    if let Some(end) = &activity.end {
        let new_end = shifted(end)?;
        in_order("/day", Some(&new_start), Some(&new_end))?;
        changes.end = Some(Change { from: Some(end.clone()), to: Some(new_end) });
    }
    changes.start = Some(Change { from: Some(start.clone()), to: Some(new_start) });
    Ok(changes)
}

/// What must hold of an activity that was added or changed.
fn check(room: &Room<'_>, activity: &Activity) -> Result<(), Rejection> {
    in_order("/end", activity.start.as_ref(), activity.end.as_ref())?;
    not_negative("/cost", activity.cost)?;
    if let Some(place) = activity.place
        && room.state.place(place).is_none()
    {
        return Err(room.missing("place", "/place", place));
    }
    room.members_only("/assignees", &activity.assignees, ASSIGNEES_MAX)
}

fn in_order(pointer: &str, start: Option<&Moment>, end: Option<&Moment>) -> Result<(), Rejection> {
    match (start, end) {
        (_, None) => Ok(()),
        (None, Some(_)) => Err(Rejection::invalid(pointer, "an activity that ends needs a `start`; clear `end` too")),
        (Some(start), Some(end)) => match start.not_after(end) {
            Some(true) => Ok(()),
            Some(false) => Err(Rejection::invalid(pointer, "the activity would end before it starts")),
            None => Err(Rejection::invalid(pointer, "start and end are both whole days or both times of day")),
        },
    }
}

fn known_zone(pointer: &str, moment: Option<&Moment>) -> Result<Option<Moment>, Rejection> {
    let Some(moment) = moment else { return Ok(None) };
    let known = moment.known_zone();
    known
        .map(Some)
        .ok_or_else(|| Rejection::invalid(format!("{pointer}/tz"), "there is no such time zone; use an IANA name such as Europe/Lisbon"))
}
