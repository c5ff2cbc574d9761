//! Clients that never read, and yet come back whenever they are closed, until everybody is to read.

use super::shard::Shard;
use futures_util::{FutureExt, SinkExt};
use std::time::Duration;
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::{Bytes, Message};

/// Between two signs of life. What the server says is not read, so that it closed shows in what is written: the kernel answers with a reset.
const SIGN: Duration = Duration::from_secs(1);

impl Shard {
    /// Those who never read do so from now on.
    pub(crate) fn wake_slow(&self) {
        self.everybody_reads.set(true);
        self.wake_slow.notify_waiters();
    }

    /// Reads nothing until everybody is to read, which is true, or the server has given the socket up.
    pub(super) async fn never_reads(&self, slot: u32) -> bool {
        while !self.everybody_reads.get() {
            tokio::select! {
                () = self.wake_slow.notified() => {}
                () = sleep(SIGN) => if !self.gives_a_sign(slot) {
                    return false;
                },
            }
        }
        true
    }

    /// Sends a pong that nobody asked for (RFC 6455, 5.5.3), to which there is no answer; whether the socket is still there.
    fn gives_a_sign(&self, slot: u32) -> bool {
        let mut member = self.members[slot as usize].borrow_mut();
        let Some(socket) = &mut member.socket else { return false };
        !matches!(socket.send(Message::Pong(Bytes::new())).now_or_never(), Some(Err(_)))
    }
}
