//! Runs a plan on a cluster.

mod end;
mod time;

use super::machine::{Machine, STEP_MAX};
use super::node::{Ground, Process};
use super::plan::{NODES, Plan, Step};
use crate::cluster::rebalance_request;
use crate::ports::Clock as _;
use crate::sim::calls::Calls;
use crate::sim::names::{USERS, card, user};
use crate::sim::parts::{make_rooms, next_id};
use crate::sim::people::People;
use crate::sim::ward::Ward;
use crate::testing::checker::Violation;
use crate::testing::{Away, Fault, Random, Sabotage};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tripsync_domain::{Epoch, NodeId, Timestamp};

/// How long a process has for going away.
const DRAIN: Duration = Duration::from_secs(5);

/// A place for a process: what is cut there is cut for whichever process runs there.
struct Place {
    process: Option<Process>,
    /// When the next process starts, while there is none.
    down_until: Duration,
    journal_cut: bool,
    leases_away: Option<Away>,
}

struct World {
    seed: u64,
    ground: Ground,
    now: Duration,
    /// Decides who runs first.
    random: Random,
    services: Machine,
    places: Vec<Place>,
    cut: BTreeSet<(usize, usize)>,
    people: People,
    /// Where each client's socket is.
    at: BTreeMap<usize, usize>,
    calls: Calls,
    ward: Ward,
    /// Until when what is shown may be older than what is known.
    vague_until: Duration,
}

/// Runs a plan; what was violated, and the trace of everything that left.
pub(super) fn run(plan: &Plan, sabotage: Sabotage) -> (Vec<Violation>, u64) {
    let mut world = World::new(plan, sabotage);
    let violations = world.ward.violations.clone();
    let ran = world.prepare().and_then(|()| {
        for step in &plan.steps {
            world.step(step);
            if !violations.all().is_empty() {
                return Ok(());
            }
        }
        world.heal()?;
        world.judge();
        if violations.all().is_empty() { world.finish() } else { Ok(()) }
    });
    if let Err(violation) = ran {
        violations.add(violation);
    }
    (violations.all(), world.ward.trace())
}

impl World {
    fn new(plan: &Plan, sabotage: Sabotage) -> Self {
        let ground = Ground::new(plan, sabotage);
        if sabotage == Sabotage::NoFence {
            ground.memory.remove_fence();
        }
        if sabotage == Sabotage::EpochFromLease {
            let hub = ground.hub.clone();
            ground.memory.take_epochs_from(move |room| Epoch(hub.count_claim(room)));
        }
        (0..USERS).for_each(|index| ground.directory.put(user(index), &card(index).name));
        ground.hub.set_leases_delay(Duration::from_millis(plan.times.leases_ms));
        let ward = Ward::new(ground.memory.clone());
        let services = Machine::new("services", Duration::ZERO, 0);
        let place = || Place { process: None, down_until: Duration::ZERO, journal_cut: false, leases_away: None };
        Self {
            seed: plan.seed,
            people: People::new(&plan.clients, &ward, plan.tuning.budget_bytes),
            calls: Calls::new(ground.memory.clone(), ward.clone()),
            ground,
            now: Duration::ZERO,
            random: Random::new(plan.seed ^ 0x5eed),
            services,
            places: (0..NODES).map(|_| place()).collect(),
            cut: BTreeSet::new(),
            at: BTreeMap::new(),
            ward,
            vague_until: Duration::ZERO,
        }
    }

    /// Starts the nodes, and makes the rooms.
    fn prepare(&mut self) -> Result<(), Violation> {
        self.until("all nodes are up", Duration::from_secs(5), Self::all_up)?;
        let made = Arc::new(Mutex::new(None));
        let Some((process, engine)) = self.places[0].process.as_ref().and_then(|up| up.engine().cloned().map(|engine| (up, engine))) else {
            return Err("no engine".into());
        };
        let (done, seed) = (Arc::clone(&made), self.seed);
        process.machine.handle().spawn(async move {
            let result = make_rooms(&engine, seed).await;
            *done.lock() = Some(result);
        });
        self.until("the rooms are made", Duration::from_secs(5), |_| made.lock().is_some())?;
        self.ground.memory.set_append_delay(Duration::from_millis(self.ground.tuning.append_ms));
        self.ground.hub.set_bus_faults(self.ground.times.weather);
        Ok(())
    }

    fn all_up(&self) -> bool {
        self.places.iter().all(|place| place.process.as_ref().is_some_and(|process| process.engine().is_some()))
    }

