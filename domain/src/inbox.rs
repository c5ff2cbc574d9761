//! The rules of inboxes: one room per user, for what concerns this user alone.
//!
//! Owns what was delivered and what of it was read, on all devices alike; the ride that the user wants to share right now; and searches
//! that the user keeps. Promises: each item is delivered once; marking as read never marks what came later; a ride request ends once, by
//! itself after 15 minutes. Deliberately does not know: where items come from, who matches whom.

mod command;
mod event;
pub mod limits;
mod project;
mod rules;
mod state;
#[cfg(test)]
mod tests;
mod types;

pub use command::{CancelRide, Command, DeleteSearch, Deliver, MarkRead, Open, RequestRide, SaveSearch};
pub use event::Event;
pub use project::ITEMS;
pub use state::State;
pub use types::{Item, Label, RideEnding, RideRequest, SavedSearch, Spot};

use crate::{
    Audience, Ctx, Decision, Effect, EventMeta, ItemId, Projection, Rejection, Role, RoomId, RoomKind, Timestamp, UserCard, UserId,
};
use uuid::Uuid;

const KIND: &str = "inbox";

/// The room kind `inbox`.
#[derive(Clone, Copy, Debug)]
pub struct Inbox;

impl Inbox {
    /// The room of a user's inbox.
    #[must_use]
    pub fn room_of(user: UserId) -> RoomId {
        RoomId(Uuid::new_v5(&user.0, KIND.as_bytes()))
    }
}

impl RoomKind for Inbox {
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

    fn own_room(user: UserId) -> Option<(RoomId, Command)> {
        Some((Self::room_of(user), Command::Open(Open { user: Some(user) })))
    }

    fn deadline(state: &State) -> Option<Timestamp> {
        state.ride.as_ref().map(|ride| ride.until)
    }

    fn expire(state: &State, _: &Ctx<'_>) -> Vec<Event> {
        state.ride.iter().map(|ride| Event::RideEnded { ride: ride.id, ending: RideEnding::Expired }).collect()
    }

    /// The user's own; and the server's, which delivers.
    fn access(state: &State, who: &UserCard) -> Option<Role> {
        if who.user == UserId::ROOM {
            return Some(Role::Organizer);
        }
        (state.user == Some(who.user)).then_some(Role::Participant)
    }

    fn users_needed(_: &Command) -> Vec<UserId> {
        Vec::new()
    }

    fn audience(_: &Event) -> Audience {
        Audience::Everyone
    }

    fn view_key(_: &State, _: UserId) -> u64 {
        0
    }

    fn view(state: &State, _: UserId) -> Vec<u8> {
        rmp_serde::to_vec_named(&state.view()).unwrap_or_default()
    }

    fn is_ended(_: &State) -> bool {
        false
    }

    fn project(state: &State, events: &[(EventMeta, Event)]) -> Vec<Projection> {
        project::project(state, events)
    }

    fn effects(_: &State, _: &EventMeta, _: &Event) -> Vec<Effect> {
        Vec::new()
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
        state.validate()
    }
}
