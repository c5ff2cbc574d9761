//! A client of the live protocol that follows `docs/PROTOCOL.md` ("Rules for a client") and checks while it runs that the server
//! keeps its promises.
//!
//! It keeps every command until it is answered, comes back by itself after a drop, joins with `since`, and sends again what is
//! unanswered. What it checks is in [`mirror`]; a broken promise panics with the room's last frames.
//!
//! ```ignore
//! let mut ann = Client::connect(&server.live_url(), &account.token, Codec::Json).await;
//! ann.join(trip).await;
//! let n = ann.op(trip, json!({"type": "add_place", "name": "Louvre"})).await;
//! ann.settled().await;                 // every command is answered; drops in between are survived
//! let seq = ann.room(trip).acked(n);
//! ann.reached(trip, seq).await;        // and its events have arrived
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use tripsync_domain::protocol::{Codec, to_json};
use uuid::Uuid;

mod mirror;

pub(crate) use mirror::Mirror;

/// How long anything may take, restarts of the server included.
const LIMIT: Duration = Duration::from_secs(60);
/// How long one connection attempt may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Codes of rejections after which the same command is sent again.
const AGAIN: [&str; 6] = ["retry", "restarting", "moved", "overloaded", "rate_limited", "room_unavailable"];

type Socket = WebSocketStream<TcpStream>;

/// A client with its memory. See the module's text.
pub(crate) struct Client {
    url: String,
    token: String,
    codec: Codec,
    id: Uuid,
    socket: Option<Socket>,
    next_n: u64,
    rooms: BTreeMap<Uuid, Mirror>,
    welcome: Value,
    /// Frames that belong to no room: `notice`, `pong`, `auth_ok`, `error`, `bye`.
    other: Vec<Value>,
    /// The last close code, if the server closed.
    closed: Option<u16>,
    reconnects: u32,
    /// Bytes that the kernel may hold for a client that does not read; for tests of slow readers.
    receive_buffer: Option<u32>,
    /// Commands that were refused for now, and when to send them again.
    later: BTreeMap<(Uuid, u64), Instant>,
    /// Rooms to join again, and when.
    rejoin: BTreeMap<Uuid, Instant>,
}

impl Client {
    /// Opens a socket and waits for its `welcome`.
    pub(crate) async fn connect(live_url: &str, token: &str, codec: Codec) -> Self {
        Self::with_id(live_url, token, codec, Uuid::now_v7()).await
    }

    /// The same, with little room in the kernel: when this client does not read, the server feels it soon.
    pub(crate) async fn connect_slow(live_url: &str, token: &str, codec: Codec) -> Self {
        let mut client = Self::new(live_url, token, codec, Uuid::now_v7());
        client.receive_buffer = Some(8 * 1024);
        client.reconnect().await;
        client
    }

    /// The same, as an installation that was there before.
    pub(crate) async fn with_id(live_url: &str, token: &str, codec: Codec, id: Uuid) -> Self {
        let mut client = Self::new(live_url, token, codec, id);
        client.reconnect().await;
        client
    }

    fn new(live_url: &str, token: &str, codec: Codec, id: Uuid) -> Self {
        Self {
            url: format!("{live_url}?client={id}"),
            token: token.to_owned(),
            codec,
            id,
            socket: None,
            next_n: 1,
            rooms: BTreeMap::new(),
            welcome: Value::Null,
            other: Vec::new(),
            closed: None,
            reconnects: 0,
            receive_buffer: None,
            later: BTreeMap::new(),
            rejoin: BTreeMap::new(),
        }
    }

    /// The installation's id.
    pub(crate) const fn id(&self) -> Uuid {
        self.id
    }

    /// What the server said first, on the present socket.
    pub(crate) const fn welcome(&self) -> &Value {
        &self.welcome
    }

    /// What is known of a room.
    ///
    /// # Panics
    /// It was never joined.
    pub(crate) fn room(&self, room: Uuid) -> &Mirror {
        self.rooms.get(&room).expect("the room was joined")
    }

    /// How often the client had to come back.
    pub(crate) const fn reconnects(&self) -> u32 {
        self.reconnects
    }

    /// A fresh token, used from the next connection on.
    pub(crate) fn set_token(&mut self, token: &str) {
        token.clone_into(&mut self.token);
    }

    /// The frames that belong to no room and were not taken yet.
    pub(crate) fn other(&self) -> &[Value] {
        &self.other
    }

