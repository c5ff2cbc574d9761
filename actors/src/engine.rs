//! The way in: rooms by id, commands and reads for surfaces without a session.

mod admission;
mod lookout;
mod registry;
mod reserved;
mod room_ref;
mod supervisor;

pub(crate) use admission::Admission;
pub use admission::Turn;
pub(crate) use registry::{Registry, Where};
pub use reserved::Reserved;
#[cfg(test)]
pub(crate) use room_ref::KindInfo;
pub use room_ref::{Gone, Needs, ParsedFor, Ready, RoomRef};

use crate::cluster::{Cluster, ClusterPorts, Everywhere, Standing};
use crate::config::EngineConfig;
use crate::lane::Lanes;
use crate::ports::{Clock, Directory, Journal, JournalError, Notifier, Reservation};
use crate::room::message::Own;
use crate::room::{From, Op, Outcome, Read, RoomMsg, RoomView};
use crate::sabotage::Sabotage;
use crate::spread::spread_hint;
use ractor::{Actor, ActorRef, ActorStatus};
use serde_json::Value;
use std::sync::{Arc, Weak};
use std::time::Duration;
use supervisor::Supervisor;
use tokio::sync::oneshot;
use tripsync_domain::{ClientId, CommandNumber, ErrorCode, NodeId, Rejection, RoomId, RoomKind, Seq, UserCard, UserId};

pub use registry::Kinds;

/// Tries of a call whose room moves away under it.
const MOVES_MAX: u32 = 5;
/// Between such tries, longer each time; the first one follows at once.
const MOVES_TAKE: Duration = Duration::from_millis(40);

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

