//! Judging commands: what is common to all, then one file per topic.

mod activities;
mod chat;
mod details;
mod expenses;
mod members;
mod places;

use super::command::Command;
use super::event::Event;
use super::rights::{Action, may};
use super::state::{State, Trip};
use super::types::Member;
use crate::money::Money;
use crate::{Ctx, Decision, ErrorCode, ItemId, Rejection, Role, UserId};
use std::collections::BTreeSet;

type Judgement = Result<Decision<Event>, Rejection>;

pub(super) fn decide(state: &State, ctx: &Ctx<'_>, command: &Command) -> Judgement {
    if state.ended.is_some() {
        return Err(Rejection::new(ErrorCode::RoomDeleted, "The trip was deleted"));
    }
    let Some(trip) = &state.trip else {
        return if let Command::Create(create) = command { details::create(ctx, create) } else { Err(no_such_trip()) };
    };
    // Whoever is no member may not even learn that the room exists.
    let me = state.member(ctx.author).ok_or_else(no_such_trip)?;
    let room = Room { state, ctx, trip, me };
    room.needs(action(command))?;
    match command {
        Command::Create(_) => Err(Rejection::new(ErrorCode::AlreadyExists, "The trip exists already")),
        Command::UpdateDetails(command) => details::update(&room, command),
        Command::SetStatus(command) => details::set_status(&room, *command),
        Command::Delete(_) => Ok(Decision::event(Event::TripDeleted { title: trip.details.item.title.clone() })),
        Command::AddMember(command) => members::add(&room, *command),
        Command::SetRole(command) => members::set_role(&room, *command),
        Command::RemoveMember(command) => members::remove(&room, *command),
        Command::Leave(_) => members::leave(&room),
        Command::AddActivity(command) => activities::add(&room, command),
        Command::UpdateActivity(command) => activities::update(&room, command),
        Command::RemoveActivity(command) => activities::remove(&room, *command),
        Command::MoveActivity(command) => activities::relocate(&room, *command),
        Command::AddPlace(command) => places::add(&room, command),
        Command::UpdatePlace(command) => places::update(&room, command),
        Command::RemovePlace(command) => places::remove(&room, *command),
        Command::VotePlace(command) => places::vote(&room, *command),
        Command::AddExpense(command) => expenses::add(&room, command),
        Command::UpdateExpense(command) => expenses::update(&room, command),
        Command::RemoveExpense(command) => expenses::remove(&room, *command),
        Command::SendMessage(command) => chat::send(&room, command),
        Command::EditMessage(command) => chat::edit(&room, command),
        Command::DeleteMessage(command) => chat::delete(&room, *command),
        Command::React(command) => chat::react(&room, command),
        Command::MarkRead(command) => chat::mark_read(&room, *command),
    }
}

/// The right that a command needs. What it needs beyond that (one's own message, not the creator) its rule asks for.
pub(super) const fn action(command: &Command) -> Action {
    match command {
        // Only to learn that the trip exists.
        Command::Create(_) => Action::View,
        Command::UpdateDetails(_)
        | Command::AddActivity(_)
        | Command::UpdateActivity(_)
        | Command::RemoveActivity(_)
        | Command::MoveActivity(_)
        | Command::AddPlace(_)
        | Command::UpdatePlace(_)
        | Command::RemovePlace(_)
        | Command::AddExpense(_)
        | Command::UpdateExpense(_)
        | Command::RemoveExpense(_) => Action::Edit,
        Command::SetStatus(_) => Action::SetStatus,
        Command::Delete(_) => Action::Delete,
        Command::AddMember(_) | Command::SetRole(_) | Command::RemoveMember(_) => Action::ManageMembers,
        Command::Leave(_) => Action::Leave,
        Command::VotePlace(_) => Action::Vote,
        Command::SendMessage(_) | Command::EditMessage(_) | Command::DeleteMessage(_) | Command::React(_) | Command::MarkRead(_) => {
            Action::Chat
        }
    }
}

fn no_such_trip() -> Rejection {
    Rejection::not_found("There is no such trip")
}

/// A trip, a member of it, and what the member's command may know.
struct Room<'a> {
    state: &'a State,
    ctx: &'a Ctx<'a>,
    trip: &'a Trip,
    me: &'a Member,
}

impl Room<'_> {
    fn needs(&self, action: Action) -> Result<(), Rejection> {
        if may(self.me.role, action) {
            return Ok(());
        }
        Err(Rejection::forbidden(match self.me.role {
            Role::Viewer => "Viewers see and chat; ask an organizer for the rights of a participant",
            Role::Participant | Role::Organizer => "Only organizers may do this",
        }))
    }

    /// The id of a new item: the one that the client made, else a fresh one.
    fn new_id(&self, wanted: Option<ItemId>) -> Result<ItemId, Rejection> {
        let id = wanted.unwrap_or(self.ctx.new_id);
        let state = self.state;
        let taken = state.activities.contains_key(&id)
            || state.places.contains_key(&id)
            || state.expenses.contains_key(&id)
            || state.message(id).is_some()
            || state.tombstones.iter().any(|tombstone| tombstone.id == id);
        if taken {
            let message = "The id belongs to an item that is or was in the trip; make a new one";
            return Err(Rejection { pointer: Some("/id".into()), ..Rejection::new(ErrorCode::AlreadyExists, message) });
        }
        Ok(id)
    }

    /// The rejection for an item that is not there; says who removed it when that is known.
    fn missing(&self, what: &str, pointer: &str, id: ItemId) -> Rejection {
        let tombstone = self.state.tombstones.iter().rev().find(|tombstone| tombstone.id == id);
        let message = match tombstone {
            Some(stone) => format!("The {what} was removed by {} at {}", stone.by_name, stone.removed.at),
            None => format!("There is no such {what} in the trip"),
        };
        Rejection { pointer: Some(pointer.into()), ..Rejection::not_found(message) }
    }

    /// Members only, and not too many.
    fn members_only(&self, pointer: &str, users: &BTreeSet<UserId>, max: usize) -> Result<(), Rejection> {
        if users.len() > max {
            return Err(Rejection::invalid(pointer, format!("at most {max} people")));
        }
        match users.iter().find(|user| self.state.member(**user).is_none()) {
            Some(user) => Err(Rejection::invalid(pointer, format!("{user} is no member of the trip"))),
            None => Ok(()),
        }
    }
}

fn full(what: &str, max: usize) -> Rejection {
    Rejection::new(ErrorCode::LimitReached, format!("A trip has at most {max} {what}"))
}

fn not_negative(pointer: &str, money: Option<Money>) -> Result<(), Rejection> {
    if money.is_some_and(|money| money.minor.get() < 0) {
        return Err(Rejection::invalid(format!("{pointer}/minor"), "must not be negative"));
    }
    Ok(())
}
