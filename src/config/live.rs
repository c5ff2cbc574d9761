//! `[live]`: rooms, and what one socket may do.

use super::value;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tripsync_actors::session::SessionLimits;

/// `[live]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LiveConfig {
    /// How long a room without sockets stays in memory.
    #[serde(with = "value::span")]
    pub idle_after: Duration,
    /// Events between two snapshots of a room.
    pub snapshot_every: u64,
    /// How long somebody whose socket dropped stays present.
    #[serde(with = "value::span")]
    pub presence_grace: Duration,
    /// Sessions on their way into rooms at once.
    pub joins_at_once: u32,
    /// Largest message from a client, in bytes.
    pub frame_bytes_max: u32,
    /// Commands per second.
    pub commands_per_s: u32,
    /// Commands at once.
    pub commands_burst: u32,
    /// Unanswered commands.
    pub commands_in_flight_max: u32,
    /// Presence updates per second.
    pub presence_per_s: u32,
    /// Rooms per socket.
    pub rooms_per_socket_max: u32,
    /// Sockets per user.
    pub sockets_per_user_max: u32,
    /// Bytes that may wait for a slow reader.
    pub outbound_bytes_max: u32,
    /// Silence before a ping.
    #[serde(with = "value::span")]
    pub heartbeat: Duration,
    /// Silence before the end.
    #[serde(with = "value::span")]
    pub heartbeat_timeout: Duration,
    /// How long a client that takes nothing is kept.
    #[serde(with = "value::span")]
    pub slow_timeout: Duration,
    /// Messages per second that are read.
    pub messages_per_s: u32,
    /// Messages per minute that may be nonsense.
    pub errors_per_min: u32,
}

impl LiveConfig {
    /// What a session may do.
    #[must_use]
    pub fn session_limits(&self) -> SessionLimits {
        SessionLimits {
            frame_bytes_max: self.frame_bytes_max,
            commands_per_s: self.commands_per_s,
            commands_burst: self.commands_burst,
            commands_in_flight_max: self.commands_in_flight_max,
            presence_per_s: self.presence_per_s,
            rooms_per_socket_max: self.rooms_per_socket_max,
            sockets_per_user_max: self.sockets_per_user_max,
            outbound_bytes_max: self.outbound_bytes_max,
            heartbeat: self.heartbeat,
            heartbeat_timeout: self.heartbeat_timeout,
            drain_timeout: self.slow_timeout,
            messages_per_s: self.messages_per_s,
            errors_per_min: self.errors_per_min,
            ..SessionLimits::default()
        }
    }

    /// What does not hold together.
    pub(super) fn findings(&self) -> Vec<String> {
        let counts = [
            ("joins_at_once", self.joins_at_once),
            ("commands_per_s", self.commands_per_s),
            ("commands_burst", self.commands_burst),
            ("commands_in_flight_max", self.commands_in_flight_max),
            ("presence_per_s", self.presence_per_s),
            ("rooms_per_socket_max", self.rooms_per_socket_max),
            ("sockets_per_user_max", self.sockets_per_user_max),
            ("messages_per_s", self.messages_per_s),
            ("errors_per_min", self.errors_per_min),
        ];
        let mut out: Vec<_> = counts
            .into_iter()
            .filter(|(_, count)| !(1..=1_000_000).contains(count))
            .map(|(key, _)| format!("live.{key} must be between 1 and 1000000"))
            .collect();
        let mut must = |holds: bool, sentence: &str| {
            if !holds {
                out.push(sentence.to_owned());
            }
        };
        must((1_024..=16 << 20).contains(&self.frame_bytes_max), "live.frame_bytes_max must be between 1024 and 16777216");
        must((16_384..=256 << 20).contains(&self.outbound_bytes_max), "live.outbound_bytes_max must be between 16384 and 268435456");
        must(self.snapshot_every > 0, "live.snapshot_every must be at least 1");
        let tenth = Duration::from_millis(100);
        must(
            self.heartbeat >= tenth && self.heartbeat < self.heartbeat_timeout,
            "live.heartbeat must be at least 100ms, and shorter than live.heartbeat_timeout",
        );
        must(self.slow_timeout >= tenth, "live.slow_timeout must be at least 100ms");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    #[test]
    fn the_defaults_are_what_the_protocol_promises() {
        let loaded = Sources::default().load().unwrap();
        assert_eq!(loaded.config.live.session_limits(), SessionLimits::default());
        let at_once = tripsync_actors::EngineConfig::default().joins_at_once;
        assert_eq!(usize::try_from(loaded.config.live.joins_at_once), Ok(at_once));
    }

    #[test]
    fn what_does_not_hold_together_is_named() {
        let mut live = Sources::default().load().unwrap().config.live;
        live.heartbeat_timeout = live.heartbeat;
        live.commands_per_s = 0;
        let findings = live.findings();
        assert_eq!(findings.len(), 2, "{findings:?}");
    }
}