/// How a command of a surface without a session is to be taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallOptions {
    /// The identity under which it is applied once.
    pub id: Option<(ClientId, CommandNumber)>,
    /// The seq that the author had seen.
    pub base: Option<Seq>,
    /// Refuse with `stale` unless the room is at exactly this seq.
    pub if_match: Option<Seq>,
    /// Only rooms of the kind with this tag; any other is not found.
    pub kind: Option<&'static str>,
    /// The room that the server made the command from ([`tripsync_domain::Ctx::origin`]).
    pub origin: Option<RoomId>,
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

    /// Hands a room over to another node.
    pub(crate) fn pass_on(&self, room: RoomId, to: NodeId) {
        self.shared.registry.tell(room, Own::PassOn(to));
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
        registry::room(&self.shared, &self.supervisor, room, Where::Here).await
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
        registry::room(&self.shared, &self.supervisor, room, Where::Anywhere).await
    }

    /// The same for a room that may be the user's own, which is made when it is asked for first.
    ///
    /// # Errors
    /// As [`Engine::room`].
    pub async fn room_for(&self, room: RoomId, user: UserId) -> Result<RoomRef, Rejection> {
        let found = self.room(room).await;
        let Some((kind, command)) = self.shared.registry.own_room(room, user) else { return found };
        let is_missing = |refused: &Rejection| refused.code == ErrorCode::NotFound;
        let is_made = match &found {
            // Whoever made it may have died before its first command was stored.
            Ok(_) => !self.read(room, user).await.as_ref().is_err_and(is_missing),
            Err(refused) => !is_missing(refused),
        };
        if is_made {
            return found;
        }
        let made = self.shared.journal.create(room, kind, self.shared.clock.now()).await;
        made.map_err(|error| self.spread(unavailable(&error)))?;
        let server = UserCard { user: UserId::ROOM, name: String::new(), group: None };
        match self.call(room, server, &command, CallOptions::default()).await {
            // Somebody else was faster.
            Err(refused) if refused.code != ErrorCode::AlreadyExists => Err(refused),
            Ok(_) | Err(_) => self.room(room).await,
        }
    }

    /// Makes a room with its first command.
    ///
    /// Calling it again with the same room and command identity answers as the first time.
    ///
    /// # Errors
    /// As [`Engine::call`].
    pub async fn create<K: RoomKind>(
        &self,
        room: RoomId,
        author: UserCard,
        command: &Value,
        id: Option<(ClientId, CommandNumber)>,
    ) -> Result<Outcome, Rejection> {
        // Judged once on the empty state, so that a refused creation leaves no trace.
        let parsed: K::Command = tripsync_domain::command::parse(command)?;
        let users = [author.clone()];
        let ctx = tripsync_domain::Ctx {
            room,
            author: author.user,
            at: self.shared.clock.now(),
            base: None,
            new_id: tripsync_domain::ItemId(self.new_id()),
            users: &users,
            reserved: true,
            origin: None,
        };
        K::decide(&K::State::default(), &ctx, &parsed)?;
        self.shared.journal.create(room, K::KIND, self.shared.clock.now()).await.map_err(|error| self.spread(unavailable(&error)))?;
        self.call(room, author, command, CallOptions { id, kind: Some(K::KIND), ..CallOptions::default() }).await
    }

    /// Applies a command for a surface without a session, and answers once it is durable.
    ///
    /// # Errors
    /// The room's rejection; `retry` when the outcome is not known in time; as [`Engine::room`].
    pub async fn call(&self, room: RoomId, author: UserCard, command: &Value, options: CallOptions) -> Result<Outcome, Rejection> {
        let CallOptions { id, base, if_match, kind, origin } = options;
        for tried in 0..MOVES_MAX {
            if tried > 0 {
                tokio::time::sleep(MOVES_TAKE * (tried - 1)).await;
            }
            let address = match self.room(room).await {
                Err(refused) if self.has_moved(&refused) => continue,
                found => found?,
            };
            if kind.is_some_and(|kind| kind != address.kind()) {
                return Err(Rejection::not_found("there is no such room"));
            }
            let (command, needs) = address.parse(command)?;
            let permits = vec![address.admit().map_err(|full| self.spread(full))?];
            let ready = self.prepare(room, author.user, &needs).await?;
            let (reply, answer) = oneshot::channel();
            let from = From::Caller { author: author.clone(), reply };
            let op = Op { from, id, command, base, if_match, origin, ready, permits, receipt: None };
            if address.tell(RoomMsg::Op(op)).is_err() {
                continue;
            }
            match self.wait(answer).await {
                Err(rejection) if self.has_moved(&rejection) => {}
                other => return other,
            }
        }
        Err(self.spread(Rejection::new(ErrorCode::Retry, "the room keeps moving").retry_after_ms(250)))
    }

    /// Whether what was refused can be had where the room is now: also when its owner goes away, unless that is this node.
    fn has_moved(&self, refused: &Rejection) -> bool {
        refused.code == ErrorCode::Moved || (refused.code == ErrorCode::Restarting && !self.shared.registry.is_draining())
    }

    /// The room's durable state as a user sees it.
    ///
    /// # Errors
    /// `not_found` when there is none that the user may know of; `overloaded`; as [`Engine::room`].
    pub async fn read(&self, room: RoomId, user: UserId) -> Result<RoomView, Rejection> {
        // Most may see a room by name; whether somebody belongs to its group is looked up only when that is what is left.
        let unknown = UserCard { user, name: String::new(), group: None };
        match self.read_as(room, unknown).await {
            Err(refused) if refused.code == ErrorCode::NotFound => {
                let card = self.cards(&[user]).await?.pop().filter(|card| card.group.is_some());
                match card {
                    Some(card) => self.read_as(room, card).await,
                    None => Err(refused),
                }
            }
            read => read,
        }
    }

    async fn read_as(&self, room: RoomId, who: UserCard) -> Result<RoomView, Rejection> {
        for tried in 0..MOVES_MAX {
            if tried > 0 {
                tokio::time::sleep(MOVES_TAKE * (tried - 1)).await;
            }
            let address = match self.room(room).await {
                Err(refused) if self.has_moved(&refused) => continue,
                found => found?,
            };
            let permit = address.admit().map_err(|full| self.spread(full))?;
            let (reply, answer) = oneshot::channel();
            if address.tell(RoomMsg::Read(Read { who: who.clone(), reply, permit })).is_err() {
                continue;
            }
            match self.wait(answer).await {
                Err(rejection) if self.has_moved(&rejection) => {}
                other => return other,
            }
        }
        Err(self.spread(Rejection::new(ErrorCode::Retry, "the room keeps moving").retry_after_ms(250)))
    }

    async fn wait<T>(&self, answer: oneshot::Receiver<Result<T, Rejection>>) -> Result<T, Rejection> {
        let unknown = match tokio::time::timeout(self.shared.config.call_timeout, answer).await {
            Ok(Ok(answer)) => return answer,
            Ok(Err(_)) => Rejection::new(ErrorCode::Retry, "the room failed; the outcome is not known").retry_after_ms(500),
            Err(_) => Rejection::new(ErrorCode::Retry, "the journal takes too long; the outcome is not known").retry_after_ms(1_000),
        };
        Err(self.spread(unknown))
    }

    /// The cards of users that a command names.
    ///
    /// # Errors
    /// `retry` when the accounts cannot be read now.
    pub async fn cards(&self, users: &[UserId]) -> Result<Vec<UserCard>, Rejection> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        self.shared.directory.cards(users).await.map_err(|error| self.spread(unavailable(&error)))
    }

    /// Gets ready what a command needs: cards, and a reservation of what it counts against.
    ///
    /// # Errors
    /// `retry` when the database cannot answer.
    pub async fn prepare(&self, room: RoomId, author: UserId, needs: &Needs) -> Result<Ready, Rejection> {
        let users = self.cards(&needs.users).await?;
        let Some(quota) = needs.quota else { return Ok(Ready { users, ..Ready::default() }) };
        let reservation = Reservation { id: self.new_id(), room, user: author, quota };
        // Before the journal is asked: what it keeps for a command that is given up meanwhile is given back too.
        let kept = Reserved::new(Arc::clone(&self.shared.journal), reservation);
        let reserved =
            self.shared.journal.reserve(reservation, self.shared.clock.now()).await.map_err(|error| self.spread(unavailable(&error)))?;
        Ok(Ready { users, reserved, kept: Some(kept) })
    }

    /// Stops: no room is started any more; every room finishes what is decided, keeps a snapshot and ends. Answers whether all
    /// ended within the limit; what did not is restored from the journal later.
    pub async fn drain(&self, limit: Duration) -> bool {
        let done = self.shared.registry.drain(limit).await;
        if let Some(cluster) = &self.shared.cluster {
            cluster.leave().await;
        }
        self.supervisor.stop(None);
        done
    }
}

#[async_trait::async_trait]
impl crate::session::Rooms for Engine {
    async fn room(&self, room: RoomId, user: UserId) -> Result<RoomRef, Rejection> {
        self.room_for(room, user).await
    }

    async fn cards(&self, users: &[UserId]) -> Result<Vec<UserCard>, Rejection> {
        Self::cards(self, users).await
    }

    async fn prepare(&self, room: RoomId, author: UserId, needs: &Needs) -> Result<Ready, Rejection> {
        Self::prepare(self, room, author, needs).await
    }

    async fn turn(&self) -> Turn {
        self.shared.admission.turn().await
    }
}

pub(crate) fn unavailable(error: &JournalError) -> Rejection {
    tracing::warn!(error = %crate::error_chain(error), "the database did not answer");
    Rejection::new(ErrorCode::Retry, "the database is not available").retry_after_ms(500)
}
