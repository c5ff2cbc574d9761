//! Model clients: they follow the rules of the protocol, and an observer follows them.

use super::plan::{ROOMS, Since};
use super::random::Random;
use super::ward::{Violations, Ward};
use crate::frame::Frame;
use crate::ports::{Detached, Sent, SessionSink};
use crate::room::SessionInfo;
use crate::session::{Control, Credential, Due, Session, Shared};
use crate::testing::checker::{Heard, Observer};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::sleep_until;
use tripsync_domain::presence::PresenceState;
use tripsync_domain::protocol::{ClientFrame, Codec, Position};
use tripsync_domain::{ClientId, CommandNumber, Epoch, ItemId, RoomId, Seq, SessionId, Timestamp, UserCard, UserId};
use uuid::Uuid;

/// How long a client waits before it sends again what it was told to send again.
const AGAIN: Duration = Duration::from_millis(300);

/// The client's end of a socket.
pub(super) struct Wire {
    user: UserId,
    ward: Ward,
    budget_bytes: usize,
    state: Mutex<WireState>,
    readable: Notify,
}

#[derive(Default)]
struct WireState {
    queue: VecDeque<Value>,
    bytes: usize,
    stalled: bool,
    full: bool,
    dead: bool,
}

impl Wire {
    fn push(&self, frames: &[Frame]) {
        for frame in frames {
            let value: Value = serde_json::from_slice(frame.payload(Codec::Json)).unwrap();
            self.ward.leaves(self.user, &value, frame.payload(Codec::MessagePack));
            let mut state = self.state.lock();
            if !state.dead {
                state.bytes += frame.payload(Codec::MessagePack).len();
                state.queue.push_back(value);
            }
        }
        self.readable.notify_one();
    }

    pub(super) fn stall(&self, stalled: bool) {
        self.state.lock().stalled = stalled;
        self.readable.notify_one();
    }

    /// The connection is broken: nothing arrives any more.
    fn kill(&self) {
        let mut state = self.state.lock();
        state.dead = true;
        state.queue.clear();
    }

    /// What can be read now, and whether that empties a socket that was full.
    fn take(&self) -> (Vec<Value>, bool) {
        let mut state = self.state.lock();
        if state.stalled {
            return (Vec::new(), false);
        }
        state.bytes = 0;
        (state.queue.drain(..).collect(), std::mem::take(&mut state.full))
    }
}

impl SessionSink for Wire {
    fn send(&self, frames: &[Frame]) -> Sent {
        {
            let mut state = self.state.lock();
            let more: usize = frames.iter().map(|frame| frame.payload(Codec::MessagePack).len()).sum();
            if !state.dead && state.stalled && !state.queue.is_empty() && state.bytes + more > self.budget_bytes {
                state.full = true;
                return Sent::Full;
            }
        }
        self.push(frames);
        Sent::Taken
    }

    fn send_always(&self, frames: &[Frame]) {
        self.push(frames);
    }

    fn detached(&self, _: RoomId, _: Detached) {}
}

/// A room as a client knows it.
pub(super) struct RoomModel {
    pub(super) room: RoomId,
    pub(super) observer: Observer,
    /// Commands without a final answer.
    pub(super) pending: BTreeMap<u64, (Value, Option<u64>)>,
    /// Those that were refused for now.
    again: BTreeSet<u64>,
    /// Those that were acknowledged.
    done: Vec<(u64, Value)>,
    /// Items that were seen, for commands about them.
    items: Vec<(&'static str, String)>,
    /// Whether the client means to be in the room.
    pub(super) wanted: bool,
    rejoin: bool,
    /// Numbers that were used for another body too.
    reused: BTreeSet<u64>,
}

/// A client, with its memory across connections.
pub(super) struct Model {
    pub(super) user: UserId,
    pub(super) client: ClientId,
    pub(super) rooms: Vec<RoomModel>,
    n: u64,
    violations: Violations,
}

impl Model {
    pub(super) fn new(user: UserId, client: ClientId, rooms: &[RoomId; ROOMS], violations: Violations) -> Self {
        let rooms = rooms.iter().map(|room| RoomModel {
            room: *room,
            observer: Observer::new(),
            pending: BTreeMap::new(),
            again: BTreeSet::new(),
            done: Vec::new(),
            items: Vec::new(),
            wanted: false,
            rejoin: false,
            reused: BTreeSet::new(),
        });
        Self { user, client, rooms: rooms.collect(), n: 0, violations }
    }

