//! Runs a plan: a node or two, clients, and what befalls them.

use super::calls::Calls;
use super::judge::Story;
use super::kinds::{Kind, Simulated, kind};
use super::names::{ROOMS, USERS, card, room, user};
use super::node::{Node, start};
use super::parts::{START_MS, make_rooms, next_id};
use super::people::People;
use super::plan::{Plan, Step, Tuning};
use super::ward::Ward;
use crate::engine::{CallOptions, Engine};
use crate::ports::Clock as _;
use crate::testing::checker::Violation;
use crate::testing::{Fault, MemoryDirectory, MemoryJournal, Sabotage, TestClock};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::runtime::Handle;
use tripsync_domain::Timestamp;
use tripsync_domain::pool::Pool;
use tripsync_domain::trip::Trip;

struct World {
    tuning: Tuning,
    sabotage: Sabotage,
    memory: MemoryJournal,
    clock: TestClock,
    directory: MemoryDirectory,
    ids: Arc<AtomicU64>,
    node: Node,
    rival: Option<Engine>,
    people: People,
    calls: Calls,
    ward: Ward,
    tasks: tokio::task::JoinSet<()>,
}

/// Runs a plan; what was violated, and the trace of everything that left the engine.
pub(super) fn run(plan: &Plan, sabotage: Sabotage) -> (Vec<Violation>, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(plan, sabotage).await;
        let violations = world.ward.violations.clone();
        for step in &plan.steps {
            world.step(step).await;
            if !violations.all().is_empty() {
                break;
            }
        }
        if violations.all().is_empty() {
            world.quiet().await;
            world.judge().await;
        }
        (violations.all(), world.ward.trace())
    })
}

impl World {
    async fn new(plan: &Plan, sabotage: Sabotage) -> Self {
        let memory = MemoryJournal::new();
        let clock = TestClock::running(Timestamp::from_ms(START_MS));
        let directory = MemoryDirectory::default();
        (0..USERS).for_each(|index| directory.put(user(index), &card(index).name));
        let ids = Arc::new(AtomicU64::new(1));
        let ward = Ward::new(memory.clone());
        let tuning = plan.tuning.clone();
        let node = start(&tuning, sabotage, &memory, &clock, &directory, &ids).await;
        make_rooms(&node.engine, plan.seed).await.unwrap();
        memory.set_append_delay(Duration::from_millis(tuning.append_ms));
        Self {
            people: People::new(&plan.clients, &ward, tuning.budget_bytes),
            calls: Calls::new(memory.clone(), ward.clone()),
            tuning,
            sabotage,
            memory,
            clock,
            directory,
            ids,
            node,
            rival: None,
            ward,
            tasks: tokio::task::JoinSet::new(),
        }
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Connect(client) => self.connect(*client).await,
            Step::Drop(client) => self.close(*client, false).await,
            Step::Close(client) => self.close(*client, true).await,
            Step::Act(act) => self.people.act(act),
            Step::Call(call) => self.calls.make(call, &self.node.engine, &Handle::current()),
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
        self.people.open(client, Arc::clone(&self.node.sessions), next_id(&self.ids));
    }

    /// Ends a client's socket, and waits until its session has let go.
    async fn close(&mut self, client: usize, goodbye: bool) {
        if let Some(session) = self.people.cut(client, goodbye) {
            session.await.expect("the session does not panic");
        }
    }

    /// Another node takes a room over and writes to it; this one does not know yet.
    async fn rival(&mut self, index: usize, seed: u64) {
        if self.rival.is_none() {
            let node = start(&self.tuning, self.sabotage, &self.memory, &self.clock, &self.directory, &self.ids).await;
            self.rival = Some(node.engine);
        }
        let Some(engine) = self.rival.clone() else { return };
        let cmd = self.ward.command(index, seed, user(0), &[]);
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
        self.calls.abort_all();
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
        for client in 0..self.people.len() {
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
        self.people.want_everything();
        for client in 0..self.people.len() {
            self.people.stall(client, false);
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
            if !self.ward.violations.all().is_empty() || (nudged.len() == ROOMS && self.people.unsettled(&self.memory).is_none()) {
                break;
            }
        }
        // The grace of presence ends, and every call is answered.
        tokio::time::sleep(Duration::from_secs(10)).await;
        self.calls.settle().await;
        while let Some(done) = self.tasks.join_next().await {
            assert!(done.as_ref().is_err_and(tokio::task::JoinError::is_cancelled) || done.is_ok(), "{done:?}");
        }
        if let Some(unsettled) = self.people.unsettled(&self.memory) {
            self.ward.violations.add(format!("after quiet: {unsettled}"));
        }
    }

    /// Compares what everybody has with the journal, and the journal with itself.
    async fn judge(&mut self) {
        for index in 0..ROOMS {
            let judged = match kind(index) {
                Kind::Trip => self.judge_room::<Trip>(index).await,
                Kind::Pool => self.judge_room::<Pool>(index).await,
            };
            if let Err(violation) = judged {
                self.ward.violations.add(format!("room {index}: {violation}"));
            }
        }
        for client in 0..self.people.len() {
            self.close(client, true).await;
        }
        if !self.node.engine.drain(Duration::from_secs(60)).await || self.node.engine.rooms() > 0 {
            self.ward.violations.add("an actor is left behind");
        }
    }

    async fn judge_room<K: Simulated>(&self, index: usize) -> Result<(), Violation> {
        let story = Story::<K>::read(&self.memory, index)?;
        story.people(&self.people)?;
        story.calls(&self.calls)?;
        story.lists(&self.memory)?;
        story.live(&self.node.engine).await
    }
}
