//! The bus in memory.

use super::{BusFaults, MemoryNode, State};
use crate::cluster::{Bus, BusError};
use crate::testing::random::Random;
use async_trait::async_trait;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tripsync_domain::NodeId;

/// Messages that may wait for one node; what comes after is lost.
const WAITING_MAX: usize = 16_384;

/// Messages under way, and what becomes of them.
#[derive(Default)]
pub(super) struct Posts {
    pub(super) faults: BusFaults,
    pub(super) away: bool,
    pub(super) overflowed: u64,
    inboxes: BTreeMap<NodeId, Inbox>,
    /// Ways on which nothing passes.
    cut: BTreeSet<(NodeId, NodeId)>,
    /// When the last message that keeps its order arrives on each way.
    last: BTreeMap<(NodeId, NodeId), Duration>,
    sent: u64,
}

#[derive(Default)]
struct Inbox {
    /// By the time of arrival.
    messages: BTreeMap<(Duration, u64), Bytes>,
    wake: Arc<Notify>,
}

impl Posts {
    pub(super) fn enter(&mut self, node: NodeId) {
        self.inboxes.insert(node, Inbox::default());
    }

    pub(super) fn leave(&mut self, node: NodeId) {
        self.inboxes.remove(&node);
    }

    pub(super) fn set_cut(&mut self, from: NodeId, to: NodeId, cut: bool) {
        if cut {
            self.cut.insert((from, to));
        } else {
            self.cut.remove(&(from, to));
        }
    }

    fn post(&mut self, random: &mut Random, (from, to): (NodeId, NodeId), message: &Bytes, now: Duration) {
        let BusFaults { lost, doubled, reordered, delay_ms: (least, most) } = self.faults;
        if self.cut.contains(&(from, to)) || random.permille(lost) {
            return;
        }
        for _ in 0..if random.permille(doubled) { 2 } else { 1 } {
            let spread = usize::from(most.saturating_sub(least)) + 1;
            let delay = u64::from(least) + u64::try_from(random.below(spread)).unwrap_or(0);
            let mut at = now + Duration::from_millis(delay);
            if !random.permille(reordered) {
                let last = self.last.entry((from, to)).or_default();
                at = at.max(*last);
                *last = at;
            }
            self.sent += 1;
            let Some(inbox) = self.inboxes.get_mut(&to) else { return };
            if inbox.messages.len() < WAITING_MAX {
                inbox.messages.insert((at, self.sent), message.clone());
                inbox.wake.notify_one();
            } else {
                self.overflowed += 1;
            }
        }
    }
}

#[async_trait]
impl Bus for MemoryNode {
    async fn send(&self, to: NodeId, message: Bytes) -> Result<(), BusError> {
        self.alive().await;
        let now = (self.hub.0.now)();
        let State { random, posts, .. } = &mut *self.hub.0.state.lock();
        if posts.away {
            return Err(BusError("the bus is away".into()));
        }
        posts.post(random, (self.node, to), &message, now);
        Ok(())
    }

    async fn send_all(&self, message: Bytes) -> Result<(), BusError> {
        self.alive().await;
        let now = (self.hub.0.now)();
        let State { random, posts, .. } = &mut *self.hub.0.state.lock();
        if posts.away {
            return Err(BusError("the bus is away".into()));
        }
        let others: Vec<_> = posts.inboxes.keys().copied().filter(|to| *to != self.node).collect();
        for to in others {
            posts.post(random, (self.node, to), &message, now);
        }
        Ok(())
    }

    async fn receive(&self) -> Option<Bytes> {
        loop {
            self.alive().await;
            let now = (self.hub.0.now)();
            let (wake, wait) = {
                let mut state = self.hub.0.state.lock();
                let inbox = state.posts.inboxes.get_mut(&self.node)?;
                let due = inbox.messages.first_key_value().map(|((at, _), _)| *at);
                if due.is_some_and(|at| at <= now) {
                    return inbox.messages.pop_first().map(|(_, message)| message);
                }
                (Arc::clone(&inbox.wake), due.map(|at| at - now))
            };
            // A message that comes meanwhile leaves a permit, so that none is overlooked.
            let woken = wake.notified();
            match wait {
                Some(wait) => drop(tokio::time::timeout(wait, woken).await),
                None => woken.await,
            }
        }
    }
}
