//! Several nodes: one owner per room, sessions anywhere.
//!
//! Owns: this node's lease ([`tenure`]), relays (a room's stand-in on a node whose sessions are in a room that another node owns), and
//! the desks at which the owner serves them. Promises that nothing here can make an event leave before it is durable or twice: relays only
//! carry what the owner's room let out, in its order, and give up when a message is missing. Deliberately does not know Redis.

mod balance;
mod config;
mod desk;
mod link;
mod outgoing;
mod ports;
mod post;
mod pulse;
pub(crate) mod relay;
mod tenure;
mod wire;

pub use balance::rebalance_request;
pub use config::ClusterConfig;
pub(crate) use desk::Receipt;
pub use link::{RelayLink, Remote};
pub(crate) use link::{fan, presence};
pub use ports::{Bus, BusError, LeaseError, Leases};
pub(crate) use wire::Record;

use crate::engine::{Engine, WeakEngine};
use crate::frame::Frame;
use crate::hub::COUNTS_FOR;
use crate::ports::Notifier;
use crate::room::RoomMsg;
use crate::room::message::Own;
use balance::Loads;
use outgoing::Outgoing;
use parking_lot::Mutex;
use ractor::{ActorRef, ActorStatus};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use tenure::Tenure;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tripsync_domain::{ErrorCode, NodeId, Rejection, RoomId, UserId};
use wire::{RelayId, Up, Word};

/// Relays whose desks have ended and whose late words are passed over.
const ENDED_MAX: usize = 4_096;

/// Rooms that ask at once whose they are, or are taken over, when all of them must: few enough that others find the database free.
const TURNS: usize = 6;

/// Users whose sockets are told of in one word.
const COUNTS_PER_WORD: usize = 1_000;

/// What a node needs to be one of several.
#[derive(Clone)]
pub struct ClusterPorts {
    /// What this node is called; fresh at each start, and what `bus` receives for.
    pub node: NodeId,
    /// Who owns which room.
    pub leases: Arc<dyn Leases>,
    /// The way to other nodes.
    pub bus: Arc<dyn Bus>,
    /// Bounds and times.
    pub config: ClusterConfig,
}

/// How this node stands in its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether its lease can be relied on now. Without it rooms go on here as long as the journal confirms them; none is claimed.
    pub holds_lease: bool,
    /// The living nodes that it knows of, itself included.
    pub nodes: usize,
}

/// This node among the others.
pub(crate) struct Cluster {
    pub(crate) node: NodeId,
    pub(crate) config: ClusterConfig,
    pub(crate) tenure: Tenure,
    pub(crate) out: Arc<Outgoing>,
    leases: Arc<dyn Leases>,
    bus: Arc<dyn Bus>,
    relays: Mutex<BTreeMap<RelayId, Here>>,
    desks: Mutex<Desks>,
    /// When each node was heard of last, and the owner of each relay; nodes that are silent are taken out.
    heard: Mutex<BTreeMap<NodeId, Instant>>,
    loads: Mutex<Loads>,
    /// Held while the lease is renewed or ended.
    renewing: tokio::sync::Mutex<()>,
    /// See [`Self::turn`].
    turns: Semaphore,
}

/// A relay of this node.
struct Here {
    owner: NodeId,
    actor: ActorRef<RoomMsg>,
    /// Bytes of what the owner said that wait in the relay's mailbox.
    backlog: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Desks {
    open: BTreeMap<RelayId, (NodeId, mpsc::Sender<(u64, Up)>)>,
    ended: VecDeque<RelayId>,
}

impl Desks {
    fn end(&mut self, relay: RelayId) {
        if self.open.remove(&relay).is_some() {
            self.ended.push_back(relay);
            if self.ended.len() > ENDED_MAX {
                self.ended.pop_front();
            }
        }
    }
}

/// Whose a room is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claimed {
    Ours,
    Of(NodeId),
}

impl Cluster {
    pub(crate) fn new(ports: ClusterPorts) -> Arc<Self> {
        let ClusterPorts { node, leases, bus, config } = ports;
        let out = Outgoing::new(node, Arc::clone(&bus), config.clone());
        Arc::new(Self {
            node,
            config,
            tenure: Tenure::default(),
            out,
            leases,
            bus,
            relays: Mutex::default(),
            desks: Mutex::default(),
            heard: Mutex::default(),
            loads: Mutex::default(),
            renewing: tokio::sync::Mutex::default(),
            turns: Semaphore::new(TURNS),
        })
    }

