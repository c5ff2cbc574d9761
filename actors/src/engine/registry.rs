//! One actor per room: what is in memory, what is being started, and what rests because it keeps failing.

use super::room_ref::{KindInfo, kind_info};
use crate::config::EngineConfig;
use crate::engine::RoomRef;
use crate::room::message::Own;
use crate::room::{RoomActor, RoomMsg, Start};
use futures_util::future::{BoxFuture, FutureExt, Shared as SharedFuture};
use parking_lot::Mutex;
use ractor::{Actor, ActorCell, ActorId, ActorRef, ActorStatus, SpawnErr};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tripsync_domain::command::to_wire;
use tripsync_domain::{ErrorCode, Rejection, RoomId, RoomKind, UserId};

/// A failing room rests at most this long.
const QUARANTINE_MAX: Duration = Duration::from_secs(300);

/// While a node goes away the next room is told although one has not ended for this long.
const LEAVING_MAX: Duration = Duration::from_secs(1);

/// Rooms whose kinds are remembered; beyond that all are forgotten.
const KNOWN_MAX: usize = 16_384;

pub(super) type Spawned = BoxFuture<'static, Result<ActorRef<RoomMsg>, SpawnErr>>;

/// A kind of room, as the registry starts it.
pub(super) struct Kind {
    pub(super) info: &'static KindInfo,
    pub(super) spawn: fn(Start, ActorCell) -> Spawned,
    own_room: fn(UserId) -> Option<(RoomId, Value)>,
}

fn own_room<K: RoomKind>(user: UserId) -> Option<(RoomId, Value)> {
    K::own_room(user).map(|(room, command)| (room, to_wire(&command)))
}

