//! Restoring a room from the journal: the newest snapshot and the events after it.

use crate::config::EngineConfig;
use crate::ports::{Journal, JournalError, Opened};
use crate::room::log::{Log, Recent};
use futures_util::FutureExt;
use serde::de::IgnoredAny;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tripsync_domain::protocol::EventRecord;
use tripsync_domain::{Epoch, EventMeta, NodeId, RoomId, RoomKind, Seq, Timestamp};

/// The version of the state encoding that this program writes. A snapshot of another version is ignored and replayed instead.
pub(crate) const SNAPSHOT_VERSION: u16 = 1;

/// Records read at once.
const PAGE: u32 = 1_000;

/// So many of the newest records are read in any case, for the ring. More than a room has in the seconds of a hand-over, and small beside a state.
const WARM: u64 = 256;

/// A room as the journal has it.
pub(crate) struct Loaded<K: RoomKind> {
    pub(crate) log: Log<K>,
    /// The seq of the snapshot it started from; 0 without one.
    pub(crate) snapshot: Seq,
}

/// Work on the journal, in a task of its own; a defect that panics there must not leave its room waiting for ever.
pub(crate) async fn caught<T>(work: impl Future<Output = Result<T, JournalError>>) -> Result<T, JournalError> {
    let panicked = |_| Err(JournalError::Broken("the journal, or the rules on what it holds, panicked".into()));
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(panicked)
}

/// Takes the room over, under the epoch that `opened` becomes, and restores it. `None`: there is no such room.
pub(crate) async fn load<K: RoomKind>(
    journal: &dyn Journal,
    room: RoomId,
    node: NodeId,
    config: &EngineConfig,
    opened: &mut Epoch,
) -> Result<Option<Loaded<K>>, JournalError> {
    let Some(Opened { kind, epoch, snapshot, last }) = journal.open(room, node).await? else {
        return Ok(None);
    };
    *opened = epoch;
    if kind != K::KIND {
        return Err(JournalError::Broken(format!("room {room} is a {kind}, not a {}", K::KIND)));
    }
    let (mut state, start) = match snapshot.filter(|snapshot| snapshot.version == SNAPSHOT_VERSION && snapshot.seq <= last) {
        Some(snapshot) => match rmp_serde::from_slice::<K::State>(&snapshot.state) {
            Ok(state) => (state, snapshot.seq),
            Err(error) => {
                tracing::warn!(room.id = %room, %error, "a snapshot cannot be read, the room is replayed from its first event");
                (K::State::default(), Seq(0))
            }
        },
        None => (K::State::default(), Seq(0)),
    };
    let mut ring = Ring::new(config);
    // From before the snapshot too, in the same read: whoever was in the room when it rested or was handed over is a few events behind.
    let mut at = start.min(Seq(last.0.saturating_sub(WARM)));
    // Time must go on from the last event, also when there is nothing to replay.
    let mut last_at = Timestamp::default();
    while at < last {
        let page = journal.read(room, at, last, PAGE).await?;
        if page.is_empty() && at >= start {
            return Err(JournalError::Broken(format!("room {room} ends at {at}, though {last} was stored")));
        }
        if page.is_empty() {
            at = start;
        }
        for stored in page {
            let record = EventRecord::<K::Event>::decode(&stored.bytes);
            let replays = stored.seq > start;
            if replays && stored.seq != at.max(start).next() {
                return Err(JournalError::Broken(format!("room {room} has {} after {at}", stored.seq)));
            }
            at = stored.seq;
            match record {
                Ok(record) => {
                    if replays {
                        let meta = EventMeta { seq: record.seq, at: record.at, by: record.by, command: record.client.zip(record.n) };
                        catch_unwind(AssertUnwindSafe(|| K::evolve(&mut state, &meta, &record.ev)))
                            .map_err(|_| JournalError::Broken(format!("room {room}, event {at}: the rules panicked")))?;
                    }
                    last_at = record.at;
                    ring.push(Recent { seq: at, audience: K::audience(&record.ev), bytes: stored.bytes });
                }
                Err(error) if replays => return Err(JournalError::Broken(format!("room {room}, event {at}: {error}"))),
                // The state has it; only who missed it gets the whole of that.
                Err(_) => {
                    ring.clear();
                    last_at = EventRecord::<IgnoredAny>::decode(&stored.bytes).map_or(last_at, |record| record.at);
                }
            }
        }
    }
    Ok(Some(Loaded { log: Log::new(room, epoch, state, last, last_at, ring.records), snapshot: start }))
}

/// The newest records that were read, without gaps, as many as a room keeps.
struct Ring<'a> {
    records: VecDeque<Recent>,
    bytes: usize,
    config: &'a EngineConfig,
}

impl<'a> Ring<'a> {
    const fn new(config: &'a EngineConfig) -> Self {
        Self { records: VecDeque::new(), bytes: 0, config }
    }

    fn clear(&mut self) {
        self.records.clear();
        self.bytes = 0;
    }

    fn push(&mut self, recent: Recent) {
        if self.records.back().is_some_and(|last| last.seq.next() != recent.seq) {
            self.clear();
        }
        self.bytes += recent.bytes.len();
        self.records.push_back(recent);
        while self.records.len() > self.config.ring_events_max || self.bytes > self.config.ring_bytes_max {
            let Some(old) = self.records.pop_front() else { break };
            self.bytes -= old.bytes.len();
        }
    }
}
