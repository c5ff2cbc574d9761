//! Places.

use super::{Judgement, Room, full};
use crate::geo::Position;
use crate::trip::command::{AddPlace, RemovePlace, UpdatePlace, VotePlace};
use crate::trip::event::Event;
use crate::trip::fields::{Field, Tracked, Unseen};
use crate::trip::limits::{CONFLICTS_MAX, PLACES_MAX};
use crate::trip::types::{Place, Title};
use crate::{Decision, ErrorCode, ItemId, Rejection};
use serde_json::Value;
use std::collections::BTreeSet;

pub(super) fn add(room: &Room<'_>, command: &AddPlace) -> Judgement {
    if room.state.places.len() >= PLACES_MAX {
        return Err(full("places", PLACES_MAX));
    }
    unique(room, None, &command.name, command.position)?;
    let place = Place {
        id: room.new_id(command.id)?,
        name: command.name.clone(),
        kind: command.kind,
        position: command.position,
        address: command.address.clone(),
        notes: command.notes.clone(),
        votes: BTreeSet::new(),
    };
    Ok(Decision::event(Event::PlaceAdded { place: Box::new(place) }))
}

pub(super) fn update(room: &Room<'_>, command: &UpdatePlace) -> Judgement {
    let tracked = find(room, command.place)?;
    let place = &tracked.item;
    unique(room, Some(place.id), command.name.as_ref().unwrap_or(&place.name), command.position.unwrap_or(place.position))?;
    let changes = command.changes(place);
    let mut unseen = Unseen::new(room.ctx, format!("/places/{}", place.id), &tracked.stamps);
    changes.note(&mut unseen);
    let conflicts = unseen.conflicts;
    let event = Event::PlaceUpdated { place: place.id, name: place.name.clone(), changes: Box::new(changes) };
    Ok(Decision { events: vec![event], conflicts })
}

pub(super) fn remove(room: &Room<'_>, command: RemovePlace) -> Judgement {
    let tracked = find(room, command.place)?;
    let place = &tracked.item;
    let mut unseen = Unseen::new(room.ctx, format!("/places/{}", place.id), &tracked.stamps);
    unseen.remove(place);
    let mut conflicts = unseen.conflicts;
    let mut activities = Vec::new();
    for (id, activity) in room.state.activities.iter().filter(|(_, activity)| activity.item.place == Some(place.id)) {
        let mut unseen = Unseen::new(room.ctx, format!("/activities/{id}"), &activity.stamps);
        unseen.write(Field::Place, &place.id, &Value::Null);
        conflicts.extend(unseen.conflicts);
        activities.push(*id);
    }
    // As many as a reader can look at; the event names every activity that loses the place.
    conflicts.truncate(CONFLICTS_MAX);
    Ok(Decision { events: vec![Event::PlaceRemoved { place: Box::new(place.clone()), activities }], conflicts })
}

pub(super) fn vote(room: &Room<'_>, command: VotePlace) -> Judgement {
    let place = &find(room, command.place)?.item;
    let from = place.votes.contains(&room.me.user);
    Ok(Decision::event(Event::PlaceVoted { place: place.id, name: place.name.clone(), from, to: command.on }))
}

fn find<'a>(room: &Room<'a>, id: ItemId) -> Result<&'a Tracked<Place>, Rejection> {
    room.state.places.get(&id).ok_or_else(|| room.missing("place", "/place", id))
}

/// No two places have the same name (upper and lower case are the same) at the same position.
fn unique(room: &Room<'_>, itself: Option<ItemId>, name: &Title, position: Option<Position>) -> Result<(), Rejection> {
    let name = name.as_str().to_lowercase();
    let twin = room
        .state
        .places
        .values()
        .map(|tracked| &tracked.item)
        .find(|other| Some(other.id) != itself && other.position == position && other.name.as_str().to_lowercase() == name);
    match twin {
        None => Ok(()),
        Some(twin) => {
            let message = format!("The place “{}” is in the trip already ({})", twin.name, twin.id);
            Err(Rejection { pointer: Some("/name".into()), ..Rejection::new(ErrorCode::AlreadyExists, message) })
        }
    }
}
