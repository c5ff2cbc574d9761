//! What the engine needs of the world. Implemented at the edge (SQLite, Postgres, sockets) and in memory for tests.

use crate::frame::Frame;
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;
use thiserror::Error;
use tripsync_domain::{ClientId, CommandNumber, Epoch, ItemId, NodeId, Projection, Quota, RoomId, Seq, Timestamp, UserCard, UserId};
use uuid::Uuid;

/// The wall clock.
pub trait Clock: Send + Sync + 'static {
    /// Now. May step; nothing that must only move forward is derived from it.
    fn now(&self) -> Timestamp;
}

/// Looks up user accounts.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// The cards of those users that exist and are active, in any order.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`] when the accounts cannot be read now.
    async fn cards(&self, users: &[UserId]) -> Result<Vec<UserCard>, JournalError>;
}

/// The durable history of every room.
///
/// Safety rests here: `(room, seq)` is unique, `(room, author, client, n)` is unique, and an append counts only under the room's present
/// epoch, checked in the statement that writes.
#[async_trait]
pub trait Journal: Send + Sync + 'static {
    /// Makes the room's row, at epoch 0 and seq 0. Making it again with the same kind changes nothing.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`]; [`JournalError::Broken`] when the room exists with another kind.
    async fn create(&self, room: RoomId, kind: &'static str, at: Timestamp) -> Result<(), JournalError>;

    /// The kind of a room, without becoming its owner. `None`: there is no such room.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`].
    async fn kind(&self, room: RoomId) -> Result<Option<String>, JournalError>;

    /// Becomes the room's owner: raises its epoch, notes the node, and reads where the room stands, in one transaction. From then on
    /// appends under older epochs are refused. `None`: there is no such room.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`].
    async fn open(&self, room: RoomId, node: NodeId) -> Result<Option<Opened>, JournalError>;

    /// The room's epoch, without becoming its owner: whoever has it owns the room at a moment between the call and the answer. `None`:
    /// there is no such room.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`].
    async fn epoch(&self, room: RoomId) -> Result<Option<Epoch>, JournalError>;

    /// Appends for several rooms at once, durably: when this returns `Ok`, every entry that says `Ok` survives a crash of the
    /// process, the database and the operating system. An entry is all or nothing, with its projections; one that is refused does
    /// not fail the others. The result has one entry per append, in order.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`]: the outcome of the whole batch is unknown, each append may or may not have happened.
    async fn append(&self, batch: Arc<[Append]>) -> Result<Vec<Result<(), Refusal>>, JournalError>;

    /// Records with `after < seq <= up_to`, in order, at most `limit` of them.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`].
    async fn read(&self, room: RoomId, after: Seq, up_to: Seq, limit: u32) -> Result<Vec<Stored>, JournalError>;

    /// The highest number that this author's client has a stored command under. `None`: it has none in this room.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`].
    async fn last_command(&self, room: RoomId, author: UserId, client: ClientId) -> Result<Option<CommandNumber>, JournalError>;

    /// The stored command under this number: the record of its last event.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`].
    async fn find_command(
        &self,
        room: RoomId,
        author: UserId,
        client: ClientId,
        n: CommandNumber,
    ) -> Result<Option<StoredCommand>, JournalError>;

    /// Keeps a snapshot, replacing an older one (never a newer one), if `epoch` is still the room's epoch; otherwise changes nothing.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`].
    async fn save_snapshot(&self, room: RoomId, epoch: Epoch, snapshot: Snapshot) -> Result<(), JournalError>;

    /// Rooms that have not ended and whose deadline is at or before `until`, by deadline and room, those after `after` only; at most
    /// `limit`.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`].
    async fn due(&self, until: Timestamp, after: Option<(Timestamp, RoomId)>, limit: u32)
    -> Result<Vec<(Timestamp, RoomId)>, JournalError>;

    /// Reserves one of a quota for a user in a room while a command is under way, until [`Self::release`]; what the command's events make
    /// of it is told by their projections. A reservation that is not given back is forgotten after [`RESERVED_FOR`]. Counted are rooms, so
    /// several in the same room are one. Calls at once never exceed the bound. `false`: the user has as many as allowed in other rooms.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`].
    async fn reserve(&self, reservation: Reservation, now: Timestamp) -> Result<bool, JournalError>;

    /// Gives back what [`Self::reserve`] took under this id. What a projection has made to last stays.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`].
    async fn release(&self, reservation: Reservation) -> Result<(), JournalError>;
}

/// A place of a quota that is kept for one command while it is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Its own: the same user may have several commands under way in the same room.
    pub id: Uuid,
    /// The command's room.
    pub room: RoomId,
    /// The command's author.
    pub user: UserId,
    /// What it counts against.
    pub quota: Quota,
}

/// How long a reservation counts that was not given back, which only a crash while its command is under way causes.
pub const RESERVED_FOR: std::time::Duration = std::time::Duration::from_secs(600);

