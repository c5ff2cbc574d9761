//! What can go wrong with Redis.

use redis::RedisError;
use std::time::Duration;
use thiserror::Error;

/// Why Redis did not do what was asked. No text has a password in it.
#[derive(Debug, Error)]
pub enum Fault {
    /// The address cannot be used.
    #[error("cluster.redis_url cannot be used")]
    Url(#[source] RedisError),
    /// No connection at present; one is being looked for.
    #[error("there is no connection to Redis (cluster.redis_url)")]
    Away,
    /// It did not answer in time. Whether it will do, or has done, what was asked is not known.
    #[error("Redis did not answer within {0:?} (cluster.call_timeout)")]
    Silent(Duration),
    /// It refused, or the connection broke.
    #[error("Redis failed")]
    Redis(#[source] RedisError),
    /// It is a replica, perhaps since a moment ago; the address is looked up anew.
    #[error("this Redis is a replica, which nothing can be written to: cluster.redis_url must lead to the primary")]
    Replica,
    /// Something else writes there.
    #[error("the key {0} in Redis holds what this program did not write: give the cluster a cluster.prefix of its own")]
    Foreign(String),
}

impl Fault {
    /// Whether the connection may be gone, so that it is worth a look.
    pub(super) fn is_doubtful(&self) -> bool {
        match self {
            Self::Silent(_) => true,
            Self::Redis(error) => error.is_io_error() || error.is_unrecoverable_error(),
            Self::Url(_) | Self::Away | Self::Replica | Self::Foreign(_) => false,
        }
    }

    /// Whether it came from a server that does not write.
    pub(super) fn is_of_a_replica(&self) -> bool {
        matches!(self, Self::Redis(error) if error.code() == Some("READONLY"))
    }
}
