//! Moving rooms on purpose: every node passes on what it owns beyond its share.
//!
//! Whoever asks tells every node ([`Word::Rebalance`]); each says how many rooms it has, listens for a moment to what the others say, and works out
//! from the same numbers what it passes on and to whom. A node that was not heard in time takes part in nothing. Numbers that change
//! meanwhile, or come late, make the shares a little unequal, no more.

use super::Cluster;
use super::wire::{Batch, Word};
use crate::engine::Engine;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tripsync_domain::{NodeId, RoomId};

/// How long the others are listened to.
const LISTENS_FOR: Duration = Duration::from_millis(500);

/// What is known while rooms are about to be shared out.
#[derive(Default)]
pub(super) struct Loads {
    /// Whether that has begun here.
    under_way: bool,
    /// What each node said that it has, and when; it may be heard before this node is asked.
    heard: BTreeMap<NodeId, (u64, Instant)>,
}

/// What to send to all nodes, as `from`, so that they share the rooms out evenly.
#[must_use]
pub fn rebalance_request(from: NodeId) -> Bytes {
    let mut batch = Batch::new(from);
    batch.push(&Word::Rebalance.encode());
    batch.finish()
}

impl Cluster {
    /// Somebody asks to share out evenly.
    pub(super) fn rebalance(self: &Arc<Self>, engine: &Engine) {
        if engine.is_leaving() {
            // It has no use for rooms, and passes on its own as it goes.
            return;
        }
        let was_under_way = std::mem::replace(&mut self.loads.lock().under_way, true);
        if !was_under_way {
            let (cluster, engine) = (Arc::clone(self), engine.clone());
            tokio::spawn(async move { cluster.share_out(&engine).await });
        }
    }

    /// Another node says how many rooms it has, because rooms are to be shared out.
    pub(super) fn heard_load(&self, from: NodeId, rooms: u64) {
        let mut loads = self.loads.lock();
        // A few at most: only nodes that hold the cluster's secret are heard.
        loads.heard.retain(|_, (_, at)| at.elapsed() <= LISTENS_FOR * 2);
        loads.heard.insert(from, (rooms, Instant::now()));
    }

    async fn share_out(&self, engine: &Engine) {
        let rooms = engine.own_rooms();
        self.out.send_all(Word::Load { rooms: rooms.len() as u64 }.encode());
        tokio::time::sleep(LISTENS_FOR).await;
        let Loads { heard, .. } = std::mem::take(&mut *self.loads.lock());
        let recent = heard.into_iter().filter(|(_, (_, at))| at.elapsed() <= LISTENS_FOR * 2);
        let mut loads: BTreeMap<_, _> = recent.map(|(node, (rooms, _))| (node, rooms)).collect();
        loads.insert(self.node, rooms.len() as u64);
        let mut rooms = rooms.into_iter();
        let mut passing = Vec::new();
        for (to, count) in moves(&loads, self.node) {
            tracing::info!(%to, count, "rooms are passed on");
            passing.extend(rooms.by_ref().take(usize::try_from(count).unwrap_or(usize::MAX)).map(|room| (room, to)));
        }
        engine.pass_on_all(&passing).await;
    }

    /// Enters another node as the room's owner, and asks it to open the room.
    pub(crate) async fn pass(&self, room: RoomId, to: NodeId) {
        let passing = tokio::time::timeout(self.config.lease_ttl, self.leases.pass(room, self.node, to)).await;
        if matches!(passing, Ok(Ok(true))) {
            // Whoever comes first opens it too.
            let _ = self.out.send(to, Word::Take { room }.encode());
        } else {
            // It can be had by anybody.
            self.release(room).await;
        }
    }

    /// Another node has passed a room on to this one.
    pub(super) fn take_over(self: &Arc<Self>, engine: &Engine, room: RoomId) {
        let (cluster, engine) = (Arc::clone(self), engine.clone());
        tokio::spawn(async move {
            let _turn = cluster.turn().await;
            if engine.opens(room) {
                // One that cannot be opened is given up by whoever tried.
                if let Err(refused) = engine.room_here(room).await {
                    tracing::info!(room.id = %room, error = %refused, "a room that was passed on cannot be opened here");
                }
            } else {
                // This node is about to leave, too, or the room failed here: nobody is about to enter it.
                cluster.release(room).await;
            }
        });
    }
}

/// What a node passes on, by receiver: what it has beyond its share goes to those below theirs, and every node works out the same.
fn moves(loads: &BTreeMap<NodeId, u64>, node: NodeId) -> Vec<(NodeId, u64)> {
    let nodes = loads.len().max(1) as u64;
    let total: u64 = loads.values().sum();
    // The first ones have one more when it does not come out even.
    let share = |index: u64| total / nodes + u64::from(index < total % nodes);
    let shares = (0..).zip(loads).map(|(index, (node, load))| (*node, *load, share(index)));
    let mut missing: Vec<_> =
        shares.clone().filter(|(_, load, share)| load < share).map(|(node, load, share)| (node, share - load)).collect();
    for (giver, load, share) in shares.filter(|(_, load, share)| load > share) {
        let mut left = load - share;
        let mut given = Vec::new();
        for (to, wants) in missing.iter_mut().filter(|(_, wants)| *wants > 0) {
            let count = left.min(*wants);
            (left, *wants) = (left - count, *wants - count);
            if count > 0 {
                given.push((*to, count));
            }
        }
        if giver == node {
            return given;
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn node(n: u128) -> NodeId {
        NodeId(Uuid::from_u128(n))
    }

    #[test]
    fn afterwards_everybody_has_a_share() {
        for loads in [vec![30, 0, 0], vec![5, 5, 5], vec![1, 0, 0], vec![0, 7, 100, 3], vec![9], vec![2, 2, 1]] {
            let mut after: BTreeMap<_, _> = (1..).map(node).zip(loads).collect();
            let before = after.clone();
            for giver in before.keys() {
                for (to, count) in moves(&before, *giver) {
                    *after.get_mut(giver).unwrap() -= count;
                    *after.get_mut(&to).unwrap() += count;
                }
            }
            let (least, most) = (after.values().min().unwrap(), after.values().max().unwrap());
            assert!(most - least <= 1, "{before:?} became {after:?}");
            assert_eq!(before.values().sum::<u64>(), after.values().sum::<u64>());
        }
    }
}
