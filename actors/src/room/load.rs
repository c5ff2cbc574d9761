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
    let mut ring: VecDeque<Recent> = VecDeque::new();
    let mut ring_bytes = 0;
    let (mut at, mut last_at) = (start, Timestamp::default());
    if start == last && last > Seq(0) {
        // Nothing to replay; but time must go on from the last event.
        let newest = journal.read(room, Seq(last.0 - 1), last, 1).await?;
        let newest = newest.first().and_then(|stored| EventRecord::<IgnoredAny>::decode(&stored.bytes).ok());
        last_at = newest.map_or(last_at, |record| record.at);
    }
    while at < last {
        let page = journal.read(room, at, last, PAGE).await?;
        if page.is_empty() {
            return Err(JournalError::Broken(format!("room {room} ends at {at}, though {last} was stored")));
        }
        for stored in page {
            if stored.seq != at.next() {
                return Err(JournalError::Broken(format!("room {room} has {} after {at}", stored.seq)));
            }
            let record: EventRecord<K::Event> = EventRecord::decode(&stored.bytes)
                .map_err(|error| JournalError::Broken(format!("room {room}, event {}: {error}", stored.seq)))?;
            let meta = EventMeta { seq: record.seq, at: record.at, by: record.by, command: record.client.zip(record.n) };
            catch_unwind(AssertUnwindSafe(|| K::evolve(&mut state, &meta, &record.ev)))
                .map_err(|_| JournalError::Broken(format!("room {room}, event {}: the rules panicked", stored.seq)))?;
            ring_bytes += stored.bytes.len();
            ring.push_back(Recent { seq: stored.seq, audience: K::audience(&record.ev), bytes: stored.bytes });
            while ring.len() > config.ring_events_max || ring_bytes > config.ring_bytes_max {
                let Some(old) = ring.pop_front() else { break };
                ring_bytes -= old.bytes.len();
            }
            (at, last_at) = (stored.seq, record.at);
        }
    }
    Ok(Some(Loaded { log: Log::new(room, epoch, state, last, last_at, ring), snapshot: start }))
}
