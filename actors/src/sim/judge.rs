//! Compares what everybody has with the journal, and the journal with itself.

use super::calls::Calls;
use super::kinds::{Simulated, evolve, role};
use super::names::{USERS, room, user};
use super::people::People;
use super::ward::json_of;
use crate::engine::Engine;
use crate::ports::Stored;
use crate::testing::MemoryJournal;
use crate::testing::checker::{Commands, Violation};
use serde_json::Value;
use std::collections::BTreeSet;
use tripsync_domain::protocol::EventRecord;
use tripsync_domain::{ErrorCode, Role, UserId};

/// A room as the journal has it.
pub(super) struct Story<K: Simulated> {
    index: usize,
    journal: Commands,
    /// After each seq, 0 first.
    states: Vec<K::State>,
}

impl<K: Simulated> Story<K> {
    /// Reads a room's story.
    ///
    /// # Errors
    /// What is wrong with it in itself.
    pub(super) fn read(memory: &MemoryJournal, index: usize) -> Result<Self, Violation> {
        let records = memory.records(room(index));
        let journal = Commands::read(records.iter().map(|stored| json_of(&stored.bytes)), K::UNSIGNED)?;
        let story = Self { index, journal, states: vec![K::State::default()] }.replay(memory, &records)?;
        let epochs = memory.epochs(room(index));
        if let Some(fall) = epochs.windows(2).position(|pair| pair[0] > pair[1]) {
            return Err(format!("the epoch falls at {}: from {} to {}", fall + 2, epochs[fall], epochs[fall + 1]));
        }
        if let Some(seq) = memory.overtaken(room(index)).first() {
            return Err(format!("event {seq} was written under an epoch that was over"));
        }
        if let Some(snapshot) = memory.snapshot(room(index)) {
            let kept: K::State = rmp_serde::from_slice(&snapshot.state).map_err(|error| error.to_string())?;
            if story.states.get(usize::try_from(snapshot.seq.0).unwrap()) != Some(&kept) {
                return Err(format!("the snapshot at {} is not what the journal makes", snapshot.seq));
            }
        }
        Ok(story)
    }

    /// The states that the journal makes, from the empty one on.
    fn replay(mut self, memory: &MemoryJournal, records: &[Stored]) -> Result<Self, Violation> {
        let mut decoded = Vec::with_capacity(records.len());
        for stored in records {
            let record: EventRecord<K::Event> = EventRecord::decode(&stored.bytes).map_err(|error| error.to_string())?;
            let mut state = self.last().clone();
            evolve::<K>(&mut state, &record);
            self.states.push(state);
            decoded.push(record);
        }
        K::validate(self.last())?;
        let (due, kept) = (K::deadline(self.last()), memory.deadline(room(self.index)));
        if due != kept {
            return Err(format!("the deadline is {due:?}, and the journal has {kept:?}"));
        }
        K::audit(memory, room(self.index), &decoded, self.last());
        Ok(self)
    }

    fn last(&self) -> &K::State {
        &self.states[self.states.len() - 1]
    }

    /// Whether the room has been deleted.
    pub(super) fn is_ended(&self) -> bool {
        K::is_ended(self.last())
    }

    fn view(&self, at: u64, of: UserId) -> Value {
        json_of(&K::view(&self.states[usize::try_from(at).unwrap()], of))
    }

    /// Compares what the clients saw and were answered.
    pub(super) fn people(&self, people: &People) -> Result<(), Violation> {
        // Who looks on is shown nobody, nor shown to anybody.
        let takes_part = |user: UserId| role::<K>(self.last(), user) >= Some(K::PRESENCE);
        let present: BTreeSet<_> =
            people.present(self.index).into_iter().filter(|user| takes_part(*user)).map(|user| user.to_string()).collect();
        for model in &people.models {
            let model = model.lock();
            let (of_room, user, client) = (&model.rooms[self.index], model.user, model.client.to_string());
            let observer = &of_room.observer;
            let told = |what: Violation| format!("{}: {what}", model.name());
            observer.against(&self.journal, &user.to_string(), &client).map_err(told)?;
            of_room.in_order(|n| self.journal.find(&user.to_string(), &client, n)).map_err(told)?;
            if let Some((at, _)) = observer.states().iter().find(|(at, state)| *state != self.view(*at, user)) {
                return Err(told(format!("the state at {at} is not what the journal makes")));
            }
            let present = if takes_part(user) { present.clone() } else { BTreeSet::new() };
            if of_room.wanted && observer.present() != present {
                return Err(told(format!("it sees {:?} present, not {present:?}", observer.present())));
            }
        }
        Ok(())
    }

    /// Compares what callers were answered.
    pub(super) fn calls(&self, calls: &Calls) -> Result<(), Violation> {
        calls.against(self.index, &self.journal, |at, of| self.view(at, of))
    }

    /// Compares what lists know.
    pub(super) fn lists(&self, memory: &MemoryJournal) -> Result<(), Violation> {
        let listed = memory.members(room(self.index));
        let has = |user: &UserId, as_what: &Role| role::<K>(self.last(), *user) == Some(*as_what);
        let missing = K::concerned(self.last()).into_iter().find(|user| !listed.contains_key(user));
        if self.is_ended() || (missing.is_none() && listed.iter().all(|(user, as_what)| has(user, as_what))) {
            return Ok(());
        }
        Err(format!("the lists know {listed:?} as members; missing: {missing:?}"))
    }

    /// Compares the live state, as an engine shows it to each user.
    pub(super) async fn live(&self, engine: &Engine) -> Result<(), Violation> {
        for of in (0..USERS).map(user) {
            match (engine.read(room(self.index), of).await, role::<K>(self.last(), of)) {
                (Ok(read), Some(_))
                    if (read.seq.0, json_of(read.state.packed())) == (self.journal.last(), self.view(self.journal.last(), of)) => {}
                (Err(refused), None) if refused.code == ErrorCode::NotFound => {}
                (Ok(read), _) => return Err(format!("the live state at {} that {of} reads is not what the journal makes", read.seq)),
                (Err(refused), _) => return Err(format!("{of} reads: {refused}")),
            }
        }
        Ok(())
    }
}
