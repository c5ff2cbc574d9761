//! What the clients of one thread saw of a room: each event once, so that everybody can be held against the first who saw it.

use super::harvest::{Acked, Entry, Fault, Refused, RoomLog};
use super::shown::Shown;
use crate::wire::{Record, client_index, is_of_run};

/// Events that a room can be ahead of everything that is known of it. Beyond, a seq is wild, and no reason to take memory.
pub(crate) const JUMP_MAX: u64 = 1_000_000;

/// Every so many-th event is kept whole, and so many of them of each room.
const HEARD_EVERY: u64 = 8;
const HEARD_MAX: u64 = 16;
/// Refusals that are kept of each room.
const REFUSED_MAX: usize = 10_000;

/// Entry `seq - 1` is about the event `seq`.
#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: Vec<Entry>,
    /// Snapshots that were shown.
    pub(crate) shown: Shown,
    /// When an event came that nobody had seen.
    pub(crate) rose_us: u64,
    /// Some events as they came: the newest of each place in turn.
    heard: Vec<(u64, Vec<u8>)>,
    refused: Vec<Refused>,
    acked_unseen: Vec<Acked>,
}

/// An event as JSON tells it, whose bytes are no other codec's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) seq: u64,
    pub(crate) client: Option<u128>,
    pub(crate) n: Option<u64>,
    /// Whether it is for this client, or only its number.
    pub(crate) whole: bool,
}

/// One more than the author's index, and the number; zeros for those who are not of this run.
fn author(client: Option<u128>, n: Option<u64>, run: u64) -> (u32, u64) {
    match (client, n) {
        (Some(client), Some(n)) if is_of_run(client, run) => (client_index(client).wrapping_add(1), n),
        _ => (0, 0),
    }
}

impl Log {
    /// The entry of an event; `known` is how far the room is known to have come.
    fn entry(&mut self, seq: u64, known: u64) -> Result<&mut Entry, (Fault, String)> {
        let Some(index) = seq.checked_sub(1).and_then(|index| usize::try_from(index).ok()) else {
            return Err((Fault::Order, "an event has the seq 0".into()));
        };
        let most = self.top().max(known).saturating_add(JUMP_MAX);
        if seq > most {
            return Err((Fault::Order, format!("event {seq} is far beyond the room, which is known up to {}", most - JUMP_MAX)));
        }
        if index >= self.entries.len() {
            self.entries.resize(index + 1, Entry::default());
        }
        Ok(&mut self.entries[index])
    }

    /// Notes an event, or compares it with what others saw.
    ///
    /// # Errors
    /// What differs, or cannot be.
    pub(crate) fn saw(&mut self, record: &Record<'_>, run: u64, known: u64) -> Result<(), (Fault, String)> {
        let entry = self.entry(record.seq, known)?;
        entry.seen = true;
        if !record.whole {
            return Ok(());
        }
        let (hash, author) = (record.hash() | 1, author(record.client, record.n, run));
        let first = entry.hash == 0;
        if first {
            entry.hash = hash;
            if entry.client == 0 {
                (entry.client, entry.n) = author;
            }
        }
        let agree = entry.hash == hash && (entry.client, entry.n) == author;
        if first {
            self.keep(record);
        }
        if agree {
            return Ok(());
        }
        Err((Fault::Agreement, format!("two members got different events {}", record.seq)))
    }

    /// The same for a client whose codec has other bytes: its author is compared.
    ///
    /// # Errors
    /// What differs, or cannot be.
    pub(crate) fn was_told(&mut self, told: &Told, run: u64, known: u64) -> Result<(), (Fault, String)> {
        let entry = self.entry(told.seq, known)?;
        entry.seen = true;
        if !told.whole {
            return Ok(());
        }
        let author = author(told.client, told.n, run);
        if entry.hash == 0 && entry.client == 0 {
            (entry.client, entry.n) = author;
        }
        if (entry.client, entry.n) == author {
            return Ok(());
        }
        Err((Fault::Agreement, format!("event {} was told to two members as different commands", told.seq)))
    }

