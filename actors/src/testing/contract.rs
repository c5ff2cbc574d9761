//! What every implementation of a port must do: one suite per port. [`Journal`]: for memory, SQLite and PostgreSQL;
//! [`leases_contract`] and [`bus_contract`]: for memory and Redis.
//!
//! Each check is a function over a [`Subject`]; [`journal_contract`] runs them all, one after the other, on fresh rooms, so
//! that one store serves the whole suite. A check that does not hold panics with what it saw.

mod append;
mod bus;
mod capacity;
mod commands;
mod deadlines;
mod fence;
mod leases;
mod load;
mod projections;
mod quotas;
mod snapshots;

pub use bus::{BusSubject, bus_contract};
pub use leases::{LeaseSubject, leases_contract};

use crate::ports::{Append, CommandKey, Journal, NewRecord, Refusal, Stored};
use async_trait::async_trait;
use bytes::Bytes;
use std::collections::BTreeMap;
use tripsync_domain::{ClientId, CommandNumber, Epoch, ItemId, NodeId, Projection, Role, RoomId, Seq, Timestamp, UserId};
use uuid::Uuid;

/// A journal under test, with a view of what its appends projected.
#[async_trait]
pub trait Subject: Sync {
    /// The journal.
    fn journal(&self) -> &dyn Journal;

    /// What lists know of a room.
    async fn projected(&self, room: RoomId) -> Projected;
}

/// What lists know of a room.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Projected {
    /// Title, status and summary; `None` when the room has ended.
    pub row: Option<(String, String, serde_json::Value)>,
    /// Members and their roles.
    pub members: BTreeMap<UserId, Role>,
    /// The documents of the collection `messages`.
    pub messages: BTreeMap<ItemId, (Seq, serde_json::Value)>,
}

/// Runs every check.
///
/// # Panics
/// When a check does not hold.
pub async fn journal_contract(subject: &dyn Subject) {
    append::rooms_are_made_once(subject.journal()).await;
    append::an_unknown_room_is_nowhere(subject.journal()).await;
    append::records_come_back_in_order_and_in_pages(subject.journal()).await;
    append::gaps_and_repeats_are_refused(subject.journal()).await;
    append::odd_bytes_are_kept(subject.journal()).await;
    fence::an_old_owner_is_refused_and_the_others_are_stored(subject.journal()).await;
    fence::owners_that_race_leave_one_history(subject.journal()).await;
    commands::a_repeated_command_is_refused_and_the_others_are_stored(subject.journal()).await;
    commands::commands_are_found_at_any_age(subject.journal()).await;
    snapshots::a_snapshot_never_goes_back(subject.journal()).await;
    snapshots::a_snapshot_needs_the_epoch_and_the_events(subject.journal()).await;
    projections::projections_follow_the_events(subject).await;
    projections::a_refused_append_projects_nothing(subject).await;
    capacity::more_than_there_is_is_refused_and_the_others_are_stored(subject.journal()).await;
    capacity::capacity_grows_and_shrinks(subject.journal()).await;
    deadlines::rooms_are_found_by_their_deadline(subject.journal()).await;
    quotas::a_bound_holds_over_all_rooms(subject.journal()).await;
    quotas::a_bound_holds_for_commands_that_overtake_each_other(subject.journal()).await;
    quotas::a_bound_holds_when_many_ask_at_once(subject.journal()).await;
    load::a_large_batch_is_stored_whole(subject.journal()).await;
    load::many_rooms_append_at_once(subject.journal()).await;
}

/// A fresh room of kind `trip` with its owner's epoch.
async fn opened(journal: &dyn Journal) -> Room {
    let id = RoomId(Uuid::now_v7());
    journal.create(id, "trip", Timestamp::from_ms(1)).await.expect("a room can be made");
    let opened = journal.open(id, node()).await.expect("a room can be opened").expect("the room is there");
    Room { id, epoch: opened.epoch }
}

/// A room as its owner knows it.
#[derive(Clone, Copy)]
struct Room {
    id: RoomId,
    epoch: Epoch,
}

impl Room {
    /// An append of plain records with these seqs.
    fn plain(self, seqs: std::ops::RangeInclusive<u64>) -> Append {
        Append {
            room: self.id,
            epoch: self.epoch,
            records: seqs.map(|seq| record(seq, None)).collect(),
            projections: Vec::new(),
            deadline: None,
        }
    }

    /// An append of one record that is the last of a command.
    fn command(self, seq: u64, by: Author, n: u64) -> Append {
        let mut record = record(seq, Some(CommandKey { client: by.client, n: CommandNumber(n), fingerprint: u64::MAX - n }));
        record.by = by.user;
        Append { room: self.id, epoch: self.epoch, records: vec![record], projections: Vec::new(), deadline: None }
    }

    async fn all(self, journal: &dyn Journal) -> Vec<Stored> {
        journal.read(self.id, Seq(0), Seq(u64::MAX), u32::MAX).await.expect("the journal can be read")
    }
}

#[derive(Clone, Copy)]
struct Author {
    user: UserId,
    client: ClientId,
}

fn author() -> Author {
    Author { user: UserId(Uuid::now_v7()), client: ClientId(Uuid::now_v7()) }
}

fn node() -> NodeId {
    NodeId(Uuid::now_v7())
}

fn item() -> ItemId {
    ItemId(Uuid::now_v7())
}

fn record(seq: u64, command: Option<CommandKey>) -> NewRecord {
    NewRecord {
        seq: Seq(seq),
        at: Timestamp::from_ms(i64::try_from(seq).unwrap_or(0)),
        by: UserId(Uuid::nil()),
        tag: "thing_happened",
        entity: seq.is_multiple_of(2).then(item),
        command,
        bytes: bytes(seq),
    }
}

/// The bytes of the record with a seq, different for each.
fn bytes(seq: u64) -> Bytes {
    Bytes::from(format!("record {seq}"))
}

fn stored(seqs: std::ops::RangeInclusive<u64>) -> Vec<Stored> {
    seqs.map(|seq| Stored { seq: Seq(seq), bytes: bytes(seq) }).collect()
}

async fn append(journal: &dyn Journal, batch: &[Append]) -> Vec<Result<(), Refusal>> {
    let results = journal.append(batch.into()).await.expect("the journal is available");
    assert_eq!(results.len(), batch.len(), "one result per append");
    results
}

fn with(mut append: Append, projections: Vec<Projection>) -> Append {
    append.projections = projections;
    append
}
