//! Watches what leaves the engine, at the moment when it leaves.

use super::kinds::{Mirror, Seen, mirror};
use super::names::{self, USERS};
use crate::testing::checker::Violation;
use crate::testing::{MemoryJournal, Random};
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use tripsync_domain::protocol::to_json;
use tripsync_domain::{Audience, Role, RoomId, Seq, UserId};

/// Violations, from wherever they are noticed.
#[derive(Clone, Default)]
pub(super) struct Violations(Arc<Mutex<Vec<Violation>>>);

impl Violations {
    pub(super) fn add(&self, violation: impl Into<Violation>) {
        self.0.lock().push(violation.into());
    }

    pub(super) fn note<T>(&self, who: &str, result: Result<T, Violation>) -> Option<T> {
        result.map_err(|violation| self.add(format!("{who}: {violation}"))).ok()
    }

    pub(super) fn all(&self) -> Vec<Violation> {
        self.0.lock().clone()
    }
}

/// What everybody together knows of the rooms: the highest seq that anybody was shown or answered. Whatever is asked for after that must not
/// be older. As everything happens in one thread, "after" is what came later in the run, whatever clocks say.
#[derive(Clone, Default)]
pub(super) struct Known(Arc<Mutex<Learnt>>);

#[derive(Default)]
struct Learnt {
    seqs: BTreeMap<RoomId, u64>,
    vague: bool,
}

impl Known {
    pub(super) fn learnt(&self, room: RoomId, seq: u64) {
        let mut learnt = self.0.lock();
        let known = learnt.seqs.entry(room).or_default();
        *known = seq.max(*known);
    }

    pub(super) fn seq(&self, room: RoomId) -> u64 {
        self.0.lock().seqs.get(&room).copied().unwrap_or(0)
    }

    /// For a while what is shown may be older than what is known elsewhere: the one exception, see GUARANTEES.
    pub(super) fn set_vague(&self, vague: bool) {
        self.0.lock().vague = vague;
    }

    /// Whether what is shown must not be older than what is known.
    pub(super) fn is_exact(&self) -> bool {
        !self.0.lock().vague
    }
}

/// A room as the journal has it at this moment.
struct Watched {
    room: RoomId,
    mirror: Box<dyn Mirror>,
    records: Vec<Value>,
    /// Of each record.
    audiences: Vec<Audience>,
    /// After each seq, 0 first: who has access, and as what.
    access: Vec<BTreeMap<UserId, Role>>,
}

/// The output gate's judge, and the trace of everything that left.
#[derive(Clone)]
pub(super) struct Ward {
    journal: MemoryJournal,
    rooms: Arc<Mutex<BTreeMap<String, Watched>>>,
    users: Arc<Vec<UserId>>,
    pub(super) violations: Violations,
    pub(super) known: Known,
    trace: Arc<Mutex<u64>>,
}

impl Ward {
    pub(super) fn new(journal: MemoryJournal) -> Self {
        let (rooms, users) = (names::rooms(), (0..USERS).map(names::user).collect());
        let watched = rooms.iter().enumerate().map(|(index, room)| (room.to_string(), Watched::new(*room, index)));
        Self {
            journal,
            rooms: Arc::new(Mutex::new(watched.collect())),
            users: Arc::new(users),
            violations: Violations::default(),
            known: Known::default(),
            trace: Arc::new(Mutex::new(0xcbf2_9ce4_8422_2325)),
        }
    }

    /// A number that two runs of one plan have in common.
    pub(super) fn trace(&self) -> u64 {
        *self.trace.lock()
    }

    /// Judges a frame that a room hands to a session of a user.
    pub(super) fn leaves(&self, user: UserId, frame: &Value, bytes: &[u8]) {
        {
            let mut trace = self.trace.lock();
            *trace = bytes
                .iter()
                .chain(&user.0.into_bytes())
                .fold(*trace, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        }
        let mut rooms = self.rooms.lock();
        let Some(room) = frame["room"].as_str().and_then(|room| rooms.get_mut(room)) else { return };
        room.catch_up(&self.journal, &self.users);
        let durable = room.records.len() as u64;
        for event in frame["events"].as_array().into_iter().flatten() {
            let seq = event["seq"].as_u64().unwrap_or(0);
            let Some(index) = usize::try_from(seq).ok().and_then(|seq| seq.checked_sub(1)) else { continue };
            let shown = event.get("ev").is_some();
            // As it was before the event, when that is what takes the right away.
            let role = room.access.get(index..=index + 1).and_then(|around| around.iter().rev().find_map(|access| access.get(&user)));
            let meant = room.audiences.get(index).is_some_and(|audience| audience.includes(user, role.copied().unwrap_or(Role::Viewer)));
            if seq > durable || (shown && room.records[index] != *event) {
                self.violations.add(format!("event {seq} left before it was durable (the journal is at {durable}): {event}"));
            } else if frame["t"] == "events" && role.is_none() {
                self.violations.add(format!("event {seq} went to {user}, who is no member"));
            } else if shown != meant {
                let what = if shown { "shown to" } else { "kept from" };
                self.violations.add(format!("event {seq} was {what} {user}, against its audience: {}", room.records[index]));
            }
        }
        if matches!(frame["t"].as_str(), Some("joined" | "ack")) && frame["seq"].as_u64() > Some(durable) {
            self.violations.add(format!("it left before it was durable (the journal is at {durable}): {frame}"));
        }
    }

    /// Makes up a command of a user, who has seen these things of the room.
    pub(super) fn command(&self, index: usize, seed: u64, user: UserId, seen: &[Seen]) -> Value {
        let mut rooms = self.rooms.lock();
        let room = rooms.get_mut(&names::room(index).to_string()).expect("it is watched");
        room.catch_up(&self.journal, &self.users);
        room.mirror.command(&mut Random::new(seed), user, seen)
    }

    /// Judges something else that says a seq is durable.
    pub(super) fn is_durable(&self, room: RoomId, seq: Seq, what: &str) {
        let durable = self.journal.records(room).len() as u64;
        if seq.0 > durable {
            self.violations.add(format!("{what} at {seq} left before it was durable (the journal is at {durable})"));
        }
    }
}

impl Watched {
    fn new(room: RoomId, index: usize) -> Self {
        Self { room, mirror: mirror(index), records: Vec::new(), audiences: Vec::new(), access: vec![BTreeMap::new()] }
    }

    fn catch_up(&mut self, journal: &MemoryJournal, users: &[UserId]) {
        for stored in journal.records(self.room).into_iter().skip(self.records.len()) {
            self.audiences.push(self.mirror.take(&stored));
            let role = |user: &UserId| self.mirror.role(*user).map(|role| (*user, role));
            self.access.push(users.iter().filter_map(role).collect());
            self.records.push(json_of(&stored.bytes));
        }
    }
}

/// MessagePack as the JSON that clients see.
pub(super) fn json_of(bytes: &[u8]) -> Value {
    serde_json::from_slice(&to_json(bytes).unwrap()).unwrap()
}
