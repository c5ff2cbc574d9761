//! Leases and entries in memory.

use super::{Away, MemoryNode};
use crate::cluster::{LeaseError, Leases};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::time::Duration;
use tripsync_domain::{NodeId, RoomId};

/// The place of leases.
#[derive(Default)]
pub(super) struct Store {
    /// When each lease runs out.
    leases: BTreeMap<NodeId, Duration>,
    /// Owners, whether or not their leases live.
    entries: BTreeMap<RoomId, NodeId>,
    /// See [`super::MemoryCluster::count_claim`].
    claims: BTreeMap<RoomId, u64>,
    away: Option<Away>,
    away_for: BTreeMap<NodeId, Away>,
    pub(super) unanswered: u16,
    pub(super) delay: Duration,
}

impl Store {
    pub(super) fn set_away(&mut self, node: Option<NodeId>, away: Option<Away>) {
        match (node, away) {
            (None, away) => self.away = away,
            (Some(node), Some(away)) => drop(self.away_for.insert(node, away)),
            (Some(node), None) => drop(self.away_for.remove(&node)),
        }
    }

    pub(super) fn away(&self, node: NodeId) -> Option<Away> {
        self.away.or_else(|| self.away_for.get(&node).copied())
    }

    pub(super) fn flush(&mut self) {
        self.leases.clear();
        self.entries.clear();
        self.claims.clear();
    }

    pub(super) fn count_claim(&mut self, room: RoomId) -> u64 {
        let claims = self.claims.entry(room).or_default();
        *claims += 1;
        *claims
    }

    fn lives(&self, node: NodeId, now: Duration) -> bool {
        self.leases.get(&node).is_some_and(|end| *end > now)
    }

    pub(super) fn owner(&self, room: RoomId, now: Duration) -> Option<NodeId> {
        self.entries.get(&room).copied().filter(|owner| self.lives(*owner, now))
    }

    fn claim(&mut self, room: RoomId, node: NodeId, now: Duration) -> Option<NodeId> {
        if !self.lives(node, now) {
            return None;
        }
        if let Some(owner) = self.owner(room, now) {
            return Some(owner);
        }
        self.entries.insert(room, node);
        Some(node)
    }

    fn release(&mut self, room: RoomId, node: NodeId) {
        if self.entries.get(&room) == Some(&node) {
            self.entries.remove(&room);
        }
    }

    fn pass(&mut self, room: RoomId, (from, to): (NodeId, NodeId), now: Duration) -> bool {
        let may = self.entries.get(&room) == Some(&from) && self.lives(to, now);
        if may {
            self.entries.insert(room, to);
        }
        may
    }
}

#[async_trait]
impl Leases for MemoryNode {
    async fn renew(&self, node: NodeId, ttl: Duration) -> Result<bool, LeaseError> {
        self.ask(|store, now| {
            let lived = store.lives(node, now);
            store.leases.insert(node, now + ttl);
            lived
        })
        .await
    }

    async fn resign(&self, node: NodeId) -> Result<(), LeaseError> {
        self.ask(|store, _| {
            store.leases.remove(&node);
        })
        .await
    }

    async fn claim(&self, room: RoomId, node: NodeId) -> Result<Option<NodeId>, LeaseError> {
        self.ask(|store, now| store.claim(room, node, now)).await
    }

    async fn owner(&self, room: RoomId) -> Result<Option<NodeId>, LeaseError> {
        self.ask(|store, now| store.owner(room, now)).await
    }

    async fn release(&self, room: RoomId, node: NodeId) -> Result<(), LeaseError> {
        self.ask(|store, _| store.release(room, node)).await
    }

    async fn pass(&self, room: RoomId, from: NodeId, to: NodeId) -> Result<bool, LeaseError> {
        self.ask(|store, now| store.pass(room, (from, to), now)).await
    }

    async fn nodes(&self) -> Result<Vec<NodeId>, LeaseError> {
        self.ask(|store, now| store.leases.iter().filter(|(_, end)| **end > now).map(|(node, _)| *node).collect()).await
    }
}