/// The kinds of rooms that an engine serves.
#[derive(Default)]
pub struct Kinds(HashMap<&'static str, Kind>);

impl Kinds {
    /// Adds a kind.
    #[must_use]
    pub fn with<K: RoomKind>(mut self) -> Self {
        const { assert!(!K::KIND.is_empty(), "a kind has a tag") };
        let info: &'static KindInfo = &const { kind_info::<K>() };
        self.0.insert(K::KIND, Kind { info, spawn: spawn::<K>, own_room: own_room::<K> });
        self
    }
}

fn spawn<K: RoomKind>(start: Start, supervisor: ActorCell) -> Spawned {
    Box::pin(async move {
        let (actor, _) = Actor::spawn_linked(None, RoomActor::<K>::new(), start, supervisor).await?;
        Ok(actor)
    })
}

/// The outcome of a start, for everybody who asked meanwhile.
pub(super) type Started = SharedFuture<oneshot::Receiver<Result<RoomRef, Rejection>>>;

enum Slot {
    /// Somebody starts it; everybody else waits for the outcome.
    Starting(Started),
    Live {
        address: RoomRef,
        actor: ActorRef<RoomMsg>,
    },
}

impl Slot {
    const fn is_relay(&self) -> bool {
        matches!(self, Self::Live { address, .. } if address.is_relay())
    }
}

/// How often a room failed lately.
#[derive(Default)]
struct Failures {
    times: VecDeque<Instant>,
    rests: u32,
    until: Option<Instant>,
}

#[derive(Default)]
struct Rooms {
    slots: BTreeMap<RoomId, Slot>,
    /// The room of each live actor, for the supervisor.
    actors: HashMap<ActorId, RoomId>,
    failures: HashMap<RoomId, Failures>,
    draining: bool,
}

impl Rooms {
    fn resting(&self, room: RoomId) -> Option<Rejection> {
        let now = Instant::now();
        let until = self.failures.get(&room).and_then(|failures| failures.until).filter(|until| *until > now)?;
        let wait = u64::try_from((until - now).as_millis()).unwrap_or(u64::MAX);
        Some(Rejection::new(ErrorCode::RoomUnavailable, "the room failed repeatedly and rests").retry_after_ms(wait))
    }
}

/// See the module documentation. `slots` and `actors` change together, under one lock that is never held across an await.
pub(crate) struct Registry {
    kinds: Kinds,
    /// Tags of the kinds of rooms that were asked for lately.
    known: Mutex<HashMap<RoomId, &'static str>>,
    rooms: Mutex<Rooms>,
    /// Told whenever an actor has ended.
    ended: Notify,
    failures_max: usize,
    failure_window: Duration,
    quarantine: Duration,
}

/// What a look at the registry says.
pub(super) enum Look {
    Found(RoomRef),
    Wait(Started),
    Start(oneshot::Sender<Result<RoomRef, Rejection>>, Started),
}

impl Registry {
    pub(crate) fn new(kinds: Kinds, config: &EngineConfig) -> Self {
        Self {
            kinds,
            known: Mutex::default(),
            rooms: Mutex::default(),
            ended: Notify::new(),
            failures_max: config.failures_max,
            failure_window: config.failure_window,
            quarantine: config.quarantine,
        }
    }

    /// Rooms in memory.
    pub(crate) fn len(&self) -> usize {
        self.rooms.lock().actors.len()
    }

    /// The kind that a user's own room is of, and the command that makes it; `None` for every other room.
    pub(crate) fn own_room(&self, room: RoomId, user: UserId) -> Option<(&'static str, Value)> {
        self.kinds.0.iter().find_map(|(kind, known)| (known.own_room)(user).filter(|own| own.0 == room).map(|own| (*kind, own.1)))
    }

    /// Whether a room is being started, and nobody knows yet how that ends.
    pub(crate) fn is_starting(&self, room: RoomId) -> bool {
        matches!(self.rooms.lock().slots.get(&room), Some(Slot::Starting(outcome)) if outcome.peek().is_none())
    }

    /// Tells every room in memory something of its own affairs.
    pub(crate) fn tell_all(&self, what: impl Fn() -> Own) {
        for slot in self.rooms.lock().slots.values() {
            if let Slot::Live { actor, .. } = slot {
                // One that ends meanwhile has no affairs any more.
                let _ = actor.cast(RoomMsg::Own(what()));
            }
        }
    }

    /// Tells one room in memory something of its own affairs.
    pub(crate) fn tell(&self, room: RoomId, what: Own) {
        if let Some(Slot::Live { actor, .. }) = self.rooms.lock().slots.get(&room) {
            let _ = actor.cast(RoomMsg::Own(what));
        }
    }

    /// Rooms in memory that are not another node's.
    pub(crate) fn own_rooms(&self) -> Vec<RoomId> {
        let rooms = self.rooms.lock();
        let own = rooms.slots.iter().filter(|(_, slot)| matches!(slot, Slot::Live { .. }) && !slot.is_relay());
        own.map(|(room, _)| *room).collect()
    }

    /// Whether rooms are not started any more.
    pub(crate) fn is_draining(&self) -> bool {
        self.rooms.lock().draining
    }

    pub(super) fn look(&self, room: RoomId) -> Result<Look, Rejection> {
        let mut rooms = self.rooms.lock();
        match rooms.slots.get(&room) {
            // An actor can die between its start and its entry here; then nobody will ever take the entry out.
            // A relay of a node that goes away is about to end.
            Some(Slot::Live { address, actor })
                if actor.get_status() < ActorStatus::Stopping && !(rooms.draining && address.is_relay()) =>
            {
                return Ok(Look::Found(address.clone()));
            }
            // Likewise a start that ended without an outcome, which only a defect causes.
            Some(Slot::Starting(outcome)) if !matches!(outcome.peek(), Some(Err(_))) => return Ok(Look::Wait(outcome.clone())),
            Some(Slot::Live { .. } | Slot::Starting(_)) | None => {}
        }
        if rooms.draining {
            return Err(restarting());
        }
        if let Some(resting) = rooms.resting(room) {
            return Err(resting);
        }
        let (sender, receiver) = oneshot::channel();
        let outcome = receiver.shared();
        rooms.slots.insert(room, Slot::Starting(outcome.clone()));
        Ok(Look::Start(sender, outcome))
    }

    /// A kind by its tag.
    pub(super) fn kind(&self, tag: &str) -> Option<&Kind> {
        self.kinds.0.get(tag)
    }

    /// The kind of a room that was asked for lately.
    pub(super) fn known(&self, room: RoomId) -> Option<&Kind> {
        self.known.lock().get(&room).and_then(|tag| self.kind(tag))
    }

    /// Remembers the kind of a room, which never changes.
    pub(super) fn learn(&self, room: RoomId, kind: &Kind) {
        let mut known = self.known.lock();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(room, kind.info.tag);
    }

    /// Why a room that is not in memory would not be started now.
    pub(crate) fn refusal(&self, room: RoomId) -> Option<Rejection> {
        let rooms = self.rooms.lock();
        if rooms.draining { Some(restarting()) } else { rooms.resting(room) }
    }

    /// Notes how a start went. A room that was started while the engine began to drain is told so.
    pub(super) fn started(&self, room: RoomId, outcome: Result<(RoomRef, ActorRef<RoomMsg>), Rejection>) -> Result<RoomRef, Rejection> {
        let mut rooms = self.rooms.lock();
        match outcome {
            Ok((address, actor)) => {
                if rooms.draining {
                    // It is idle and ends by itself; the next message that it gets is this one.
                    let _ = actor.cast(RoomMsg::Own(Own::Drain));
                }
                if actor.get_status() >= ActorStatus::Stopping {
                    // It ended before it could be entered; the supervisor's word on that may have come and gone.
                    rooms.slots.remove(&room);
                    self.ended.notify_waiters();
                } else {
                    rooms.actors.insert(actor.get_id(), room);
                    rooms.slots.insert(room, Slot::Live { address: address.clone(), actor });
                }
                Ok(address)
            }
            Err(rejection) => {
                rooms.slots.remove(&room);
                self.ended.notify_waiters();
                Err(rejection)
            }
        }
    }

    /// A room leaves: from now on whoever asks starts it anew.
    pub(crate) fn retire(&self, room: RoomId, actor: ActorId) {
        let mut rooms = self.rooms.lock();
        if matches!(rooms.slots.get(&room), Some(Slot::Live { actor: live, .. }) if live.get_id() == actor) {
            rooms.slots.remove(&room);
        }
    }

    /// This node owns a room itself that it has a relay for: the relay ends, and whoever asks from now on starts the room.
    pub(super) fn supersede(&self, room: RoomId) {
        let mut rooms = self.rooms.lock();
        if let Some(Slot::Live { actor, .. }) = rooms.slots.get(&room).filter(|slot| slot.is_relay()) {
            // Its sessions come back.
            let _ = actor.cast(RoomMsg::Own(Own::OwnerGone));
            rooms.slots.remove(&room);
        }
    }

    /// A room's actor has ended as it should.
    pub(crate) fn ended(&self, actor: ActorId) {
        let room = self.rooms.lock().actors.remove(&actor);
        if let Some(room) = room {
            self.retire(room, actor);
        }
        self.ended.notify_waiters();
    }

    /// A room's actor has failed.
    pub(crate) fn failed(&self, actor: ActorId, error: &(dyn std::error::Error + Send + Sync)) {
        let (room, is_relay) = {
            let rooms = self.rooms.lock();
            let room = rooms.actors.get(&actor).copied();
            (room, room.and_then(|room| rooms.slots.get(&room)).is_some_and(Slot::is_relay))
        };
        if is_relay {
            metrics::gauge!("tripsync_relays").decrement(1);
            tracing::error!(room.id = room.map(tracing::field::display), error = %error, "a relay failed; its sessions look for the room again");
        } else if let Some(room) = room {
            metrics::gauge!("tripsync_rooms").decrement(1);
            tracing::error!(room.id = %room, error = %error, "a room failed; it starts again from the journal");
            self.count_failure(room);
        }
        self.ended(actor);
    }

    /// Counts a failure; one too many within the window sends the room to rest, longer each time.
    pub(super) fn count_failure(&self, room: RoomId) {
        metrics::counter!("tripsync_room_failures_total").increment(1);
        let now = Instant::now();
        let mut rooms = self.rooms.lock();
        // Rooms that have been well for a while are forgotten, so that the map stays small.
        let memory = QUARANTINE_MAX * 2;
        rooms.failures.retain(|_, failures| failures.times.back().is_some_and(|last| *last + memory > now));
        let failures = rooms.failures.entry(room).or_default();
        failures.times.push_back(now);
        while failures.times.front().is_some_and(|first| *first + self.failure_window < now) {
            failures.times.pop_front();
        }
        if failures.times.len() > self.failures_max {
            let rest = self.quarantine.saturating_mul(1 << failures.rests.min(10)).min(QUARANTINE_MAX);
            failures.rests += 1;
            failures.times.clear();
            failures.times.push_back(now);
            failures.until = Some(now + rest);
            tracing::error!(room.id = %room, rest_s = rest.as_secs(), "a room failed repeatedly and rests");
        }
    }

    /// Tells every room to finish, `at_once` of them at a time, and waits for all to end. Who has not been told goes on until then.
    pub(crate) async fn drain(&self, limit: Duration, at_once: usize) -> bool {
        let mut leaving = self.begin_drain(at_once);
        let all_ended = async {
            loop {
                let ended = self.ended.notified();
                tokio::pin!(ended);
                ended.as_mut().enable();
                if self.go_on_draining(&mut leaving) {
                    return;
                }
                // Those that hang must not keep the others.
                let _ = tokio::time::timeout(LEAVING_MAX, ended).await;
            }
        };
        tokio::time::timeout(limit, all_ended).await.is_ok()
    }

    /// Waits until none of these is in memory, but not for one that hangs.
    pub(super) async fn left(&self, rooms: impl Iterator<Item = RoomId> + Clone) {
        let all_left = async {
            loop {
                let ended = self.ended.notified();
                tokio::pin!(ended);
                ended.as_mut().enable();
                let is_here = |room| matches!(self.rooms.lock().slots.get(&room), Some(slot) if !slot.is_relay());
                if !rooms.clone().any(is_here) {
                    return;
                }
                ended.await;
            }
        };
        // Those that hang must not keep the others.
        let _ = tokio::time::timeout(LEAVING_MAX, all_left).await;
    }

    /// No room is started any more. Relays are told: whose sessions are here leave anyway.
    fn begin_drain(&self, at_once: usize) -> Leaving {
        let mut rooms = self.rooms.lock();
        rooms.draining = true;
        let mut waiting = Vec::new();
        for slot in rooms.slots.values() {
            match slot {
                // One that is gone already has nothing to finish.
                Slot::Live { actor, .. } if slot.is_relay() => drop(actor.cast(RoomMsg::Own(Own::Drain))),
                Slot::Live { actor, .. } => waiting.push(actor.clone()),
                Slot::Starting(_) => {}
            }
        }
        Leaving { at_once, waiting, told: Vec::new() }
    }

    /// Tells the next rooms; answers whether all have ended.
    fn go_on_draining(&self, leaving: &mut Leaving) -> bool {
        let rooms = self.rooms.lock();
        let settled = rooms.actors.is_empty() && !rooms.slots.values().any(|slot| matches!(slot, Slot::Starting(_)));
        if leaving.waiting.is_empty() {
            return settled;
        }
        leaving.told.retain(|(actor, told)| rooms.actors.contains_key(actor) && told.elapsed() < LEAVING_MAX);
        while leaving.told.len() < leaving.at_once
            && let Some(actor) = leaving.waiting.pop()
        {
            if actor.cast(RoomMsg::Own(Own::Drain)).is_ok() {
                leaving.told.push((actor.get_id(), Instant::now()));
            }
        }
        settled
    }
}

/// Rooms that a node that goes away has told so, and those that wait for that.
struct Leaving {
    at_once: usize,
    waiting: Vec<ActorRef<RoomMsg>>,
    told: Vec<(ActorId, Instant)>,
}

fn restarting() -> Rejection {
    Rejection::new(ErrorCode::Restarting, "the server is restarting").retry_after_ms(1_000)
}