    pub(super) fn name(&self) -> String {
        format!("client {} of {}", self.client, self.user)
    }

    fn connected(&mut self) {
        for room in &mut self.rooms {
            room.observer.connected();
            room.again.clear();
            room.rejoin = false;
        }
    }

    /// Makes up a command, and the frames that send it.
    pub(super) fn compose(&mut self, room: usize, seed: u64, times: usize) -> Vec<ClientFrame> {
        self.n += 1;
        let n = self.n;
        let room = &mut self.rooms[room];
        let command = command(&mut Random::new(seed), self.user, &room.items);
        let base = if seed.is_multiple_of(4) { None } else { Some(room.observer.seq()) };
        room.pending.insert(n, (command, base));
        if room.observer.is_in() { (0..times).filter_map(|_| room.op(n)).collect() } else { Vec::new() }
    }

    pub(super) fn resend(&mut self, room: usize) -> Vec<ClientFrame> {
        let room = &mut self.rooms[room];
        let oldest = room.pending.keys().next().copied().filter(|_| room.observer.is_in());
        oldest.and_then(|n| room.op(n)).into_iter().collect()
    }

    /// Sends an acknowledged command again, or another one under its number.
    pub(super) fn repeat(&mut self, room: usize, back: usize, other_body: bool) -> Vec<ClientFrame> {
        let room = &mut self.rooms[room];
        let Some((n, mut cmd)) = room.done.iter().rev().nth(back).cloned() else { return Vec::new() };
        if !room.observer.is_in() || room.observer.unanswered().contains(&n) {
            return Vec::new();
        }
        if other_body {
            cmd = json!({"type": "send_message", "body": "another body"});
            room.reused.insert(n);
        } else if room.reused.contains(&n) {
            return Vec::new();
        }
        room.observer.sent(n);
        vec![ClientFrame::Op { room: room.room, n: CommandNumber(n), cmd, base: None }]
    }

    pub(super) fn join(&mut self, room: usize, since: Since) -> ClientFrame {
        let room = &mut self.rooms[room];
        room.wanted = true;
        room.join(since)
    }

    pub(super) fn leave(&mut self, room: usize) -> Option<ClientFrame> {
        let room = &mut self.rooms[room];
        let was_in = room.observer.is_in();
        room.wanted = false;
        was_in.then(|| {
            room.observer.leaving();
            ClientFrame::Leave { room: room.room }
        })
    }

    /// Acts on a frame as the protocol asks.
    fn hear(&mut self, frame: &Value) -> Vec<ClientFrame> {
        if frame["t"] == "bye" {
            return Vec::new();
        }
        let id = if frame["t"] == "error" { &frame["about"]["room"] } else { &frame["room"] };
        let name = self.name();
        let Some(room) = self.rooms.iter_mut().find(|room| *id == json!(room.room)) else { return Vec::new() };
        let Some(heard) = self.violations.note(&name, room.observer.hear(frame)) else { return Vec::new() };
        room.learn(frame);
        match heard {
            Heard::Joined(_) => {
                room.again.clear();
                let unanswered: Vec<_> = room.pending.keys().copied().collect();
                unanswered.into_iter().filter_map(|n| room.op(n)).collect()
            }
            Heard::Acked(n) => {
                if room.reused.contains(&n) {
                    self.violations.add(format!("{name}: another command under number {n} was acknowledged"));
                }
                room.again.remove(&n);
                if let Some((command, _)) = room.pending.remove(&n) {
                    room.done.push((n, command));
                }
                Vec::new()
            }
            Heard::Rejected(n, again) => {
                if again && room.pending.contains_key(&n) {
                    room.again.insert(n);
                } else if frame["code"] == "internal" {
                    self.violations.add(format!("{name}: an internal error: {frame}"));
                } else if frame["code"] == "command_id_reused" && !room.reused.contains(&n) {
                    self.violations.add(format!("{name}: number {n} names one command only: {frame}"));
                } else if frame["code"] != "not_joined" {
                    room.pending.remove(&n);
                }
                Vec::new()
            }
            Heard::Out(code) => {
                match code.as_str() {
                    "removed" | "room_deleted" | "not_found" => {
                        room.wanted = false;
                        room.pending.clear();
                        room.again.clear();
                    }
                    _ => room.rejoin = true,
                }
                Vec::new()
            }
            Heard::Events(_) | Heard::Other => Vec::new(),
        }
    }

