//! The way in: what rooms share, and rooms by id.

mod admission;
mod calls;
mod lookout;
mod registry;
mod reserved;
mod room_ref;
mod start;
mod supervisor;

pub(crate) use admission::Admission;
pub use admission::Turn;
pub use calls::CallOptions;
pub(crate) use calls::unavailable;
pub(crate) use registry::Registry;
pub use reserved::Reserved;
#[cfg(test)]
pub(crate) use room_ref::KindInfo;
pub use room_ref::{Gone, Needs, ParsedFor, Ready, RoomRef};
pub(crate) use start::Where;

use crate::cluster::{Cluster, ClusterPorts, Everywhere, Standing};
use crate::config::EngineConfig;
use crate::lane::Lanes;
use crate::ports::{Clock, Directory, Journal, Notifier};
use crate::room::message::Own;
use crate::sabotage::Sabotage;
use crate::spread::spread_hint;
use ractor::{Actor, ActorRef, ActorStatus};
use std::sync::{Arc, Weak};
use std::time::Duration;
use supervisor::Supervisor;
use tripsync_domain::{NodeId, Rejection, RoomId};

pub use registry::Kinds;

/// What the engine needs of the world.
#[derive(Clone)]
pub struct Ports {
    /// The durable history.
    pub journal: Arc<dyn Journal>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// User accounts.
    pub directory: Arc<dyn Directory>,
    /// Users' sockets.
    pub notifier: Arc<dyn Notifier>,
    /// Fresh random bits for ids; UUIDv7 in production, seeded in simulations.
    pub ids: Arc<dyn Fn() -> uuid::Uuid + Send + Sync>,
    /// The other nodes; `None` for a node that is alone.
    pub cluster: Option<ClusterPorts>,
}

/// What rooms share.
pub(crate) struct Shared {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) directory: Arc<dyn Directory>,
    /// Users' sockets on every node, and on this one.
    pub(crate) notifier: Arc<dyn Notifier>,
    here: Arc<dyn Notifier>,
    ids: Arc<dyn Fn() -> uuid::Uuid + Send + Sync>,
    pub(crate) node: NodeId,
    pub(crate) config: EngineConfig,
    pub(crate) lanes: Lanes,
    pub(crate) registry: Registry,
    pub(crate) admission: Admission,
    pub(crate) sabotage: Sabotage,
    pub(crate) cluster: Option<Arc<Cluster>>,
}

impl Shared {
    pub(crate) fn new_id(&self) -> uuid::Uuid {
        (self.ids)()
    }

    /// A rejection that many may get at once, for one of them.
    pub(crate) fn spread(&self, rejection: Rejection) -> Rejection {
        if rejection.retry_after_ms.is_some() { spread_hint(rejection, self.new_id()) } else { rejection }
    }
}

/// The engine of one node. Clones share.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
    supervisor: ActorRef<supervisor::Nothing>,
}

/// An engine that this does not keep.
pub(crate) struct WeakEngine {
    shared: Weak<Shared>,
    supervisor: ActorRef<supervisor::Nothing>,
}

impl WeakEngine {
    pub(crate) fn upgrade(&self) -> Option<Engine> {
        self.shared.upgrade().map(|shared| Engine { shared, supervisor: self.supervisor.clone() })
    }
}

impl Engine {
    /// Starts an engine.
    ///
    /// # Errors
    /// When the supervisor cannot be started, which only a defect causes.
    pub async fn start(ports: Ports, kinds: Kinds, config: EngineConfig) -> Result<Self, ractor::SpawnErr> {
        Self::launch(ports, kinds, config, Sabotage::NONE).await
    }

    /// Starts an engine that is broken on purpose.
    ///
    /// # Errors
    /// As [`Self::start`].
    #[cfg(any(test, feature = "testing", debug_assertions))]
    pub async fn start_sabotaged(ports: Ports, kinds: Kinds, config: EngineConfig, sabotage: Sabotage) -> Result<Self, ractor::SpawnErr> {
        Self::launch(ports, kinds, config, sabotage).await
    }

    /// Ends every room where it stands, as a crash of the process would; what is with the journal goes on.
    #[cfg(any(test, feature = "testing"))]
    pub fn crash(&self) {
        self.supervisor.kill();
    }