    /// Whether a frame with this `t` is among them.
    pub(crate) fn has_other(&self, tag: &str) -> bool {
        self.other.iter().any(|frame| frame["t"] == tag)
    }

    /// Counts a sending of a command that was made by [`Client::send`], so that its answer is expected.
    pub(crate) fn count_sending(&mut self, room: Uuid, n: u64) {
        let _ = self.rooms.get_mut(&room).expect("the room was joined").op_frame(n);
    }

    /// Takes the frames that belong to no room.
    pub(crate) fn take_other(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.other)
    }

    /// Joins a room, or joins it again, and waits until it is in.
    pub(crate) async fn join(&mut self, room: Uuid) {
        self.rooms.entry(room).or_insert_with(|| Mirror::new(room, self.id));
        self.send_join(room).await;
        self.until("the room is joined", |client| client.room(room).is_joined()).await;
    }

    /// The same from the room's first event on, so that the whole history comes as events.
    pub(crate) async fn join_from_zero(&mut self, room: Uuid) {
        self.rooms.insert(room, Mirror::from_zero(room, self.id));
        self.join(room).await;
    }

    /// Leaves a room. What is known of it stays.
    pub(crate) async fn leave(&mut self, room: Uuid) {
        self.rooms.get_mut(&room).expect("the room was joined").left();
        self.rejoin.remove(&room);
        self.send(&json!({"t": "leave", "room": room})).await;
    }

    /// Sends a command (or keeps it until the room is joined); its number. Does not wait for the answer.
    pub(crate) async fn op(&mut self, room: Uuid, cmd: Value) -> u64 {
        let n = self.next_n;
        self.next_n += 1;
        let mirror = self.rooms.get_mut(&room).expect("the room was joined");
        mirror.pend(n, cmd);
        if mirror.is_joined() {
            self.send_op(room, n).await;
        }
        n
    }

    /// A command, and its answer: the seq, or the rejection.
    pub(crate) async fn ask(&mut self, room: Uuid, cmd: Value) -> Result<u64, Value> {
        let n = self.op(room, cmd).await;
        self.until("the command is answered", |client| !client.room(room).is_pending(n)).await;
        self.room(room).answer(n)
    }

    /// Says what this client does; newer values replace older ones.
    pub(crate) async fn presence(&mut self, room: Uuid, state: Value) {
        self.send(&json!({"t": "presence", "room": room, "state": state})).await;
    }

    /// Waits until every command is answered and every room joined.
    pub(crate) async fn settled(&mut self) {
        self.until("every command is answered", |client| {
            client.rooms.values().all(|room| room.pending_count() == 0 && (room.is_joined() || room.has_left()))
        })
        .await;
    }

    /// Waits until a room is at least at `seq`.
    pub(crate) async fn reached(&mut self, room: Uuid, seq: u64) {
        self.until("the events have arrived", |client| client.room(room).seq() >= seq).await;
    }

    /// Handles what comes until `done` says so.
    ///
    /// # Panics
    /// After [`LIMIT`], with what every room waits for.
    pub(crate) async fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let limit = Instant::now() + LIMIT;
        while !done(self) {
            if Instant::now() >= limit {
                let rooms: Vec<_> = self.rooms.values().map(Mirror::summary).collect();
                panic!("client {}: waited {LIMIT:?} for: {what}; rooms {rooms:#?}; other frames {:?}", self.id, self.other);
            }
            self.turn(limit).await;
        }
    }

    /// Handles the next thing that comes.
    ///
    /// # Panics
    /// Nothing comes in time.
    pub(crate) async fn step(&mut self) {
        let limit = Instant::now() + LIMIT;
        self.turn(limit).await;
        if Instant::now() >= limit {
            self.until("anything", |_| false).await;
        }
    }

    /// Sends a command once more that is not answered, as after a doubt.
    pub(crate) async fn send_again(&mut self, room: Uuid, n: u64) {
        if self.room(room).is_joined() && self.room(room).is_pending(n) {
            self.send_op(room, n).await;
        }
    }

    /// Handles whatever comes within a time.
    pub(crate) async fn listen(&mut self, time: Duration) {
        let limit = Instant::now() + time;
        while Instant::now() < limit {
            self.turn(limit).await;
        }
    }

    /// One frame, or one thing that was put off; or nothing until `limit`.
    async fn turn(&mut self, limit: Instant) {
        if self.socket.is_none() {
            return self.reconnect().await;
        }
        self.send_what_is_due().await;
        let due = self.later.values().chain(self.rejoin.values()).min().copied();
        let wake = due.map_or(limit, |at| at.min(limit));
        if let Some(socket) = &mut self.socket
            && let Ok(message) = timeout_at(wake, socket.next()).await
        {
            self.message(message).await;
        }
    }

    async fn send_what_is_due(&mut self) {
        let now = Instant::now();
        let rooms: Vec<_> = self.rejoin.iter().filter(|(_, at)| **at <= now).map(|(room, _)| *room).collect();
        for room in rooms {
            self.rejoin.remove(&room);
            self.send_join(room).await;
        }
        let ops: Vec<_> = self.later.iter().filter(|(_, at)| **at <= now).map(|(op, _)| *op).collect();
        for (room, n) in ops {
            self.later.remove(&(room, n));
            if self.room(room).is_joined() && self.room(room).is_pending(n) {
                self.send_op(room, n).await;
            }
        }
    }

    async fn message(&mut self, message: Option<Result<Message, Error>>) {
        let frame = match (message, self.codec) {
            (Some(Ok(Message::Text(text))), Codec::Json) => serde_json::from_str(&text).expect("the server sends JSON"),
            (Some(Ok(Message::Binary(bytes))), Codec::MessagePack) => {
                serde_json::from_slice(&to_json(&bytes).expect("the server sends MessagePack")).unwrap()
            }
            (Some(Ok(Message::Ping(_) | Message::Pong(_))), _) => return,
            (Some(Ok(Message::Close(close))), _) => {
                self.closed = close.map(|close| close.code.into());
                return self.lost();
            }
            (Some(Ok(other)), _) => panic!("the server sent the wrong sort of message: {other:?}"),
            (Some(Err(_)) | None, _) => return self.lost(),
        };
        self.frame(frame).await;
    }

    async fn frame(&mut self, frame: Value) {
        let tag = frame["t"].as_str().expect("frames have a `t`").to_owned();
        let room = frame["room"].as_str().map(|room| room.parse::<Uuid>().unwrap());
        let Some(room) = room else {
            if tag == "error"
                && let Some(about) = frame["about"]["room"].as_str()
                && frame["about"]["n"].is_null()
                && frame["retry_after_ms"].is_u64()
            {
                // The room cannot be had now.
                self.put_off_join(about.parse().unwrap(), &frame);
            }
            self.other.push(frame);
            return;
        };
        let Some(mirror) = self.rooms.get_mut(&room) else { panic!("a frame of a room that was not joined: {frame}") };
        match tag.as_str() {
            "joined" => {
                mirror.joined(&frame);
                for n in mirror.pending() {
                    self.later.remove(&(room, n));
                    self.send_op(room, n).await;
                }
            }
            "events" => mirror.events(&frame),
            "ack" => mirror.ack(&frame),
            "rejected" => {
                let n = frame["n"].as_u64().unwrap();
                let code = frame["code"].as_str().unwrap();
                // Without its room the command waits for the next `joined`.
                let again = AGAIN.contains(&code) || (code == "not_joined" && !mirror.has_left());
                if mirror.rejected(&frame, again) && code != "not_joined" {
                    self.later.insert((room, n), Instant::now() + hint(&frame));
                }
            }
            "presence" => mirror.presence(&frame),
            "left" => {
                mirror.left();
                if frame["retry_after_ms"].is_u64() {
                    mirror.comes_back();
                    self.put_off_join(room, &frame);
                }
                self.other.push(frame);
            }
            _ => {}
        }
    }

    fn put_off_join(&mut self, room: Uuid, frame: &Value) {
        self.rejoin.insert(room, Instant::now() + hint(frame));
    }

    async fn send_join(&mut self, room: Uuid) {
        let frame = self.room(room).join_frame();
        self.send(&frame).await;
    }

    async fn send_op(&mut self, room: Uuid, n: u64) {
        let frame = self.rooms.get_mut(&room).expect("the room was joined").op_frame(n);
        self.send(&frame).await;
    }

    /// Sends any frame, also one that the server will not like.
    pub(crate) async fn send(&mut self, frame: &Value) {
        let message = match self.codec {
            Codec::Json => Message::Text(frame.to_string().into()),
            Codec::MessagePack => Message::Binary(rmp_serde::to_vec_named(frame).unwrap().into()),
        };
        self.send_message(message).await;
    }

    /// Sends any message.
    pub(crate) async fn send_message(&mut self, message: Message) {
        if let Some(socket) = &mut self.socket
            && !matches!(timeout(LIMIT, socket.send(message)).await.expect("the server reads"), Ok(()))
        {
            self.lost();
        }
    }

    /// Drops the connection without a word, as a network does.
    pub(crate) fn drop_connection(&mut self) {
        self.lost();
    }

    /// Closes as a client that goes, and stays away until something is waited for.
    pub(crate) async fn close(&mut self) {
        if let Some(mut socket) = self.socket.take() {
            let _ = socket.close(None).await;
            let _ = timeout(LIMIT, async { while let Some(Ok(_)) = socket.next().await {} }).await;
        }
        self.lost();
    }

    /// Waits until the server closes; the close code.
    pub(crate) async fn closed(&mut self) -> u16 {
        let limit = Instant::now() + LIMIT;
        while self.socket.is_some() {
            assert!(Instant::now() < limit, "the server did not close; frames {:?}", self.other);
            if let Some(socket) = &mut self.socket
                && let Ok(message) = timeout_at(limit, socket.next()).await
            {
                self.message(message).await;
            }
        }
        self.closed.expect("a close frame came")
    }

    fn lost(&mut self) {
        self.socket = None;
        self.later.clear();
        self.rejoin.clear();
        for room in self.rooms.values_mut() {
            room.disconnected();
        }
    }

    /// Connects until it works, and joins the rooms again.
    async fn reconnect(&mut self) {
        let limit = Instant::now() + LIMIT;
        let mut last = "no answer".to_owned();
        while Instant::now() < limit {
            match timeout(CONNECT_LIMIT, open(&self.url, &self.token, self.codec, self.receive_buffer)).await {
                Ok(Ok(socket)) => {
                    self.socket = Some(socket);
                    return self.greet().await;
                }
                Ok(Err(Error::Http(response))) if response.status().is_client_error() => {
                    let body = response.body().as_deref().map(String::from_utf8_lossy);
                    panic!("the server refuses the client: {} {body:?}", response.status());
                }
                Ok(Err(error)) => last = error.to_string(),
                Err(_) => last = "the server does not answer".to_owned(),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("client {}: no connection within {LIMIT:?}; last: {last}", self.id);
    }

    async fn greet(&mut self) {
        let socket = self.socket.as_mut().expect("it was opened");
        let first = match timeout(LIMIT, socket.next()).await.expect("the server greets") {
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text).unwrap(),
            Some(Ok(Message::Binary(bytes))) => serde_json::from_slice(&to_json(&bytes).unwrap()).unwrap(),
            // Killed in between.
            _ => return self.lost(),
        };
        self.welcome = first;
        assert_eq!(self.welcome["t"], "welcome", "the first frame");
        assert_eq!(self.welcome["client"], json!(self.id), "the server knows the client");
        self.closed = None;
        if !self.rooms.is_empty() {
            self.reconnects += 1;
        }
        let rooms: Vec<_> = self.rooms.values().filter(|room| !room.has_left()).map(Mirror::id).collect();
        for room in rooms {
            self.send_join(room).await;
        }
    }
}

fn hint(frame: &Value) -> Duration {
    Duration::from_millis(frame["retry_after_ms"].as_u64().unwrap_or(100).clamp(1, 2_000))
}

/// Opens a socket with a token in the header, and with a small receive buffer when a reader is to be slow.
async fn open(url: &str, token: &str, codec: Codec, receive_buffer: Option<u32>) -> Result<Socket, Error> {
    let mut request = url.into_client_request()?;
    let headers = request.headers_mut();
    headers.insert("authorization", HeaderValue::from_str(&format!("Bearer {token}")).unwrap());
    headers.insert("sec-websocket-protocol", HeaderValue::from_static(codec.subprotocol()));
    let address = request.uri().authority().expect("ws:// with an address").as_str().parse().expect("an IP address and port");
    let tcp = TcpSocket::new_v4()?;
    if let Some(bytes) = receive_buffer {
        tcp.set_recv_buffer_size(bytes)?;
    }
    let stream = tcp.connect(address).await?;
    stream.set_nodelay(true)?;
    let (socket, response) = client_async(request, stream).await?;
    assert_eq!(response.headers()["sec-websocket-protocol"], codec.subprotocol());
    Ok(socket)
}
