//! One room of the journal in memory.

use crate::ports::{Append, CommandKey, Opened, Refusal, Snapshot, Stored, StoredCommand};
use bytes::Bytes;
use std::collections::BTreeMap;
use tripsync_domain::{ClientId, CommandNumber, Epoch, ItemId, Listing, NodeId, Projection, Role, Seq, Task, Timestamp, UserId};

/// Title, status and summary.
type Row = (String, String, serde_json::Value);

/// What takes how much of which parts of a room's capacity.
pub(super) type Takers = BTreeMap<ItemId, (u16, u16, u16)>;

/// What an append may be refused for beyond the journal itself, and what goes with it.
#[derive(Clone, Debug, Default)]
pub(super) struct Side {
    pub(super) capacity: Option<(u16, u16)>,
    pub(super) takers: Takers,
    pub(super) listing: Option<Listing>,
    pub(super) tasks: BTreeMap<(Seq, u16), Task>,
}

impl Side {
    fn project(&mut self, projection: &Projection) {
        match projection {
            Projection::Capacity { parts, total } => self.capacity = Some((*parts, *total)),
            Projection::Taken { id, from, to, count } => {
                self.takers.entry(*id).or_insert((*from, *to, *count));
            }
            Projection::Freed { id } => {
                self.takers.remove(id);
            }
            Projection::Listing(listing) => self.listing = Some((**listing).clone()),
            Projection::Unlisted | Projection::RoomGone => self.listing = None,
            Projection::Task { seq, index, task } => {
                self.tasks.insert((*seq, *index), task.clone());
            }
            Projection::Room { .. }
            | Projection::MemberSet { .. }
            | Projection::MemberGone { .. }
            | Projection::Item { .. }
            | Projection::Reserved { .. }
            | Projection::Released { .. }
            | Projection::Settled { .. } => {}
        }
    }

    /// Whether no part is taken more than there is of it.
    fn fits(&self) -> bool {
        let (parts, total) = self.capacity.unwrap_or_default();
        let taken = |part: u16| -> u32 {
            let takers = self.takers.values().filter(|(from, to, _)| (*from..*to).contains(&part));
            takers.map(|(.., count)| u32::from(*count)).sum()
        };
        let within = self.takers.values().all(|(from, to, _)| from < to && *to <= parts);
        within && (0..parts).all(|part| taken(part) <= u32::from(total))
    }
}

#[derive(Debug)]
pub(super) struct Room {
    pub(super) kind: String,
    pub(super) epoch: Epoch,
    pub(super) node: Option<NodeId>,
    pub(super) row: Option<Row>,
    pub(super) members: BTreeMap<UserId, Role>,
    pub(super) items: BTreeMap<&'static str, BTreeMap<ItemId, (Seq, serde_json::Value)>>,
    pub(super) snapshot: Option<Snapshot>,
    pub(super) deadline: Option<Timestamp>,
    pub(super) side: Side,
    /// Records that were written under an epoch when there was a higher one.
    pub(super) overtaken: Vec<Seq>,
    /// The highest epoch that there was.
    highest: Epoch,
    /// The record with seq 1 first, with the epoch under which it was written.
    records: Vec<(Bytes, Epoch)>,
    commands: BTreeMap<(UserId, ClientId, CommandNumber), (Seq, u64)>,
}

impl Room {
    pub(super) fn new(kind: &str, _at: Timestamp) -> Self {
        Self {
            kind: kind.to_owned(),
            epoch: Epoch(0),
            node: None,
            row: Some((String::new(), String::new(), serde_json::Value::Object(serde_json::Map::new()))),
            members: BTreeMap::new(),
            items: BTreeMap::new(),
            snapshot: None,
            deadline: None,
            side: Side::default(),
            overtaken: Vec::new(),
            highest: Epoch(0),
            records: Vec::new(),
            commands: BTreeMap::new(),
        }
    }

    pub(super) fn last(&self) -> Seq {
        Seq(u64::try_from(self.records.len()).unwrap_or(u64::MAX))
    }

    /// Gives the room a new owner, with an epoch that only a test of broken journals says.
    pub(super) fn open(&mut self, node: NodeId, epoch: Option<Epoch>) -> Opened {
        self.epoch = epoch.unwrap_or_else(|| self.epoch.next());
        self.highest = self.highest.max(self.epoch);
        self.node = Some(node);
        Opened { kind: self.kind.clone(), epoch: self.epoch, snapshot: self.snapshot.clone(), last: self.last() }
    }