    /// What was to be sent again later.
    fn again(&mut self) -> Vec<ClientFrame> {
        let mut out = Vec::new();
        for room in &mut self.rooms {
            if std::mem::take(&mut room.rejoin) && room.wanted {
                out.push(room.join(Since::Position));
            }
            let again = std::mem::take(&mut room.again);
            if room.observer.is_in() {
                out.extend(again.into_iter().filter_map(|n| room.op(n)));
            }
        }
        out
    }

    fn has_again(&self) -> bool {
        self.rooms.iter().any(|room| room.rejoin || !room.again.is_empty())
    }
}

impl RoomModel {
    fn op(&mut self, n: u64) -> Option<ClientFrame> {
        let (cmd, base) = self.pending.get(&n)?;
        self.observer.sent(n);
        Some(ClientFrame::Op { room: self.room, n: CommandNumber(n), cmd: cmd.clone(), base: base.map(Seq) })
    }

    fn join(&mut self, since: Since) -> ClientFrame {
        let position = self.observer.position();
        let since = position.and_then(|(epoch, seq)| match since {
            Since::Nothing => None,
            Since::Position => Some((epoch, seq)),
            Since::Future => Some((epoch, seq + 1_000)),
            Since::OtherEpoch => Some((epoch + 1_000, seq)),
        });
        self.observer.joining(since.map(|(_, seq)| seq));
        ClientFrame::Join { room: self.room, since: since.map(|(epoch, seq)| Position { epoch: Epoch(epoch), seq: Seq(seq) }) }
    }

