//! A client of several nodes: knows them all, prefers one, and does what `docs/PROTOCOL.md` asks of a client.
//!
//! Unlike the harness' client it does not stop at the first broken promise: what an [`Observer`] finds wrong is noted, and the campaign goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{WebSocketStream, client_async};
use tripsync_actors::testing::checker::{Heard, Observer};
use tripsync_domain::protocol::to_json;
use uuid::Uuid;

use super::load::{Account, Control, Wait};

/// How long a handshake may take before another node is tried.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// A socket that says nothing for this long, while something is unanswered, is given up.
const SILENCE_MAX: Duration = Duration::from_secs(6);
/// Commands of one room that are kept unanswered.
const WINDOW: usize = 8;
/// How often a client looks whether it is to end.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// See the module's text.
pub(super) struct Client {
    pub(super) account: Account,
    pub(super) id: Uuid,
    pub(super) rooms: BTreeMap<Uuid, Room>,
    control: Arc<Control>,
    /// The preferred node is the first that is tried.
    home: usize,
    at: usize,
    socket: Option<WebSocketStream<TcpStream>>,
    heard_at: Instant,
    connect_at: Instant,
    last_n: u64,
    /// The last call home that it has followed.
    homecomings: u64,
    pub(super) reconnects: u32,
}

/// What a client knows of a room.
pub(super) struct Room {
    pub(super) observer: Observer,
    /// Unanswered commands.
    pub(super) pending: BTreeMap<u64, Pending>,
    period: Duration,
    next_at: Instant,
    rejoin_at: Option<Instant>,
}

/// A command without an answer.
pub(super) struct Pending {
    cmd: Value,
    made_at: Instant,
    /// The connection over which it was made.
    connection: u32,
    /// Refused for now: when to send it again.
    again_at: Option<Instant>,
}

impl Client {
    pub(super) fn new(account: Account, home: usize, control: Arc<Control>) -> Self {
        let (id, now) = (Uuid::now_v7(), Instant::now());
        Self {
            account,
            id,
            rooms: BTreeMap::new(),
            control,
            home,
            at: home,
            socket: None,
            heard_at: now,
            connect_at: now,
            last_n: 0,
            homecomings: 0,
            reconnects: 0,
        }
    }

    /// Works in a room from now on: a command every `period`, the first after `phase`.
    pub(super) fn enters(&mut self, room: Uuid, phase: Duration, period: Duration) {
        let next_at = Instant::now() + phase;
        self.rooms.insert(room, Room { observer: Observer::new(), pending: BTreeMap::new(), period, next_at, rejoin_at: None });
    }

    /// Works until it is told to end and has all answers and events, or its time is over.
    pub(super) async fn run(mut self) -> Self {
        while !self.is_done() {
            self.come_home();
            if self.socket.is_none() {
                self.connect().await;
                continue;
            }
            self.send_what_is_due().await;
            let wake = Instant::now() + LOOK_EVERY;
            let wake = self.rooms.values().flat_map(Room::dues).min().map_or(wake, |due| due.min(wake));
            let Some(socket) = &mut self.socket else { continue };
            match timeout_at(wake, socket.next()).await {
                Ok(Some(Ok(message))) => self.message(message).await,
                Ok(_) => self.lost(None),
                Err(_) => self.look_around(),
            }
        }
        self
    }

    fn is_done(&self) -> bool {
        self.control.is_over(|goals| {
            self.rooms.iter().all(|(id, room)| room.pending.is_empty() && room.observer.seq() >= goals.get(id).copied().unwrap_or(0))
        })
    }

    /// Gives up a socket that seems dead.
    fn look_around(&mut self) {
        let waits = self.rooms.values().any(|room| !room.pending.is_empty() || !room.observer.is_in());
        if waits && self.heard_at.elapsed() > SILENCE_MAX {
            self.at += 1;
            self.lost(None);
        }
    }

    /// Goes to the preferred node when that is asked, and says so when it is in all its rooms there.
    fn come_home(&mut self) {
        let homecomings = self.control.homecomings();
        if self.homecomings == homecomings || self.socket.is_none() {
            return;
        }
        if self.at % self.control.nodes.len() != self.home {
            self.at = self.home;
            self.lost(None);
        } else if self.rooms.values().all(|room| room.observer.is_in()) {
            self.homecomings = homecomings;
            self.control.came_home();
        }
    }

    async fn connect(&mut self) {
        if Instant::now() < self.connect_at {
            tokio::time::sleep_until(self.connect_at.min(Instant::now() + LOOK_EVERY)).await;
            return;
        }
        let address = self.control.nodes[self.at % self.control.nodes.len()];
        match timeout(CONNECT_LIMIT, self.open(address)).await {
            Ok(Some(socket)) => {
                (self.socket, self.heard_at) = (Some(socket), Instant::now());
                self.reconnects += 1;
                for room in self.rooms.values_mut() {
                    room.observer.connected();
                    room.rejoin_at = Some(Instant::now());
                }
            }
            _ => {
                self.at += 1;
                self.connect_at = Instant::now() + Duration::from_millis(20 + self.control.chance(60));
            }
        }
    }

    async fn open(&self, address: std::net::SocketAddr) -> Option<WebSocketStream<TcpStream>> {
        let mut request = format!("ws://{address}/api/v1/live?client={}", self.id).into_client_request().ok()?;
        let headers = request.headers_mut();
        headers.insert("authorization", HeaderValue::from_str(&format!("Bearer {}", self.account.token)).ok()?);
        headers.insert("sec-websocket-protocol", HeaderValue::from_static("tripsync.v1.msgpack"));
        let stream = TcpStream::connect(address).await.ok()?;
        stream.set_nodelay(true).ok()?;
        Some(client_async(request, stream).await.ok()?.0)
    }

