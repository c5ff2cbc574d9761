//! Runs a plan: a node or two, clients, and what befalls them.

use super::client::{Connection, Model, command, presence};
use super::node::{Node, next_id, start};
use super::plan::{How, Plan, ROOMS, Since, Step, USERS};
use super::random::Random;
use super::ward::{Violations, Ward, json_of};
use crate::engine::{CallOptions, Engine};
use crate::ports::{Clock as _, Stored};
use crate::room::{Outcome, RoomView};
use crate::testing::checker::{Commands, Violation};
use crate::testing::{Fault, MemoryDirectory, MemoryJournal, Sabotage, TestClock};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tripsync_domain::protocol::EventRecord;
use tripsync_domain::trip::{Event, State, Trip};
use tripsync_domain::{ClientId, CommandNumber, EventMeta, Rejection, RoomId, RoomKind, Seq, Timestamp, UserCard, UserId};
use uuid::Uuid;

/// What came of a call without a socket.
struct Called {
    room: usize,
    user: UserId,
    number: Option<u64>,
    marker: String,
    if_match: Option<Seq>,
    result: Result<Outcome, Rejection>,
}

struct World {
    tuning: super::plan::Tuning,
    sabotage: Sabotage,
    memory: MemoryJournal,
    clock: TestClock,
    directory: MemoryDirectory,
    ids: Arc<AtomicU64>,
    node: Node,
    rival: Option<Engine>,
    models: Vec<Arc<Mutex<Model>>>,
    connections: Vec<Option<Connection>>,
    ward: Ward,
    violations: Violations,
    called: Arc<Mutex<Vec<Called>>>,
    views: Arc<Mutex<Vec<(usize, UserId, RoomView)>>>,
    calls: u64,
    tasks: tokio::task::JoinSet<()>,
}

fn room(index: usize) -> RoomId {
    RoomId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0100 + index as u128))
}

fn user(index: usize) -> UserId {
    UserId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0200 + index as u128))
}

fn card(index: usize) -> UserCard {
    UserCard { user: user(index), name: format!("User {index}"), group: None }
}

fn client(index: u64) -> ClientId {
    ClientId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0300 + u128::from(index)))
}

const REST: u64 = 900;

/// Runs a plan; what was violated, and the trace of everything that left the engine.
pub(super) fn run(plan: &Plan, sabotage: Sabotage) -> (Vec<Violation>, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(plan, sabotage).await;
        for step in &plan.steps {
            world.step(step).await;
            if !world.violations.all().is_empty() {
                break;
            }
        }
        if world.violations.all().is_empty() {
            world.quiet().await;
            world.judge().await;
        }
        (world.violations.all(), world.ward.trace())
    })
}

