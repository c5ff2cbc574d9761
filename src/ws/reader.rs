//! The receiving half of a socket: bytes into messages.
//!
//! tungstenite reads frames, unmasks, joins fragments and checks the protocol; what it answers by itself (pongs, the answer to a
//! close) goes into the [`Outbox`]. It is driven through its synchronous face with the task's waker at hand, so that no lock and no
//! second buffer stands between socket and parser.

use super::outbox::Outbox;
use bytes::Bytes;
use std::future::poll_fn;
use std::io::{self, ErrorKind, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::net::tcp::OwnedReadHalf;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// Bytes read at once; allocated per socket. From: the 128 KiB that tungstenite takes unless told are 16 times what all else costs.
const READ_BUFFER_BYTES: usize = 4 * 1024;

pub(crate) struct Reader(WebSocket<Duplex>);

struct Duplex {
    half: OwnedReadHalf,
    outbox: Arc<Outbox>,
    waker: Waker,
}

impl Reader {
    /// A reader that starts with what came along with the handshake.
    pub(crate) fn new(half: OwnedReadHalf, early: &[u8], outbox: Arc<Outbox>, message_bytes_max: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            // Only control frames pass here, of at most 131 bytes each, and the outbox takes every write whole.
            .max_write_buffer_size(1024)
            .max_message_size(Some(message_bytes_max))
            .max_frame_size(Some(message_bytes_max));
        let duplex = Duplex { half, outbox, waker: Waker::noop().clone() };
        Self(WebSocket::from_partially_read(duplex, early.to_vec(), Role::Server, Some(config)))
    }

    /// The next message. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> Result<Message, Error> {
        poll_fn(|cx| {
            let duplex = self.0.get_mut();
            if !duplex.waker.will_wake(cx.waker()) {
                duplex.waker.clone_from(cx.waker());
            }
            match self.0.read() {
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
                result => Poll::Ready(result),
            }
        })
        .await
    }

    /// Reads and forgets until the client has closed too.
    pub(crate) async fn discard(&mut self) {
        let mut buffer = [0; 512];
        let half = &mut self.0.get_mut().half;
        while let Ok(1..) = half.read(&mut buffer).await {}
    }
}

impl Read for Duplex {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        match Pin::new(&mut self.half).poll_read(&mut Context::from_waker(&self.waker), &mut buffer) {
            Poll::Ready(Ok(())) => Ok(buffer.filled().len()),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Duplex {
    fn write(&mut self, frames: &[u8]) -> io::Result<usize> {
        self.outbox.control_frame(Bytes::copy_from_slice(frames));
        Ok(frames.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
