//! The cluster's ports on Redis: who owns which room ([`RedisLeases`]), and messages between nodes ([`RedisBus`]).
//!
//! Owns: the connections to Redis ([`link`]: they come back by themselves, and while one is away its calls fail at once), the scripts, and
//! the seal on what nodes tell each other. Promises: every call ends within `cluster.call_timeout`, whatever Redis does; what is received
//! was sealed with `cluster.secret` for this node; what waits to be received is bounded. Deliberately does not promise safety: that is the
//! journal's epoch ([ADR 3](../../docs/adr/0003-epoch-fence.md), [ADR 14](../../docs/adr/0014-leases.md)).
//!
//! One Redis (6 or newer, or what speaks its protocol), alone or with replicas that take over under the same address. Redis Cluster is not
//! supported: the keys of one script would have to share a slot, and every message would be carried to all of its nodes.

mod bus;
mod entries;
mod fault;
mod inbox;
mod leases;
mod link;
mod scripts;
mod seal;

pub use bus::RedisBus;
pub use entries::TTL as ENTRY_TTL;
pub use fault::Fault;
pub use leases::RedisLeases;

use crate::config::{Config, Secret};
use std::sync::Arc;
use std::time::Duration;
use tripsync_actors::ClusterPorts;
use tripsync_domain::NodeId;

/// How to reach Redis, and what to put there.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// `redis://` or `rediss://`, with user and password if there are any.
    pub url: Secret,
    /// What messages between nodes are sealed with.
    pub secret: Secret,
    /// What keys and channels begin with: one per cluster on the same Redis.
    pub prefix: String,
    /// A call that takes longer has failed.
    pub call_timeout: Duration,
    /// Life of a room's entry that is not renewed ([`ENTRY_TTL`]); a living owner renews its own in time.
    pub entry_ttl: Duration,
    /// Messages that may wait to be received; further ones are dropped.
    pub inbox_max: usize,
    /// Bytes that may wait to be received, likewise.
    pub inbox_bytes_max: usize,
}

/// The cluster's ports as configured; `None` without `cluster.redis_url`, which means a single node.
///
/// Waits for the connections for as long as one call may take, so that a node usually hears everything from its first message on. A Redis
/// that is away is no reason not to start: what depends on it fails until it is there.
///
/// # Errors
/// [`Fault::Url`].
pub async fn connect(config: &Config, node: NodeId) -> Result<Option<ClusterPorts>, Fault> {
    let Some(options) = config.cluster.redis_options() else {
        return Ok(None);
    };
    let leases = RedisLeases::new(&options)?;
    let bus = RedisBus::new(&options, node)?;
    // A limit was reached or not: both are fine.
    let _ = tokio::time::timeout(options.call_timeout, async { tokio::join!(leases.ready(), bus.ready()) }).await;
    Ok(Some(ClusterPorts { node, leases: Arc::new(leases), bus: Arc::new(bus), config: config.cluster.engine_config() }))
}
