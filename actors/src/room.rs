//! Rooms: one actor each, generic over the kind of room.
//!
//! A room owns the live state, its sessions, their presence and a ring of recent records. It promises: events leave in order and only
//! after they are durable; a numbered command is applied once; a session gets what it missed, as events or as a snapshot, and after
//! that every event. It decides ahead of the journal on a working state; if an append fails it forgets that state and reloads.
//! It deliberately does not know sockets, databases or other rooms.

mod clients;
mod end;
mod gate;
mod load;
mod log;
mod members;
pub mod message;
mod ops;
mod presence;
mod proof;
mod release;
mod reload;
mod time;
mod views;
mod visit;

pub(crate) use load::caught;
pub(crate) use log::Recent;
pub(crate) use members::{Answers, Members};
pub use message::{Cursor, From, Join, Op, Outcome, Parsed, Read, RoomMsg, RoomView, SessionInfo};

use crate::engine::Shared;
use crate::room::clients::Clients;
use crate::room::end::End;
use crate::room::gate::{Asker, Gate};
use crate::room::load::{Loaded, load};
use crate::room::log::Log;
use crate::room::message::Own;
use crate::room::presence::Board;
use crate::room::proof::Doubt;
use crate::room::views::Views;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tripsync_domain::{Epoch, ErrorCode, Rejection, Role, RoomId, RoomKind, Seq, Timestamp, UserCard, UserId};

/// Timers further ahead than this are not set; the look-out wakes the room in time.
const TIMER_MAX: Duration = Duration::from_hours(1);

/// The actor; its state is a [`Room`].
pub(crate) struct RoomActor<K>(PhantomData<fn() -> K>);

impl<K> RoomActor<K> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

/// What a room starts with.
pub(crate) struct Start {
    pub(crate) room: RoomId,
    pub(crate) shared: Arc<Shared>,
    /// Before it was asked whether the room may be opened here.
    pub(crate) asked: Instant,
}

/// A room that cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("there is no such room")]
    NoSuchRoom,
    #[error(transparent)]
    Journal(#[from] crate::ports::JournalError),
}

/// What a room is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Deciding.
    Live,
    /// Getting its state back from the journal after a failed append; commands are answered `retry`, joins and reads wait.
    Reloading,
    /// Off the registry; whoever still has its address is sent back there.
    Gone,
}

/// An answer to a command, and the seq that has to be out before it.
type Answer = (Seq, Asker, Result<Outcome, Rejection>);

/// A live room.
pub(crate) struct Room<K: RoomKind> {
    id: RoomId,
    shared: Arc<Shared>,
    myself: ActorRef<RoomMsg>,
    phase: Phase,
    /// Whether it is to end, and how far that is.
    end: End,
    log: Log<K>,
    gate: Gate,
    members: Members,
    clients: Clients,
    board: Board,
    /// When presence is sent next, if a tick is scheduled, and for how long it is gathered until then.
    tick_at: Option<(Instant, Duration)>,
    /// When presence was sent last, and how long it had been gathered; set by a tick that told only of comings, cleared by any other.
    told_comings: Option<(Instant, Duration)>,
    /// The views that were encoded last: a join storm shares them.
    views: Views,
    /// The seq of the newest snapshot that is kept or on its way.
    snapshot: Seq,
    /// Joins and reads that wait for a reload.
    held: Vec<RoomMsg>,
    /// Whether the room is still this node's, where there are several.
    doubt: Doubt,
    /// Commands that broke the rules: refused without another try.
    poison: VecDeque<(UserId, u64)>,
    last_use: Instant,
    rest_armed: bool,
    /// The state that was looked at for a deadline last, and what was found.
    wake: Option<(Seq, Option<Timestamp>)>,
    /// A deadline broke the rules: none is looked at any more, so that the room can be used otherwise.
    deadlines_off: bool,
}

impl<K: RoomKind> Actor for RoomActor<K> {
    type Msg = RoomMsg;
    type State = Box<Room<K>>;
    type Arguments = Start;

    async fn pre_start(&self, myself: ActorRef<RoomMsg>, Start { room, shared, asked }: Start) -> Result<Box<Room<K>>, ActorProcessingErr> {
        let doubt = Doubt::new(asked);
        let loaded =
            load::<K>(&*shared.journal, room, shared.node, &shared.config, &mut Epoch::default()).await.map_err(StartError::Journal)?;
        let Loaded { log, snapshot } = loaded.ok_or(StartError::NoSuchRoom)?;
        metrics::gauge!("tripsync_rooms").increment(1);
        tracing::debug!(room.id = %room, epoch = %log.epoch, seq = %log.decided(), "room restored");
        let mut room = Box::new(Room {
            id: room,
            shared,
            myself,
            phase: Phase::Live,
            end: End::default(),
            log,
            gate: Gate::default(),
            members: Members::new(room),
            clients: Clients::default(),
            board: Board::default(),
            tick_at: None,
            told_comings: None,
            views: Views::default(),
            snapshot,
            held: Vec::new(),
            doubt,
            poison: VecDeque::new(),
            last_use: Instant::now(),
            rest_armed: false,
            wake: None,
            deadlines_off: false,
        });
        room.schedule_wake();
        room.consider_rest();
        Ok(room)
    }