    /// Remembers items that can be spoken of.
    fn learn(&mut self, frame: &Value) {
        let mut add = |kind, id: &Value| {
            if let Some(id) = id.as_str() {
                self.items.push((kind, id.to_owned()));
            }
        };
        for event in frame["events"].as_array().into_iter().flatten() {
            add("activity", &event["ev"]["activity"]["id"]);
            add("place", &event["ev"]["place"]["id"]);
            add("message", &event["ev"]["message"]["id"]);
        }
    }
}

/// Makes up a command, mostly about what is there.
pub(super) fn command(random: &mut Random, user: UserId, items: &[(&'static str, String)]) -> Value {
    let number = random.next() % 1_000;
    let some = |random: &mut Random, kind: &str| {
        let of_kind: Vec<_> = items.iter().filter(|(other, _)| *other == kind).collect();
        let newest = of_kind.len().saturating_sub(6);
        if of_kind.is_empty() { Value::Null } else { json!(of_kind[newest + random.below(of_kind.len() - newest)].1) }
    };
    let activity = some(random, "activity");
    let day = random.pick(&["2027-05-01", "2027-05-02", "2027-05-03"]);
    match random.below(if activity.is_null() { 9 } else { 20 }) {
        0..3 => json!({"type": "add_activity", "title": format!("Activity {number}"), "day": day}),
        3 => json!({"type": "add_activity", "id": ItemId(Uuid::from_u128(u128::from(random.next()))), "title": format!("Own {number}")}),
        4 => json!({"type": "add_place", "name": format!("Place {number}")}),
        5 => json!({"type": "send_message", "body": format!("Message {number}")}),
        6 => json!({"type": "update_details", "title": format!("Trip {number}")}),
        7 => json!({"type": "set_status", "status": random.pick(&["planning", "active", "cancelled"])}),
        8 => json!({"type": "update_details", "destination": format!("Town {number}"), "start_date": day}),
        9..13 => json!({"type": "update_activity", "activity": activity, "title": format!("Title {number}")}),
        13 => json!({"type": "update_activity", "activity": activity, "notes": format!("Notes {number}"), "assignees": [user]}),
        14..17 => json!({"type": "move_activity", "activity": activity, "day": day, "after": some(random, "activity")}),
        17 => json!({"type": "remove_activity", "activity": activity}),
        18 => json!({"type": "vote_place", "place": some(random, "place"), "on": random.one_in(2)}),
        _ => json!({"type": "react", "message": some(random, "message"), "emoji": "👍", "on": true}),
    }
}

/// A socket: its session, and the task that drives both.
pub(super) struct Connection {
    frames: mpsc::Sender<ClientFrame>,
    pub(super) wire: Arc<Wire>,
    goodbye: Arc<Mutex<bool>>,
    task: JoinHandle<()>,
}

impl Connection {
    pub(super) fn open(model: &Arc<Mutex<Model>>, shared: Arc<Shared>, ward: Ward, budget_bytes: usize, id: Uuid) -> Self {
        let (frames, receiver) = mpsc::channel(1_000);
        let (user, client) = {
            let mut model = model.lock();
            model.connected();
            (model.user, model.client)
        };
        let wire = Arc::new(Wire { user, ward, budget_bytes, state: Mutex::default(), readable: Notify::new() });
        let info = SessionInfo {
            id: SessionId(id),
            card: UserCard { user, name: format!("User {user}"), group: None },
            client,
            codec: Codec::Json,
        };
        let credential = Credential { user, login: Uuid::nil(), expires_at: Timestamp::from_ms(i64::MAX / 4) };
        let control = Arc::<Control>::default();
        let session = Session::start(Arc::new(info), &credential, shared, Arc::clone(&wire) as _, Arc::clone(&control));
        let goodbye = Arc::new(Mutex::new(false));
        let driver = Driver { session, control, wire: Arc::clone(&wire), model: Arc::clone(model), goodbye: Arc::clone(&goodbye) };
        Self { frames, wire, goodbye, task: tokio::spawn(driver.run(receiver)) }
    }

    pub(super) fn send(&self, frames: impl IntoIterator<Item = ClientFrame>) {
        for frame in frames {
            self.frames.try_send(frame).expect("the session keeps up");
        }
    }

    /// Ends the socket, and waits until its session has let go.
    pub(super) async fn close(self, goodbye: bool) {
        self.wire.kill();
        *self.goodbye.lock() = goodbye;
        drop(self.frames);
        self.task.await.expect("the session does not panic");
    }
}

struct Driver {
    session: Session,
    control: Arc<Control>,
    wire: Arc<Wire>,
    model: Arc<Mutex<Model>>,
    goodbye: Arc<Mutex<bool>>,
}

impl Driver {
    /// As the task of a real socket does it.
    async fn run(mut self, mut frames: mpsc::Receiver<ClientFrame>) {
        let mut again_at = None;
        loop {
            self.session.sweep();
            if self.model.lock().has_again() {
                again_at.get_or_insert(tokio::time::Instant::now() + AGAIN);
            }
            let due = self.session.deadline().min(again_at.unwrap_or(self.session.deadline()));
            tokio::select! {
                biased;
                () = self.control.woken() => {}
                () = self.wire.readable.notified() => {
                    let (values, drained) = self.wire.take();
                    let answers: Vec<_> = values.iter().flat_map(|value| self.model.lock().hear(value)).collect();
                    if drained {
                        self.session.drained();
                    }
                    self.receive(answers);
                }
                worked = self.session.work() => worked.expect("the session goes on"),
                () = sleep_until(due) => {
                    if again_at.is_some_and(|at| at <= tokio::time::Instant::now()) {
                        again_at = None;
                        let again = self.model.lock().again();
                        self.receive(again);
                    }
                    match self.session.tick() {
                        Due::Nothing => {}
                        Due::Ping => self.session.heard(),
                        Due::End(ending) => panic!("the session ended: {ending:?}"),
                    }
                }
                frame = frames.recv() => match frame {
                    Some(frame) => self.receive([frame]),
                    None => break,
                },
            }
        }
        if *self.goodbye.lock() {
            self.session.goodbye();
        }
    }

    fn receive(&mut self, frames: impl IntoIterator<Item = ClientFrame>) {
        for frame in frames {
            self.session.heard();
            self.session.receive(Ok(frame)).expect("the session goes on");
        }
    }
}

/// What a client says that it does.
pub(super) fn presence(room: RoomId) -> ClientFrame {
    ClientFrame::Presence { room, state: PresenceState { typing: true, ..PresenceState::default() } }
}
