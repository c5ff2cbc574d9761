//! What the clients of one thread saw of a room: each event once, so that everybody can be held against the first who saw it.

use super::harvest::Entry;
use crate::wire::{Record, client_index};

/// Entry `seq - 1` is about the event `seq`.
#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: Vec<Entry>,
}

impl Log {
    /// Notes an event, or compares it with what others saw.
    ///
    /// # Errors
    /// What differs.
    pub(crate) fn saw(&mut self, record: &Record<'_>, run: u64) -> Result<(), String> {
        let Some(index) = record.seq.checked_sub(1).and_then(|index| usize::try_from(index).ok()) else {
            return Err("an event has the seq 0".into());
        };
        if index >= self.entries.len() {
            self.entries.resize(index + 1, Entry::default());
        }
        let entry = &mut self.entries[index];
        entry.seen = true;
        if !record.whole {
            return Ok(());
        }
        let hash = record.hash() | 1;
        if entry.hash == 0 {
            entry.hash = hash;
            if let (Some(client), Some(n)) = (record.client, record.n)
                && crate::wire::is_of_run(client, run)
            {
                (entry.client, entry.n) = (client_index(client).wrapping_add(1), n);
            }
            return Ok(());
        }
        if entry.hash == hash { Ok(()) } else { Err(format!("two members got different events {}", record.seq)) }
    }

    /// The same for a client whose codec has other bytes.
    pub(crate) fn saw_number(&mut self, seq: u64) {
        let Some(index) = seq.checked_sub(1).and_then(|index| usize::try_from(index).ok()) else { return };
        if index >= self.entries.len() {
            self.entries.resize(index + 1, Entry::default());
        }
        self.entries[index].seen = true;
    }

    /// Who wrote the event, by index of client, and under which number; `None` when nobody saw it.
    pub(crate) fn author(&self, seq: u64) -> Option<(u32, u64)> {
        let entry = self.entries.get(usize::try_from(seq.checked_sub(1)?).ok()?)?;
        (entry.client > 0).then(|| (entry.client - 1, entry.n))
    }

    /// Whether anybody saw the event, or its number.
    pub(crate) fn saw_any(&self, seq: u64) -> bool {
        let index = seq.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        index.and_then(|index| self.entries.get(index)).is_some_and(|entry| entry.seen)
    }

    /// The newest seq that anybody saw.
    pub(crate) fn top(&self) -> u64 {
        self.entries.len() as u64
    }

    pub(crate) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }
}
