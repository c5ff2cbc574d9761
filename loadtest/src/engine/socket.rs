//! One socket: small buffers, no delay, every byte counted.

use crate::wire::{Codec, client_id};
use anyhow::{Context as _, bail};
use std::cell::Cell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// How long opening a socket may take.
const OPEN_LIMIT: Duration = Duration::from_secs(60);
/// tungstenite fills its read buffer with zeros before every read, so a large one costs time with every frame.
const READ_BYTES: usize = 4 * 1024;
/// A client's receive window as it is when nobody reads; the kernel's choice would take megabytes before the server notices.
const SLOW_RECEIVE_BYTES: u32 = 64 * 1024;

pub(crate) type Socket = WebSocketStream<Metered>;

/// Bytes both ways, of all sockets of a thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    pub(crate) read: Rc<Cell<u64>>,
    pub(crate) written: Rc<Cell<u64>>,
}

/// A stream whose bytes are counted.
#[derive(Debug)]
pub(crate) struct Metered {
    stream: TcpStream,
    meter: Meter,
}

impl AsyncRead for Metered {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
        this.meter.read.set(this.meter.read.get() + (buf.filled().len() - before) as u64);
        polled
    }
}

impl AsyncWrite for Metered {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(written)) = &polled {
            this.meter.written.set(this.meter.written.get() + *written as u64);
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// Whether a socket could not be opened because no node is there any more: another one may be. Whatever else a node does is for the verdict.
pub(crate) fn nobody_listens(error: &anyhow::Error) -> bool {
    let refused = |cause: &io::Error| cause.kind() == io::ErrorKind::ConnectionRefused;
    error.chain().any(|cause| cause.downcast_ref().is_some_and(refused))
}

/// How to open a socket.
pub(crate) struct Opening<'a> {
    pub(crate) address: &'a str,
    pub(crate) source: Option<Ipv4Addr>,
    pub(crate) token: &'a str,
    pub(crate) run: u64,
    pub(crate) index: u32,
    pub(crate) codec: Codec,
    pub(crate) reads: bool,
}

impl Opening<'_> {
    /// Connects and does the handshake.
    pub(crate) async fn open(&self, meter: &Meter) -> anyhow::Result<Socket> {
        match tokio::time::timeout(OPEN_LIMIT, Box::pin(self.try_open(meter))).await {
            Ok(opened) => opened,
            Err(_) => bail!("no answer to the handshake within {OPEN_LIMIT:?}"),
        }
    }

    async fn try_open(&self, meter: &Meter) -> anyhow::Result<Socket> {
        let to: SocketAddr = match self.address.parse() {
            Ok(address) => address,
            Err(_) => tokio::net::lookup_host(self.address).await?.next().context("the host has no address")?,
        };
        let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(source) = self.source.filter(|_| to.is_ipv4()) {
            socket.bind(SocketAddr::new(IpAddr::V4(source), 0))?;
        }
        if !self.reads {
            socket.set_recv_buffer_size(SLOW_RECEIVE_BYTES)?;
        }
        let stream = socket.connect(to).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        let url = format!("ws://{}/api/v1/live?client={}", self.address, client_id(self.run, self.index));
        let mut request = url.into_client_request()?;
        request.headers_mut().insert("Authorization", format!("Bearer {}", self.token).parse()?);
        request.headers_mut().insert("Sec-WebSocket-Protocol", self.codec.subprotocol().parse()?);
        // Everything is written at once: a command is one system call.
        let config = WebSocketConfig::default().read_buffer_size(READ_BYTES).write_buffer_size(0);
        let metered = Metered { stream, meter: meter.clone() };
        let (socket, _) = client_async_with_config(request, metered, Some(config)).await.context("the server refused the socket")?;
        Ok(socket)
    }
}
