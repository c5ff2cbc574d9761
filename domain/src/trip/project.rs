//! What lists, notices and the activity log learn from events.

use super::KIND;
use super::event::Event;
use super::state::State;
use super::types::{Message, Title};
use crate::{Effect, EventMeta, ItemId, Projection, Task, UserId};
use serde_json::json;

/// The collection of chat messages.
pub const MESSAGES: &str = "messages";

pub(super) fn project(state: &State, events: &[(EventMeta, Event)]) -> Vec<Projection> {
    let mut out = Vec::new();
    let mut row = false;
    for (meta, event) in events {
        match event {
            Event::TripCreated { creator, .. } => {
                row = true;
                out.push(Projection::MemberSet { user: creator.user, role: creator.role });
            }
            Event::MemberAdded { member } => {
                row = true;
                out.push(Projection::MemberSet { user: member.user, role: member.role });
            }
            Event::RoleChanged { user, to, .. } => out.push(Projection::MemberSet { user: *user, role: *to }),
            Event::MemberRemoved { member, .. } | Event::MemberLeft { member, .. } => {
                row = true;
                out.push(Projection::MemberGone { user: member.user });
            }
            Event::DetailsUpdated { .. } | Event::StatusChanged { .. } | Event::ActivityAdded { .. } | Event::ActivityRemoved { .. } => {
                row = true
            }
            Event::MessageSent { message } => match state.message(message.id) {
                Some(message) => out.push(item(message)),
                // More came after it than the state keeps.
                None => out.push(item(&Message::from_event(meta, message))),
            },
            Event::MessageEdited { message, .. } | Event::MessageReacted { message, .. } => out.extend(state.message(*message).map(item)),
            Event::MessageDeleted { message } => out.extend(state.message(message.id).map(item)),
            Event::TripDeleted { .. } => out.push(Projection::RoomGone),
            Event::ActivityUpdated { .. }
            | Event::ActivityMoved { .. }
            | Event::PlaceAdded { .. }
            | Event::PlaceUpdated { .. }
            | Event::PlaceRemoved { .. }
            | Event::PlaceVoted { .. }
            | Event::ExpenseAdded { .. }
            | Event::ExpenseUpdated { .. }
            | Event::ExpenseRemoved { .. }
            | Event::ReadMarked { .. }
            | Event::Unknown => {}
        }
    }
    if row && state.ended.is_none() {
        out.extend(room(state));
    }
    for (meta, event) in events {
        for (index, (user, item)) in told(state, meta, event).into_iter().enumerate() {
            let index = u16::try_from(index).unwrap_or(u16::MAX);
            out.push(Projection::Task { seq: meta.seq, index, task: Task::Deliver { user, item } });
        }
    }
    out
}

fn room(state: &State) -> Option<Projection> {
    let details = state.details()?;
    Some(Projection::Room {
        title: details.title.to_string(),
        status: details.status.to_string(),
        summary: json!({
            "destination": details.destination,
            "start_date": details.start_date,
            "end_date": details.end_date,
            "trip_type": details.trip_type,
            "privacy": details.privacy,
            "members": state.members.len(),
            "activities": state.activities.len(),
        }),
    })
}

fn item(message: &Message) -> Projection {
    let doc = serde_json::to_value(message).unwrap_or_default();
    Projection::Item { collection: MESSAGES, id: message.id, seq: message.seq, doc }
}

/// The same as the inbox, at once to those who are connected.
pub(super) fn effects(state: &State, meta: &EventMeta, event: &Event) -> Vec<Effect> {
    told(state, meta, event).into_iter().map(|(user, notice)| Effect::Notice { user, notice }).collect()
}

/// Who is told what, in a notice and in the inbox; never the author, who knows.
fn told(state: &State, meta: &EventMeta, event: &Event) -> Vec<(UserId, serde_json::Value)> {
    let Some(trip) = &state.trip else { return Vec::new() };
    let title = &trip.details.item.title;
    let notice = |kind: &str, user: UserId, text: String, more: serde_json::Value| {
        let mut notice = json!({"type": kind, "room": trip.room, "kind": KIND, "title": title, "by": meta.by, "text": text});
        if let (Some(notice), serde_json::Value::Object(more)) = (notice.as_object_mut(), more) {
            notice.extend(more);
        }
        (user, notice)
    };
    match event {
        Event::MemberAdded { member } => {
            let text = format!("You are in the trip “{title}” as {}", member.role.as_str());
            vec![notice("member_added", member.user, text, json!({"role": member.role}))]
        }
        Event::MemberRemoved { member, .. } => {
            vec![notice("member_removed", member.user, format!("You are not in the trip “{title}” any more"), json!({}))]
        }
        Event::RoleChanged { user, from, to, .. } if from != to && *user != meta.by => {
            vec![notice("role_changed", *user, format!("You are {} of the trip “{title}” now", to.as_str()), json!({"role": to}))]
        }
        Event::MessageSent { message } => {
            let body: String = message.body.as_str().chars().take(200).collect();
            let others = message.mentions.iter().filter(|user| **user != meta.by);
            let told = |user: &UserId| {
                let text = format!("You are mentioned in “{title}”");
                notice("mentioned", *user, text, json!({"message": message.id, "seq": meta.seq, "body": body}))
            };
            others.map(told).collect()
        }
        Event::TripDeleted { .. } => {
            let others = state.members.keys().filter(|user| **user != meta.by);
            others.map(|user| notice("trip_deleted", *user, format!("The trip “{title}” was deleted"), json!({}))).collect()
        }
        Event::TripCreated { .. }
        | Event::DetailsUpdated { .. }
        | Event::StatusChanged { .. }
        | Event::RoleChanged { .. }
        | Event::MemberLeft { .. }
        | Event::ActivityAdded { .. }
        | Event::ActivityUpdated { .. }
        | Event::ActivityMoved { .. }
        | Event::ActivityRemoved { .. }
        | Event::PlaceAdded { .. }
        | Event::PlaceUpdated { .. }
        | Event::PlaceRemoved { .. }
        | Event::PlaceVoted { .. }
        | Event::ExpenseAdded { .. }
        | Event::ExpenseUpdated { .. }
        | Event::ExpenseRemoved { .. }
        | Event::MessageEdited { .. }
        | Event::MessageDeleted { .. }
        | Event::MessageReacted { .. }
        | Event::ReadMarked { .. }
        | Event::Unknown => Vec::new(),
    }
}

