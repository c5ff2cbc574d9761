//! A node of the cluster: a process on a machine of its own.

use super::far::{FarLeases, Services};
use super::journal::FarJournal;
use super::machine::Machine;
use super::plan::{Plan, Times};
use crate::cluster::{ClusterConfig, ClusterPorts};
use crate::config::EngineConfig;
use crate::engine::{Engine, Ports};
use crate::session::{SessionLimits, Shared};
use crate::sim::parts::{self, NoNotices, next_id};
use crate::sim::plan::Tuning;
use crate::testing::{MemoryCluster, MemoryDirectory, MemoryJournal, MemoryNode, Sabotage, TestClock};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::Handle;
use tripsync_domain::{NodeId, Timestamp};

/// What outlives every node.
pub(super) struct Ground {
    pub(super) tuning: Tuning,
    pub(super) times: Times,
    pub(super) sabotage: Sabotage,
    pub(super) memory: MemoryJournal,
    pub(super) hub: MemoryCluster,
    pub(super) directory: MemoryDirectory,
    pub(super) ids: Arc<AtomicU64>,
}

/// A process.
pub(super) struct Process {
    /// First, so that everything that runs is gone before anything else is dropped.
    pub(super) machine: Machine,
    pub(super) id: NodeId,
    pub(super) journal: Arc<FarJournal>,
    pub(super) clock: TestClock,
    /// Set once it has started.
    engine: Arc<OnceLock<Engine>>,
    sessions: OnceLock<Arc<Shared>>,
    limits: SessionLimits,
    node: MemoryNode,
    /// Until when it stands still.
    pub(super) paused_until: Option<Duration>,
    /// Set while it goes away: whether everything ended in time, once that is known.
    draining: Option<Arc<OnceLock<bool>>>,
}

impl Process {
    /// Starts one.
    pub(super) fn start(ground: &Ground, services: &Handle, name: &'static str, now: Duration, gains: i32) -> Self {
        let machine = Machine::new(name, now, gains);
        let id = NodeId(next_id(&ground.ids));
        let node = ground.hub.node(id);
        let services = Services(services.clone());
        let journal = Arc::new(FarJournal { services: services.clone(), journal: ground.memory.clone(), cut: AtomicBool::new(false) });
        let clock = {
            let _on = machine.enter();
            TestClock::running(Timestamp::from_ms(parts::START_MS).plus(now))
        };
        let ids = Arc::clone(&ground.ids);
        let ports = Ports {
            journal: Arc::clone(&journal) as _,
            clock: Arc::new(clock.clone()),
            directory: Arc::new(ground.directory.clone()),
            notifier: Arc::new(NoNotices),
            ids: Arc::new(move || next_id(&ids)),
            cluster: Some(ClusterPorts {
                node: id,
                leases: Arc::new(FarLeases { services, node: node.clone() }),
                bus: node.bus(),
                config: cluster_config(&ground.times),
            }),
        };
        let engine = Arc::<OnceLock<Engine>>::default();
        let (started, config, sabotage) = (Arc::clone(&engine), engine_config(&ground.tuning), ground.sabotage);
        machine.handle().spawn(async move {
            let engine = Engine::start_sabotaged(ports, parts::kinds(), config, sabotage).await.unwrap();
            let _ = started.set(engine);
        });
        let limits = SessionLimits { wait: Duration::from_secs(3), ..parts::limits(&ground.tuning) };
        Self { machine, id, journal, clock, engine, sessions: OnceLock::new(), limits, node, paused_until: None, draining: None }
    }

    /// The engine, unless the process has just been started.
    pub(super) fn engine(&self) -> Option<&Engine> {
        self.engine.get()
    }

    /// What sockets come to; none are let in while the process starts, or goes away.
    pub(super) fn sessions(&self) -> Option<Arc<Shared>> {
        let engine = self.engine.get().filter(|_| self.draining.is_none())?;
        Some(Arc::clone(self.sessions.get_or_init(|| parts::sessions(engine, &self.clock, self.limits.clone()))))
    }

    /// Lets it go away as it should; see [`Self::drained`].
    pub(super) fn drain(&mut self, limit: Duration) {
        let (Some(engine), None) = (self.engine.get().cloned(), &self.draining) else { return };
        let done = Arc::<OnceLock<bool>>::default();
        self.draining = Some(Arc::clone(&done));
        self.machine.handle().spawn(async move {
            let drained = engine.drain(limit).await;
            let _ = done.set(drained);
        });
    }

    pub(super) const fn is_draining(&self) -> bool {
        self.draining.is_some()
    }

    /// Whether it has gone away, and whether everything ended in time.
    pub(super) fn drained(&self) -> Option<bool> {
        self.draining.as_ref()?.get().copied()
    }

    /// Ends it where it stands.
    pub(super) fn die(self) {
        self.node.die();
    }
}

fn engine_config(tuning: &Tuning) -> EngineConfig {
    EngineConfig {
        presence_grace: Duration::from_millis(500),
        quarantine: Duration::from_millis(300),
        call_timeout: Duration::from_secs(5),
        // Small beside a room's events and the rooms of a node, so that both are met.
        hand_over_tail_max: tuning.snapshot_every / 3,
        hand_over_at_once: 1,
        ..parts::engine_config(tuning)
    }
}

fn cluster_config(times: &Times) -> ClusterConfig {
    ClusterConfig {
        lease_ttl: times.lease(),
        renew_every: times.lease() / 4,
        lease_margin: times.lease() / 4,
        relay_idle_after: Duration::from_millis(times.relay_idle_ms),
        ..ClusterConfig::default()
    }
}

impl Ground {
    pub(super) fn new(plan: &Plan, sabotage: Sabotage) -> Self {
        Self {
            tuning: plan.tuning.clone(),
            times: plan.times.clone(),
            sabotage,
            memory: MemoryJournal::new(),
            hub: MemoryCluster::with_time(plan.seed, super::machine::world_time),
            directory: MemoryDirectory::default(),
            ids: Arc::new(AtomicU64::new(1)),
        }
    }
}
