//! Compares what everybody has with the journal, and the journal with itself.

use super::calls::Calls;
use super::names::{room, user};
use super::people::People;
use super::ward::json_of;
use crate::engine::Engine;
use crate::ports::Stored;
use crate::testing::MemoryJournal;
use crate::testing::checker::{Commands, Violation};
use serde_json::Value;
use std::collections::BTreeSet;
use tripsync_domain::protocol::EventRecord;
use tripsync_domain::trip::{Event, State, Trip};
use tripsync_domain::{EventMeta, RoomKind, UserId};

/// A room as the journal has it.
pub(super) struct Story {
    index: usize,
    journal: Commands,
    states: Vec<State>,
}

impl Story {
    /// Reads a room's story.
    ///
    /// # Errors
    /// What is wrong with it in itself.
    pub(super) fn read(memory: &MemoryJournal, index: usize) -> Result<Self, Violation> {
        let records = memory.records(room(index));
        let journal = Commands::read(records.iter().map(|stored| json_of(&stored.bytes)), true)?;
        let states = replay(&records)?;
        let epochs = memory.epochs(room(index));
        if let Some(fall) = epochs.windows(2).position(|pair| pair[0] > pair[1]) {
            return Err(format!("the epoch falls at {}: from {} to {}", fall + 2, epochs[fall], epochs[fall + 1]));
        }
        if let Some(seq) = memory.overtaken(room(index)).first() {
            return Err(format!("event {seq} was written under an epoch that was over"));
        }
        if let Some(snapshot) = memory.snapshot(room(index)) {
            let kept: State = rmp_serde::from_slice(&snapshot.state).map_err(|error| error.to_string())?;
            if states.get(usize::try_from(snapshot.seq.0).unwrap()) != Some(&kept) {
                return Err(format!("the snapshot at {} is not what the journal makes", snapshot.seq));
            }
        }
        Ok(Self { index, journal, states })
    }

    fn last(&self) -> &State {
        &self.states[self.states.len() - 1]
    }

    /// Whether the room has been deleted.
    pub(super) fn is_ended(&self) -> bool {
        Trip::is_ended(self.last())
    }

    fn view(&self, at: u64, of: UserId) -> Value {
        json_of(&Trip::view(&self.states[usize::try_from(at).unwrap()], of))
    }

    /// Compares what the clients saw and were answered.
    pub(super) fn people(&self, people: &People) -> Result<(), Violation> {
        let present = people.present(self.index);
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
        let members: BTreeSet<_> = memory.members(room(self.index)).into_iter().collect();
        let expected: BTreeSet<_> = self.last().members.iter().map(|(user, member)| (*user, member.item.role)).collect();
        if self.is_ended() || members == expected {
            return Ok(());
        }
        Err(format!("the lists know {members:?} as members, the state {expected:?}"))
    }

    /// Compares the live state, as an engine shows it.
    pub(super) async fn live(&self, engine: &Engine) -> Result<(), Violation> {
        if self.is_ended() {
            return Ok(());
        }
        let read = engine.read(room(self.index), user(0)).await.map_err(|error| error.to_string())?;
        if (read.seq.0, json_of(read.state.packed())) == (self.journal.last(), self.view(self.journal.last(), user(0))) {
            return Ok(());
        }
        Err(format!("the live state at {} is not what the journal makes", read.seq))
    }
}

/// The states that a journal makes, from the empty one on.
fn replay(records: &[Stored]) -> Result<Vec<State>, Violation> {
    let mut states = vec![State::default()];
    for stored in records {
        let record: EventRecord<Event> = EventRecord::decode(&stored.bytes).map_err(|error| error.to_string())?;
        let meta = EventMeta { seq: record.seq, at: record.at, by: record.by, command: record.client.zip(record.n) };
        let mut state = states[states.len() - 1].clone();
        Trip::evolve(&mut state, &meta, &record.ev);
        states.push(state);
    }
    Trip::validate(&states[states.len() - 1])?;
    Ok(states)
}
