//! A client that does what a real one does: one socket, MessagePack, commands under numbers.

use crate::server::Account;
use anyhow::{Context, bail, ensure};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};
use uuid::Uuid;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How long the server may say nothing to one who waits for it.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Messages without an answer when many are said.
const WINDOW: u64 = 100;

/// A joined socket.
pub(crate) struct Client {
    pub(crate) room: String,
    sink: SplitSink<Socket, Message>,
    stream: Incoming,
}

/// The reading half; checks that no event is missing or comes twice.
struct Incoming {
    frames: SplitStream<Socket>,
    /// The last seq that came.
    at: u64,
}

/// What measuring needs of a frame.
#[derive(Deserialize)]
pub(crate) struct Frame {
    pub(crate) t: String,
    #[serde(default)]
    pub(crate) n: Option<u64>,
    #[serde(default)]
    pub(crate) code: Option<String>,
    #[serde(default)]
    from: Option<u64>,
    #[serde(default)]
    seq: Option<u64>,
    #[serde(default)]
    pub(crate) events: Vec<IgnoredAny>,
}

impl Client {
    /// Connects and joins; returns when the `joined` frame is there.
    pub(crate) async fn join(address: &str, account: &Account, room: &str) -> anyhow::Result<Self> {
        let url = format!("ws://{address}/api/v1/live?client={}", Uuid::new_v4());
        let mut request = url.into_client_request()?;
        request.headers_mut().insert("Authorization", format!("Bearer {}", account.token).parse()?);
        request.headers_mut().insert("Sec-WebSocket-Protocol", "tripsync.v1.msgpack".parse()?);
        let config = WebSocketConfig::default().read_buffer_size(8 * 1024).write_buffer_size(0);
        let (socket, _) = connect_async_with_config(request, Some(config), true).await.context("cannot connect")?;
        let (sink, stream) = socket.split();
        let mut client = Self { room: room.to_owned(), sink, stream: Incoming { frames: stream, at: 0 } };
        client.send(&json!({"t": "join", "room": room})).await?;
        client.stream.until(|frame| frame.t == "joined").await?;
        Ok(client)
    }

    /// Sends a frame.
    pub(crate) async fn send(&mut self, frame: &Value) -> anyhow::Result<()> {
        let bytes = rmp_serde::to_vec_named(frame)?;
        Ok(self.sink.send(Message::Binary(Bytes::from(bytes))).await?)
    }

    /// Sends a chat message of about 100 bytes as command `n`.
    pub(crate) async fn say(&mut self, n: u64) -> anyhow::Result<()> {
        let body = format!("{n:08} shall we take the early train and have breakfast in the old town instead, what do you think");
        let frame = json!({"t": "op", "room": self.room, "n": n, "cmd": {"type": "send_message", "body": body}});
        self.send(&frame).await
    }

    /// Says so much, until all of it is acknowledged.
    pub(crate) async fn say_many(&mut self, messages: u32) -> anyhow::Result<()> {
        let (mut sent, mut answered, messages) = (0, 0, u64::from(messages));
        while answered < messages {
            while sent < messages && sent - answered < WINDOW {
                sent += 1;
                self.say(sent).await?;
            }
            let frame = self.next().await?;
            ensure!(frame.t != "rejected", "a message was rejected: {:?}", frame.code);
            answered += u64::from(frame.t == "ack");
        }
        Ok(())
    }

    /// The next frame.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Frame> {
        self.stream.next().await
    }

    /// Waits for the answer to a command.
    pub(crate) async fn answered(&mut self, n: u64) -> anyhow::Result<()> {
        let frame = self.stream.until(|frame| frame.n == Some(n) && frame.t != "events").await?;
        if frame.t != "ack" {
            bail!("command {n}: {} {}", frame.t, frame.code.unwrap_or_default());
        }
        Ok(())
    }
}

impl Incoming {
    async fn next(&mut self) -> anyhow::Result<Frame> {
        let frame = self.read().await?;
        match (frame.t.as_str(), frame.from, frame.seq) {
            ("joined", _, Some(seq)) => self.at = seq,
            ("events", Some(from), _) => {
                ensure!(from == self.at + 1, "event {from} came after {}", self.at);
                self.at += frame.events.len() as u64;
            }
            _ => {}
        }
        Ok(frame)
    }

    async fn read(&mut self) -> anyhow::Result<Frame> {
        loop {
            let heard = timeout(SILENCE_MAX, self.frames.next()).await;
            match heard
                .with_context(|| format!("the server said nothing for {SILENCE_MAX:?}"))?
                .context("the server closed the socket")??
            {
                Message::Binary(bytes) => return Ok(rmp_serde::from_slice(&bytes)?),
                Message::Close(frame) => bail!("closed: {frame:?}"),
                Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    async fn until(&mut self, which: impl Fn(&Frame) -> bool) -> anyhow::Result<Frame> {
        loop {
            let frame = self.next().await?;
            if frame.t == "bye" || frame.t == "left" || frame.t == "error" {
                bail!("{}: {}", frame.t, frame.code.unwrap_or_default());
            }
            if which(&frame) {
                return Ok(frame);
            }
        }
    }
}
