//! Who belongs to the trip.
//!
//! The creator is protected: stays an organizer, cannot be removed, and cannot leave. Who wants to be rid of a trip of one's own deletes it.

use super::{Judgement, Room, full};
use crate::trip::command::{AddMember, RemoveMember, SetRole};
use crate::trip::event::Event;
use crate::trip::fields::{Field, Unseen};
use crate::trip::limits::MEMBERS_MAX;
use crate::trip::types::Member;
use crate::{Decision, ErrorCode, ItemId, Rejection, Role, UserId};

pub(super) fn add(room: &Room<'_>, command: AddMember) -> Judgement {
    let at_user = |rejection| Rejection { pointer: Some("/user".into()), ..rejection };
    if let Some(member) = room.state.member(command.user) {
        let message = format!("{} is a {} of the trip already; `set_role` changes that", member.name, member.role.as_str());
        return Err(at_user(Rejection::new(ErrorCode::AlreadyExists, message)));
    }
    if room.state.members.len() >= MEMBERS_MAX {
        return Err(full("members", MEMBERS_MAX));
    }
    let card = room.ctx.user(command.user).ok_or_else(|| at_user(Rejection::not_found("There is no such user")))?;
    let member = Member { user: command.user, name: card.name.clone(), role: command.role, joined_at: room.ctx.at };
    Ok(Decision::event(Event::MemberAdded { member }))
}

pub(super) fn set_role(room: &Room<'_>, command: SetRole) -> Judgement {
    let Some(tracked) = room.state.members.get(&command.user) else { return Err(no_member()) };
    let (from, to) = (tracked.item.role, command.role);
    if command.user == room.trip.creator && to != Role::Organizer {
        return Err(creator("The creator of a trip stays an organizer"));
    }
    let mut unseen = Unseen::new(room.ctx, format!("/members/{}", command.user), &tracked.stamps);
    if from != to {
        unseen.write(Field::Role, &from, &to);
    }
    let conflicts = unseen.conflicts;
    Ok(Decision { events: vec![Event::RoleChanged { user: command.user, name: tracked.item.name.clone(), from, to }], conflicts })
}

pub(super) fn remove(room: &Room<'_>, command: RemoveMember) -> Judgement {
    let Some(member) = room.state.member(command.user) else { return Err(no_member()) };
    if command.user == room.trip.creator {
        return Err(creator("The creator of a trip cannot be removed from it"));
    }
    let (assignments, votes) = traces(room, command.user);
    Ok(Decision::event(Event::MemberRemoved { member: member.clone(), assignments, votes }))
}

pub(super) fn leave(room: &Room<'_>) -> Judgement {
    if room.me.user == room.trip.creator {
        return Err(creator("The creator cannot leave a trip; delete it instead"));
    }
    let (assignments, votes) = traces(room, room.me.user);
    Ok(Decision::event(Event::MemberLeft { member: room.me.clone(), assignments, votes }))
}

/// Where a user is assigned and has voted; both end with the membership.
fn traces(room: &Room<'_>, user: UserId) -> (Vec<ItemId>, Vec<ItemId>) {
    let activities = room.state.activities.iter().filter(|(_, activity)| activity.item.assignees.contains(&user));
    let places = room.state.places.iter().filter(|(_, place)| place.item.votes.contains(&user));
    (activities.map(|(id, _)| *id).collect(), places.map(|(id, _)| *id).collect())
}

fn no_member() -> Rejection {
    Rejection { pointer: Some("/user".into()), ..Rejection::not_found("There is no such member of the trip") }
}

fn creator(message: &'static str) -> Rejection {
    Rejection::forbidden(message)
}
