//! A room as a client builds it by the rules, from the first event on; and who it thinks is present.

use serde::Deserialize;
use std::collections::BTreeMap;
use tripsync_domain::protocol::EventRecord;
use tripsync_domain::trip::{Event, State, Trip};
use tripsync_domain::{EventMeta, RoomKind, UserId};
use uuid::Uuid;

/// Bytes of events that wait to be applied: applying them at once would put the rules' work between deliveries that are timed.
const WAITING_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Default)]
pub(crate) struct Replica {
    state: State,
    waiting: Vec<u8>,
    lengths: Vec<usize>,
    /// Why it cannot be compared any more.
    given_up: Option<&'static str>,
    /// An event that is none by the rules.
    unreadable: Option<String>,
    /// Users who are shown as present, and with how many sockets.
    present: BTreeMap<Uuid, u32>,
}

#[derive(Deserialize)]
struct Entry {
    user: Uuid,
    devices: u32,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Delta {
    set: Vec<Entry>,
    gone: Vec<Uuid>,
}

impl Replica {
    /// The next event.
    pub(crate) fn push(&mut self, record: &[u8], whole: bool) {
        if !whole {
            self.give_up("an event was not for them");
        }
        if self.given_up.is_some() {
            return;
        }
        self.waiting.extend_from_slice(record);
        self.lengths.push(record.len());
        if self.waiting.len() > WAITING_BYTES_MAX {
            self.fold();
        }
    }

    /// It got a snapshot instead of events, and so cannot go on.
    pub(crate) fn give_up(&mut self, why: &'static str) {
        self.given_up.get_or_insert(why);
        self.waiting = Vec::new();
        self.lengths = Vec::new();
    }

    fn fold(&mut self) {
        let mut rest = self.waiting.as_slice();
        for length in &self.lengths {
            let Some((record, after)) = rest.split_at_checked(*length) else { break };
            rest = after;
            let record = match EventRecord::<Event>::decode(record) {
                Ok(record) => record,
                Err(error) => {
                    self.unreadable.get_or_insert_with(|| format!("an event could not be read: {error}"));
                    break;
                }
            };
            let meta = EventMeta { seq: record.seq, at: record.at, by: record.by, command: record.client.zip(record.n) };
            Trip::evolve(&mut self.state, &meta, &record.ev);
        }
        self.waiting.clear();
        self.lengths.clear();
    }

    /// The state as the server would show it, or why there is none.
    ///
    /// # Errors
    /// The invariant that does not hold, or that an event could not be read.
    pub(crate) fn view(&mut self) -> Result<Result<Vec<u8>, &'static str>, String> {
        self.fold();
        if let Some(how) = &self.unreadable {
            return Err(how.clone());
        }
        if let Some(why) = self.given_up {
            return Ok(Err(why));
        }
        Trip::validate(&self.state).map_err(|how| format!("it breaks an invariant: {how}"))?;
        Ok(Ok(Trip::view(&self.state, UserId(Uuid::nil()))))
    }

    /// What `joined` says about presence.
    pub(crate) fn present_anew(&mut self, bytes: &[u8]) {
        self.present.clear();
        if let Ok(entries) = rmp_serde::from_slice::<Vec<Entry>>(bytes) {
            self.present.extend(entries.into_iter().map(|entry| (entry.user, entry.devices)));
        }
    }

    /// A `presence` frame.
    pub(crate) fn present_changes(&mut self, frame: &[u8]) {
        let Ok(delta) = rmp_serde::from_slice::<Delta>(frame) else { return };
        self.present.extend(delta.set.into_iter().map(|entry| (entry.user, entry.devices)));
        for user in delta.gone {
            self.present.remove(&user);
        }
    }

    /// Whether exactly these are shown as present.
    pub(crate) fn shows(&self, expected: &[(Uuid, u32)]) -> bool {
        self.present.len() == expected.len() && expected.iter().all(|(user, devices)| self.present.get(user) == Some(devices))
    }

    pub(crate) const fn present(&self) -> &BTreeMap<Uuid, u32> {
        &self.present
    }
}