    /// The connection is gone; with a hint, when to come back.
    fn lost(&mut self, hint: Option<Duration>) {
        self.socket = None;
        self.connect_at = Instant::now() + hint.unwrap_or_else(|| Duration::from_millis(self.control.chance(50)));
        for room in self.rooms.values_mut() {
            room.observer.leaving();
            room.rejoin_at = None;
        }
    }

    async fn send_what_is_due(&mut self) {
        let now = Instant::now();
        let rooms: Vec<_> = self.rooms.iter().filter(|(_, room)| room.dues().any(|due| due <= now)).map(|(id, _)| *id).collect();
        for id in rooms {
            let Some(room) = self.rooms.get_mut(&id) else { continue };
            if room.rejoin_at.take_if(|at| *at <= now).is_some() {
                let position = room.observer.position();
                room.observer.joining(position.map(|(_, seq)| seq));
                let since = position.map(|(epoch, seq)| json!({"epoch": epoch, "seq": seq}));
                let join = if let Some(since) = since {
                    json!({"t": "join", "room": id, "since": since})
                } else {
                    json!({"t": "join", "room": id})
                };
                self.send(&join).await;
                continue;
            }
            if room.next_at <= now {
                // What could not be sent in time is not made up for.
                room.next_at = (room.next_at + room.period).max(now);
                if room.pending.len() < WINDOW && !self.control.is_ending() {
                    self.last_n += 1;
                    let cmd = json!({"type": "send_message", "body": format!("{} says {}", self.id, self.last_n)});
                    room.pending.insert(self.last_n, Pending { cmd, made_at: now, connection: self.reconnects, again_at: Some(now) });
                }
            }
            let room = &self.rooms[&id];
            if room.observer.is_in() {
                let again: Vec<_> =
                    room.pending.iter().filter(|(_, of)| of.again_at.is_some_and(|at| at <= now)).map(|(n, _)| *n).collect();
                for n in again {
                    self.send_command(id, n).await;
                }
            }
        }
    }

    async fn send_command(&mut self, id: Uuid, n: u64) {
        let Some(room) = self.rooms.get_mut(&id) else { return };
        let Some(pending) = room.pending.get_mut(&n) else { return };
        pending.again_at = None;
        room.observer.sent(n);
        let frame = json!({"t": "op", "room": id, "n": n, "cmd": pending.cmd});
        self.send(&frame).await;
    }

    async fn send(&mut self, frame: &Value) {
        let bytes = rmp_serde::to_vec_named(frame).unwrap();
        if let Some(socket) = &mut self.socket
            && !matches!(timeout(SILENCE_MAX, socket.send(Message::Binary(bytes.into()))).await, Ok(Ok(())))
        {
            self.lost(None);
        }
    }

    async fn message(&mut self, message: Message) {
        self.heard_at = Instant::now();
        match message {
            Message::Binary(bytes) => match to_json(&bytes).ok().and_then(|json| serde_json::from_slice(&json).ok()) {
                Some(frame) => self.frame(&frame).await,
                None => self.control.broken("a frame that is no MessagePack"),
            },
            Message::Close(_) => self.lost(None),
            Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }

    async fn frame(&mut self, frame: &Value) {
        if frame["t"] == "bye" {
            // It is this node that goes; when to come is spread.
            self.at += 1;
            return self.lost(Some(hint(frame)));
        }
        let about = frame["room"].as_str().or(frame["about"]["room"].as_str());
        let Some(id) = about.and_then(|id| id.parse::<Uuid>().ok()) else { return };
        let Some(room) = self.rooms.get_mut(&id) else { return };
        let before = room.observer.seq();
        match room.observer.hear(frame) {
            Ok(Heard::Joined(_)) => {
                self.control.saw(id, before, self.rooms[&id].observer.seq());
                let unanswered: Vec<_> = self.rooms[&id].pending.keys().copied().collect();
                for n in unanswered {
                    self.send_command(id, n).await;
                }
            }
            Ok(Heard::Events(seq)) => self.control.saw(id, before, seq),
            Ok(Heard::Acked(n)) => {
                if let Some(pending) = room.pending.remove(&n) {
                    let stayed = pending.connection == self.reconnects;
                    self.control.acked(id, Wait { from: pending.made_at, to: Instant::now(), stayed });
                }
            }
            Ok(Heard::Rejected(n, again)) => room.refused(n, again, frame, &self.control),
            Ok(Heard::Out(code)) => {
                room.rejoin_at = Some(Instant::now() + hint(frame));
                self.control.noted(&code);
            }
            Ok(Heard::Other) => {}
            Err(violation) => self.control.broken(&format!("room {id}, client {}: {violation}", self.id)),
        }
    }
}

impl Room {
    /// When something is to be sent, if the connection is there.
    fn dues(&self) -> impl Iterator<Item = Instant> {
        let again = self.pending.values().filter_map(|pending| pending.again_at).filter(|_| self.observer.is_in());
        again.chain(self.rejoin_at).chain([self.next_at])
    }

    fn refused(&mut self, n: u64, again: bool, frame: &Value, control: &Control) {
        let code = frame["code"].as_str().unwrap_or_default();
        control.noted(code);
        if again {
            if let Some(pending) = self.pending.get_mut(&n) {
                pending.again_at = Some(Instant::now() + hint(frame));
            }
        } else if code != "not_joined" {
            // Nothing of what is sent here may be refused for good.
            self.pending.remove(&n);
            control.broken(&format!("command {n} was refused: {frame}"));
        }
    }
}

fn hint(frame: &Value) -> Duration {
    Duration::from_millis(frame["retry_after_ms"].as_u64().unwrap_or(50).clamp(1, 2_000))
}
