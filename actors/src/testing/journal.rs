//! A journal in memory, with faults to order.

mod reservations;
mod room;

use crate::ports::{Append, Journal, JournalError, Opened, Refusal, Reservation, Snapshot, Stored, StoredCommand};
use async_trait::async_trait;
use parking_lot::Mutex;
use reservations::Reservations;
use room::Room;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tripsync_domain::{ClientId, CommandNumber, Epoch, ItemId, Listing, NodeId, Role, RoomId, Seq, Task, Timestamp, UserId};

/// What goes wrong with an append whose caller learns only that the outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing was stored.
    Lost,
    /// All of it was stored; only the answer was lost.
    StoredUnanswered,
}

/// A [`Journal`] in memory; clones share it. "Durable" means: it survives whoever uses it.
#[derive(Clone, Debug)]
pub struct MemoryJournal {
    rooms: Arc<Mutex<BTreeMap<RoomId, Room>>>,
    reservations: Arc<Mutex<Reservations>>,
    plan: Arc<Mutex<Plan>>,
    state: Arc<watch::Sender<State>>,
    /// Lets those who wait go on in the order in which they came, which `watch` does not.
    thawed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Plan {
    append_delay: Duration,
    faults: VecDeque<Option<Fault>>,
    /// For every append once `faults` is used up.
    lasting_fault: Option<Fault>,
    away: bool,
    unfenced: bool,
    epochs: Option<EpochSource>,
}

/// Where a journal that is broken on purpose takes epochs from.
#[derive(Clone)]
struct EpochSource(Arc<dyn Fn(RoomId) -> Epoch + Send + Sync>);

impl std::fmt::Debug for EpochSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EpochSource")
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    frozen: bool,
    waiting: usize,
    appends: usize,
}

impl Default for MemoryJournal {
    fn default() -> Self {
        Self {
            rooms: Arc::default(),
            reservations: Arc::default(),
            plan: Arc::default(),
            state: Arc::new(watch::Sender::new(State::default())),
            thawed: Arc::default(),
        }
    }
}

impl MemoryJournal {
    /// An empty journal that works.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets appends wait, stored nowhere, until [`Self::thaw`]. Everything else goes on.
    pub fn freeze(&self) {
        self.state.send_modify(|state| state.frozen = true);
    }

    /// Lets waiting and later appends go on.
    pub fn thaw(&self) {
        self.state.send_modify(|state| state.frozen = false);
        self.thawed.notify_waiters();
    }

    /// Waits until at least `count` appends are waiting in a frozen journal.
    pub async fn until_waiting(&self, count: usize) {
        let _ = self.state.subscribe().wait_for(|state| state.waiting >= count).await;
    }

    /// Waits until at least `count` appends have been answered, well or badly, since the journal was made.
    pub async fn until_appends(&self, count: usize) {
        let _ = self.state.subscribe().wait_for(|state| state.appends >= count).await;
    }

    /// How long every append takes before it is stored, in tokio's time.
    pub fn set_append_delay(&self, delay: Duration) {
        self.plan.lock().append_delay = delay;
    }

    /// What happens to the next appends, in order; `None` for one that works.
    pub fn plan_faults(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.plan.lock().faults.extend(faults);
    }

    /// What happens to every append beyond the planned ones; `None` lets them work.
    pub fn set_lasting_fault(&self, fault: Option<Fault>) {
        self.plan.lock().lasting_fault = fault;
    }

    /// Makes everything but appends fail as unavailable, or work again.
    pub fn set_away(&self, away: bool) {
        self.plan.lock().away = away;
    }

    /// Breaks the journal on purpose: appends of an old epoch are taken.
    pub fn remove_fence(&self) {
        self.plan.lock().unfenced = true;
    }

    /// Breaks the journal on purpose: a new owner's epoch is what `source` says.
    pub fn take_epochs_from(&self, source: impl Fn(RoomId) -> Epoch + Send + Sync + 'static) {
        self.plan.lock().epochs = Some(EpochSource(Arc::new(source)));
    }

    /// The epochs under which a room's records were written, in order.
    #[must_use]
    pub fn epochs(&self, room: RoomId) -> Vec<Epoch> {
        self.rooms.lock().get(&room).map(Room::epochs).unwrap_or_default()
    }

