//! What several nodes share, in memory, with faults to order: the place of leases and the bus.
//!
//! A [`MemoryCluster`] stands for the one service behind both; each node has a handle ([`MemoryNode`]) that is its [`Leases`] and its
//! [`Bus`]. What is lost, doubled, late or out of order is decided by random numbers from a seed; who is cut off from what, by calls.
//! Time is tokio's, so that paused time works, or whatever a simulation of several runtimes says it is.

mod bus;
mod leases;

use crate::cluster::{Bus, LeaseError, Leases};
use crate::testing::random::Random;
use bus::Posts;
use leases::Store;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use tripsync_domain::{NodeId, RoomId};

/// How the bus treats messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BusFaults {
    /// Of 1,000 messages, so many do not arrive.
    pub lost: u16,
    /// So many arrive twice.
    pub doubled: u16,
    /// So many may arrive before those that were sent earlier, and after those sent later.
    pub reordered: u16,
    /// Milliseconds that a message takes at least, and at most.
    pub delay_ms: (u16, u16),
}

/// How a call fails whose service cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Away {
    /// At once, as when the connection is refused.
    Fails,
    /// After the client's patience, as when packets vanish.
    Hangs,
}

impl Away {
    /// How long a caller waits before it gives up.
    pub(super) async fn wait(self) {
        if self == Self::Hangs {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

/// The place of leases and the bus that nodes share; clones are the same one.
#[derive(Clone)]
pub struct MemoryCluster(Arc<Inner>);

struct Inner {
    now: Box<dyn Fn() -> Duration + Send + Sync>,
    state: Mutex<State>,
}

struct State {
    random: Random,
    store: Store,
    posts: Posts,
}

impl MemoryCluster {
    /// One that works, on tokio's time.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let start = Instant::now();
        Self::with_time(seed, move || start.elapsed())
    }

    /// One whose time is what `now` says.
    #[must_use]
    pub fn with_time(seed: u64, now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        let state = State { random: Random::new(seed), store: Store::default(), posts: Posts::default() };
        Self(Arc::new(Inner { now: Box::new(now), state: Mutex::new(state) }))
    }

    /// A node's handle. Messages reach it from now on.
    #[must_use]
    pub fn node(&self, node: NodeId) -> MemoryNode {
        self.0.state.lock().posts.enter(node);
        MemoryNode { hub: self.clone(), node, dead: Arc::default() }
    }

    /// How the bus treats messages from now on.
    pub fn set_bus_faults(&self, faults: BusFaults) {
        self.0.state.lock().posts.faults = faults;
    }

    /// Lets nothing pass from one node to the other, or everything again; the other way is not touched.
    pub fn set_cut(&self, from: NodeId, to: NodeId, cut: bool) {
        self.0.state.lock().posts.set_cut(from, to, cut);
    }

    /// Makes every use of the bus fail, or work again.
    pub fn set_bus_away(&self, away: bool) {
        self.0.state.lock().posts.away = away;
    }

    /// Makes the place of leases unreachable for one node, or for all, or reachable again.
    pub fn set_leases_away(&self, node: Option<NodeId>, away: Option<Away>) {
        self.0.state.lock().store.set_away(node, away);
    }

    /// Of 1,000 calls to the place of leases so many do what they should and are not answered.
    pub fn set_leases_unanswered(&self, unanswered: u16) {
        self.0.state.lock().store.unanswered = unanswered;
    }

    /// How long a call to the place of leases takes.
    pub fn set_leases_delay(&self, delay: Duration) {
        self.0.state.lock().store.delay = delay;
    }

    /// The place of leases forgets everything, as when it restarts without what it had stored.
    pub fn flush(&self) {
        self.0.state.lock().store.flush();
    }

    /// The owner that is entered for a room under a living lease.
    #[must_use]
    pub fn owner(&self, room: RoomId) -> Option<NodeId> {
        let now = (self.0.now)();
        self.0.state.lock().store.owner(room, now)
    }

    /// Counts a room's claims as a counter in the place of leases would: falls back when that is flushed. To show why epochs do not come
    /// from there.
    #[must_use]
    pub fn count_claim(&self, room: RoomId) -> u64 {
        self.0.state.lock().store.count_claim(room)
    }

    /// Messages that were dropped because too many waited for a node.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.0.state.lock().posts.overflowed
    }
}

/// One node's way to what the nodes share. Clones are the same one.
#[derive(Clone)]
pub struct MemoryNode {
    hub: MemoryCluster,
    node: NodeId,
    dead: Arc<AtomicBool>,
}

impl MemoryNode {
    /// As the engine takes it.
    #[must_use]
    pub fn leases(&self) -> Arc<dyn Leases> {
        Arc::new(self.clone())
    }

    /// As the engine takes it.
    #[must_use]
    pub fn bus(&self) -> Arc<dyn Bus> {
        Arc::new(self.clone())
    }

    /// The node is dead: whatever it asks waits for ever, and nothing arrives any more. Its lease runs out by itself.
    pub fn die(&self) {
        self.dead.store(true, Ordering::Relaxed);
        self.hub.0.state.lock().posts.leave(self.node);
    }

    async fn alive(&self) {
        if self.dead.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }

    /// Asks the place of leases.
    async fn ask<T: Send>(&self, work: impl FnOnce(&mut Store, Duration) -> T + Send) -> Result<T, LeaseError> {
        let (away, delay) = {
            let state = self.hub.0.state.lock();
            (state.store.away(self.node), state.store.delay)
        };
        if let Some(away) = away {
            away.wait().await;
            return Err(LeaseError("the place of leases is away".into()));
        }
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        self.alive().await;
        let (answer, unanswered) = {
            let now = (self.hub.0.now)();
            let mut state = self.hub.0.state.lock();
            let State { random, store, .. } = &mut *state;
            let answer = work(store, now);
            (answer, random.permille(store.unanswered) || store.away(self.node).is_some())
        };
        if unanswered { Err(LeaseError("the answer of the place of leases was lost".into())) } else { Ok(answer) }
    }
}

#[cfg(test)]
mod tests;
