//! The cluster's bounds and times.

use std::time::Duration;

/// The cluster's bounds and times; `Default` is what the documentation promises.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// How long a node's lease lives without being renewed (default 1 s): how long a dead node's rooms stay with it.
    pub lease_ttl: Duration,
    /// How often it is renewed (default 250 ms).
    pub renew_every: Duration,
    /// How long before its end a lease is not relied on any more (default 250 ms), for clocks that run at different speeds.
    pub lease_margin: Duration,
    /// How often a node says that it lives, and each end of a relay how much it has sent lately (default 250 ms), so that a lost last message
    /// is noticed.
    pub beat_every: Duration,
    /// Relays to and from a node that says nothing for this long (default 1 s) are given up; their sessions look for the room again.
    pub silence_max: Duration,
    /// A relay without sessions and calls ends after this long (default 10 s).
    pub relay_idle_after: Duration,
    /// Messages that may wait for one node (default 16,384); beyond it the relay whose message found no room is given up.
    pub queue_max: usize,
    /// Bytes that may wait for one node (default 32 MiB), likewise.
    pub queue_bytes_max: usize,
    /// Bytes that are sent in one message of the bus, unless a single one is longer (default 256 KiB).
    pub batch_bytes_max: usize,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            lease_ttl: Duration::from_secs(1),
            renew_every: Duration::from_millis(250),
            lease_margin: Duration::from_millis(250),
            beat_every: Duration::from_millis(250),
            silence_max: Duration::from_secs(1),
            relay_idle_after: Duration::from_secs(10),
            queue_max: 16_384,
            queue_bytes_max: 32 * 1024 * 1024,
            batch_bytes_max: 256 * 1024,
        }
    }
}