    async fn launch(ports: Ports, kinds: Kinds, config: EngineConfig, sabotage: Sabotage) -> Result<Self, ractor::SpawnErr> {
        let Ports { journal, clock, directory, notifier: here, ids, cluster } = ports;
        let lanes = Lanes::start(&journal, &config);
        let cluster = cluster.map(Cluster::new);
        let node = cluster.as_ref().map_or_else(|| NodeId(ids()), |cluster| cluster.node);
        let (registry, admission) = (Registry::new(kinds, &config), Admission::new(config.joins_at_once));
        let notifier: Arc<dyn Notifier> = match &cluster {
            Some(cluster) => Arc::new(Everywhere { here: Arc::clone(&here), cluster: Arc::clone(cluster) }),
            None => Arc::clone(&here),
        };
        let shared = Arc::new(Shared {
            journal,
            clock,
            directory,
            notifier,
            here,
            ids,
            node,
            config,
            lanes,
            registry,
            admission,
            sabotage,
            cluster,
        });
        let (supervisor, _) = Actor::spawn(None, Supervisor, Arc::clone(&shared)).await?;
        let engine = Self { shared, supervisor };
        if let Some(cluster) = &engine.shared.cluster {
            cluster.start(&engine);
        }
        lookout::start(&engine);
        Ok(engine)
    }

    pub(crate) fn downgrade(&self) -> WeakEngine {
        WeakEngine { shared: Arc::downgrade(&self.shared), supervisor: self.supervisor.clone() }
    }

    /// Whether the engine has ended.
    pub(crate) fn is_drained(&self) -> bool {
        self.supervisor.get_status() >= ActorStatus::Stopping
    }

    /// Tells every room in memory something of its own affairs.
    pub(crate) fn tell_all(&self, what: impl Fn() -> Own) {
        self.shared.registry.tell_all(what);
    }

    /// Rooms in memory that this node owns.
    pub(crate) fn own_rooms(&self) -> Vec<RoomId> {
        self.shared.registry.own_rooms()
    }

    /// Whether rooms are not started here any more.
    pub(crate) fn is_leaving(&self) -> bool {
        self.shared.registry.is_draining()
    }

    /// Whether a room would be opened here: neither does the node go away nor does the room rest after failures.
    pub(crate) fn opens(&self, room: RoomId) -> bool {
        self.shared.registry.refusal(room).is_none()
    }

    /// Hands a room over to another node.
    pub(crate) fn pass_on(&self, room: RoomId, to: NodeId) {
        self.shared.registry.tell(room, Own::PassOn(to));
    }

    /// The same for many, a few at a time, so that the pause of each does not grow with their number.
    pub(crate) async fn pass_on_all(&self, rooms: &[(RoomId, NodeId)]) {
        for some in rooms.chunks(self.shared.config.hand_over_at_once) {
            some.iter().for_each(|(room, to)| self.pass_on(*room, *to));
            self.shared.registry.left(some.iter().map(|(room, _)| *room)).await;
        }
    }

    /// Users' sockets on this node.
    pub(crate) fn notifier_here(&self) -> &dyn Notifier {
        &*self.shared.here
    }

    /// How this node stands in its cluster; `None` for one that is alone.
    #[must_use]
    pub fn standing(&self) -> Option<Standing> {
        self.shared.cluster.as_ref().map(|cluster| cluster.standing())
    }

    /// A rejection that many may get at once, for one of them.
    pub(crate) fn spread(&self, rejection: Rejection) -> Rejection {
        self.shared.spread(rejection)
    }

    /// A room that this node owns, claimed and started if need be.
    pub(crate) async fn room_here(&self, room: RoomId) -> Result<RoomRef, Rejection> {
        start::room(&self.shared, &self.supervisor, room, Where::Here).await
    }

    /// User accounts.
    #[must_use]
    pub fn directory(&self) -> &Arc<dyn Directory> {
        &self.shared.directory
    }

    /// The wall clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }

    /// The journal, for readers of history.
    #[must_use]
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.shared.journal
    }

    /// A fresh id.
    #[must_use]
    pub fn new_id(&self) -> uuid::Uuid {
        self.shared.new_id()
    }

    /// Rooms in memory.
    #[must_use]
    pub fn rooms(&self) -> usize {
        self.shared.registry.len()
    }

    /// A room's address; starts the room when it is not in memory. Callers that arrive together share one start.
    ///
    /// # Errors
    /// `not_found`; `retry` while the journal is away; `room_unavailable` while a failing room rests; `restarting` while the
    /// engine drains.
    pub async fn room(&self, room: RoomId) -> Result<RoomRef, Rejection> {
        start::room(&self.shared, &self.supervisor, room, Where::Anywhere).await
    }

    /// Stops: no room is started any more; every room finishes what is decided, keeps a snapshot if it needs one, and ends. Answers whether all
    /// ended within the limit; what did not is restored from the journal later.
    pub async fn drain(&self, limit: Duration) -> bool {
        // Where members stay, on other nodes, each room is to be away for as short a time as can be: all at once would wait for each other.
        let at_once = if self.shared.cluster.is_some() { self.shared.config.hand_over_at_once } else { usize::MAX };
        let done = self.shared.registry.drain(limit, at_once).await;
        if let Some(cluster) = &self.shared.cluster {
            cluster.leave().await;
        }
        self.supervisor.stop(None);
        done
    }
}
