//! Calls of surfaces without a socket, and what came of them.

use super::acts::{Call, How, members_commands};
use super::kinds::{Kind, kind};
use super::names::{REST, card, client, room, user};
use super::ward::Ward;
use crate::engine::{CallOptions, Engine};
use crate::ports::Stored;
use crate::room::{Outcome, RoomView};
use crate::sim::ward::json_of;
use crate::testing::MemoryJournal;
use crate::testing::checker::{Commands, Violation};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tripsync_domain::{CommandNumber, Rejection, Seq, UserId};

/// What came of a call.
struct Called {
    room: usize,
    user: UserId,
    number: Option<u64>,
    marker: String,
    if_match: Option<Seq>,
    /// What everybody together knew when it was made.
    after: u64,
    result: Result<Outcome, Rejection>,
}

/// Calls, made and answered.
pub(super) struct Calls {
    journal: MemoryJournal,
    ward: Ward,
    count: u64,
    called: Arc<Mutex<Vec<Called>>>,
    views: Arc<Mutex<Vec<(usize, UserId, RoomView)>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Calls {
    pub(super) fn new(journal: MemoryJournal, ward: Ward) -> Self {
        Self { journal, ward, count: 0, called: Arc::default(), views: Arc::default(), tasks: Vec::new() }
    }

    /// Makes a call to an engine, on its runtime.
    pub(super) fn make(&mut self, call: &Call, engine: &Engine, on: &Handle) {
        match call {
            Call::Command { user: index, room, seed, how } => {
                let mut cmd = self.ward.command(*room, *seed, user(*index), &[]);
                if *how == How::Bare {
                    cmd = json!({"type": "send_message", "body": "bare"});
                }
                self.command((*index, *room), cmd, *how, engine, on);
            }
            Call::Read { user, room } => self.read((*user, *room), engine, on),
            Call::Members { room, seed } => {
                for cmd in members_commands(*seed, user) {
                    self.command((0, *room), cmd, How::Numbered, engine, on);
                }
            }
            Call::Delete { room } => self.command((0, *room), json!({"type": "delete"}), How::Bare, engine, on),
        }
    }

    fn command(&mut self, (user_index, index): (usize, usize), mut cmd: Value, how: How, engine: &Engine, on: &Handle) {
        self.count += 1;
        let marker = format!("call {}", self.count);
        if cmd["type"] == "send_message" {
            cmd["body"] = json!(marker);
        }
        let number = (how == How::Numbered).then_some(self.count);
        let if_match = (how == How::IfMatch).then(|| self.journal.last(room(index)));
        let id = number.map(|n| (client(REST), CommandNumber(n)));
        let (engine, ward, called) = (engine.clone(), self.ward.clone(), Arc::clone(&self.called));
        let after = ward.known.seq(room(index));
        self.tasks.push(on.spawn(async move {
            let options = CallOptions { id, if_match, ..CallOptions::default() };
            let result = engine.call(room(index), card(user_index), &cmd, options).await;
            if let Ok(outcome) = &result {
                ward.is_durable(room(index), outcome.seq, "the answer to a call");
                ward.known.learnt(room(index), outcome.seq.0);
            }
            let user = user(user_index);
            called.lock().push(Called { room: index, user, number, marker, if_match, after, result });
        }));
    }

    fn read(&mut self, (user_index, index): (usize, usize), engine: &Engine, on: &Handle) {
        let (engine, ward, views) = (engine.clone(), self.ward.clone(), Arc::clone(&self.views));
        let known = ward.known.is_exact().then(|| ward.known.seq(room(index)));
        self.tasks.push(on.spawn(async move {
            if let Ok(view) = engine.read(room(index), user(user_index)).await {
                ward.is_durable(room(index), view.seq, "a read state");
                if let Some(known) = known.filter(|known| *known > view.seq.0 && ward.known.is_exact()) {
                    ward.violations.add(format!("read at {}, though {known} was known before", view.seq));
                }
                ward.known.learnt(room(index), view.seq.0);
                views.lock().push((index, user(user_index), view));
            }
        }));
    }

    /// Whether any call waits for its answer; those whose node died do not.
    pub(super) fn is_waiting(&self) -> bool {
        self.tasks.iter().any(|task| !task.is_finished())
    }

    /// The node dies, and with it everything that it was asked.
    pub(super) fn abort_all(&self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }

    /// Waits for the calls that are under way.
    pub(super) async fn settle(&mut self) {
        for task in std::mem::take(&mut self.tasks) {
            let done = task.await;
            assert!(done.as_ref().is_err_and(tokio::task::JoinError::is_cancelled) || done.is_ok(), "{done:?}");
        }
    }

    /// Compares the answers about a room with its journal, and the states that were read with what `view` makes of it.
    pub(super) fn against(&self, index: usize, journal: &Commands, view: impl Fn(u64, UserId) -> Value) -> Result<(), Violation> {
        for (_, user, seen) in self.views.lock().iter().filter(|(of, ..)| *of == index) {
            if json_of(seen.state.packed()) != view(seen.seq.0, *user) {
                return Err(format!("the state that was read at {} is not what the journal makes", seen.seq));
            }
        }
        let records = self.journal.records(room(index));
        self.called.lock().iter().filter(|called| called.room == index).try_for_each(|called| called.against(journal, &records))
    }
}

impl Called {
    fn against(&self, journal: &Commands, records: &[Stored]) -> Result<(), Violation> {
        let stored = self.number.and_then(|n| journal.find(&self.user.to_string(), &client(REST).to_string(), n));
        let marked = records.iter().filter(|stored| self.is_marked(&json_of(&stored.bytes)["ev"])).count();
        match &self.result {
            Ok(outcome) if self.number.is_some() && stored != Some(outcome.seq.0) => {
                Err(format!("{} was answered with {} and is stored at {stored:?}", self.marker, outcome.seq))
            }
            Ok(outcome) if self.if_match.is_some_and(|seq| !self.follows(seq, outcome.seq, records)) => {
                Err(format!("{} was applied at {}, though it asked for {:?}", self.marker, outcome.seq, self.if_match))
            }
            Ok(outcome) if outcome.seq.0 <= self.after => {
                Err(format!("{} is stored at {}, though {} was known when it was made", self.marker, outcome.seq, self.after))
            }
            Err(rejection) if rejection.message.contains("was not applied") && (marked > 0 || stored.is_some()) => {
                Err(format!("{} is stored, though its answer was {rejection}", self.marker))
            }
            Ok(_) | Err(_) if marked > 1 => Err(format!("{} is stored {marked} times", self.marker)),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Whether an event is the message that this call was to send.
    fn is_marked(&self, event: &Value) -> bool {
        let message = if event["message"].is_null() { event } else { &event["message"] };
        message["body"] == self.marker.as_str()
    }

    /// Whether a call whose last event is `last` was judged on the state at `seq`: a command of a trip makes one event; that of a pool may make
    /// several, none of which is somebody else's.
    fn follows(&self, seq: Seq, last: Seq, records: &[Stored]) -> bool {
        let mut made = records.iter().filter(|stored| stored.seq > seq && stored.seq <= last).map(|stored| json_of(&stored.bytes));
        let own = |record: Value| record["by"] == json!(self.user) || record["ev"]["type"] == "seats_changed";
        last > seq && (kind(self.room) == Kind::Pool || last == seq.next()) && made.all(own)
    }
}
