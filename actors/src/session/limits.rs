//! What one session may do.

use std::time::Duration;
use tripsync_domain::protocol::Limits;

/// What one session may do, and when it is given up; `Default` is what `docs/PROTOCOL.md` promises. Sent to clients in `welcome`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// Largest message from a client, in bytes (default 64 KiB).
    pub frame_bytes_max: u32,
    /// Commands per second, sustained (default 50).
    pub commands_per_s: u32,
    /// Commands that may come at once (default 100).
    pub commands_burst: u32,
    /// Commands that may be unanswered at once, over all rooms of the socket (default 256).
    pub commands_in_flight_max: u32,
    /// Presence updates per second (default 30); faster ones are merged, the newest wins.
    pub presence_per_s: u32,
    /// Rooms per socket (default 32).
    pub rooms_per_socket_max: u32,
    /// Sockets per user (default 20).
    pub sockets_per_user_max: u32,
    /// Bytes that may wait for a slow reader (default 1 MiB); beyond it the reader gets one resync per room instead of a queue.
    pub outbound_bytes_max: u32,
    /// How long after the last sign of life the server pings (default 25 s).
    pub heartbeat: Duration,
    /// Silence after which the server closes (default 60 s).
    pub heartbeat_timeout: Duration,
    /// How long a socket that takes nothing is kept while something waits for it (default 30 s).
    pub drain_timeout: Duration,
    /// How long a room, a user look-up or a token check may take before the answer is `retry` (default 10 s). Bounds what one
    /// hanging room can hold back, which is only its own commands.
    pub wait: Duration,
    /// Frames that could not be understood, per minute, before the socket is closed (default 20).
    pub errors_per_min: u32,
    /// Messages of any sort per second that are read (default 320, eight seconds' worth at once). Beyond that the socket is not read
    /// until there is room again: the sender is slowed down by TCP rather than punished.
    pub messages_per_s: u32,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            frame_bytes_max: 64 * 1024,
            commands_per_s: 50,
            commands_burst: 100,
            commands_in_flight_max: 256,
            presence_per_s: 30,
            rooms_per_socket_max: 32,
            sockets_per_user_max: 20,
            outbound_bytes_max: 1024 * 1024,
            heartbeat: Duration::from_secs(25),
            heartbeat_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(30),
            wait: Duration::from_secs(10),
            errors_per_min: 20,
            messages_per_s: 320,
        }
    }
}

impl SessionLimits {
    /// As clients are told.
    #[must_use]
    pub fn told(&self) -> Limits {
        Limits {
            frame_bytes_max: self.frame_bytes_max,
            commands_per_s: self.commands_per_s,
            commands_burst: self.commands_burst,
            commands_in_flight_max: self.commands_in_flight_max,
            presence_per_s: self.presence_per_s,
            rooms_per_socket_max: self.rooms_per_socket_max,
            sockets_per_user_max: self.sockets_per_user_max,
            outbound_bytes_max: self.outbound_bytes_max,
            heartbeat_ms: ms(self.heartbeat),
            heartbeat_timeout_ms: ms(self.heartbeat_timeout),
        }
    }
}

fn ms(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
