//! Exactly-once: what a room remembers of its clients' commands.
//!
//! Per `(user, client)` the highest number and the newest outcomes; everything older, and clients that are not remembered, is answered
//! by the journal, so that a command is recognised at any age.

use crate::room::message::{Inquiry, Op};
use std::collections::{BTreeMap, HashMap, VecDeque};
use tripsync_domain::{ClientId, CommandNumber, Conflict, Seq, UserId};

/// Newest outcomes that are remembered per client; a client sends again at most what it has in flight.
const RECENT_MAX: usize = 128;

/// Whose commands.
pub(crate) type ClientKey = (UserId, ClientId);

/// A command that was applied.
#[derive(Clone, Debug)]
pub(crate) struct Applied {
    pub(crate) n: CommandNumber,
    pub(crate) seq: Seq,
    pub(crate) fingerprint: u64,
    pub(crate) conflicts: Vec<Conflict>,
}

/// How a number stands.
pub(crate) enum Standing {
    /// Higher than all before.
    New,
    /// Applied; remembered.
    Applied(Applied),
    /// Not higher than all before, and not remembered: ask the journal.
    Old,
    /// Nothing is known of this client: ask the journal for its highest number.
    Unknown,
}

#[derive(Default)]
struct Client {
    /// The highest number that is applied, from the journal or since.
    last: CommandNumber,
    recent: VecDeque<Applied>,
    /// Rises with each use, for choosing whom to forget.
    used: u64,
}

/// See the module documentation.
#[derive(Default)]
pub(crate) struct Clients {
    known: HashMap<ClientKey, Client>,
    /// Commands of clients about whom the journal was asked, in order; the question is about the first.
    waiting: BTreeMap<ClientKey, VecDeque<Op>>,
    /// Rises with each [`Clients::reset`], so that an answer to what was asked before is recognised.
    round: u64,
    uses: u64,
}

impl Clients {
    /// How a command's number stands.
    pub(crate) fn standing(&mut self, key: ClientKey, n: CommandNumber) -> Standing {
        self.uses += 1;
        let Some(client) = self.known.get_mut(&key) else { return Standing::Unknown };
        client.used = self.uses;
        if n > client.last {
            return Standing::New;
        }
        match client.recent.iter().rev().find(|applied| applied.n == n) {
            Some(applied) => Standing::Applied(applied.clone()),
            None => Standing::Old,
        }
    }

    /// The journal's answer. What was applied meanwhile is newer and stays.
    pub(crate) fn learn(&mut self, key: ClientKey, last: Option<CommandNumber>) {
        let client = self.known.entry(key).or_default();
        client.last = client.last.max(last.unwrap_or_default());
    }

    /// A command was applied. What is not durable is never forgotten: the journal does not have it yet.
    pub(crate) fn applied(&mut self, key: ClientKey, applied: Applied, durable: Seq) {
        let client = self.known.entry(key).or_default();
        client.last = client.last.max(applied.n);
        client.recent.push_back(applied);
        while client.recent.len() > RECENT_MAX && client.recent.front().is_some_and(|oldest| oldest.seq <= durable) {
            client.recent.pop_front();
        }
    }

    /// Parks a command until the journal has answered.
    pub(crate) fn park(&mut self, key: ClientKey, op: Op) -> Inquiry {
        self.waiting.entry(key).or_default().push_back(op);
        Inquiry { key, round: self.round }
    }

    /// Whether any command is parked.
    pub(crate) fn is_settled(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether commands of this client are parked, so that a further one must queue behind them.
    pub(crate) fn is_waiting(&self, key: ClientKey) -> bool {
        self.waiting.contains_key(&key)
    }

    /// The parked commands that an answer of the journal is about, in order; none if they were given up meanwhile.
    pub(crate) fn unpark(&mut self, Inquiry { key, round }: Inquiry) -> VecDeque<Op> {
        if round == self.round { self.waiting.remove(&key).unwrap_or_default() } else { VecDeque::new() }
    }

    /// Forgets the clients that were idle longest, down to `max`; never one with a command that is not durable.
    pub(crate) fn shrink(&mut self, max: usize, durable: Seq) {
        while self.known.len() > max {
            let settled = |client: &Client| client.recent.back().is_none_or(|applied| applied.seq <= durable);
            let idle = self.known.iter().filter(|(_, client)| settled(client)).min_by_key(|(_, client)| client.used);
            let Some(key) = idle.map(|(key, _)| *key) else { return };
            self.known.remove(&key);
        }
    }

    /// Forgets what was learnt (the working state was lost) and returns what is parked.
    pub(crate) fn reset(&mut self) -> Vec<Op> {
        self.round += 1;
        self.known.clear();
        std::mem::take(&mut self.waiting).into_values().flatten().collect()
    }
}