    /// The records that were written under an epoch when there was a higher one; none, unless the journal is broken.
    #[must_use]
    pub fn overtaken(&self, room: RoomId) -> Vec<Seq> {
        self.rooms.lock().get(&room).map(|room| room.overtaken.clone()).unwrap_or_default()
    }

    /// All records of a room, in order.
    #[must_use]
    pub fn records(&self, room: RoomId) -> Vec<Stored> {
        self.rooms.lock().get(&room).map(|room| room.records(Seq(0), Seq(u64::MAX), usize::MAX)).unwrap_or_default()
    }

    /// The last seq of a room.
    #[must_use]
    pub fn last(&self, room: RoomId) -> Seq {
        self.rooms.lock().get(&room).map(Room::last).unwrap_or_default()
    }

    /// The snapshot that is kept of a room.
    #[must_use]
    pub fn snapshot(&self, room: RoomId) -> Option<Snapshot> {
        self.rooms.lock().get(&room).and_then(|room| room.snapshot.clone())
    }

    /// The room's present epoch.
    #[must_use]
    pub fn epoch(&self, room: RoomId) -> Option<Epoch> {
        self.rooms.lock().get(&room).map(|room| room.epoch)
    }

    /// What lists know of a room: title, status and summary; `None` when the room is in no list.
    #[must_use]
    pub fn row(&self, room: RoomId) -> Option<(String, String, serde_json::Value)> {
        self.rooms.lock().get(&room).and_then(|room| room.row.clone())
    }

    /// The projected members of a room.
    #[must_use]
    pub fn members(&self, room: RoomId) -> BTreeMap<UserId, Role> {
        self.rooms.lock().get(&room).map(|room| room.members.clone()).unwrap_or_default()
    }

    /// The projected documents of a room's collection, with their seqs.
    #[must_use]
    pub fn items(&self, room: RoomId, collection: &str) -> BTreeMap<ItemId, (Seq, serde_json::Value)> {
        self.rooms.lock().get(&room).and_then(|room| room.items.get(collection).cloned()).unwrap_or_default()
    }

    /// When a room must act by itself next, as the journal has it.
    #[must_use]
    pub fn deadline(&self, room: RoomId) -> Option<Timestamp> {
        self.rooms.lock().get(&room).and_then(|room| room.deadline)
    }

    /// What takes how much of which parts (from, to, count) of a room's capacity.
    #[must_use]
    pub fn takers(&self, room: RoomId) -> BTreeMap<ItemId, (u16, u16, u16)> {
        self.rooms.lock().get(&room).map(|room| room.side.takers.clone()).unwrap_or_default()
    }

    /// What a search finds of a room.
    #[must_use]
    pub fn listing(&self, room: RoomId) -> Option<Listing> {
        self.rooms.lock().get(&room).and_then(|room| room.side.listing.clone())
    }

    /// The tasks of a room, by event and number.
    #[must_use]
    pub fn tasks(&self, room: RoomId) -> BTreeMap<(Seq, u16), Task> {
        self.rooms.lock().get(&room).map(|room| room.side.tasks.clone()).unwrap_or_default()
    }

    /// The rooms in which a user has a lasting reservation.
    #[must_use]
    pub fn reserved(&self, user: UserId, what: &'static str) -> Vec<RoomId> {
        self.reservations.lock().lasting(user, what)
    }

    /// The rooms in which something is held for commands of a user that are under way; once for each of them.
    #[must_use]
    pub fn held(&self, user: UserId, what: &'static str) -> Vec<RoomId> {
        self.reservations.lock().held(user, what)
    }

    fn reachable(&self) -> Result<(), JournalError> {
        if self.plan.lock().away { Err(unavailable()) } else { Ok(()) }
    }

    async fn wait_for_thaw(&self) {
        if !self.state.borrow().frozen {
            return;
        }
        let _waiting = Waiting::new(&self.state);
        loop {
            let thawed = self.thawed.notified();
            if !self.state.borrow().frozen {
                return;
            }
            thawed.await;
        }
    }
}

/// Counts an append as waiting, until it goes on or its caller gives up.
struct Waiting<'a>(&'a watch::Sender<State>);

impl<'a> Waiting<'a> {
    fn new(state: &'a watch::Sender<State>) -> Self {
        state.send_modify(|state| state.waiting += 1);
        Self(state)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|state| state.waiting -= 1);
    }
}

