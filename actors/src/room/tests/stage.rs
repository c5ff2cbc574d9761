//! An engine with one room of [`Notes`] on a journal in memory, and people who sit in it.

use super::kind::Notes;
use super::shim::Shim;
use crate::cluster::{ClusterConfig, ClusterPorts};
use crate::config::EngineConfig;
use crate::engine::{CallOptions, Engine, Kinds, Ports, Ready, RoomRef, Turn};
use crate::frame::Frame;
use crate::ports::{Detached, Notifier, Sent, SessionSink};
use crate::room::{Cursor, From, Join, Op, Outcome, RoomMsg, SessionInfo};
use crate::session::Rooms;
use crate::testing::{MemoryCluster, MemoryDirectory, MemoryJournal, MemoryNode, TestClock};
use futures_util::FutureExt;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tripsync_domain::presence::PresenceState;
use tripsync_domain::protocol::{Codec, Position};
use tripsync_domain::{ClientId, CommandNumber, Epoch, NodeId, Rejection, RoomId, Seq, SessionId, Timestamp, UserCard, UserId};
use uuid::Uuid;

pub(super) const ROOM: RoomId = RoomId(Uuid::from_u128(0x100));
pub(super) const ANN: UserId = UserId(Uuid::from_u128(1));
pub(super) const BEN: UserId = UserId(Uuid::from_u128(2));
pub(super) const CLEO: UserId = UserId(Uuid::from_u128(3));

pub(super) fn card(user: UserId) -> UserCard {
    UserCard { user, name: "Someone".into(), group: None }
}

pub(super) fn note(text: &str) -> Value {
    json!({"type": "note", "text": text})
}

/// Lets so much of the stopped time go by, with everything that is due in it: no waiting, the clock is moved on.
pub(super) async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Waits until nothing can happen any more by itself. Time is paused in these tests: it moves on only when every task waits.
pub(super) async fn quiet() {
    pass(Duration::from_millis(1)).await;
}

struct NoNotices;

impl Notifier for NoNotices {
    fn notice(&self, _: UserId, _: &Frame) {}
}

/// Ann (organizer) and Ben (participant) are members of [`ROOM`], which is at seq 2; Cleo is not.
pub(super) struct Stage {
    pub(super) engine: Engine,
    pub(super) memory: MemoryJournal,
    pub(super) shim: Arc<Shim>,
    pub(super) clock: TestClock,
    ids: Arc<AtomicU64>,
    config: EngineConfig,
    /// Where there are several nodes: its way to what they share.
    pub(super) far: Option<MemoryNode>,
}

/// What the nodes of a test share beside the journal.
pub(super) struct Hub {
    pub(super) cluster: MemoryCluster,
    ids: Arc<AtomicU64>,
}

impl Hub {
    pub(super) fn new() -> Self {
        Self { cluster: MemoryCluster::new(1), ids: Arc::new(AtomicU64::new(1_000)) }
    }
}

impl Stage {
    pub(super) async fn new() -> Self {
        Self::with(EngineConfig::default()).await
    }

    pub(super) async fn with(config: EngineConfig) -> Self {
        let memory = MemoryJournal::new();
        let (shim, ids) = (Arc::new(Shim::new(memory.clone())), Arc::new(AtomicU64::new(1_000)));
        let clock = TestClock::running(Timestamp::from_ms(1_800_000_000_000));
        let engine = start(&shim, &clock, &ids, &config).await;
        let stage = Self { engine, memory, shim, clock, ids, config, far: None };
        stage.open(ROOM).await;
        stage
    }

    /// Makes a room with Ann and Ben.
    pub(super) async fn open(&self, room: RoomId) {
        self.engine.create::<Notes>(room, card(ANN), &json!({"type": "open"}), None).await.unwrap();
        let admit = json!({"type": "admit", "user": BEN, "role": "participant"});
        self.engine.call(room, card(ANN), &admit, CallOptions::default()).await.unwrap();
    }

    /// Another node on the same journal.
    pub(super) async fn another(&self) -> Engine {
        start(&self.shim, &self.clock, &self.ids, &self.config).await
    }

    /// The same people on one of several nodes. Its rooms are those of the other stages of the hub; nothing is made.
    pub(super) async fn node(hub: &Hub, memory: &MemoryJournal) -> Self {
        Self::node_with(hub, memory, EngineConfig::default()).await
    }