/// For a member the id is the user's.
pub(super) fn entity(event: &Event) -> Option<ItemId> {
    match event {
        Event::MemberAdded { member } | Event::MemberRemoved { member, .. } | Event::MemberLeft { member, .. } => {
            Some(ItemId(member.user.0))
        }
        Event::RoleChanged { user, .. } => Some(ItemId(user.0)),
        Event::ActivityAdded { activity, .. } | Event::ActivityRemoved { activity, .. } => Some(activity.id),
        Event::ActivityUpdated { activity, .. } | Event::ActivityMoved { activity, .. } => Some(*activity),
        Event::PlaceAdded { place } | Event::PlaceRemoved { place, .. } => Some(place.id),
        Event::PlaceUpdated { place, .. } | Event::PlaceVoted { place, .. } => Some(*place),
        Event::ExpenseAdded { expense } | Event::ExpenseRemoved { expense } => Some(expense.id),
        Event::ExpenseUpdated { expense, .. } => Some(*expense),
        Event::MessageSent { message } => Some(message.id),
        Event::MessageDeleted { message } => Some(message.id),
        Event::MessageEdited { message, .. } | Event::MessageReacted { message, .. } => Some(*message),
        Event::TripCreated { .. }
        | Event::DetailsUpdated { .. }
        | Event::StatusChanged { .. }
        | Event::TripDeleted { .. }
        | Event::ReadMarked { .. }
        | Event::Unknown => None,
    }
}

pub(super) fn describe(event: &Event) -> String {
    match event {
        Event::TripCreated { details, .. } => format!("created the trip “{}”", details.title),
        Event::DetailsUpdated { changes } => changed(&changes.names(), "of the trip"),
        Event::StatusChanged { from, to } => format!("changed the status from {from} to {to}"),
        Event::TripDeleted { title } => format!("deleted the trip “{title}”"),
        Event::MemberAdded { member } => format!("added {} as {}", member.name, member.role.as_str()),
        Event::RoleChanged { name, from, to, .. } => format!("changed {name} from {} to {}", from.as_str(), to.as_str()),
        Event::MemberRemoved { member, .. } => format!("removed {} from the trip", member.name),
        Event::MemberLeft { .. } => "left the trip".into(),
        Event::ActivityAdded { activity, .. } => match activity.day {
            Some(day) => format!("added the activity “{}” on {day}", activity.title),
            None => format!("added the activity “{}”", activity.title),
        },
        Event::ActivityUpdated { title, changes, .. } => changed(&changes.names(), &of("activity", title)),
        Event::ActivityMoved { title, from, to, .. } => match to.day {
            Some(day) if from.day != to.day => format!("moved the activity “{title}” to {day}"),
            None if from.day.is_some() => format!("took the activity “{title}” off its day"),
            Some(_) | None => format!("moved the activity “{title}” within its day"),
        },
        Event::ActivityRemoved { activity, .. } => format!("removed the activity “{}”", activity.title),
        Event::PlaceAdded { place } => format!("added the place “{}”", place.name),
        Event::PlaceUpdated { name, changes, .. } => changed(&changes.names(), &of("place", name)),
        Event::PlaceRemoved { place, .. } => format!("removed the place “{}”", place.name),
        Event::PlaceVoted { name, to: true, .. } => format!("voted for the place “{name}”"),
        Event::PlaceVoted { name, to: false, .. } => format!("took back the vote for the place “{name}”"),
        Event::ExpenseAdded { expense } if expense.pool.is_some() => format!("brought the expense “{}” from a pool", expense.title),
        Event::ExpenseAdded { expense } => format!("added the expense “{}”", expense.title),
        Event::ExpenseUpdated { title, changes, .. } => changed(&changes.names(), &of("expense", title)),
        Event::ExpenseRemoved { expense } => format!("removed the expense “{}”", expense.title),
        Event::MessageSent { .. } => "wrote a message".into(),
        Event::MessageEdited { .. } => "edited a message".into(),
        Event::MessageDeleted { .. } => "deleted a message".into(),
        Event::MessageReacted { emoji, to: true, .. } => format!("reacted with {}", emoji.as_str()),
        Event::MessageReacted { emoji, to: false, .. } => format!("took back the reaction {}", emoji.as_str()),
        Event::ReadMarked { .. } => "read the chat".into(),
        Event::Unknown => "did something that this version does not know".into(),
    }
}

fn of(what: &str, title: &Title) -> String {
    format!("of the {what} “{title}”")
}

/// "changed the title, start and end of …".
fn changed(names: &[&str], of_what: &str) -> String {
    let names: Vec<_> = names.iter().map(|name| name.replace('_', " ")).collect();
    match names.as_slice() {
        [] => format!("changed nothing {of_what}"),
        [one] => format!("changed the {one} {of_what}"),
        [first @ .., last] => format!("changed the {} and {last} {of_what}", first.join(", ")),
    }
}