impl World {
    async fn new(plan: &Plan, sabotage: Sabotage) -> Self {
        let memory = MemoryJournal::new();
        let clock = TestClock::running(Timestamp::from_ms(1_800_000_000_000));
        let directory = MemoryDirectory::default();
        (0..USERS).for_each(|index| directory.put(user(index), &card(index).name));
        let ids = Arc::new(AtomicU64::new(1));
        let violations = Violations::default();
        let rooms: [RoomId; ROOMS] = std::array::from_fn(room);
        let ward = Ward::new(memory.clone(), &rooms, (0..USERS).map(user).collect(), violations.clone());
        let tuning = plan.tuning.clone();
        let node = start(&tuning, sabotage, &memory, &clock, &directory, &ids).await;
        for index in 0..ROOMS {
            let create = json!({"type": "create", "title": "A trip"});
            node.engine.create::<Trip>(room(index), card(0), &create, None).await.unwrap();
            for (index_of, role) in [(1, "participant"), (2, "viewer")] {
                let add = json!({"type": "add_member", "user": user(index_of), "role": role});
                node.engine.call(room(index), card(0), &add, CallOptions::default()).await.unwrap();
            }
        }
        memory.set_append_delay(Duration::from_millis(tuning.append_ms));
        let models = (0_u64..)
            .zip(&plan.clients)
            .map(|(index, of)| Arc::new(Mutex::new(Model::new(user(*of), client(index), &rooms, violations.clone()))));
        Self {
            models: models.collect(),
            connections: plan.clients.iter().map(|_| None).collect(),
            tuning,
            sabotage,
            memory,
            clock,
            directory,
            ids,
            node,
            rival: None,
            ward,
            violations,
            called: Arc::default(),
            views: Arc::default(),
            calls: 0,
            tasks: tokio::task::JoinSet::new(),
        }
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Connect(client) => self.connect(*client).await,
            Step::Drop(client) => self.close(*client, false).await,
            Step::Close(client) => self.close(*client, true).await,
            Step::Join { client, room, since } => {
                if let Some(connection) = &self.connections[*client] {
                    connection.send([self.models[*client].lock().join(*room, *since)]);
                }
            }
            Step::Leave { client, room } => self.tell(*client, |model| model.leave(*room).into_iter().collect()),
            Step::Op { client, room, seed, times } => {
                let frames = self.models[*client].lock().compose(*room, *seed, *times);
                self.tell(*client, |_| frames);
            }
            Step::Resend { client, room } => self.tell(*client, |model| model.resend(*room)),
            Step::Repeat { client, room, back } => self.tell(*client, |model| model.repeat(*room, *back, false)),
            Step::Reuse { client, room, back } => self.tell(*client, |model| model.repeat(*room, *back, true)),
            Step::Presence { client, room } => self.tell(*client, |model| {
                let room = &model.rooms[*room];
                if room.observer.is_in() { vec![presence(room.room)] } else { Vec::new() }
            }),
            Step::Stall(client) => self.stall(*client, true),
            Step::Unstall(client) => self.stall(*client, false),
            Step::Call { user, room, seed, how } => self.call(*user, *room, *seed, *how),
            Step::Read { user, room } => self.read(*user, *room),
            Step::Members { room, seed } => self.members(*room, *seed),
            Step::Delete { room } => self.spawn_call(0, *room, json!({"type": "delete"}), How::Bare),
            Step::Faults(stored) => {
                let fault = |stored: &bool| Some(if *stored { Fault::StoredUnanswered } else { Fault::Lost });
                self.memory.plan_faults(stored.iter().map(fault));
            }
            Step::Freeze => self.memory.freeze(),
            Step::Thaw => self.memory.thaw(),
            Step::Away(away) => self.memory.set_away(*away),
            Step::AppendDelay(ms) => self.memory.set_append_delay(Duration::from_millis(*ms)),
            Step::Rival { room, seed } => self.rival(*room, *seed).await,
            Step::Crash => self.crash().await,
            Step::Restart => self.restart().await,
            Step::ClockBack(ms) => {
                let now = self.clock.now().as_ms();
                self.clock.set(Timestamp::from_ms(now - i64::try_from(*ms).unwrap()));
            }
            Step::Sleep(ms) => tokio::time::sleep(Duration::from_millis(*ms)).await,
            Step::Turns(turns) => {
                for _ in 0..*turns {
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    async fn connect(&mut self, client: usize) {
        self.close(client, false).await;
        let id = next_id(&self.ids);
        let (shared, ward) = (Arc::clone(&self.node.sessions), self.ward.clone());
        let connection = Connection::open(&self.models[client], shared, ward, self.tuning.budget_bytes, id);
        let wanted: Vec<_> = (0..ROOMS).filter(|room| self.models[client].lock().rooms[*room].wanted).collect();
        for room in wanted {
            connection.send([self.models[client].lock().join(room, Since::Position)]);
        }
        self.connections[client] = Some(connection);
    }

    async fn close(&mut self, client: usize, goodbye: bool) {
        if let Some(connection) = self.connections[client].take() {
            connection.close(goodbye).await;
            // What was sent on it is not answered any more.
            self.models[client].lock().rooms.iter_mut().for_each(|room| room.observer.connected());
        }
    }

    /// Lets a client send frames, if it has a socket.
    fn tell(&self, client: usize, frames: impl FnOnce(&mut Model) -> Vec<tripsync_domain::protocol::ClientFrame>) {
        if let Some(connection) = &self.connections[client] {
            let frames = frames(&mut self.models[client].lock());
            connection.send(frames);
        }
    }

    fn stall(&self, client: usize, stalled: bool) {
        if let Some(connection) = &self.connections[client] {
            connection.wire.stall(stalled);
        }
    }

    fn call(&mut self, user_index: usize, room: usize, seed: u64, how: How) {
        let mut cmd = command(&mut Random::new(seed), user(user_index), &[]);
        if how == How::Bare {
            cmd = json!({"type": "send_message", "body": "bare"});
        }
        self.spawn_call(user_index, room, cmd, how);
    }

    fn spawn_call(&mut self, user_index: usize, index: usize, mut cmd: Value, how: How) {
        self.calls += 1;
        let marker = format!("call {}", self.calls);
        if cmd["type"] == "send_message" {
            cmd["body"] = json!(marker);
        }
        let number = (how == How::Numbered).then_some(self.calls);
        let if_match = (how == How::IfMatch).then(|| Seq(self.memory.records(room(index)).len() as u64));
        let id = number.map(|n| (client(REST), CommandNumber(n)));
        let (engine, ward, called) = (self.node.engine.clone(), self.ward.clone(), Arc::clone(&self.called));
        self.tasks.spawn(async move {
            let options = CallOptions { id, if_match, ..CallOptions::default() };
            let result = engine.call(room(index), card(user_index), &cmd, options).await;
            if let Ok(outcome) = &result {
                ward.is_durable(room(index), outcome.seq, "the answer to a call");
            }
            let user = user(user_index);
            called.lock().push(Called { room: index, user, number, marker, if_match, result });
        });
    }

    fn read(&mut self, user_index: usize, index: usize) {
        let (engine, ward, views) = (self.node.engine.clone(), self.ward.clone(), Arc::clone(&self.views));
        self.tasks.spawn(async move {
            if let Ok(view) = engine.read(room(index), user(user_index)).await {
                ward.is_durable(room(index), view.seq, "a read state");
                views.lock().push((index, user(user_index), view));
            }
        });
    }

    fn members(&mut self, room: usize, seed: u64) {
        let mut random = Random::new(seed);
        let whom = user(1 + random.below(USERS - 1));
        let role = random.pick(&["viewer", "participant", "organizer"]);
        let cmd = match random.below(5) {
            0..2 => json!({"type": "add_member", "user": whom, "role": role}),
            2 => json!({"type": "set_role", "user": whom, "role": role}),
            _ => json!({"type": "remove_member", "user": whom}),
        };
        self.spawn_call(0, room, cmd.clone(), How::Numbered);
        if random.one_in(3) && cmd["type"] == "remove_member" {
            self.spawn_call(0, room, json!({"type": "add_member", "user": whom, "role": role}), How::Numbered);
        }
    }

    /// Another node takes a room over and writes to it; this one does not know yet.
    async fn rival(&mut self, index: usize, seed: u64) {
        if self.rival.is_none() {
            let node = start(&self.tuning, self.sabotage, &self.memory, &self.clock, &self.directory, &self.ids).await;
            self.rival = Some(node.engine);
        }
        let Some(engine) = self.rival.clone() else { return };
        let cmd = command(&mut Random::new(seed), user(0), &[]);
        self.tasks.spawn(async move {
            let _ = engine.call(room(index), card(0), &cmd, CallOptions::default()).await;
        });
    }

    async fn crash(&mut self) {
        self.die();
        self.all_drop().await;
        self.node = start(&self.tuning, self.sabotage, &self.memory, &self.clock, &self.directory, &self.ids).await;
    }

    /// The node dies, and with it who waits for its answers.
    fn die(&mut self) {
        self.node.journal.die();
        self.node.engine.crash();
        self.tasks.abort_all();
    }

    async fn restart(&mut self) {
        // With a journal that is frozen or away the time runs out, and the rest is as after a crash.
        let drained = self.node.engine.drain(Duration::from_secs(5)).await;
        if !drained {
            self.die();
        }
        self.all_drop().await;
        self.node = start(&self.tuning, self.sabotage, &self.memory, &self.clock, &self.directory, &self.ids).await;
    }

    async fn all_drop(&mut self) {
        for client in 0..self.connections.len() {
            self.close(client, false).await;
        }
    }

    /// Everything works again and everybody is there; waits until nothing is left to do.
    async fn quiet(&mut self) {
        self.memory.set_away(false);
        self.memory.set_append_delay(Duration::ZERO);
        self.memory.thaw();
        if let Some(rival) = self.rival.take() {
            rival.drain(Duration::from_secs(60)).await;
        }
        for client in 0..self.connections.len() {
            self.stall(client, false);
            for room in &mut self.models[client].lock().rooms {
                room.wanted = true;
            }
            self.connect(client).await;
        }
        let mut nudged: BTreeSet<usize> = BTreeSet::new();
        for _ in 0..900 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            for index in 0..ROOMS {
                if nudged.contains(&index) {
                    continue;
                }
                // An owner that was overtaken learns it by its next append.
                let cmd = json!({"type": "send_message", "body": "is anybody here"});
                let nudge = self.node.engine.call(room(index), card(0), &cmd, CallOptions::default()).await;
                let gone = matches!(&nudge, Err(rejection) if rejection.code == tripsync_domain::ErrorCode::NotFound);
                if nudge.is_ok() || gone {
                    nudged.insert(index);
                }
            }
            if !self.violations.all().is_empty() || (nudged.len() == ROOMS && self.unsettled().is_none()) {
                break;
            }
        }
        // The grace of presence ends, and every call is answered.
        tokio::time::sleep(Duration::from_secs(10)).await;
        while let Some(done) = self.tasks.join_next().await {
            assert!(done.as_ref().is_err_and(tokio::task::JoinError::is_cancelled) || done.is_ok(), "{done:?}");
        }
        if let Some(unsettled) = self.unsettled() {
            self.violations.add(format!("after quiet: {unsettled}"));
        }
    }

    /// Who is not where everybody should be.
    fn unsettled(&self) -> Option<Violation> {
        for model in &self.models {
            let model = model.lock();
            for (index, of_room) in model.rooms.iter().enumerate() {
                if !of_room.wanted {
                    continue;
                }
                let (name, last) = (model.name(), self.memory.records(room(index)).len() as u64);
                if !of_room.observer.is_in() {
                    return Some(format!("{name} is not in room {index}"));
                }
                if of_room.observer.seq() != last {
                    return Some(format!("{name} is at {} of {last} in room {index}", of_room.observer.seq()));
                }
                if let Some(n) = of_room.pending.keys().next() {
                    return Some(format!("{name} waits for an answer to {n} in room {index}"));
                }
            }
        }
        None
    }

    /// Compares what everybody has with the journal, and the journal with itself.
    async fn judge(&mut self) {
        for index in 0..ROOMS {
            if let Err(violation) = self.judge_room(index).await {
                self.violations.add(format!("room {index}: {violation}"));
            }
        }
        for client in 0..self.connections.len() {
            self.close(client, true).await;
        }
        if !self.node.engine.drain(Duration::from_secs(60)).await || self.node.engine.rooms() > 0 {
            self.violations.add("an actor is left behind");
        }
    }

    async fn judge_room(&self, index: usize) -> Result<(), Violation> {
        let records = self.memory.records(room(index));
        let journal = Commands::read(records.iter().map(|stored| json_of(&stored.bytes)), true)?;
        let states = replay(&records)?;
        let last = states.last().ok_or("no state")?;
        let view = |at: u64, of: UserId| json_of(&Trip::view(&states[usize::try_from(at).unwrap()], of));
        let present = self.present(index);
        for model in &self.models {
            let model = model.lock();
            let observer = &model.rooms[index].observer;
            let (user, client) = (model.user, model.client);
            observer.against(&journal, &user.to_string(), &client.to_string()).map_err(|what| format!("{}: {what}", model.name()))?;
            if let Some((at, _)) = observer.states().iter().find(|(at, state)| *state != view(*at, user)) {
                return Err(format!("{}: the state at {at} is not what the journal makes", model.name()));
            }
            if model.rooms[index].wanted && observer.present() != present {
                return Err(format!("{} sees {:?} present, not {present:?}", model.name(), observer.present()));
            }
        }
        for (_, user, seen) in self.views.lock().iter().filter(|(of, ..)| *of == index) {
            if json_of(&seen.state) != view(seen.seq.0, *user) {
                return Err(format!("the state that was read at {} is not what the journal makes", seen.seq));
            }
        }
        for called in self.called.lock().iter().filter(|called| called.room == index) {
            called.against(&journal, &records)?;
        }
        if let Some(snapshot) = self.memory.snapshot(room(index)) {
            let kept: State = rmp_serde::from_slice(&snapshot.state).map_err(|error| error.to_string())?;
            if states.get(usize::try_from(snapshot.seq.0).unwrap()) != Some(&kept) {
                return Err(format!("the snapshot at {} is not what the journal makes", snapshot.seq));
            }
        }
        if Trip::is_ended(last) {
            return Ok(());
        }
        let members: BTreeSet<_> = self.memory.members(room(index)).into_iter().collect();
        let expected: BTreeSet<_> = last.members.iter().map(|(user, member)| (*user, member.item.role)).collect();
        if members != expected {
            return Err(format!("the lists know {members:?} as members, the state {expected:?}"));
        }
        let read = self.node.engine.read(room(index), user(0)).await.map_err(|error| error.to_string())?;
        if (read.seq.0, json_of(&read.state)) != (journal.last(), view(journal.last(), user(0))) {
            return Err(format!("the live state at {} is not what the journal makes", read.seq));
        }
        Ok(())
    }

    /// Users with a socket in a room.
    fn present(&self, room: usize) -> BTreeSet<String> {
        let models = self.models.iter().map(|model| model.lock());
        models.filter(|model| model.rooms[room].observer.is_in()).map(|model| model.user.to_string()).collect()
    }
}

impl Called {
    fn against(&self, journal: &Commands, records: &[Stored]) -> Result<(), Violation> {
        let stored = self.number.and_then(|n| journal.find(&self.user.to_string(), &client(REST).to_string(), n));
        let marked = records.iter().filter(|stored| json_of(&stored.bytes)["ev"]["message"]["body"] == self.marker.as_str()).count();
        match &self.result {
            Ok(outcome) if self.number.is_some() && stored != Some(outcome.seq.0) => {
                Err(format!("{} was answered with {} and is stored at {stored:?}", self.marker, outcome.seq))
            }
            Ok(outcome) if self.if_match.is_some_and(|seq| outcome.seq != seq.next()) => {
                Err(format!("{} was applied at {}, though it asked for {:?}", self.marker, outcome.seq, self.if_match))
            }
            Err(rejection) if rejection.message.contains("was not applied") && (marked > 0 || stored.is_some()) => {
                Err(format!("{} is stored, though its answer was {rejection}", self.marker))
            }
            Ok(_) | Err(_) if marked > 1 => Err(format!("{} is stored {marked} times", self.marker)),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// The states that a journal makes, from the empty one on.
fn replay(records: &[Stored]) -> Result<Vec<State>, Violation> {
    let mut states = vec![State::default()];
    for stored in records {
        let record: EventRecord<Event> = EventRecord::decode(&stored.bytes).map_err(|error| error.to_string())?;
        let meta = EventMeta { seq: record.seq, at: record.at, by: record.by, command: record.client.zip(record.n) };
        let mut state = states[states.len() - 1].clone();
        Trip::evolve(&mut state, &meta, &record.ev);
        states.push(state);
    }
    Trip::validate(&states[states.len() - 1])?;
    Ok(states)
}