    pub(super) fn append(&mut self, append: &Append, unfenced: bool) -> Result<(), Refusal> {
        if append.epoch != self.epoch && !unfenced {
            return Err(Refusal::Fenced);
        }
        let mut expected = self.last();
        let mut commands = BTreeMap::new();
        for record in &append.records {
            expected = expected.next();
            if record.seq != expected {
                return Err(Refusal::Duplicate);
            }
            if let Some(CommandKey { client, n, fingerprint }) = record.command {
                let key = (record.by, client, n);
                if self.commands.contains_key(&key) || commands.insert(key, (record.seq, fingerprint)).is_some() {
                    return Err(Refusal::Duplicate);
                }
            }
        }
        if append.records.is_empty() {
            return Err(Refusal::Duplicate);
        }
        // Checked on a copy: an append is all or nothing.
        let mut side = self.side.clone();
        append.projections.iter().for_each(|projection| side.project(projection));
        if !side.fits() {
            return Err(Refusal::Duplicate);
        }
        self.side = side;
        self.deadline = append.deadline;
        if append.epoch < self.highest {
            self.overtaken.extend(append.records.iter().map(|record| record.seq));
        }
        self.records.extend(append.records.iter().map(|record| (record.bytes.clone(), append.epoch)));
        self.commands.extend(commands);
        append.projections.iter().for_each(|projection| self.project(projection));
        Ok(())
    }

    fn project(&mut self, projection: &Projection) {
        match projection {
            Projection::Room { title, status, summary } => {
                if self.row.is_some() {
                    self.row = Some((title.clone(), status.clone(), summary.clone()));
                }
            }
            Projection::MemberSet { user, role } => {
                self.members.insert(*user, *role);
            }
            Projection::MemberGone { user } => {
                self.members.remove(user);
            }
            Projection::Item { collection, id, seq, doc } => {
                let items = self.items.entry(collection).or_default();
                // An id that is used again, with another seq, does not overwrite what it named first.
                let (first, kept) = items.entry(*id).or_insert_with(|| (*seq, doc.clone()));
                if *first == *seq {
                    *kept = doc.clone();
                }
            }
            Projection::RoomGone => {
                self.row = None;
                self.deadline = None;
            }
            // In `side`, or of the whole journal.
            Projection::Capacity { .. }
            | Projection::Taken { .. }
            | Projection::Freed { .. }
            | Projection::Listing(_)
            | Projection::Unlisted
            | Projection::Task { .. }
            | Projection::Reserved { .. }
            | Projection::Released { .. }
            | Projection::Settled { .. } => {}
        }
    }

    pub(super) fn records(&self, after: Seq, up_to: Seq, limit: usize) -> Vec<Stored> {
        let from = usize::try_from(after.0).unwrap_or(usize::MAX);
        let seqs = (1_u64..).map(Seq);
        seqs.zip(&self.records)
            .skip(from)
            .take_while(|(seq, _)| *seq <= up_to)
            .take(limit)
            .map(|(seq, (bytes, _))| Stored { seq, bytes: bytes.clone() })
            .collect()
    }

    pub(super) fn epochs(&self) -> Vec<Epoch> {
        self.records.iter().map(|(_, epoch)| *epoch).collect()
    }

    pub(super) fn last_command(&self, author: UserId, client: ClientId) -> Option<CommandNumber> {
        let all = (author, client, CommandNumber(0))..=(author, client, CommandNumber(u64::MAX));
        self.commands.range(all).next_back().map(|((_, _, n), _)| *n)
    }

    pub(super) fn find_command(&self, author: UserId, client: ClientId, n: CommandNumber) -> Option<StoredCommand> {
        let (seq, fingerprint) = *self.commands.get(&(author, client, n))?;
        let index = usize::try_from(seq.0.checked_sub(1)?).ok()?;
        Some(StoredCommand { seq, fingerprint, bytes: self.records.get(index)?.0.clone() })
    }

    pub(super) fn save_snapshot(&mut self, epoch: Epoch, snapshot: Snapshot) {
        let newer_is_kept = self.snapshot.as_ref().is_some_and(|kept| kept.seq > snapshot.seq);
        if epoch == self.epoch && snapshot.seq <= self.last() && !newer_is_kept {
            self.snapshot = Some(snapshot);
        }
    }
}