fn unavailable() -> JournalError {
    JournalError::Unavailable("the journal in memory was told to fail".into())
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn create(&self, room: RoomId, kind: &'static str, at: Timestamp) -> Result<(), JournalError> {
        self.reachable()?;
        let mut rooms = self.rooms.lock();
        let made = rooms.entry(room).or_insert_with(|| Room::new(kind, at));
        if made.kind == kind {
            Ok(())
        } else {
            Err(JournalError::Broken(format!("room {room} exists as a {}, not as a {kind}", made.kind)))
        }
    }

    async fn kind(&self, room: RoomId) -> Result<Option<String>, JournalError> {
        self.reachable()?;
        Ok(self.rooms.lock().get(&room).map(|room| room.kind.clone()))
    }

    async fn open(&self, room: RoomId, node: NodeId) -> Result<Option<Opened>, JournalError> {
        self.reachable()?;
        let source = self.plan.lock().epochs.clone();
        Ok(self.rooms.lock().get_mut(&room).map(|found| found.open(node, source.map(|source| (source.0)(room)))))
    }

    async fn epoch(&self, room: RoomId) -> Result<Option<Epoch>, JournalError> {
        self.reachable()?;
        Ok(self.rooms.lock().get(&room).map(|room| room.epoch))
    }

    async fn append(&self, batch: Arc<[Append]>) -> Result<Vec<Result<(), Refusal>>, JournalError> {
        let (delay, fault, unfenced) = {
            let mut plan = self.plan.lock();
            let lasting = plan.lasting_fault;
            (plan.append_delay, plan.faults.pop_front().unwrap_or(lasting), plan.unfenced)
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        self.wait_for_thaw().await;
        let answer = if fault == Some(Fault::Lost) {
            Err(unavailable())
        } else {
            let mut rooms = self.rooms.lock();
            let mut reservations = self.reservations.lock();
            let append = |part: &Append| {
                rooms.get_mut(&part.room).ok_or(Refusal::Fenced)?.append(part, unfenced)?;
                reservations.project(part);
                Ok(())
            };
            let results = batch.iter().map(append).collect();
            if fault.is_none() { Ok(results) } else { Err(unavailable()) }
        };
        self.state.send_modify(|state| state.appends += 1);
        answer
    }

    async fn read(&self, room: RoomId, after: Seq, up_to: Seq, limit: u32) -> Result<Vec<Stored>, JournalError> {
        self.reachable()?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(self.rooms.lock().get(&room).map(|room| room.records(after, up_to, limit)).unwrap_or_default())
    }

    async fn last_command(&self, room: RoomId, author: UserId, client: ClientId) -> Result<Option<CommandNumber>, JournalError> {
        self.reachable()?;
        Ok(self.rooms.lock().get(&room).and_then(|room| room.last_command(author, client)))
    }

    async fn find_command(
        &self,
        room: RoomId,
        author: UserId,
        client: ClientId,
        n: CommandNumber,
    ) -> Result<Option<StoredCommand>, JournalError> {
        self.reachable()?;
        Ok(self.rooms.lock().get(&room).and_then(|room| room.find_command(author, client, n)))
    }

    async fn save_snapshot(&self, room: RoomId, epoch: Epoch, snapshot: Snapshot) -> Result<(), JournalError> {
        self.reachable()?;
        if let Some(room) = self.rooms.lock().get_mut(&room) {
            room.save_snapshot(epoch, snapshot);
        }
        Ok(())
    }

    async fn due(
        &self,
        until: Timestamp,
        after: Option<(Timestamp, RoomId)>,
        limit: u32,
    ) -> Result<Vec<(Timestamp, RoomId)>, JournalError> {
        self.reachable()?;
        let rooms = self.rooms.lock();
        let mut due: Vec<_> = rooms.iter().filter_map(|(id, room)| room.deadline.map(|deadline| (deadline, *id))).collect();
        due.retain(|due| due.0 <= until && after.is_none_or(|after| *due > after));
        due.sort_unstable();
        due.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(due)
    }

    async fn reserve(&self, reservation: Reservation, now: Timestamp) -> Result<bool, JournalError> {
        self.reachable()?;
        Ok(self.reservations.lock().reserve(reservation, now))
    }

    async fn release(&self, reservation: Reservation) -> Result<(), JournalError> {
        self.reachable()?;
        self.reservations.lock().release(reservation.id);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