    /// Keeps an event whole, so that its content can be held against what is stored.
    fn keep(&mut self, record: &Record<'_>) {
        if !record.seq.is_multiple_of(HEARD_EVERY) {
            return;
        }
        let place = usize::try_from(record.seq / HEARD_EVERY % HEARD_MAX).unwrap_or_default();
        if place >= self.heard.len() {
            self.heard.resize(place + 1, (0, Vec::new()));
        }
        self.heard[place] = (record.seq, record.bytes.to_vec());
    }

    /// Notes a refusal for good; says whether there was room to.
    pub(crate) fn refused(&mut self, client: u32, n: u64, no_seat: bool) -> bool {
        let room = self.refused.len() < REFUSED_MAX;
        if room {
            self.refused.push(Refused { client: client.wrapping_add(1), n, no_seat });
        }
        room
    }

    /// It was applied after all, by another sending.
    pub(crate) fn not_refused(&mut self, client: u32, n: u64) {
        self.refused.retain(|refused| (refused.client, refused.n) != (client.wrapping_add(1), n));
    }

    /// A command was acknowledged at an event that nobody got.
    pub(crate) fn acked_unseen(&mut self, client: u32, n: u64, seq: u64) {
        self.acked_unseen.push(Acked { client: client.wrapping_add(1), n, seq });
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

    /// What is handed back.
    pub(crate) fn into_room(mut self, room: u32) -> RoomLog {
        self.heard.retain(|(seq, _)| *seq > 0);
        RoomLog {
            room,
            entries: self.entries,
            shown: self.shown.into_entries(),
            heard: self.heard,
            refused: self.refused,
            acked_unseen: self.acked_unseen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::client_id;

    const RUN: u64 = 0x1234_5678_9abc_def0;

    fn record(seq: u64, n: u64, bytes: &[u8]) -> Record<'_> {
        Record { seq, client: Some(client_id(RUN, 6).as_u128()), n: Some(n), whole: true, bytes }
    }

    fn told(seq: u64, n: u64) -> Told {
        Told { seq, client: Some(client_id(RUN, 6).as_u128()), n: Some(n), whole: true }
    }

    fn fault(saw: Result<(), (Fault, String)>) -> Option<Fault> {
        saw.err().map(|(fault, _)| fault)
    }

    #[test]
    fn two_who_get_different_bytes_do_not_agree() {
        let mut log = Log::default();
        assert_eq!(log.saw(&record(1, 5, b"one"), RUN, 0), Ok(()));
        assert_eq!(log.saw(&record(1, 5, b"one"), RUN, 0), Ok(()));
        assert_eq!(fault(log.saw(&record(1, 5, b"two"), RUN, 0)), Some(Fault::Agreement));
    }

    #[test]
    fn the_author_is_known_from_json_alone_and_compared_between_codecs() {
        let mut log = Log::default();
        assert_eq!(log.was_told(&told(1, 5), RUN, 0), Ok(()));
        assert_eq!(log.author(1), Some((6, 5)));
        assert_eq!(log.saw(&record(1, 5, b"one"), RUN, 0), Ok(()));
        assert_eq!(fault(log.was_told(&told(1, 6), RUN, 0)), Some(Fault::Agreement));
        assert_eq!(log.was_told(&told(2, 7), RUN, 0), Ok(()));
        assert_eq!(fault(log.saw(&record(2, 8, b"two"), RUN, 0)), Some(Fault::Agreement));
    }

    #[test]
    fn a_wild_seq_takes_no_memory() {
        let mut log = Log::default();
        assert_eq!(fault(log.saw(&record(u64::MAX, 5, b"one"), RUN, 0)), Some(Fault::Order));
        assert_eq!(fault(log.was_told(&told(JUMP_MAX + 1, 5), RUN, 0)), Some(Fault::Order));
        assert_eq!(fault(log.saw(&record(0, 5, b"one"), RUN, 0)), Some(Fault::Order));
        assert_eq!(log.entries.capacity(), 0);
        assert_eq!(log.saw(&record(7, 5, b"one"), RUN, 7), Ok(()));
        assert_eq!(log.top(), 7);
    }
}