    pub(super) async fn node_with(hub: &Hub, memory: &MemoryJournal, config: EngineConfig) -> Self {
        let (shim, ids) = (Arc::new(Shim::new(memory.clone())), Arc::clone(&hub.ids));
        let clock = TestClock::running(Timestamp::from_ms(1_800_000_000_000));
        let node = NodeId(Uuid::from_u128(u128::from(ids.fetch_add(1, Ordering::Relaxed))));
        let far = hub.cluster.node(node);
        let ports = ClusterPorts { node, leases: far.leases(), bus: far.bus(), config: ClusterConfig::default() };
        let engine = start_with(&shim, &clock, &ids, &config, Some(ports)).await;
        // Its lease is there.
        quiet().await;
        Self { engine, memory: memory.clone(), shim, clock, ids, config, far: Some(far) }
    }

    /// A command without a number, answered when it is durable.
    pub(super) async fn call(&self, command: &Value) -> Result<Outcome, Rejection> {
        self.engine.call(ROOM, card(ANN), command, CallOptions::default()).await
    }

    /// The same, on its way.
    pub(super) fn calling(
        &self,
        user: UserId,
        command: Value,
        options: CallOptions,
    ) -> tokio::task::JoinHandle<Result<Outcome, Rejection>> {
        let engine = self.engine.clone();
        tokio::spawn(async move { engine.call(ROOM, card(user), &command, options).await })
    }

    /// A socket of a user, with its own client id.
    pub(super) fn socket(&self, user: UserId) -> Socket {
        let n = u128::from(self.ids.fetch_add(1, Ordering::Relaxed));
        let info =
            SessionInfo { id: SessionId(Uuid::from_u128(n)), card: card(user), client: ClientId(Uuid::from_u128(n)), codec: Codec::Json };
        Socket { info: Arc::new(info), ear: Arc::default(), cursor: Arc::default() }
    }

    /// A socket that is in the room, and has heard so.
    pub(super) async fn seated(&self, user: UserId) -> Socket {
        let socket = self.socket(user);
        self.join(&socket, None).await;
        quiet().await;
        let heard = socket.heard();
        assert_eq!(heard[0]["t"], "joined", "{heard:?}");
        socket
    }

    pub(super) async fn tell(&self, message: RoomMsg) {
        self.engine.room(ROOM).await.unwrap().tell(message).unwrap();
    }

    pub(super) async fn join(&self, socket: &Socket, since: Option<(u64, u64)>) {
        self.join_room(ROOM, socket, since).await;
    }

    pub(super) async fn join_room(&self, room: RoomId, socket: &Socket, since: Option<(u64, u64)>) {
        let since = since.map(|(epoch, seq)| Position { epoch: Epoch(epoch), seq: Seq(seq) });
        let join = Join::new(room, Arc::clone(&socket.info), Arc::clone(&socket.ear) as _, Arc::clone(&socket.cursor), since);
        self.engine.room(room).await.unwrap().tell(RoomMsg::Join(join)).unwrap();
    }

    /// The same as a session would, with the node's only turn.
    pub(super) async fn join_in_turn(&self, socket: &Socket) {
        let turn = self.engine.turn().now_or_never().expect("a free turn");
        self.tell(socket.joining(turn)).await;
        quiet().await;
    }

    /// Whether the node's only turn is free.
    pub(super) async fn has_turn(&self) -> bool {
        let has = self.engine.turn().now_or_never().is_some();
        quiet().await;
        has
    }

    pub(super) async fn leave(&self, socket: &Socket, dropped: bool) {
        self.tell(RoomMsg::Leave { session: socket.info.id, dropped }).await;
    }

    /// Sends a command, and lets it come as far as it can.
    pub(super) async fn op(&self, socket: &Socket, n: u64, command: &Value) {
        Self::op_to(&self.engine.room(ROOM).await.unwrap(), socket, n, command).await;
    }

    pub(super) async fn op_to(address: &RoomRef, socket: &Socket, n: u64, command: &Value) {
        let (command, _) = address.parse(command).unwrap();
        let from = From::Session { id: socket.info.id, sink: Arc::clone(&socket.ear) as _ };
        let id = Some((socket.info.client, CommandNumber(n)));
        let op = Op {
            from,
            id,
            command,
            base: None,
            if_match: None,
            origin: None,
            ready: Ready::default(),
            permits: vec![address.admit().unwrap()],
            receipt: None,
        };
        address.tell(RoomMsg::Op(op)).unwrap();
        quiet().await;
    }

    pub(super) async fn drained(&self, socket: &Socket) {
        socket.ear.0.lock().full = false;
        self.tell(RoomMsg::Drained { session: socket.info.id }).await;
    }

    pub(super) async fn presence(&self, socket: &Socket, state: PresenceState) {
        self.tell(RoomMsg::Presence { session: socket.info.id, state }).await;
    }

    pub(super) fn epoch(&self) -> u64 {
        self.memory.epoch(ROOM).unwrap().0
    }

