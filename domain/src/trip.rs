//! The rules of trips: people who plan together.
//!
//! Owns what a trip is, who may do what in it, how commands become events and events a state, and what lists and clients see of it.
//! Promises: equal input gives equal output; a state from events equals the state that was live; concurrent moves of activities never
//! lose or double one; a value that somebody else wrote meanwhile is reported when it is overwritten. Deliberately does not know: how events are
//! stored or sent, and whether a user of the system exists beyond the cards it is given.

mod command;
mod event;
mod fields;
pub mod limits;
mod project;
mod rights;
mod rules;
mod state;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod types;
mod validate;
mod view;

pub use crate::geo::Position;
pub use command::{
    ActivityChanges, AddActivity, AddExpense, AddMember, AddPlace, Command, Create, Delete, DeleteMessage, DetailChanges, EditMessage,
    ExpenseChanges, Leave, MarkRead, MoveActivity, PlaceChanges, React, RemoveActivity, RemoveExpense, RemoveMember, RemovePlace,
    SendMessage, SetRole, SetStatus, UpdateActivity, UpdateDetails, UpdateExpense, UpdatePlace, VotePlace,
};
pub use event::{Event, Moved, SentMessage};
pub use fields::{Change, Field, Stamp, Stamps, Tracked};
pub use project::MESSAGES;
pub use rights::{Action, may};
pub use state::{State, Tombstone, Trip as TripRecord};
pub use types::{
    Activity, ActivityKind, ActivityStatus, Address, Anchor, Body, Description, Destination, Details, Emoji, Expense, ExpenseShare, Member,
    Message, Notes, Place, PlaceKind, Privacy, Slot, Title, TripData, TripStatus, TripType,
};

use crate::{Audience, Ctx, Decision, Effect, EventMeta, ItemId, Projection, Rejection, Role, RoomKind, UserCard, UserId};

const KIND: &str = "trip";

/// The room kind `trip`.
#[derive(Clone, Copy, Debug)]
pub struct Trip;

impl RoomKind for Trip {
    const KIND: &'static str = KIND;
    type Command = Command;
    type Event = Event;
    type State = State;

    fn decide(state: &State, ctx: &Ctx<'_>, command: &Command) -> Result<Decision<Event>, Rejection> {
        rules::decide(state, ctx, command)
    }

    fn evolve(state: &mut State, meta: &EventMeta, event: &Event) {
        state.evolve(meta, event);
    }

    fn access(state: &State, who: &UserCard) -> Option<Role> {
        if state.ended.is_some() {
            return None;
        }
        state.member(who.user).map(|member| member.role)
    }

    fn users_needed(command: &Command) -> Vec<UserId> {
        if let Command::AddMember(command) = command { vec![command.user] } else { Vec::new() }
    }

    fn audience(_: &Event) -> Audience {
        Audience::Everyone
    }

    fn view_key(_: &State, _: UserId) -> u64 {
        0
    }

    fn view(state: &State, _: UserId) -> Vec<u8> {
        view::view(state)
    }

    fn is_ended(state: &State) -> bool {
        state.ended.is_some()
    }

    fn project(state: &State, events: &[(EventMeta, Event)]) -> Vec<Projection> {
        project::project(state, events)
    }

    fn effects(state: &State, meta: &EventMeta, event: &Event) -> Vec<Effect> {
        project::effects(state, meta, event)
    }

    fn tag(event: &Event) -> &'static str {
        event.tag()
    }

    fn entity(event: &Event) -> Option<ItemId> {
        project::entity(event)
    }

    fn describe(event: &Event) -> String {
        project::describe(event)
    }

    fn validate(state: &State) -> Result<(), String> {
        validate::validate(state)
    }
}
