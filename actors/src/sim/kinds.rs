//! The kinds of rooms in simulations: what suites must know of them beyond their rules.

#[expect(clippy::wildcard_enum_match_arm, reason = "only some events count")]
mod pool;
mod trip;

use super::names::{POOL, card_of};
use crate::ports::Stored;
use crate::testing::{MemoryJournal, Random};
use serde_json::Value;
use std::collections::BTreeSet;
use tripsync_domain::pool::Pool;
use tripsync_domain::protocol::EventRecord;
use tripsync_domain::trip::Trip;
use tripsync_domain::{Audience, EventMeta, Role, RoomId, RoomKind, UserId};

/// What a client has seen that can be spoken of: its sort and its id.
pub(super) type Seen = (&'static str, String);

/// A kind of room that is simulated.
pub(super) trait Simulated: RoomKind<State: PartialEq> {
    /// Where a command may make several events: the type of the last one, which does not say whose it is.
    const UNSIGNED: Option<&'static str>;

    /// A command by chance, mostly about what is there.
    fn command(random: &mut Random, state: &Self::State, user: UserId, seen: &[Seen]) -> Value;

    /// Who must be in the room's lists; others may be, with the rights that they have.
    fn concerned(state: &Self::State) -> BTreeSet<UserId>;

    /// Judges a room's journal, and what the database made of it, without the rules.
    ///
    /// # Panics
    /// When they do not agree with the rules.
    fn audit(_: &MemoryJournal, _: RoomId, _: &[EventRecord<Self::Event>], _: &Self::State) {}
}

/// The kind of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Trip,
    Pool,
}

pub(super) const fn kind(room: usize) -> Kind {
    if room == POOL { Kind::Pool } else { Kind::Trip }
}

/// A room of any kind as its journal makes it, record by record.
pub(super) trait Mirror: Send {
    /// Takes the next record, and says who may see it.
    fn take(&mut self, stored: &Stored) -> Audience;
    fn role(&self, user: UserId) -> Option<Role>;
    fn command(&self, random: &mut Random, user: UserId, seen: &[Seen]) -> Value;
}

/// An empty one.
pub(super) fn mirror(room: usize) -> Box<dyn Mirror> {
    match kind(room) {
        Kind::Trip => Box::<Of<Trip>>::default(),
        Kind::Pool => Box::<Of<Pool>>::default(),
    }
}

struct Of<K: RoomKind>(K::State);

impl<K: RoomKind> Default for Of<K> {
    fn default() -> Self {
        Self(K::State::default())
    }
}

impl<K: Simulated> Mirror for Of<K> {
    fn take(&mut self, stored: &Stored) -> Audience {
        let record = EventRecord::decode(&stored.bytes).unwrap();
        evolve::<K>(&mut self.0, &record);
        K::audience(&record.ev)
    }

    fn role(&self, user: UserId) -> Option<Role> {
        role::<K>(&self.0, user)
    }

    fn command(&self, random: &mut Random, user: UserId, seen: &[Seen]) -> Value {
        K::command(random, &self.0, user, seen)
    }
}

/// Applies a stored event.
pub(super) fn evolve<K: RoomKind>(state: &mut K::State, record: &EventRecord<K::Event>) {
    let meta = EventMeta { seq: record.seq, at: record.at, by: record.by, command: record.client.zip(record.n) };
    K::evolve(state, &meta, &record.ev);
}

/// A user's place in a room, unless it has ended.
pub(super) fn role<K: RoomKind>(state: &K::State, user: UserId) -> Option<Role> {
    if K::is_ended(state) { None } else { K::access(state, &card_of(user)) }
}