/// A room after [`Journal::open`].
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// The kind's tag.
    pub kind: String,
    /// The epoch of the new owner.
    pub epoch: Epoch,
    /// The newest snapshot.
    pub snapshot: Option<Snapshot>,
    /// The last seq in the journal; nobody but the new owner can append after it.
    pub last: Seq,
}

/// A room's whole state at a seq.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The seq that the state includes.
    pub seq: Seq,
    /// The version of the state's encoding; the engine ignores a snapshot of another version and replays.
    pub version: u16,
    /// The state in MessagePack.
    pub state: Bytes,
}

/// A record read back.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its seq.
    pub seq: Seq,
    /// An encoded [`tripsync_domain::protocol::EventRecord`].
    pub bytes: Bytes,
}

/// A command found in the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredCommand {
    /// The seq of its last event.
    pub seq: Seq,
    /// The fingerprint of its body.
    pub fingerprint: u64,
    /// The record of its last event, which has the conflicts.
    pub bytes: Bytes,
}

/// One room's part of a batch.
#[derive(Clone, Debug)]
pub struct Append {
    /// The room.
    pub room: RoomId,
    /// The epoch under which the owner appends.
    pub epoch: Epoch,
    /// Records with consecutive seqs, the first following the last in the journal.
    pub records: Vec<NewRecord>,
    /// What lists and searches learn, in order.
    pub projections: Vec<Projection>,
    /// When the room must act by itself next, after these records; replaces what was kept.
    pub deadline: Option<Timestamp>,
}

/// A record to store.
#[derive(Clone, Debug)]
pub struct NewRecord {
    /// Its seq.
    pub seq: Seq,
    /// When the room judged the command.
    pub at: Timestamp,
    /// The command's author.
    pub by: UserId,
    /// The event's `type`.
    pub tag: &'static str,
    /// The thing of the room that the event is about.
    pub entity: Option<ItemId>,
    /// On the last record of a numbered command: its identity.
    pub command: Option<CommandKey>,
    /// The encoded record.
    pub bytes: Bytes,
}

/// A command's identity within its author, with the fingerprint of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandKey {
    /// The client.
    pub client: ClientId,
    /// The client's number.
    pub n: CommandNumber,
    /// [`tripsync_domain::command::fingerprint`] of the body.
    pub fingerprint: u64,
}

/// Why one append of a batch was refused; nothing of it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The room has a newer epoch: another owner.
    #[error("the room has another owner")]
    Fenced,
    /// The room's memory and the journal differ: a seq or a command number is in the journal already, the first seq does not follow
    /// the last in the journal, or the database cannot hold one of the rows.
    #[error("the append does not fit the journal")]
    Duplicate,
}

/// A journal that cannot answer.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The database is away, too slow or refused; trying again later may help.
    #[error("the journal is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What is stored cannot be used; trying again does not help.
    #[error("the journal is broken: {0}")]
    Broken(String),
}

/// Where a room writes one session's frames: the sending half of a socket.
///
/// Calls never block and never fail: a socket that is gone takes frames and forgets them.
pub trait SessionSink: Send + Sync + 'static {
    /// Writes the frames, in order and together, or queues what would block. Says whether it took them.
    fn send(&self, frames: &[Frame]) -> Sent;

    /// Takes frames that may not be dropped (acks, rejections, leaves, notices) beyond the budget too, up to twice the budget; a
    /// session beyond that is closed as slow.
    fn send_always(&self, frames: &[Frame]);

    /// The session is not in the room any more: it may forget the room, or has to join it again. Called once per join, unless [`Self::ended`] is.
    fn detached(&self, room: RoomId, why: Detached);

    /// The same for good, with the last frames from there: both arrive or neither.
    fn ended(&self, room: RoomId, last: &[Frame]) {
        self.send_always(last);
        self.detached(room, Detached::Ended);
    }

    /// For a session on another node: the way there.
    fn remote(&self) -> Option<crate::cluster::Remote<'_>> {
        None
    }
}

/// Reaches users' sockets on this node, in whatever room they are or in none, and counts them together with those on other nodes.
pub trait Notifier: Send + Sync + 'static {
    /// Sends a frame to every live session of the user on this node; with none, nothing happens.
    fn notice(&self, user: UserId, frame: &Frame);

    /// How many sockets users have here, as far as other nodes need to know and have not been told, or `all` of that again. 0 takes back what was told.
    fn socket_counts(&self, all: bool) -> Vec<(UserId, u32)> {
        let _ = all;
        Vec::new()
    }

    /// What another node says of the same.
    fn sockets_elsewhere(&self, node: NodeId, counts: &[(UserId, u32)]) {
        let _ = (node, counts);
    }

    /// Another node is not heard of any more.
    fn node_gone(&self, node: NodeId) {
        let _ = node;
    }
}

/// What a sink did with frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It took them.
    Taken,
    /// It took none, because the session is over its budget. The room stops sending; the session says
    /// [`crate::room::RoomMsg::Drained`] once the queue is empty, and gets one resync.
    Full,
}

/// Why a session is not in a room any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detached {
    /// For good; the client was told.
    Ended,
    /// The room's actor is gone (it failed, or handed the room over). The session joins again by itself, from its cursor.
    Lost,
}
