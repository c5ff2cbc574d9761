//! A session between a sink that remembers and rooms that write down what they are told.

use crate::engine::{Admission, KindInfo, Needs, ParsedFor, Ready, RoomRef, Turn};
use crate::frame::Frame;
use crate::ports::{Clock, Detached, Sent, SessionSink};
use crate::room::message::Parsed;
use crate::room::{Join, RoomMsg, SessionInfo};
use crate::session::{Authenticator, Control, Credential, Ending, Rooms, Session, SessionLimits, Shared};
use async_trait::async_trait;
use parking_lot::Mutex;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tripsync_domain::protocol::{ClientFrame, Codec, Position};
use tripsync_domain::{ClientId, CommandNumber, ErrorCode, Rejection, RoomId, SessionId, Timestamp, UserCard, UserId};
use uuid::Uuid;

pub(super) const NOW_MS: i64 = 1_000_000_000;
pub(super) const USER: UserId = UserId(Uuid::from_u128(1));
pub(super) const LOGIN: Uuid = Uuid::from_u128(2);

pub(super) fn room(n: u128) -> RoomId {
    RoomId(Uuid::from_u128(n))
}

/// Everything that a session said, as JSON.
#[derive(Default)]
pub(super) struct Said(Mutex<Vec<Value>>);

impl SessionSink for Said {
    fn send(&self, frames: &[Frame]) -> Sent {
        self.send_always(frames);
        Sent::Taken
    }
    fn send_always(&self, frames: &[Frame]) {
        self.0.lock().extend(frames.iter().map(|frame| serde_json::from_slice::<Value>(frame.payload(Codec::Json)).unwrap()));
    }
    fn detached(&self, _: RoomId, _: Detached) {}
}

/// What a room was told.
#[derive(Debug, PartialEq)]
pub(super) enum Told {
    Join(Option<Position>),
    Leave { dropped: bool },
    Op(u64, usize),
    Presence(bool),
    Drained,
}

/// A room that writes down what it is told, and keeps what belongs to it.
pub(super) struct FakeRoom {
    pub(super) address: RoomRef,
    actor: ActorRef<RoomMsg>,
    told: mpsc::Receiver<Told>,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
pub(super) struct Kept {
    pub(super) joins: Vec<Join>,
    permits: Vec<OwnedSemaphorePermit>,
}

struct FakeActor(mpsc::Sender<Told>, Arc<Mutex<Kept>>);

impl Actor for FakeActor {
    type Msg = RoomMsg;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<RoomMsg>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(&self, _: ActorRef<RoomMsg>, message: RoomMsg, (): &mut ()) -> Result<(), ActorProcessingErr> {
        let told = match message {
            RoomMsg::Join(join) => {
                let since = join.since;
                self.1.lock().joins.push(join);
                Told::Join(since)
            }
            RoomMsg::Leave { dropped, .. } => Told::Leave { dropped },
            RoomMsg::Op(op) => {
                self.1.lock().permits.extend(op.permits);
                Told::Op(op.id.unwrap().1.0, op.ready.users.len())
            }
            RoomMsg::Presence { state, .. } => Told::Presence(state.typing),
            RoomMsg::Drained { .. } => Told::Drained,
            RoomMsg::Read(_) | RoomMsg::Own(_) => return Ok(()),
        };
        self.0.try_send(told)?;
        Ok(())
    }
}

/// `{"bad": true}` is refused, `{"users": n}` names n users.
fn parse(value: &Value) -> Result<ParsedFor, Rejection> {
    if value.get("bad").is_some() {
        return Err(Rejection::invalid("/bad", "no"));
    }
    let users = value.get("users").and_then(Value::as_u64).unwrap_or(0);
    let users = (0..users).map(|n| UserId(Uuid::from_u128(u128::from(n) + 10))).collect();
    Ok((Parsed { command: Box::new(()), fingerprint: 0 }, Needs { users, quota: None }))
}

static KIND: KindInfo = KindInfo { tag: "fake", parse };

impl FakeRoom {
    pub(super) async fn spawn(id: RoomId) -> Self {
        let (tell, told) = mpsc::channel(1_024);
        let kept = Arc::<Mutex<Kept>>::default();
        let (actor, _) = Actor::spawn(None, FakeActor(tell, Arc::clone(&kept)), ()).await.unwrap();
        let address = RoomRef::new(id, actor.clone(), &KIND, Arc::new(Semaphore::new(1_000)));
        Self { address, actor, told, kept }
    }

    pub(super) async fn next(&mut self) -> Told {
        tokio::time::timeout(Duration::from_secs(5), self.told.recv()).await.expect("the room is told something").unwrap()
    }

    /// Checks that the room is told nothing, as far as that has been sent by now.
    pub(super) async fn quiet(&mut self) {
        self.actor.cast(RoomMsg::Drained { session: SessionId(Uuid::nil()) }).unwrap();
        assert_eq!(self.next().await, Told::Drained);
    }

    pub(super) fn seat(&self) -> Arc<dyn SessionSink> {
        Arc::clone(&self.kept.lock().joins.last().unwrap().link.sink)
    }

    pub(super) fn reached(&self, at: Position) {
        self.kept.lock().joins.last().unwrap().cursor.set(at);
    }

    /// Lets in whoever joined.
    pub(super) fn let_in(&self) {
        self.kept.lock().joins.iter_mut().for_each(|join| join.link.give_turn_back());
    }