    fn step(&mut self, step: &Step) {
        let hub = self.ground.hub.clone();
        match step {
            Step::Connect { client, node } => self.connect(*client, *node),
            Step::Drop(client) => self.disconnect(*client, false),
            Step::Close(client) => self.disconnect(*client, true),
            Step::Act(act) => self.people.act(act),
            Step::Call { node, call } => {
                if let Some((process, engine)) = self.process(*node).and_then(|up| up.engine().map(|engine| (up, engine))) {
                    let (engine, handle) = (engine.clone(), process.machine.handle().clone());
                    self.calls.make(call, &engine, &handle);
                }
            }
            Step::Crash { node, down_ms } => self.crash(*node, Duration::from_millis(*down_ms)),
            Step::Restart(node) => self.restart(*node),
            Step::Rebalance => self.rebalance(),
            Step::Pause { node, ms } => {
                let until = self.now + Duration::from_millis(*ms);
                if let Some(process) = &mut self.places[*node].process {
                    process.paused_until = Some(until);
                }
            }
            Step::Wake(node) => {
                if let Some(process) = &mut self.places[*node].process {
                    process.paused_until = None;
                }
            }
            Step::Cut { from, to } => {
                self.cut.insert((*from, *to));
                self.connect_nodes();
            }
            Step::Join => {
                self.cut.clear();
                self.connect_nodes();
            }
            Step::Weather(faults) => hub.set_bus_faults(*faults),
            Step::BusAway(away) => hub.set_bus_away(*away),
            Step::LeasesAway { node: None, how } => hub.set_leases_away(None, Some(*how)),
            Step::LeasesAway { node: Some(node), how } => {
                self.places[*node].leases_away = Some(*how);
                self.connect_nodes();
            }
            Step::LeasesBack => {
                hub.set_leases_away(None, None);
                self.places.iter_mut().for_each(|place| place.leases_away = None);
                self.connect_nodes();
            }
            Step::LeasesUnanswered(unanswered) => hub.set_leases_unanswered(*unanswered),
            Step::Flush => self.flush(),
            Step::JournalAway(None) => self.ground.memory.set_away(true),
            Step::JournalAway(Some(node)) => {
                self.places[*node].journal_cut = true;
                self.connect_nodes();
            }
            Step::JournalBack => {
                self.ground.memory.set_away(false);
                self.places.iter_mut().for_each(|place| place.journal_cut = false);
                self.connect_nodes();
            }
            Step::Faults(stored) => {
                let fault = |stored: &bool| Some(if *stored { Fault::StoredUnanswered } else { Fault::Lost });
                self.ground.memory.plan_faults(stored.iter().map(fault));
            }
            Step::Freeze => self.ground.memory.freeze(),
            Step::Thaw => self.ground.memory.thaw(),
            Step::AppendDelay(ms) => self.ground.memory.set_append_delay(Duration::from_millis(*ms)),
            Step::SetClock { node, ms } => {
                if let Some(process) = self.process(*node) {
                    let _on = process.machine.enter();
                    process.clock.set(Timestamp::from_ms(process.clock.now().as_ms() + ms));
                }
            }
            Step::Sleep(ms) => self.sleep(Duration::from_millis(*ms)),
            Step::Turns(turns) => self.turns(*turns),
        }
    }

    fn process(&self, node: usize) -> Option<&Process> {
        self.places[node].process.as_ref()
    }

    fn connect(&mut self, client: usize, node: usize) {
        self.disconnect(client, false);
        let Some(process) = self.places[node].process.as_ref() else { return };
        if let Some(sessions) = process.sessions() {
            let _on = process.machine.enter();
            self.people.open(client, sessions, next_id(&self.ground.ids));
            self.at.insert(client, node);
        }
    }

    /// Ends a client's socket. Its node may notice late, or not at all.
    fn disconnect(&mut self, client: usize, goodbye: bool) {
        self.at.remove(&client);
        self.people.cut(client, goodbye);
    }

    fn disconnect_from(&mut self, node: usize) {
        let there: Vec<_> = self.at.iter().filter(|(_, at)| **at == node).map(|(client, _)| *client).collect();
        there.into_iter().for_each(|client| self.disconnect(client, false));
    }

    fn crash(&mut self, node: usize, down: Duration) {
        self.disconnect_from(node);
        if let Some(process) = self.places[node].process.take() {
            process.die();
            self.places[node].down_until = self.now + down;
        }
    }

    fn restart(&mut self, node: usize) {
        // One that stands still hears no signal.
        if let Some(process) = self.places[node].process.as_mut().filter(|process| process.paused_until.is_none()) {
            process.drain(DRAIN);
            self.disconnect_from(node);
        }
    }

    /// As `tripsync rebalance` asks: from a node that is there only to say this.
    fn rebalance(&self) {
        let operator = NodeId(next_id(&self.ground.ids));
        let way = self.ground.hub.node(operator);
        self.services.handle().spawn(async move {
            // Away, or not told to everybody: then some take no part, or nothing happens.
            let _ = way.bus().send_all(rebalance_request(operator)).await;
            way.die();
        });
    }

    /// For a while two nodes may take themselves for a room's owner: as long as the leases would have lived that are forgotten.
    fn flush(&mut self) {
        self.ground.hub.flush();
        self.vague_until = self.now + self.ground.times.lease() + Duration::from_millis(100);
        self.ward.known.set_vague(true);
    }

    /// Tells the processes that run now what is cut.
    fn connect_nodes(&mut self) {
        let up: Vec<_> = (0..NODES).filter_map(|node| self.process(node).map(|process| (node, process.id))).collect();
        for (from, from_id) in &up {
            for (to, to_id) in &up {
                self.ground.hub.set_cut(*from_id, *to_id, self.cut.contains(&(*from, *to)));
            }
        }
        for place in &self.places {
            if let Some(process) = &place.process {
                process.journal.set_cut(place.journal_cut);
                self.ground.hub.set_leases_away(Some(process.id), place.leases_away);
            }
        }
    }
}
