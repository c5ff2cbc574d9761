//! A node of the simulation: the real engine and sessions on ports that can be cut off from it.

use super::parts::{self, NoNotices, next_id};
use super::plan::Tuning;
use crate::engine::{Engine, Ports};
use crate::ports::{Append, Journal, JournalError, Opened, Refusal, Reservation, Snapshot, Stored, StoredCommand};
use crate::session::Shared;
use crate::testing::{MemoryDirectory, MemoryJournal, Sabotage, TestClock};
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tripsync_domain::{ClientId, CommandNumber, Epoch, NodeId, RoomId, Seq, Timestamp, UserId};

/// A journal that a dead process cannot reach any more.
pub(super) struct Mortal {
    inner: MemoryJournal,
    dead: AtomicBool,
}

impl Mortal {
    /// From now on whatever is asked waits for ever.
    pub(super) fn die(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    async fn alive(&self) {
        if self.dead.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Journal for Mortal {
    async fn create(&self, room: RoomId, kind: &'static str, at: Timestamp) -> Result<(), JournalError> {
        self.alive().await;
        self.inner.create(room, kind, at).await
    }
    async fn kind(&self, room: RoomId) -> Result<Option<String>, JournalError> {
        self.alive().await;
        self.inner.kind(room).await
    }
    async fn open(&self, room: RoomId, node: NodeId) -> Result<Option<Opened>, JournalError> {
        self.alive().await;
        self.inner.open(room, node).await
    }
    async fn epoch(&self, room: RoomId) -> Result<Option<Epoch>, JournalError> {
        self.alive().await;
        Journal::epoch(&self.inner, room).await
    }
    async fn append(&self, batch: Arc<[Append]>) -> Result<Vec<Result<(), Refusal>>, JournalError> {
        self.alive().await;
        let result = self.inner.append(batch).await;
        self.alive().await;
        result
    }
    async fn read(&self, room: RoomId, after: Seq, up_to: Seq, limit: u32) -> Result<Vec<Stored>, JournalError> {
        self.alive().await;
        self.inner.read(room, after, up_to, limit).await
    }
    async fn last_command(&self, room: RoomId, author: UserId, client: ClientId) -> Result<Option<CommandNumber>, JournalError> {
        self.alive().await;
        // A look at the database takes a while, in which other things happen.
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.inner.last_command(room, author, client).await
    }
    async fn find_command(
        &self,
        room: RoomId,
        author: UserId,
        client: ClientId,
        n: CommandNumber,
    ) -> Result<Option<StoredCommand>, JournalError> {
        self.alive().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.inner.find_command(room, author, client, n).await
    }
    async fn save_snapshot(&self, room: RoomId, epoch: Epoch, snapshot: Snapshot) -> Result<(), JournalError> {
        self.alive().await;
        self.inner.save_snapshot(room, epoch, snapshot).await
    }
    async fn due(
        &self,
        until: Timestamp,
        after: Option<(Timestamp, RoomId)>,
        limit: u32,
    ) -> Result<Vec<(Timestamp, RoomId)>, JournalError> {
        self.alive().await;
        self.inner.due(until, after, limit).await
    }
    async fn reserve(&self, reservation: Reservation, now: Timestamp) -> Result<bool, JournalError> {
        self.alive().await;
        self.inner.reserve(reservation, now).await
    }
    async fn release(&self, reservation: Reservation) -> Result<(), JournalError> {
        self.alive().await;
        self.inner.release(reservation).await
    }
}

/// A process: alive until its journal cannot be reached any more.
pub(super) struct Node {
    pub(super) engine: Engine,
    pub(super) journal: Arc<Mortal>,
    pub(super) sessions: Arc<Shared>,
}

/// Starts one on what outlives it.
pub(super) async fn start(
    tuning: &Tuning,
    sabotage: Sabotage,
    memory: &MemoryJournal,
    clock: &TestClock,
    directory: &MemoryDirectory,
    ids: &Arc<AtomicU64>,
) -> Node {
    let journal = Arc::new(Mortal { inner: memory.clone(), dead: AtomicBool::new(false) });
    let fresh = Arc::clone(ids);
    let ports = Ports {
        journal: Arc::clone(&journal) as _,
        clock: Arc::new(clock.clone()),
        directory: Arc::new(directory.clone()),
        notifier: Arc::new(NoNotices),
        ids: Arc::new(move || next_id(&fresh)),
        cluster: None,
    };
    let engine = Engine::start_sabotaged(ports, parts::kinds(), parts::engine_config(tuning), sabotage).await.unwrap();
    let sessions = parts::sessions(&engine, clock, parts::limits(tuning));
    Node { engine, journal, sessions }
}
