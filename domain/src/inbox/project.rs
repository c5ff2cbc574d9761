//! What lists, searches and the matching learn from events.

use super::KIND;
use super::event::Event;
use super::state::State;
use crate::{EventMeta, ItemId, Listing, Projection, Role, Section, Task};
use serde_json::json;

/// The collection of items.
pub const ITEMS: &str = "items";

pub(super) fn project(state: &State, events: &[(EventMeta, Event)]) -> Vec<Projection> {
    let mut out = Vec::new();
    for (meta, event) in events {
        match event {
            Event::InboxOpened { user } => {
                out.push(Projection::Room { title: KIND.into(), status: "open".into(), summary: json!({}) });
                out.push(Projection::MemberSet { user: *user, role: Role::Participant });
            }
            Event::Delivered { id, item } => {
                let doc = json!({"id": id, "seq": meta.seq, "at": meta.at, "item": item});
                out.push(Projection::Item { collection: ITEMS, id: *id, seq: meta.seq, doc });
            }
            Event::RideRequested { .. } => {
                if let Some(listing) = listing(state) {
                    out.push(Projection::Listing(Box::new(listing)));
                    out.push(Projection::Task { seq: meta.seq, index: 0, task: Task::Match {} });
                }
            }
            Event::RideEnded { .. } => out.push(Projection::Unlisted),
            Event::SearchSaved { search } => {
                let task = state.user.map(|user| Task::Watch { user, search: search.clone() });
                out.extend(task.map(|task| Projection::Task { seq: meta.seq, index: 0, task }));
            }
            Event::SearchDeleted { search } => {
                out.push(Projection::Task { seq: meta.seq, index: 0, task: Task::Unwatch { search: *search } });
            }
            Event::ReadMarked { .. } | Event::Unknown => {}
        }
    }
    out
}

fn listing(state: &State) -> Option<Listing> {
    let ride = state.ride.as_ref()?;
    let section = Section { from_stop: ride.id, from: ride.from.position, to_stop: ride.id, to: ride.to.position, seats: ride.seats };
    Some(Listing { group: ride.group.clone(), owner: state.user?, at: ride.at, price: None, sections: vec![section] })
}

pub(super) fn entity(event: &Event) -> Option<ItemId> {
    match event {
        Event::Delivered { id, .. } => Some(*id),
        Event::RideRequested { ride } => Some(ride.id),
        Event::RideEnded { ride, .. } => Some(*ride),
        Event::SearchSaved { search } => Some(search.id),
        Event::SearchDeleted { search } => Some(*search),
        Event::InboxOpened { .. } | Event::ReadMarked { .. } | Event::Unknown => None,
    }
}

pub(super) fn describe(event: &Event) -> String {
    match event {
        Event::InboxOpened { .. } => "opened the inbox".into(),
        Event::Delivered { item, .. } => item.get("text").and_then(|text| text.as_str()).unwrap_or("delivered something").to_owned(),
        Event::ReadMarked { .. } => "read the inbox".into(),
        Event::RideRequested { .. } => "wants to share a ride now".into(),
        Event::RideEnded { ending, .. } => format!("the ride request is over: {ending}"),
        Event::SearchSaved { search } => format!("keeps the search “{}”", search.name),
        Event::SearchDeleted { .. } => "dropped a search".into(),
        Event::Unknown => "did something that this version does not know".into(),
    }
}