    /// The last seq in the journal.
    pub(super) fn last(&self) -> u64 {
        self.memory.records(ROOM).len() as u64
    }
}

async fn start(shim: &Arc<Shim>, clock: &TestClock, ids: &Arc<AtomicU64>, config: &EngineConfig) -> Engine {
    start_with(shim, clock, ids, config, None).await
}

async fn start_with(
    shim: &Arc<Shim>,
    clock: &TestClock,
    ids: &Arc<AtomicU64>,
    config: &EngineConfig,
    cluster: Option<ClusterPorts>,
) -> Engine {
    let fresh = Arc::clone(ids);
    let ports = Ports {
        journal: Arc::clone(shim) as _,
        clock: Arc::new(clock.clone()),
        directory: Arc::new(MemoryDirectory::default()),
        notifier: Arc::new(NoNotices),
        ids: Arc::new(move || Uuid::from_u128(u128::from(fresh.fetch_add(1, Ordering::Relaxed)))),
        cluster,
    };
    Engine::start(ports, Kinds::default().with::<Notes>(), config.clone()).await.unwrap()
}

/// A socket, as the room sees it.
#[derive(Clone)]
pub(super) struct Socket {
    pub(super) info: Arc<SessionInfo>,
    pub(super) ear: Arc<Ear>,
    pub(super) cursor: Arc<Cursor>,
}

impl Socket {
    /// As its session asks to be let in.
    pub(super) fn joining(&self, turn: Turn) -> RoomMsg {
        let join = Join::new(ROOM, Arc::clone(&self.info), Arc::clone(&self.ear) as _, Arc::clone(&self.cursor), None);
        RoomMsg::Join(join.with(turn))
    }

    /// A new socket of the same client.
    pub(super) fn reconnected(&self, stage: &Stage) -> Self {
        let fresh = stage.socket(self.info.card.user);
        Self { info: Arc::new(SessionInfo { client: self.info.client, ..(*fresh.info).clone() }), ..fresh }
    }

    /// What was heard since the last look, presence left out.
    pub(super) fn heard(&self) -> Vec<Value> {
        let heard = std::mem::take(&mut self.ear.0.lock().heard);
        heard.into_iter().filter(|frame| frame["t"] != "presence").collect()
    }

    /// Only the presence that was heard since the last look.
    pub(super) fn heard_presence(&self) -> Vec<Value> {
        let heard = std::mem::take(&mut self.ear.0.lock().heard);
        heard.into_iter().filter(|frame| frame["t"] == "presence").collect()
    }

    /// What was heard since the last look, in short.
    pub(super) fn gist(&self) -> Vec<String> {
        self.heard().iter().map(gist).collect()
    }

    pub(super) fn detached(&self) -> Option<Detached> {
        self.ear.0.lock().detached
    }

    /// From now on nothing fits any more.
    pub(super) fn stall(&self) {
        self.ear.0.lock().full = true;
    }
}

/// A frame in short: an event's seq stands alone when the event is not shown.
fn gist(frame: &Value) -> String {
    let code = frame["code"].as_str().unwrap_or_default();
    let events = || {
        let events = frame["events"].as_array().unwrap().iter();
        let shown = events.map(|event| if event["ev"].is_null() { event["seq"].to_string() } else { format!("{}!", event["seq"]) });
        shown.collect::<Vec<_>>().join(" ")
    };
    match frame["t"].as_str().unwrap() {
        "joined" if frame.get("state").is_some() => format!("state {}", frame["seq"]),
        "joined" => format!("resumed {} [{}]", frame["seq"], events()),
        "events" => format!("events [{}]", events()),
        "ack" => format!("ack {} at {}{}", frame["n"], frame["seq"], if frame["repeated"] == true { " again" } else { "" }),
        "rejected" => format!("rejected {} {code}", frame["n"]),
        other => format!("{other} {code}"),
    }
}

/// Remembers all it hears.
#[derive(Default)]
pub(super) struct Ear(Mutex<Heard>);

#[derive(Default)]
struct Heard {
    heard: Vec<Value>,
    full: bool,
    detached: Option<Detached>,
}

impl SessionSink for Ear {
    fn send(&self, frames: &[Frame]) -> Sent {
        if self.0.lock().full {
            return Sent::Full;
        }
        self.send_always(frames);
        Sent::Taken
    }

    fn send_always(&self, frames: &[Frame]) {
        self.0.lock().heard.extend(frames.iter().map(|frame| serde_json::from_slice::<Value>(frame.payload(Codec::Json)).unwrap()));
    }

    fn detached(&self, _: RoomId, why: Detached) {
        let before = self.0.lock().detached.replace(why);
        assert_eq!(before, None, "told twice of the end of one joining");
    }
}