    /// Keeps the lease and listens, until the engine is gone.
    pub(crate) fn start(self: &Arc<Self>, engine: &Engine) {
        tokio::spawn(Arc::clone(self).keep(engine.downgrade()));
        tokio::spawn(Arc::clone(self).watch(engine.downgrade()));
        tokio::spawn(Arc::clone(self).listen(engine.downgrade()));
    }

    /// How this node stands.
    pub(crate) fn standing(&self) -> Standing {
        Standing { holds_lease: self.tenure.holds(), nodes: self.tenure.nodes().len() }
    }

    /// Claims a room, or learns whose it is.
    pub(crate) async fn claim(&self, room: RoomId) -> Result<Claimed, Rejection> {
        match timeout(self.config.lease_ttl, self.leases.claim(room, self.node)).await {
            Ok(Ok(Some(owner))) if owner == self.node => Ok(Claimed::Ours),
            Ok(Ok(Some(owner))) => Ok(Claimed::Of(owner)),
            Ok(Ok(None)) => Err(no_lease()),
            Ok(Err(error)) => {
                tracing::debug!(room.id = %room, error = %crate::error_chain(&error), "a room could not be claimed");
                Err(no_lease())
            }
            Err(_) => Err(no_lease()),
        }
    }

    /// A turn for what all rooms may want at the same moment.
    pub(crate) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed.
        self.turns.acquire().await.ok()
    }

    /// Gives a room up, so that others need not wait for the end of the lease.
    pub(crate) async fn release(&self, room: RoomId) {
        if !matches!(timeout(self.config.lease_ttl, self.leases.release(room, self.node)).await, Ok(Ok(()))) {
            tracing::debug!(room.id = %room, "a room could not be given up; it can be had when the lease ends");
        }
    }

    /// Ends the lease, for good: it is relied on no more, and no renewal that is on its way brings it back.
    pub(crate) async fn leave(&self) {
        self.tenure.end();
        let _renewing = self.renewing.lock().await;
        if !matches!(timeout(self.config.lease_ttl, self.leases.resign(self.node)).await, Ok(Ok(()))) {
            tracing::warn!("the lease could not be ended; it runs out");
        }
    }

    /// A relay's words come to `actor` from now on; it takes the length of each off what is given back.
    pub(crate) fn relay_started(&self, relay: RelayId, owner: NodeId, actor: &ActorRef<RoomMsg>) -> Arc<AtomicUsize> {
        let backlog = Arc::<AtomicUsize>::default();
        self.relays.lock().insert(relay, Here { owner, actor: actor.clone(), backlog: Arc::clone(&backlog) });
        self.heard.lock().entry(owner).or_insert_with(Instant::now);
        backlog
    }

    pub(crate) fn relay_ended(&self, relay: RelayId) {
        self.relays.lock().remove(&relay);
    }

    pub(crate) fn desk_ended(&self, relay: RelayId) {
        self.desks.lock().end(relay);
    }

    async fn keep(self: Arc<Self>, engine: WeakEngine) {
        let mut ticks = interval(self.config.renew_every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut was_renewed = false;
        let mut was_answered = true;
        let mut held = false;
        let mut was_known = 0;
        loop {
            ticks.tick().await;
            let Some(engine) = engine.upgrade().filter(|engine| !engine.is_drained()) else { return };
            let renewing = self.renewing.lock().await;
            if self.tenure.has_ended() {
                return;
            }
            let sent = Instant::now();
            let renewed = timeout(self.config.lease_ttl, self.leases.renew(self.node, self.config.lease_ttl)).await;
            drop(renewing);
            match renewed {
                Ok(Ok(unbroken)) => {
                    // One whose answer was lost may have been the one that found the lease ended.
                    let unbroken = unbroken && was_answered;
                    was_answered = true;
                    self.tenure.renewed(sent, unbroken, &self.config);
                    if !unbroken && was_renewed {
                        metrics::counter!("tripsync_lease_lapses_total").increment(1);
                        tracing::warn!("the lease may have lapsed: every room makes sure that it is still here");
                        engine.tell_all(|| Own::Lapsed);
                    }
                    was_renewed = true;
                }
                // Once, not several times a second.
                Ok(Err(error)) if std::mem::take(&mut was_answered) => {
                    tracing::warn!(error = %crate::error_chain(&error), "the lease cannot be renewed; tried again until it can");
                }
                Err(_) if std::mem::take(&mut was_answered) => {
                    tracing::warn!("the lease cannot be renewed in time; tried again until it can")
                }
                Ok(Err(_)) | Err(_) => {}
            }
            let holds = self.tenure.holds();
            if held && !holds {
                // Members who only watch would never hear that another node owns their room by now.
                engine.tell_all(|| Own::Lapsed);
            }
            held = holds;
            // How many are alive is not known while the store does not answer.
            let mut known = 0;
            if let Ok(Ok(nodes)) = timeout(self.config.renew_every, self.leases.nodes()).await {
                self.tenure.saw(nodes.into_iter().collect());
                let alive = self.tenure.nodes();
                self.end_relays(|owner| !alive.contains(&owner));
                known = alive.len();
            }
            if known != was_known {
                tracing::info!(nodes = known, before = was_known, "the number of living nodes has changed");
                was_known = known;
            }
            metrics::gauge!("tripsync_lease_held").set(if holds { 1.0 } else { 0.0 });
            metrics::gauge!("tripsync_cluster_nodes").set(f64::from(u32::try_from(known).unwrap_or(u32::MAX)));
        }
    }

    /// Says that this node lives, and gives up what it has in common with nodes that say nothing.
    async fn watch(self: Arc<Self>, engine: WeakEngine) {
        let mut ticks = interval(self.config.beat_every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told_all = Instant::now();
        loop {
            ticks.tick().await;
            let Some(engine) = engine.upgrade().filter(|engine| !engine.is_drained()) else { return };
            self.out.send_all(Word::Alive.encode());
            let tells_all = told_all.elapsed() >= COUNTS_FOR / 3;
            if tells_all {
                told_all = Instant::now();
            }
            for counts in engine.notifier_here().socket_counts(tells_all).chunks(COUNTS_PER_WORD) {
                self.out.send_all(Word::Sockets { counts: counts.to_vec() }.encode());
            }
            let silent: BTreeSet<_> = {
                let mut heard = self.heard.lock();
                let silent = heard.iter().filter(|(_, at)| at.elapsed() > self.config.silence_max).map(|(node, _)| *node).collect();
                heard.retain(|node, _| !BTreeSet::contains(&silent, node));
                silent
            };
            if !silent.is_empty() {
                silent.iter().for_each(|node| engine.notifier_here().node_gone(*node));
                self.end_relays(|owner| silent.contains(&owner));
                let mut desks = self.desks.lock();
                let of_silent = |(relay, (node, _)): (&RelayId, &(NodeId, _))| silent.contains(node).then_some(*relay);
                let ending: Vec<_> = desks.open.iter().filter_map(of_silent).collect();
                // Their inboxes end with this. A desk may take long to notice, and there must not be a second one for its relay meanwhile.
                ending.into_iter().for_each(|relay| desks.end(relay));
            }
        }
    }

    fn end_relays(&self, of: impl Fn(NodeId) -> bool) {
        let mut relays = self.relays.lock();
        // One that failed could not say so.
        relays.retain(|_, relay| relay.actor.get_status() < ActorStatus::Stopped);
        for relay in relays.values().filter(|relay| of(relay.owner)) {
            // One that ends already needs no word.
            let _ = relay.actor.cast(RoomMsg::Own(Own::OwnerGone));
        }
    }
}

/// Reaches a user's sockets on every node.
pub(crate) struct Everywhere {
    pub(crate) here: Arc<dyn Notifier>,
    pub(crate) cluster: Arc<Cluster>,
}

impl Notifier for Everywhere {
    fn notice(&self, user: UserId, frame: &Frame) {
        self.here.notice(user, frame);
        self.cluster.out.send_all(Word::Notice { user, frame: wire::packed(frame) }.encode());
    }
}

fn no_lease() -> Rejection {
    Rejection::new(ErrorCode::Retry, "this node cannot show which node owns the room now").retry_after_ms(500)
}
