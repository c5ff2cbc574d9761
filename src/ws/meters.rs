//! What is counted about sockets. The number of sockets itself is the hub's (`tripsync_sockets`).

use metrics::{Counter, counter};

/// Handles looked up once, because frames are counted often.
pub(crate) struct Meters {
    pub(crate) messages_in: Counter,
    pub(crate) frames_out: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) full: Counter,
}

impl Meters {
    /// Make them after the recorder is installed.
    pub(crate) fn new() -> Self {
        Self {
            messages_in: counter!("tripsync_socket_messages_in_total"),
            frames_out: counter!("tripsync_socket_frames_out_total"),
            bytes_out: counter!("tripsync_socket_bytes_out_total"),
            full: counter!("tripsync_socket_full_total"),
        }
    }
}

/// A socket has ended; `code` is the close code that was sent or received, 0 for none.
pub(crate) fn closed(code: u16) {
    counter!("tripsync_socket_closed_total", "code" => code.to_string()).increment(1);
}
