//! What came of a job.

use super::tally::Sheet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Examples that are kept of each fault.
const EXAMPLES_MAX: usize = 5;

/// What a process hands back.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Harvest {
    /// Joining, each phase, the end.
    pub(crate) sheets: Vec<Sheet>,
    pub(crate) verified: Verified,
    /// By room, as indexed in the job; only rooms that this process was in.
    pub(crate) logs: Vec<RoomLog>,
    /// When the last one of a storm was current again, after the storm began, per phase.
    pub(crate) current_after_us: BTreeMap<usize, u64>,
    /// Clients that never got in.
    pub(crate) absent: u64,
    /// Commands without an answer at the end.
    pub(crate) unanswered: u64,
    /// Commands that were refused for good, by code.
    pub(crate) refusals: BTreeMap<String, u64>,
    /// CPU seconds of the busiest of its threads.
    pub(crate) busiest_thread_s: f64,
    /// Thread CPU over the measured phases, as a share of their length.
    pub(crate) busy_share: f64,
    /// The same of the busiest thread, by phase, from its beginning until everybody who comes in it was current.
    pub(crate) burst_busy_share: BTreeMap<usize, f64>,
}

/// What the members of a process saw of a room.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct RoomLog {
    pub(crate) room: u32,
    pub(crate) entries: Vec<Entry>,
}

/// One event as it was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Whether anybody saw it, or its number.
    pub(crate) seen: bool,
    /// Of its bytes; 0 when nobody saw it whole.
    pub(crate) hash: u64,
    /// One more than the index of the client whose command it was; 0 for others.
    pub(crate) client: u32,
    pub(crate) n: u64,
}

/// A promise that can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    Order,
    Agreement,
    Answers,
    Durability,
    Replicas,
    Seats,
    Presence,
    Membership,
    Frames,
}

/// How often each promise was looked at, and how often it was broken.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Verified {
    pub(crate) of: BTreeMap<Fault, Count>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Count {
    pub(crate) checked: u64,
    pub(crate) violations: u64,
    pub(crate) examples: Vec<String>,
}

impl Verified {
    pub(crate) fn checked(&mut self, fault: Fault, count: u64) {
        self.of.entry(fault).or_default().checked += count;
    }

    pub(crate) fn broken(&mut self, fault: Fault, how: impl Into<String>) {
        let count = self.of.entry(fault).or_default();
        count.violations += 1;
        if count.examples.len() < EXAMPLES_MAX {
            count.examples.push(how.into());
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (fault, theirs) in other.of {
            let mine = self.of.entry(fault).or_default();
            mine.checked += theirs.checked;
            mine.violations += theirs.violations;
            mine.examples.extend(theirs.examples);
            mine.examples.truncate(EXAMPLES_MAX);
        }
    }
}

impl Harvest {
    /// Adds another process's.
    pub(crate) fn add(&mut self, other: Self) {
        if self.sheets.len() < other.sheets.len() {
            self.sheets.resize(other.sheets.len(), Sheet::default());
        }
        for (mine, theirs) in self.sheets.iter_mut().zip(&other.sheets) {
            mine.add(theirs);
        }
        self.verified.add(other.verified);
        for log in other.logs {
            self.add_log(log);
        }
        for (phase, us) in other.current_after_us {
            let mine = self.current_after_us.entry(phase).or_default();
            *mine = us.max(*mine);
        }
        self.absent += other.absent;
        self.unanswered += other.unanswered;
        for (code, count) in other.refusals {
            *self.refusals.entry(code).or_default() += count;
        }
        self.busiest_thread_s = self.busiest_thread_s.max(other.busiest_thread_s);
        self.busy_share = self.busy_share.max(other.busy_share);
        for (phase, share) in other.burst_busy_share {
            let mine = self.burst_busy_share.entry(phase).or_default();
            *mine = share.max(*mine);
        }
    }

    /// Holds what the members of two threads or processes saw of the same room against each other.
    pub(crate) fn add_log(&mut self, other: RoomLog) {
        let Some(mine) = self.logs.iter_mut().find(|mine| mine.room == other.room) else {
            self.logs.push(other);
            return;
        };
        if mine.entries.len() < other.entries.len() {
            mine.entries.resize(other.entries.len(), Entry::default());
        }
        for (seq, (mine, theirs)) in (1..).zip(mine.entries.iter_mut().zip(other.entries)) {
            self.verified.checked(Fault::Agreement, 1);
            mine.seen |= theirs.seen;
            if mine.hash == 0 {
                *mine = Entry { seen: mine.seen, ..theirs };
            } else if theirs.hash != 0 && mine.hash != theirs.hash {
                self.verified.broken(Fault::Agreement, format!("room {}: two members got different events {seq}", other.room));
            }
        }
    }
}