    async fn handle(&self, _: ActorRef<RoomMsg>, message: RoomMsg, room: &mut Box<Room<K>>) -> Result<(), ActorProcessingErr> {
        if room.phase == Phase::Gone {
            room.send_back(message);
            return Ok(());
        }
        let Some(message) = room.unless_in_doubt(message) else { return Ok(()) };
        match message {
            RoomMsg::Leave { session, dropped } => room.leave(session, dropped),
            RoomMsg::Join(_) | RoomMsg::Op(_) | RoomMsg::Read(_) | RoomMsg::Presence { .. } | RoomMsg::Drained { .. } => room.act(message),
            RoomMsg::Own(Own::Committed { epoch, committed }) => room.committed(epoch, committed)?,
            RoomMsg::Own(Own::Looked { inquiry, found }) => room.looked(inquiry, found),
            RoomMsg::Own(Own::Tick) => room.tick(),
            RoomMsg::Own(Own::Rest) => room.rest().await,
            RoomMsg::Own(Own::Wake) => room.wake(),
            RoomMsg::Own(Own::Reloaded(loaded)) => room.reloaded(loaded)?,
            RoomMsg::Own(Own::SnapshotSaved { seq, ok }) => room.snapshot_saved(seq, ok),
            RoomMsg::Own(Own::Drain) => room.part(None),
            RoomMsg::Own(Own::PassOn(to)) => room.part(Some(to)),
            RoomMsg::Own(Own::Doubt) => room.doubt(),
            RoomMsg::Own(Own::Lapsed) => room.lapsed(),
            RoomMsg::Own(Own::Proved(proof)) => room.proved(&proof),
            RoomMsg::Own(Own::Lost) => room.lose(),
            RoomMsg::Own(Own::Down { .. } | Own::Beat | Own::OwnerGone) => {}
        }
        if room.phase == Phase::Gone {
            return Ok(());
        }
        room.release(&[]);
        room.submit().await;
        room.views.keep_only(room.log.decided());
        if room.is_over() {
            room.conclude().await;
        }
        room.schedule_wake();
        room.consider_rest();
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<RoomMsg>, _: &mut Box<Room<K>>) -> Result<(), ActorProcessingErr> {
        metrics::gauge!("tripsync_rooms").decrement(1);
        Ok(())
    }
}

impl<K: RoomKind> Room<K> {
    /// Hands what is pending to the lane, unless an append is outstanding; takes a snapshot when one is due.
    async fn submit(&mut self) {
        if self.phase != Phase::Live {
            return;
        }
        let Some(mut append) = self.log.submit() else { return };
        if self.shared.sabotage.forgets_commands() {
            append.records.iter_mut().for_each(|record| record.command = None);
        }
        if self.unkept() >= self.shared.config.snapshot_every {
            self.take_snapshot();
        }
        let (myself, epoch) = (self.myself.clone(), append.epoch);
        let done = Box::new(move |committed| {
            // A room that is gone does not need the answer: its successor reads the journal.
            let _ = myself.cast(RoomMsg::Own(Own::Committed { epoch, committed }));
        });
        self.shared.lanes.submit(crate::lane::Job { append, done }).await;
    }

    fn is_settled(&self) -> bool {
        self.log.is_settled() && self.gate.is_empty() && self.clients.is_settled() && self.doubt.is_quiet()
    }

    /// Answers what reaches a room that is gone, so that it is tried again where the room is now.
    fn send_back(&mut self, message: RoomMsg) {
        match message {
            // Dropped, its link says that the room is gone.
            RoomMsg::Join(_) => {}
            RoomMsg::Op(op) => self.answer(Asker::of(op, None).0, Err(moved())),
            RoomMsg::Read(read) => {
                let _ = read.reply.send(Err(self.shared.spread(moved())));
            }
            RoomMsg::Leave { session, .. } => {
                self.members.remove(session);
            }
            RoomMsg::Presence { .. } | RoomMsg::Drained { .. } | RoomMsg::Own(_) => {}
        }
    }
}

/// The user's role, `None` also in a room that has ended.
fn role_in<K: RoomKind>(state: &K::State, who: &UserCard) -> Option<Role> {
    if K::is_ended(state) { None } else { K::access(state, who) }
}

fn no_such_room() -> Rejection {
    Rejection::not_found("there is no such room")
}

fn moved() -> Rejection {
    Rejection::new(ErrorCode::Moved, "the room has moved; send it again under the same number").retry_after_ms(50)
}

#[cfg(test)]
mod tests;