    /// Answers everything: what was in flight is not any more.
    pub(super) fn settle(&self) {
        self.kept.lock().permits.clear();
    }

    pub(super) async fn stop(&self) {
        self.actor.stop_and_wait(None, None).await.unwrap();
    }
}

/// Rooms by id.
pub(super) struct FakeRooms {
    pub(super) admission: Admission,
    pub(super) rooms: Mutex<HashMap<RoomId, RoomRef>>,
    /// Rooms that never open.
    pub(super) stuck: Mutex<HashSet<RoomId>>,
    pub(super) asked: Mutex<usize>,
    /// What every room answers with, while set.
    pub(super) refuse: Mutex<Option<ErrorCode>>,
}

impl FakeRooms {
    pub(super) fn new(joins_at_once: usize) -> Self {
        Self {
            admission: Admission::new(joins_at_once),
            rooms: Mutex::default(),
            stuck: Mutex::default(),
            asked: Mutex::default(),
            refuse: Mutex::default(),
        }
    }
}

#[async_trait]
impl Rooms for FakeRooms {
    async fn turn(&self) -> Turn {
        self.admission.turn().await
    }

    async fn room(&self, room: RoomId, _: UserId) -> Result<RoomRef, Rejection> {
        *self.asked.lock() += 1;
        if self.stuck.lock().contains(&room) {
            std::future::pending::<()>().await;
        }
        if let Some(code) = *self.refuse.lock() {
            return Err(Rejection::new(code, "refused"));
        }
        self.rooms.lock().get(&room).cloned().ok_or_else(|| Rejection::not_found("no such room"))
    }

    async fn cards(&self, users: &[UserId]) -> Result<Vec<UserCard>, Rejection> {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(users.iter().map(|user| UserCard { user: *user, name: "Someone".into(), group: None }).collect())
    }

    async fn prepare(&self, _: RoomId, _: UserId, needs: &Needs) -> Result<Ready, Rejection> {
        Ok(Ready { users: self.cards(&needs.users).await?, ..Ready::default() })
    }
}

/// Tokens are `good` or `other` (another login's); nothing else holds.
struct FakeTokens;

#[async_trait]
impl Authenticator for FakeTokens {
    async fn check(&self, token: &str) -> Result<Credential, Rejection> {
        match token {
            "good" => Ok(credential()),
            "other" => Ok(Credential { login: Uuid::from_u128(99), ..credential() }),
            _ => Err(Rejection::new(ErrorCode::Unauthorized, "the token does not hold")),
        }
    }

    fn is_ended(&self, _: &Credential) -> bool {
        false
    }
}

fn credential() -> Credential {
    Credential { user: USER, login: LOGIN, expires_at: Timestamp::from_ms(NOW_MS + 900_000) }
}

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(NOW_MS)
    }
}

/// A session and its surroundings.
pub(super) struct Stage {
    pub(super) session: Session,
    pub(super) said: Arc<Said>,
    pub(super) control: Arc<Control>,
    pub(super) rooms: Arc<FakeRooms>,
}

impl Stage {
    pub(super) fn new() -> Self {
        Self::with(&Arc::new(FakeRooms::new(64)), 7)
    }

    /// A session of the same user on rooms that it has not for itself.
    pub(super) fn with(rooms: &Arc<FakeRooms>, session: u128) -> Self {
        let (said, control, rooms) = (Arc::<Said>::default(), Arc::<Control>::default(), Arc::clone(rooms));
        let info = SessionInfo {
            id: SessionId(Uuid::from_u128(session)),
            card: UserCard { user: USER, name: "Ann".into(), group: None },
            client: ClientId(Uuid::from_u128(8)),
            codec: Codec::Json,
        };
        let shared = Shared {
            rooms: Arc::clone(&rooms) as _,
            authenticator: Arc::new(FakeTokens),
            clock: Arc::new(FixedClock),
            limits: SessionLimits::default(),
        };
        let session = Session::start(Arc::new(info), &credential(), Arc::new(shared), Arc::clone(&said) as _, Arc::clone(&control));
        let stage = Self { session, said, control, rooms };
        assert_eq!(stage.heard()[0]["t"], "welcome");
        stage
    }

    pub(super) async fn open(&self, id: RoomId) -> FakeRoom {
        let room = FakeRoom::spawn(id).await;
        self.rooms.rooms.lock().insert(id, room.address.clone());
        room
    }

    /// Puts the session into a fresh room.
    pub(super) async fn joined(&mut self, id: RoomId) -> FakeRoom {
        let mut room = self.open(id).await;
        self.join(id);
        self.work().await.unwrap();
        assert_eq!(room.next().await, Told::Join(None));
        room
    }

    pub(super) fn send(&mut self, frame: &Value) -> Result<(), Ending> {
        self.session.receive(ClientFrame::decode(Codec::Json, frame.to_string().as_bytes()))
    }

    pub(super) fn join(&mut self, room: RoomId) {
        self.send(&json!({"t": "join", "room": room})).unwrap();
    }

    pub(super) fn op(&mut self, room: RoomId, n: CommandNumber, cmd: &Value) {
        self.send(&json!({"t": "op", "room": room, "n": n, "cmd": cmd})).unwrap();
    }

    pub(super) async fn work(&mut self) -> Result<(), Ending> {
        tokio::time::timeout(Duration::from_secs(60), self.session.work()).await.expect("there is work")
    }

    pub(super) fn heard(&self) -> Vec<Value> {
        std::mem::take(&mut *self.said.0.lock())
    }
}
