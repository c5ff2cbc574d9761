//! The rules of pools: shared rides with seats.
//!
//! Owns what a pool is, who gets a seat and when, and who may see what of it. Promises: on no leg are more seats taken than there are;
//! everybody who asks gets an answer; a free seat is offered to the first on the waiting list whom it fits; each hold and each offer ends
//! exactly once, decided or run out. Deliberately does not know: phone numbers and e-mail addresses (they never reach a journal, see
//! docs/POOLS.md), distances, accounts beyond the cards it is given.

mod command;
mod event;
pub mod limits;
mod project;
mod rights;
mod rules;
#[cfg(any(test, feature = "testing"))]
pub mod sabotage;
mod state;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
#[expect(clippy::wildcard_enum_match_arm, reason = "tests look for a few sorts among many")]
mod tests;
mod types;
mod validate;
mod view;

pub use command::{
    Accept, Approve, Board, Cancel, Command, Complete, Create, Depart, Hold, Invite, NewStop, Reject, Remove, Request, SendMessage,
    UpdateDetails, Withdraw, WriteReview,
};
pub use event::Event;
pub use project::MESSAGES;
pub use rights::{Action, Relation, may};
pub use state::{Pool as PoolRecord, State};
pub use types::{
    Body, Booking, Car, Claim, Departure, Details, Ending, Message, Phase, PoolStatus, Preference, Review, Rider, Share, Stage, Stop,
    StopName, Words,
};

use crate::presence::{Fix, PresenceState};
use crate::{
    Audience, Ctx, Decision, Effect, EventMeta, ItemId, Projection, Quota, Rejection, Role, RoomKind, Timestamp, UserCard, UserId,
};
use std::collections::BTreeSet;

const KIND: &str = "pool";

/// The room kind `pool`.
#[derive(Clone, Copy, Debug)]
pub struct Pool;

impl RoomKind for Pool {
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

    fn deadline(state: &State) -> Option<Timestamp> {
        rules::deadline(state)
    }

    fn expire(state: &State, ctx: &Ctx<'_>) -> Vec<Event> {
        rules::expire(state, ctx)
    }

    fn quota(command: &Command) -> Option<Quota> {
        matches!(command, Command::Request(_)).then_some(project::PENDING)
    }

    /// Who looks at a pool does not see who rides in it.
    const PRESENCE: Role = Role::Participant;

    const PRESENCE_FOLLOWS_STATE: bool = true;

    /// Only a driver under way shares a position; with it everybody sees when the ride arrives at this speed.
    fn presence(state: &State, user: UserId, said: PresenceState, at: Timestamp) -> PresenceState {
        let drives = state.phase == Phase::Departed && Relation::of(state, user) == Relation::Owner;
        let fix = said.fix.filter(|_| drives).map(|fix| Fix { arrives_at: state.arrival(&fix, at), ..fix });
        PresenceState { fix, ..said }
    }

    fn access(state: &State, who: &UserCard) -> Option<Role> {
        let pool = state.pool.as_ref()?;
        match Relation::of(state, who.user) {
            Relation::Owner => Some(Role::Organizer),
            Relation::Rider => Some(Role::Participant),
            Relation::Claimant => Some(Role::Viewer),
            Relation::Visitor => (pool.details.group.is_none() || pool.details.group == who.group).then_some(Role::Viewer),
        }
    }

    fn users_needed(command: &Command) -> Vec<UserId> {
        if let Command::Invite(command) = command { vec![command.user] } else { Vec::new() }
    }

    fn audience(event: &Event) -> Audience {
        match event {
            Event::PoolCreated { .. }
            | Event::DetailsUpdated { .. }
            | Event::SeatsChanged { .. }
            | Event::PoolDeparted {}
            | Event::PoolCompleted {}
            | Event::PoolCancelled { .. }
            | Event::Reviewed { .. } => Audience::Everyone,
            Event::Claimed { owner, claim, .. } => Audience::Users(BTreeSet::from([*owner, claim.user])),
            Event::WaitingApproved { owner, user, .. } | Event::Offered { owner, user, .. } => {
                Audience::Users(BTreeSet::from([*owner, *user]))
            }
            Event::RidersShown { user, .. } => Audience::Users(BTreeSet::from([*user])),
            Event::Confirmed { to, .. }
            | Event::ClaimEnded { to, .. }
            | Event::Boarded { to, .. }
            | Event::CostsShared { to, .. }
            | Event::MessageSent { to, .. } => Audience::Users(to.clone()),
            // What it is about is not known, so nobody is shown it.
            Event::Unknown => Audience::Users(BTreeSet::new()),
        }
    }

    /// Everybody learns how many seats are left, but not who took them.
    fn is_anonymous(event: &Event) -> bool {
        matches!(event, Event::SeatsChanged { .. })
    }

    fn view_key(state: &State, viewer: UserId) -> u64 {
        view::key(state, viewer)
    }

    fn view(state: &State, viewer: UserId) -> Vec<u8> {
        view::view(state, viewer)
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
        validate::validate(state)
    }
}
