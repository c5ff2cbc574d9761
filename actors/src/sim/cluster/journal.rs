//! A node's way to the journal that all nodes share.

use super::far::Services;
use crate::ports::{Append, Journal, JournalError, Opened, Refusal, Reservation, Snapshot, Stored, StoredCommand};
use crate::testing::MemoryJournal;
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tripsync_domain::{ClientId, CommandNumber, Epoch, NodeId, RoomId, Seq, Timestamp, UserId};

/// The journal, as one node reaches it.
pub(super) struct FarJournal {
    pub(super) services: Services,
    pub(super) journal: MemoryJournal,
    pub(super) cut: AtomicBool,
}

impl FarJournal {
    /// Cuts the node off: what is asked from now on is not done, what was asked before is done and not answered.
    pub(super) fn set_cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::Relaxed);
    }

    fn reachable(&self) -> Result<(), JournalError> {
        if self.cut.load(Ordering::Relaxed) { Err(JournalError::Unavailable("the node is cut off".into())) } else { Ok(()) }
    }

    async fn ask<T, F>(&self, work: impl FnOnce(MemoryJournal) -> F) -> Result<T, JournalError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, JournalError>> + Send + 'static,
    {
        if let Err(cut) = self.reachable() {
            tokio::time::sleep(Duration::from_millis(20)).await;
            return Err(cut);
        }
        let answer = self.services.ask(work(self.journal.clone())).await;
        self.reachable()?;
        answer.unwrap_or_else(|| Err(JournalError::Unavailable("the journal is gone".into())))
    }
}

#[async_trait]
impl Journal for FarJournal {
    async fn create(&self, room: RoomId, kind: &'static str, at: Timestamp) -> Result<(), JournalError> {
        self.ask(|journal| async move { journal.create(room, kind, at).await }).await
    }
    async fn kind(&self, room: RoomId) -> Result<Option<String>, JournalError> {
        self.ask(|journal| async move { journal.kind(room).await }).await
    }
    async fn open(&self, room: RoomId, node: NodeId) -> Result<Option<Opened>, JournalError> {
        self.ask(|journal| async move { journal.open(room, node).await }).await
    }
    async fn epoch(&self, room: RoomId) -> Result<Option<Epoch>, JournalError> {
        self.ask(|journal| async move { Journal::epoch(&journal, room).await }).await
    }
    async fn append(&self, batch: Arc<[Append]>) -> Result<Vec<Result<(), Refusal>>, JournalError> {
        self.ask(|journal| async move { journal.append(batch).await }).await
    }
    async fn read(&self, room: RoomId, after: Seq, up_to: Seq, limit: u32) -> Result<Vec<Stored>, JournalError> {
        self.ask(|journal| async move { journal.read(room, after, up_to, limit).await }).await
    }
    async fn last_command(&self, room: RoomId, author: UserId, client: ClientId) -> Result<Option<CommandNumber>, JournalError> {
        self.ask(|journal| async move { journal.last_command(room, author, client).await }).await
    }
    async fn find_command(
        &self,
        room: RoomId,
        author: UserId,
        client: ClientId,
        n: CommandNumber,
    ) -> Result<Option<StoredCommand>, JournalError> {
        self.ask(|journal| async move { journal.find_command(room, author, client, n).await }).await
    }
    async fn save_snapshot(&self, room: RoomId, epoch: Epoch, snapshot: Snapshot) -> Result<(), JournalError> {
        self.ask(|journal| async move { journal.save_snapshot(room, epoch, snapshot).await }).await
    }
    async fn due(
        &self,
        until: Timestamp,
        after: Option<(Timestamp, RoomId)>,
        limit: u32,
    ) -> Result<Vec<(Timestamp, RoomId)>, JournalError> {
        self.ask(|journal| async move { journal.due(until, after, limit).await }).await
    }
    async fn reserve(&self, reservation: Reservation, now: Timestamp) -> Result<bool, JournalError> {
        self.ask(|journal| async move { journal.reserve(reservation, now).await }).await
    }
    async fn release(&self, reservation: Reservation) -> Result<(), JournalError> {
        self.ask(|journal| async move { journal.release(reservation).await }).await
    }
}
