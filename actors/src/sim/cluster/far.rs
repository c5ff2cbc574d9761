//! A node's way to a service on another machine: what was asked is done there even when the node stands still or dies meanwhile.

use crate::cluster::{LeaseError, Leases};
use crate::testing::MemoryNode;
use async_trait::async_trait;
use std::time::Duration;
use tokio::runtime::Handle;
use tripsync_domain::{NodeId, RoomId};

/// The machine that the services run on.
#[derive(Clone)]
pub(super) struct Services(pub(super) Handle);

impl Services {
    /// Has something done there; whoever does not wait for the answer does not stop it.
    pub(super) async fn ask<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        self.0.spawn(work).await.ok()
    }
}

/// The place of leases.
pub(super) struct FarLeases {
    pub(super) services: Services,
    pub(super) node: MemoryNode,
}

impl FarLeases {
    async fn ask<T, F>(&self, work: impl FnOnce(MemoryNode) -> F) -> Result<T, LeaseError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, LeaseError>> + Send + 'static,
    {
        let asked = self.services.ask(work(self.node.clone())).await;
        asked.unwrap_or_else(|| Err(LeaseError("the place of leases is gone".into())))
    }
}

#[async_trait]
impl Leases for FarLeases {
    async fn renew(&self, node: NodeId, ttl: Duration) -> Result<bool, LeaseError> {
        self.ask(|leases| async move { leases.renew(node, ttl).await }).await
    }

    async fn resign(&self, node: NodeId) -> Result<(), LeaseError> {
        self.ask(|leases| async move { leases.resign(node).await }).await
    }

    async fn claim(&self, room: RoomId, node: NodeId) -> Result<Option<NodeId>, LeaseError> {
        self.ask(|leases| async move { leases.claim(room, node).await }).await
    }

    async fn owner(&self, room: RoomId) -> Result<Option<NodeId>, LeaseError> {
        self.ask(|leases| async move { leases.owner(room).await }).await
    }

    async fn release(&self, room: RoomId, node: NodeId) -> Result<(), LeaseError> {
        self.ask(|leases| async move { leases.release(room, node).await }).await
    }

    async fn pass(&self, room: RoomId, from: NodeId, to: NodeId) -> Result<bool, LeaseError> {
        self.ask(|leases| async move { leases.pass(room, from, to).await }).await
    }

    async fn nodes(&self) -> Result<Vec<NodeId>, LeaseError> {
        self.ask(|leases| async move { leases.nodes().await }).await
    }
}
