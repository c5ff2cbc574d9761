//! A journal between the engine and the one in memory: it counts openings, holds up snapshots, reservations and openings, and panics when told to.

use crate::ports::{Append, Journal, JournalError, Opened, Refusal, Reservation, Snapshot, Stored, StoredCommand};
use crate::testing::MemoryJournal;
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tripsync_domain::{ClientId, CommandNumber, Epoch, NodeId, RoomId, Seq, Timestamp, UserId};

pub(super) struct Shim {
    inner: MemoryJournal,
    /// How often a room's kind was asked for.
    pub(super) kinds: AtomicUsize,
    /// How often a room was opened.
    pub(super) opened: AtomicUsize,
    /// How often records were read, and up to which seq they cannot be.
    pub(super) reads: AtomicUsize,
    pub(super) unreadable: Mutex<Seq>,
    /// Whether reads of rooms and commands panic.
    pub(super) panics: AtomicBool,
    /// How long opening a room takes; those in [`Self::hanging`] never open.
    pub(super) open_takes: Mutex<Duration>,
    pub(super) hanging: Mutex<HashSet<RoomId>>,
    /// Whether snapshots fail.
    pub(super) keeps_nothing: AtomicBool,
    /// Snapshots wait for a permit; there are plenty unless a test takes them away.
    pub(super) snapshots: Semaphore,
    /// The answers to reservations likewise.
    pub(super) reservations: Semaphore,
}

impl Shim {
    pub(super) fn new(inner: MemoryJournal) -> Self {
        Self {
            inner,
            kinds: AtomicUsize::new(0),
            opened: AtomicUsize::new(0),
            reads: AtomicUsize::new(0),
            unreadable: Mutex::default(),
            panics: AtomicBool::new(false),
            open_takes: Mutex::default(),
            hanging: Mutex::default(),
            keeps_nothing: AtomicBool::new(false),
            snapshots: Semaphore::new(1_000),
            reservations: Semaphore::new(1_000),
        }
    }

    fn read(&self) {
        assert!(!self.panics.load(Ordering::Relaxed), "the journal of the test panics as asked");
    }
}

#[async_trait]
impl Journal for Shim {
    async fn create(&self, room: RoomId, kind: &'static str, at: Timestamp) -> Result<(), JournalError> {
        self.inner.create(room, kind, at).await
    }

    async fn kind(&self, room: RoomId) -> Result<Option<String>, JournalError> {
        self.kinds.fetch_add(1, Ordering::Relaxed);
        self.inner.kind(room).await
    }

    async fn open(&self, room: RoomId, node: NodeId) -> Result<Option<Opened>, JournalError> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        self.read();
        if self.hanging.lock().contains(&room) {
            return std::future::pending().await;
        }
        let takes = *self.open_takes.lock();
        tokio::time::sleep(takes).await;
        self.inner.open(room, node).await
    }

    async fn epoch(&self, room: RoomId) -> Result<Option<Epoch>, JournalError> {
        Journal::epoch(&self.inner, room).await
    }

    async fn append(&self, batch: Arc<[Append]>) -> Result<Vec<Result<(), Refusal>>, JournalError> {
        self.inner.append(batch).await
    }

    async fn read(&self, room: RoomId, after: Seq, up_to: Seq, limit: u32) -> Result<Vec<Stored>, JournalError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let mut records = self.inner.read(room, after, up_to, limit).await?;
        let unreadable = *self.unreadable.lock();
        records.iter_mut().filter(|record| record.seq <= unreadable).for_each(|record| record.bytes = Bytes::from_static(b"nonsense"));
        Ok(records)
    }

    async fn last_command(&self, room: RoomId, author: UserId, client: ClientId) -> Result<Option<CommandNumber>, JournalError> {
        self.read();
        self.inner.last_command(room, author, client).await
    }

    async fn find_command(
        &self,
        room: RoomId,
        author: UserId,
        client: ClientId,
        n: CommandNumber,
    ) -> Result<Option<StoredCommand>, JournalError> {
        self.read();
        self.inner.find_command(room, author, client, n).await
    }

    async fn save_snapshot(&self, room: RoomId, epoch: Epoch, snapshot: Snapshot) -> Result<(), JournalError> {
        let _permit = self.snapshots.acquire().await.map_err(|error| JournalError::Broken(error.to_string()))?;
        if self.keeps_nothing.load(Ordering::Relaxed) {
            return Err(JournalError::Broken("told to keep nothing".into()));
        }
        self.inner.save_snapshot(room, epoch, snapshot).await
    }

    async fn due(
        &self,
        until: Timestamp,
        after: Option<(Timestamp, RoomId)>,
        limit: u32,
    ) -> Result<Vec<(Timestamp, RoomId)>, JournalError> {
        self.inner.due(until, after, limit).await
    }

    async fn reserve(&self, reservation: Reservation, now: Timestamp) -> Result<bool, JournalError> {
        let reserved = self.inner.reserve(reservation, now).await;
        let _permit = self.reservations.acquire().await.map_err(|error| JournalError::Broken(error.to_string()))?;
        reserved
    }

    async fn release(&self, reservation: Reservation) -> Result<(), JournalError> {
        self.inner.release(reservation).await
    }
}
