//! A WebSocket to the server, with frames as JSON values in either codec and nothing done by itself.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Request};
use tokio_tungstenite::tungstenite::{Error, Message};
use tripsync_domain::protocol::{Codec, to_json};
use uuid::Uuid;

/// How long anything that must come may take on a machine that is busy with other tests.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

/// How to open a socket.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    pub(super) address: SocketAddr,
    pub(super) codec: Codec,
    /// Access token, sent as `Authorization`.
    pub(super) token: String,
    pub(super) client: Option<Uuid>,
}

/// An open socket.
#[derive(Debug)]
pub(super) struct Socket {
    stream: WebSocketStream<TcpStream>,
    codec: Codec,
}

/// What came.
#[derive(Debug)]
pub(super) enum Heard {
    Frame(Value),
    /// The socket is closed, with a close code if the server sent one.
    Closed(Option<u16>),
}

impl Socket {
    /// # Errors
    /// The HTTP status of the refusal, or why there was no answer.
    pub(super) async fn open(opening: &Opening) -> Result<Self, String> {
        Self::upgrade(opening.address, Self::request(opening), opening.codec).await
    }

    /// Opens one with a ticket and nothing else, in JSON.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(super) async fn open_with_ticket(address: SocketAddr, ticket: &str) -> Result<Self, String> {
        let mut request = format!("ws://{address}/api/v1/live?ticket={ticket}").into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(Codec::Json.subprotocol()));
        Self::upgrade(address, request, Codec::Json).await
    }

    async fn upgrade(address: SocketAddr, request: Request<()>, codec: Codec) -> Result<Self, String> {
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        let handshake = tokio_tungstenite::client_async(request, stream);
        match tokio::time::timeout(LIMIT, handshake).await {
            Ok(Ok((stream, _))) => Ok(Self { stream, codec }),
            Ok(Err(Error::Http(response))) => Err(response.status().as_u16().to_string()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no answer to the handshake".to_owned()),
        }
    }

    fn request(opening: &Opening) -> Request<()> {
        let query = opening.client.map(|client| format!("?client={client}")).unwrap_or_default();
        let mut request = format!("ws://{}/api/v1/live{query}", opening.address).into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", HeaderValue::from_static(opening.codec.subprotocol()));
        headers.insert("authorization", format!("Bearer {}", opening.token).parse().unwrap());
        request
    }

    /// Sends a frame; a socket that is closed says so in [`Self::next`].
    pub(super) async fn send(&mut self, frame: &Value) {
        self.send_message(match self.codec {
            Codec::Json => Message::text(frame.to_string()),
            Codec::MessagePack => Message::binary(rmp_serde::to_vec_named(frame).unwrap()),
        })
        .await;
    }

    /// Sends bytes as they are, as a message of the codec's sort.
    pub(super) async fn send_bytes(&mut self, bytes: &[u8]) {
        let message = match self.codec {
            Codec::Json => Message::text(std::str::from_utf8(bytes).unwrap()),
            Codec::MessagePack => Message::binary(bytes.to_vec()),
        };
        self.send_message(message).await;
    }

    pub(super) async fn send_message(&mut self, message: Message) {
        let _ = self.stream.send(message).await;
    }

    /// The next frame. Can be dropped while it waits.
    pub(super) async fn next(&mut self) -> Heard {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Text(text))) => {
                    assert_eq!(self.codec, Codec::Json, "a text message on a MessagePack socket");
                    return Heard::Frame(serde_json::from_str(&text).unwrap());
                }
                Some(Ok(Message::Binary(bytes))) => {
                    assert_eq!(self.codec, Codec::MessagePack, "a binary message on a JSON socket");
                    return Heard::Frame(serde_json::from_slice(&to_json(&bytes).unwrap()).unwrap());
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Close(close))) => return Heard::Closed(close.map(|close| close.code.into())),
                Some(Err(_)) | None => return Heard::Closed(None),
            }
        }
    }

    /// The next frame.
    ///
    /// # Panics
    /// The socket closes or nothing comes.
    pub(super) async fn frame(&mut self) -> Value {
        match tokio::time::timeout(LIMIT, self.next()).await {
            Ok(Heard::Frame(frame)) => frame,
            other => panic!("no frame but {other:?}"),
        }
    }

    /// The next frame with this `t`, whatever comes before it.
    ///
    /// # Panics
    /// The socket closes or nothing like it comes.
    #[track_caller]
    pub(super) fn expect(&mut self, t: &str) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        async move {
            let mut before = Vec::new();
            let waiting = async {
                loop {
                    match self.next().await {
                        Heard::Frame(frame) if frame["t"] == t => return frame,
                        Heard::Frame(frame) => before.push(frame),
                        Heard::Closed(code) => panic!("{caller}: closed ({code:?}) instead of `{t}`, after {before:#?}"),
                    }
                }
            };
            match tokio::time::timeout(LIMIT, waiting).await {
                Ok(frame) => frame,
                Err(_) => panic!("{caller}: no `{t}` came"),
            }
        }
    }

    /// What had been sent to it until now: everything before the answer to a ping.
    pub(super) async fn until_now(&mut self) -> Vec<Value> {
        self.send(&json!({"t": "ping", "n": 4711})).await;
        let mut frames = Vec::new();
        loop {
            match tokio::time::timeout(LIMIT, self.next()).await.expect("the ping is answered") {
                Heard::Frame(frame) if frame["t"] == "pong" && frame["n"] == 4711 => return frames,
                Heard::Frame(frame) => frames.push(frame),
                Heard::Closed(code) => panic!("closed ({code:?}) after {frames:?}"),
            }
        }
    }

    /// Reads to the end: the frames, and the close code.
    ///
    /// # Panics
    /// It is not closed in time.
    #[track_caller]
    pub(super) fn closed(&mut self) -> impl Future<Output = (Vec<Value>, Option<u16>)> {
        let caller = std::panic::Location::caller();
        async move {
            let mut frames = Vec::new();
            let waiting = async {
                loop {
                    match self.next().await {
                        Heard::Frame(frame) => frames.push(frame),
                        Heard::Closed(code) => return code,
                    }
                }
            };
            match tokio::time::timeout(LIMIT, waiting).await {
                Ok(code) => (frames, code),
                Err(_) => panic!("{caller}: the socket was not closed"),
            }
        }
    }
}
