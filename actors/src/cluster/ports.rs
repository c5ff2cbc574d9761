//! What several nodes need of the world: a place where they find each other's rooms, and a way to talk. Implemented at the edge (Redis)
//! and in memory for simulations.
//!
//! Neither is trusted with safety. Who may write is decided by the journal (a room's epoch, checked by the statement that appends); a lease
//! that is lost, doubled or falls back costs time, never an event.

use async_trait::async_trait;
use bytes::Bytes;
use std::time::Duration;
use thiserror::Error;
use tripsync_domain::{NodeId, RoomId};

/// Who is alive, and who owns which room.
///
/// A node has one lease, which it renews; a room's entry names a node and counts only while that node's lease lives.
#[async_trait]
pub trait Leases: Send + Sync + 'static {
    /// Makes the node's lease live for `ttl` from now. `false`: there was none that lived, so that others may have claimed its rooms in
    /// between, or this is the first.
    ///
    /// # Errors
    /// [`LeaseError`]: whether it was renewed is not known.
    async fn renew(&self, node: NodeId, ttl: Duration) -> Result<bool, LeaseError>;

    /// Ends the node's lease; its entries do not count any more from now on.
    ///
    /// # Errors
    /// [`LeaseError`]; it runs out by itself then.
    async fn resign(&self, node: NodeId) -> Result<(), LeaseError>;

    /// Enters `node` as the room's owner unless another one with a living lease is entered already, in one step; says who is the owner
    /// now. `None`: `node` has no living lease itself, so nothing was changed.
    ///
    /// # Errors
    /// [`LeaseError`]: whether it is entered is not known.
    async fn claim(&self, room: RoomId, node: NodeId) -> Result<Option<NodeId>, LeaseError>;

    /// The room's owner whose lease lives.
    ///
    /// # Errors
    /// [`LeaseError`].
    async fn owner(&self, room: RoomId) -> Result<Option<NodeId>, LeaseError>;

    /// Takes the room's entry out if it names `node`.
    ///
    /// # Errors
    /// [`LeaseError`]; others wait for the end of the node's lease then.
    async fn release(&self, room: RoomId, node: NodeId) -> Result<(), LeaseError>;

    /// Enters `to` as the owner instead of `from`, in one step; `false` when the entry did not name `from`, or `to` does not live.
    ///
    /// # Errors
    /// [`LeaseError`]: whether it was passed on is not known.
    async fn pass(&self, room: RoomId, from: NodeId, to: NodeId) -> Result<bool, LeaseError>;

    /// Nodes whose leases live, in any order.
    ///
    /// # Errors
    /// [`LeaseError`].
    async fn nodes(&self) -> Result<Vec<NodeId>, LeaseError>;
}

/// Carries messages between nodes.
///
/// Messages may be lost, doubled, late and out of order; whoever uses it finds that out. What arrives was sent by a node of this cluster:
/// an implementation drops everything that it cannot tell to be.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Sends to one node. `Ok` does not mean that it arrived.
    ///
    /// # Errors
    /// [`BusError`]: it was not sent, as far as is known.
    async fn send(&self, to: NodeId, message: Bytes) -> Result<(), BusError>;

    /// Sends to every other node.
    ///
    /// # Errors
    /// As [`Self::send`].
    async fn send_all(&self, message: Bytes) -> Result<(), BusError>;

    /// The next message to this node. May be dropped while it waits; nothing is lost by that. Called by one task. `None`: there will be
    /// no more.
    async fn receive(&self) -> Option<Bytes>;
}

/// The place of leases cannot answer.
#[derive(Debug, Error)]
#[error("the lease store is not available")]
pub struct LeaseError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// A message could not be sent.
#[derive(Debug, Error)]
#[error("the bus is not available")]
pub struct BusError(#[source] pub Box<dyn std::error::Error + Send + Sync>);
