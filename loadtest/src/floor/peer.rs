//! The sending half of a member's socket.

use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use socket2::SockRef;
use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice};
use std::net::Shutdown;
use std::sync::Arc;
use tokio::net::tcp::OwnedWriteHalf;
use uuid::Uuid;

/// Bytes that may wait for a slow reader; the real server's default.
pub(super) const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// A socket that can be written to by whoever has something for it.
pub(super) struct Peer {
    /// As the client named itself.
    pub(super) client: Uuid,
    half: OwnedWriteHalf,
    waiting: Mutex<Waiting>,
}

/// What the socket did not take at once, in order.
#[derive(Default)]
struct Waiting {
    parts: VecDeque<Bytes>,
    bytes: usize,
    gone: bool,
}

impl Peer {
    pub(super) fn new(client: Uuid, half: OwnedWriteHalf) -> Self {
        Self { client, half, waiting: Mutex::default() }
    }

    /// Writes at once what the socket takes (at most two parts in one call); the rest waits.
    pub(super) fn send(self: &Arc<Self>, parts: &[Bytes]) {
        let mut waiting = self.waiting.lock();
        if waiting.gone {
            return;
        }
        let idle = waiting.parts.is_empty();
        let written = if idle { self.write(&mut waiting, parts) } else { 0 };
        waiting.push(parts, written);
        if waiting.bytes > WAITING_BYTES_MAX {
            self.drop_out(&mut waiting);
        } else if idle && !waiting.parts.is_empty() {
            let peer = Arc::clone(self);
            tokio::spawn(async move { peer.drain().await });
        }
    }

    /// Ends the socket: its reader sees the end of it.
    pub(super) fn close(&self) {
        self.drop_out(&mut self.waiting.lock());
    }

    /// Bytes that the socket took.
    fn write(&self, waiting: &mut Waiting, parts: &[Bytes]) -> usize {
        let result = match parts {
            [one] => self.half.try_write(one),
            [first, second, ..] => self.half.try_write_vectored(&[IoSlice::new(first), IoSlice::new(second)]),
            [] => return 0,
        };
        match result {
            Ok(written) => written,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => 0,
            Err(_) => {
                waiting.gone = true;
                0
            }
        }
    }

    fn drop_out(&self, waiting: &mut Waiting) {
        *waiting = Waiting { gone: true, ..Waiting::default() };
        // Fails only when it is closed already.
        let _ = SockRef::from(self.half.as_ref()).shutdown(Shutdown::Both);
    }

    /// Writes what waits until nothing does.
    async fn drain(&self) {
        while self.half.writable().await.is_ok() {
            let mut waiting = self.waiting.lock();
            while let Some(part) = waiting.parts.front() {
                match self.half.try_write(part) {
                    Ok(written) => waiting.advance(written),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(_) => return self.drop_out(&mut waiting),
                }
            }
            if waiting.parts.is_empty() {
                return;
            }
        }
    }
}

impl Waiting {
    /// Queues what comes after the first `written` bytes.
    fn push(&mut self, parts: &[Bytes], mut written: usize) {
        if self.gone {
            return;
        }
        for part in parts {
            let skipped = written.min(part.len());
            written -= skipped;
            if skipped < part.len() {
                self.bytes += part.len() - skipped;
                self.parts.push_back(part.slice(skipped..));
            }
        }
    }

    fn advance(&mut self, written: usize) {
        self.bytes -= written;
        if let Some(part) = self.parts.front_mut() {
            part.advance(written);
            if part.is_empty() {
                self.parts.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpSocket};
    use tokio::time::timeout;

    #[tokio::test]
    async fn what_waits_comes_later_whole_and_in_order() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let mut reader = socket.connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        SockRef::from(&stream).set_send_buffer_size(4_096).unwrap();
        let peer = Arc::new(Peer::new(Uuid::nil(), stream.into_split().1));
        peer.half.writable().await.unwrap();
        let parts: Vec<Bytes> = (0..=250_u8).map(|n| Bytes::from(vec![n; 1_777])).collect();
        for pair in parts.chunks(2) {
            peer.send(pair);
        }
        assert!(peer.waiting.lock().bytes > 100_000, "the socket did not take everything at once");
        let mut got = vec![0; parts.len() * 1_777];
        timeout(Duration::from_secs(20), reader.read_exact(&mut got)).await.unwrap().unwrap();
        assert!(got == parts.concat());
        let waiting = peer.waiting.lock();
        assert_eq!((waiting.bytes, waiting.parts.len()), (0, 0));
    }
}
