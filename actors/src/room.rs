//! Rooms: one actor each, generic over the kind of room.
//!
//! A room owns the live state, its sessions, their presence and a ring of recent records. It promises: events leave in order and only
//! after they are durable; a numbered command is applied once; a session gets what it missed, as events or as a snapshot, and after
//! that every event. It decides ahead of the journal on a working state; if an append fails it forgets that state and reloads.
//! It deliberately does not know sockets, databases or other rooms.

mod clients;
mod gate;
mod load;
mod log;
mod members;
pub mod message;
mod ops;
mod presence;
mod reload;

pub(crate) use load::caught;
pub use message::{Cursor, From, Join, Op, Outcome, Parsed, Read, RoomMsg, RoomView, SessionInfo};

use crate::engine::Shared;
use crate::frame::{Frame, frame_of};
use crate::ports::Snapshot;
use crate::room::clients::Clients;
use crate::room::gate::{Asker, Gate, Output};
use crate::room::load::{Loaded, SNAPSHOT_VERSION, load};
use crate::room::log::{Durable, Log, Recent, Unsound};
use crate::room::members::{Answers, Members, Ticket, seen_by};
use crate::room::message::Own;
use crate::room::presence::Board;
use bytes::Bytes;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tripsync_domain::protocol::{About, JoinedBody, JoinedHead, Position, PresenceDelta, ServerFrame, encode_joined};
use tripsync_domain::{
    Ctx, Effect, ErrorCode, ItemId, Projection, Rejection, Role, RoomId, RoomKind, Seq, SessionId, Timestamp, UserCard, UserId,
};

/// How long a room that stops waits for its last snapshot; without it the next start replays more events, nothing is lost.
const LAST_SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(5);

/// Timers further ahead than this are not set; the look-out wakes the room in time.
const TIMER_MAX: Duration = Duration::from_hours(1);

/// A room with a deadline sooner than this stays in memory for it.
const STAYS_FOR: Duration = Duration::from_secs(10);

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
    /// The server goes away: stop once everything decided is durable.
    draining: bool,
    log: Log<K>,
    gate: Gate,
    members: Members,
    clients: Clients,
    board: Board,
    /// When presence is sent next, if a tick is scheduled.
    tick_at: Option<Instant>,
    /// The view that was encoded last: a join storm shares it.
    view: Option<(Seq, u64, Bytes)>,
    /// The seq of the newest snapshot that is kept or on its way.
    snapshot: Seq,
    /// Joins and reads that wait for a reload.
    held: Vec<RoomMsg>,
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

    async fn pre_start(&self, myself: ActorRef<RoomMsg>, Start { room, shared }: Start) -> Result<Box<Room<K>>, ActorProcessingErr> {
        let loaded = load::<K>(&*shared.journal, room, shared.node, &shared.config).await.map_err(StartError::Journal)?;
        let Loaded { log, snapshot } = loaded.ok_or(StartError::NoSuchRoom)?;
        metrics::gauge!("tripsync_rooms").increment(1);
        tracing::debug!(room.id = %room, epoch = %log.epoch, seq = %log.decided(), "room restored");
        let mut room = Box::new(Room {
            id: room,
            shared,
            myself,
            phase: Phase::Live,
            draining: false,
            log,
            gate: Gate::default(),
            members: Members::new(room),
            clients: Clients::default(),
            board: Board::default(),
            tick_at: None,
            view: None,
            snapshot,
            held: Vec::new(),
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
        match message {
            RoomMsg::Join(join) => room.join(join),
            RoomMsg::Leave { session, dropped } => room.leave(session, dropped),
            RoomMsg::Op(op) => room.op(op),
            RoomMsg::Read(read) => room.read(read),
            RoomMsg::Presence { session, state } => room.presence(session, state),
            RoomMsg::Drained { session } => room.drained(session),
            RoomMsg::Own(Own::Committed { epoch, committed }) => room.committed(epoch, committed)?,
            RoomMsg::Own(Own::Looked { inquiry, found }) => room.looked(inquiry, found),
            RoomMsg::Own(Own::Tick) => room.tick(),
            RoomMsg::Own(Own::Rest) => room.rest().await,
            RoomMsg::Own(Own::Wake) => room.wake(),
            RoomMsg::Own(Own::Reloaded(loaded)) => room.reloaded(loaded)?,
            RoomMsg::Own(Own::SnapshotSaved { seq, ok }) => room.snapshot_saved(seq, ok),
            RoomMsg::Own(Own::Drain) => room.draining = true,
        }
        room.release(&[]);
        room.submit().await;
        if room.draining && room.phase == Phase::Live && room.is_settled() {
            room.finish().await;
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
    /// A session enters: its `joined` leaves when the state that it shows is durable.
    fn join(&mut self, join: Join) {
        self.last_use = Instant::now();
        if self.phase == Phase::Reloading {
            self.held.push(RoomMsg::Join(join));
            return;
        }
        self.expire();
        if self.phase == Phase::Reloading {
            self.held.push(RoomMsg::Join(join));
            return;
        }
        let Join { session, link, cursor, since } = join;
        self.gate.withdraw(session.id);
        let user = session.card.user;
        let Some(role) = role_in::<K>(&self.log.state, &session.card) else {
            self.members.remove(session.id);
            self.gate.push(self.log.decided(), Output::Denied(link));
            return;
        };
        let id = session.id;
        self.members.add(session, link, cursor, role, self.log.decided());
        self.gate_joined(id, user, since);
    }

    /// Puts a session's `joined` at the gate.
    fn gate_joined(&mut self, session: SessionId, user: UserId, since: Option<Position>) {
        let Some(ticket) = self.members.ticket(session) else { return };
        let at = self.log.decided();
        let since = since.filter(|since| self.can_resume(*since));
        let state = if since.is_none() { Some(self.view_for(user)) } else { None };
        self.gate.push(at, Output::Joined { session, ticket, since, state });
    }

    /// Whether the ring, with what is pending, holds everything after a position.
    fn can_resume(&self, since: Position) -> bool {
        let durable = self.log.durable();
        since.epoch <= self.log.epoch && since.seq <= durable && self.log.since(since.seq, durable).is_some()
    }

    /// The encoded view of the working state for one user.
    fn view_for(&mut self, user: UserId) -> Bytes {
        let at = self.log.decided();
        let key = K::view_key(&self.log.state, user);
        match &self.view {
            Some((seq, known, bytes)) if (*seq, *known) == (at, key) => bytes.clone(),
            _ => {
                let bytes = Bytes::from(K::view(&self.log.state, user));
                self.view = Some((at, key, bytes.clone()));
                bytes
            }
        }
    }

    fn leave(&mut self, session: SessionId, dropped: bool) {
        self.last_use = Instant::now();
        self.forget_held(session);
        self.gate.withdraw(session);
        if let Some(info) = self.members.remove(session) {
            let grace = dropped.then_some(self.shared.config.presence_grace);
            self.board.leave(info.card.user, info.id, grace);
            self.schedule_tick();
        }
    }

    /// Drops what a session that goes has waiting for a reload; otherwise it would come in after it went.
    fn forget_held(&mut self, session: SessionId) {
        for message in std::mem::take(&mut self.held) {
            let is_its = match &message {
                RoomMsg::Join(join) => join.session.id == session,
                RoomMsg::Drained { session: lagging } => *lagging == session,
                RoomMsg::Leave { .. } | RoomMsg::Op(_) | RoomMsg::Read(_) | RoomMsg::Presence { .. } | RoomMsg::Own(_) => false,
            };
            if !is_its {
                self.held.push(message);
            } else if let RoomMsg::Join(join) = message {
                join.link.forget();
            }
        }
    }

    fn read(&mut self, read: Read) {
        self.last_use = Instant::now();
        if self.phase == Phase::Reloading {
            self.held.push(RoomMsg::Read(read));
            return;
        }
        self.expire();
        if self.phase == Phase::Reloading {
            self.held.push(RoomMsg::Read(read));
            return;
        }
        let seq = self.log.decided();
        let view = match role_in::<K>(&self.log.state, &read.who) {
            Some(role) => Ok(RoomView { kind: K::KIND, epoch: self.log.epoch, seq, role, state: self.view_for(read.who.user) }),
            None => Err(no_such_room()),
        };
        self.gate.push(seq, Output::View { read, view: Box::new(view) });
    }

    fn presence(&mut self, session: SessionId, state: tripsync_domain::presence::PresenceState) {
        let Some(member) = self.members.get_mut(session).filter(|member| member.role >= K::PRESENCE) else { return };
        let user = member.info.card.user;
        let state = K::presence(&self.log.state, user, state);
        if self.board.has(user, session) {
            self.board.update(user, session, state);
            self.schedule_tick();
        } else {
            member.said = Some(state);
        }
    }

    /// A slow session has caught its breath: one resync brings it up to date.
    fn drained(&mut self, session: SessionId) {
        if self.phase == Phase::Reloading {
            self.held.push(RoomMsg::Drained { session });
        } else if self.members.resume(session) {
            metrics::counter!("tripsync_sessions_resynced_total").increment(1);
            self.rejoin(session);
        }
    }

    /// Brings who is here into line with the state, which is durable: after a reload, when the single changes are not known.
    fn recheck_access(&mut self) {
        let at = self.log.decided();
        for (session, card) in self.members.users() {
            if let Some(role) = role_in::<K>(&self.log.state, &card) {
                self.members.enter(session, role, at);
            } else if let Some(link) = self.members.take_unstarted(session) {
                // It came in by an event that is lost: it never learns that the room exists.
                self.gate.push(at, Output::Denied(link));
            } else {
                let code = if K::is_ended(&self.log.state) { ErrorCode::RoomDeleted } else { ErrorCode::Removed };
                let text = "you have no access to this room any more";
                for info in self.members.expel(Seq(u64::MAX), |member| member.info.id == session, code, text) {
                    self.board.leave(info.card.user, info.id, None);
                }
            }
        }
        // Without its card a user of a group is taken for a stranger; presence is for those in the room by name.
        self.board.forget_missing(|user| role_in::<K>(&self.log.state, &UserCard { user, name: String::new(), group: None }).is_none());
        self.schedule_tick();
    }

    /// Gives a session whose `joined` was lost with the state that it was made from another one.
    fn join_anew(&mut self, session: SessionId, ticket: Ticket, since: Option<Position>) {
        if let Some(member) = self.members.holder(session, ticket) {
            let (user, since) = (member.info.card.user, member.cursor.get().or(since));
            self.gate_joined(session, user, since);
        }
    }

    /// Gives a session that is in the room a new `joined`, from its cursor.
    fn rejoin(&mut self, session: SessionId) {
        if let Some(member) = self.members.get(session) {
            let (user, since) = (member.info.card.user, member.cursor.get());
            self.gate_joined(session, user, since);
        }
    }

    /// Lets out what is durable: the events, and what waits at the gate, in order. A `joined` at the gate splits the events, so that
    /// its session gets exactly those after it.
    fn release(&mut self, events: &[Durable<K::Event>]) {
        let durable = self.log.durable();
        let mut rest = events;
        while let Some((first, _)) = rest.split_first() {
            let split = self.gate.joins().find(|at| *at >= first.meta.seq).filter(|at| *at < durable);
            let count = split.map_or(rest.len(), |at| rest.iter().take_while(|event| event.meta.seq <= at).count());
            let (head, tail) = rest.split_at(count);
            self.let_out(head);
            rest = tail;
        }
        if events.is_empty() {
            self.let_out(&[]);
        }
    }

    /// Lets out one run of events with what waits for them.
    fn let_out(&mut self, events: &[Durable<K::Event>]) {
        let up_to = events.last().map_or(self.log.durable(), |event| event.meta.seq);
        let mut answers = VecDeque::new();
        let mut after = Vec::new();
        while let Some((at, output)) = self.gate.pop(up_to) {
            match output {
                // Answers that were made after a `joined` follow it.
                Output::Applied(asker, outcome) if after.is_empty() => answers.push_back((at, asker, Ok(outcome))),
                Output::Refused(asker, rejection) if after.is_empty() => answers.push_back((at, asker, Err(rejection))),
                Output::Applied(..)
                | Output::Refused(..)
                | Output::Joined { .. }
                | Output::Denied(_)
                | Output::View { .. }
                | Output::Snapshot(_) => after.push((at, output)),
            }
        }
        self.deliver(events, answers);
        for (at, output) in after {
            match output {
                Output::Joined { session, ticket, since, state } => self.start_session((session, ticket), at, since, state),
                Output::Denied(link) => {
                    let about = Some(About { room: self.id, n: None });
                    link.sink.send_always(&[frame_of(&ServerFrame::Error { rejection: no_such_room(), about })]);
                    link.end();
                }
                Output::View { read, view } => {
                    // The reader may have given up; then nobody needs the answer.
                    let _ = read.reply.send(*view);
                }
                Output::Snapshot(state) => self.save_snapshot(at, state),
                Output::Applied(asker, outcome) => self.answer(asker, Ok(outcome)),
                Output::Refused(asker, rejection) => self.answer(asker, Err(rejection)),
            }
        }
    }

    /// Writes events to the sessions, and the answers behind the events that they are about; who is removed by one of them gets none
    /// of those after it.
    fn deliver(&mut self, events: &[Durable<K::Event>], mut answers: VecDeque<Answer>) {
        let mut run: Vec<Recent> = Vec::with_capacity(events.len());
        for event in events {
            if !self.shared.sabotage.broadcasts_early() {
                run.push(event.recent.clone());
            }
            if !self.log.access_changed() {
                continue;
            }
            let changes = self.log.access_changes(event);
            if !changes.is_empty() {
                let own = self.answers_up_to(&mut answers, event.meta.seq);
                self.members.deliver(self.log.epoch, &run, own);
                run.clear();
                for change in changes {
                    self.change_access(event.meta.seq, change);
                }
            }
        }
        if !run.is_empty() || !answers.is_empty() {
            let own = self.answers_up_to(&mut answers, Seq(u64::MAX));
            self.members.deliver(self.log.epoch, &run, own);
        }
        for Effect::Notice { user, notice } in events.iter().flat_map(|event| &event.effects) {
            self.shared.notifier.notice(*user, &frame_of(&ServerFrame::Notice { notice: notice.clone() }));
        }
    }

    /// Takes the answers to what was decided up to a seq, by session.
    fn answers_up_to(&self, answers: &mut VecDeque<Answer>, up_to: Seq) -> Answers {
        let mut out = Answers::new();
        while answers.front().is_some_and(|(at, ..)| *at <= up_to)
            && let Some((_, asker, answer)) = answers.pop_front()
        {
            self.answer_into(&mut out, asker, answer);
        }
        out
    }

    /// The event at `at` changes who may be here.
    fn change_access(&mut self, at: Seq, change: Projection) {
        if self.shared.sabotage.keeps_removed() {
            return;
        }
        let expelled = match change {
            Projection::MemberSet { user, role } => {
                for (session, before) in self.members.set_role(at, user, role) {
                    self.show_presence(session, user, (before, role));
                }
                return;
            }
            Projection::MemberGone { user } => {
                self.board.forget_missing(|missing| missing == user);
                let text = "you are not a member of this room any more";
                self.members.expel(at, |member| member.info.card.user == user, ErrorCode::Removed, text)
            }
            Projection::RoomGone => {
                self.board.forget_missing(|_| true);
                self.members.expel(at, |_| true, ErrorCode::RoomDeleted, "the room was deleted")
            }
            Projection::Room { .. }
            | Projection::Item { .. }
            | Projection::Capacity { .. }
            | Projection::Taken { .. }
            | Projection::Freed { .. }
            | Projection::Listing(_)
            | Projection::Unlisted
            | Projection::Reserved { .. }
            | Projection::Released { .. }
            | Projection::Task { .. } => return,
        };
        for info in expelled {
            self.board.leave(info.card.user, info.id, None);
        }
        self.schedule_tick();
    }

    /// A session's role has changed: it enters or leaves the circle that presence is for.
    fn show_presence(&mut self, session: SessionId, user: UserId, (before, now): (Role, Role)) {
        if before < K::PRESENCE && now >= K::PRESENCE {
            self.board.enter(user, session, self.shared.clock.now());
            let delta = PresenceDelta { set: self.board.entries(), gone: Vec::new() };
            self.members.send(session, &frame_of(&ServerFrame::Presence { room: self.id, delta }));
        } else if before >= K::PRESENCE && now < K::PRESENCE {
            let gone = self.board.entries().into_iter().map(|entry| entry.user).collect();
            self.board.leave(user, session, None);
            let delta = PresenceDelta { set: Vec::new(), gone };
            self.members.send(session, &frame_of(&ServerFrame::Presence { room: self.id, delta }));
        }
        self.schedule_tick();
    }

    /// Lets happen what is due. Says whether the state can be used; if not, the room is reloading.
    pub(super) fn expire(&mut self) -> bool {
        let now = self.log.time(self.shared.clock.now());
        if self.phase != Phase::Live || self.deadlines_off || self.log.deadline().is_none_or(|due| due > now) {
            return self.phase == Phase::Live;
        }
        let new_id = ItemId(self.shared.new_id());
        let mut ctx = Ctx { room: self.id, author: UserId::ROOM, at: now, base: None, new_id, users: &[] };
        match self.log.expire(&mut ctx) {
            Ok(_) => {
                metrics::counter!("tripsync_deadlines_total").increment(1);
                true
            }
            Err(Unsound) => {
                metrics::counter!("tripsync_rules_panics_total").increment(1);
                tracing::error!(room.id = %self.id, "a deadline broke the rules of the room; it has none until it is restored");
                self.deadlines_off = true;
                self.reload();
                false
            }
        }
    }

    /// The deadline may have passed.
    fn wake(&mut self) {
        self.wake = None;
        self.expire();
    }

    /// Sets a timer for the deadline, when the state has changed since the last one was set. A timer that was overtaken finds nothing due.
    /// Timers follow the runtime's clock; when the wall clock jumps, the engine's look-out ([`crate::engine`]) wakes the room.
    fn schedule_wake(&mut self) {
        let decided = self.log.decided();
        if self.phase != Phase::Live || self.deadlines_off || self.wake.is_some_and(|(seq, _)| seq == decided) {
            return;
        }
        let due = self.log.deadline();
        let known = self.wake.replace((decided, due)).and_then(|(_, due)| due);
        if let Some(due) = due.filter(|due| known != Some(*due)) {
            let wait = due.since(self.shared.clock.now());
            if wait <= TIMER_MAX {
                self.myself.send_after(wait, || RoomMsg::Own(Own::Wake));
            }
        }
    }

    /// Sends a session its `joined`.
    fn start_session(&mut self, (session, ticket): (SessionId, Ticket), at: Seq, since: Option<Position>, state: Option<Bytes>) {
        let Some(member) = self.members.holder(session, ticket) else { return };
        let (user, role, said) = (member.info.card.user, member.role, member.said.take());
        if role >= K::PRESENCE {
            self.board.enter(user, session, self.shared.clock.now());
            if let Some(said) = said {
                self.board.update(user, session, said);
            }
            self.schedule_tick();
        }
        let mut missed = since.and_then(|since| self.log.since(since.seq, at));
        if let Some(missed) = missed.as_mut().filter(|missed| missed.len() > 1 && self.shared.sabotage.skips_on_resume()) {
            missed.remove(0);
        }
        let head = JoinedHead { room: self.id, kind: K::KIND, epoch: self.log.epoch, seq: at, role };
        let presence = if role >= K::PRESENCE { self.board.entries() } else { Vec::new() };
        let encoded = match (missed, state) {
            (Some(missed), _) => {
                let seen: Vec<Bytes> = missed.iter().map(|recent| seen_by(recent, user, role)).collect();
                let seen: Vec<&[u8]> = seen.iter().map(AsRef::as_ref).collect();
                encode_joined(&head, JoinedBody::Events(&seen), &presence)
            }
            (None, Some(state)) => encode_joined(&head, JoinedBody::State(&state), &presence),
            (None, None) => {
                // The ring moved past `since` while the join waited: start over, with the state.
                self.gate_joined(session, user, None);
                return;
            }
        };
        match encoded {
            Ok(bytes) => self.members.start(session, &Frame::new(bytes), Position { epoch: self.log.epoch, seq: at }),
            Err(error) => tracing::error!(room.id = %self.id, %error, "a joined frame could not be encoded"),
        }
    }

    /// Hands what is pending to the lane, unless an append is outstanding; takes a snapshot when one is due.
    async fn submit(&mut self) {
        if self.phase != Phase::Live {
            return;
        }
        let Some(mut append) = self.log.submit() else { return };
        if self.shared.sabotage.forgets_commands() {
            append.records.iter_mut().for_each(|record| record.command = None);
        }
        let due = self.log.decided().0.saturating_sub(self.snapshot.0) >= self.shared.config.snapshot_every;
        if due && let Ok(state) = rmp_serde::to_vec_named(&self.log.state) {
            self.snapshot = self.log.decided();
            self.gate.push(self.log.decided(), Output::Snapshot(state.into()));
        }
        let (myself, epoch) = (self.myself.clone(), append.epoch);
        let done = Box::new(move |committed| {
            // A room that is gone does not need the answer: its successor reads the journal.
            let _ = myself.cast(RoomMsg::Own(Own::Committed { epoch, committed }));
        });
        self.shared.lanes.submit(crate::lane::Job { append, done }).await;
    }

    fn save_snapshot(&self, seq: Seq, state: Bytes) {
        let (shared, myself, room, epoch) = (Arc::clone(&self.shared), self.myself.clone(), self.id, self.log.epoch);
        tokio::spawn(async move {
            let saved = shared.journal.save_snapshot(room, epoch, Snapshot { seq, version: SNAPSHOT_VERSION, state }).await;
            if let Err(error) = &saved {
                tracing::warn!(room.id = %room, error = %crate::error_chain(error), "a snapshot was not kept; the next one will be");
            }
            let _ = myself.cast(RoomMsg::Own(Own::SnapshotSaved { seq, ok: saved.is_ok() }));
        });
    }

    fn snapshot_saved(&mut self, seq: Seq, ok: bool) {
        if !ok && self.snapshot == seq {
            self.snapshot = Seq(0);
        }
    }

    fn schedule_tick(&mut self) {
        let now = Instant::now();
        let due = if self.board.is_dirty() { Some(now + self.shared.config.presence_tick) } else { self.board.next_expiry() };
        let Some(due) = due else { return };
        if self.tick_at.is_some_and(|scheduled| scheduled <= due) {
            return;
        }
        self.tick_at = Some(due);
        self.myself.send_after(due - now, || RoomMsg::Own(Own::Tick));
    }

    /// Sends everybody what changed of presence since the last tick, in one frame.
    fn tick(&mut self) {
        if self.tick_at.is_none_or(|at| at > Instant::now()) {
            // A timer that was overtaken by an earlier one.
            return;
        }
        self.tick_at = None;
        self.board.expire();
        if let Some(delta) = self.board.take_delta() {
            self.members.broadcast(K::PRESENCE, &frame_of(&ServerFrame::Presence { room: self.id, delta }));
        }
        self.schedule_tick();
    }

    fn is_settled(&self) -> bool {
        self.log.is_settled() && self.gate.is_empty() && self.clients.is_settled()
    }

    fn is_idle(&self) -> bool {
        let soon = self.shared.clock.now().plus(STAYS_FOR);
        let waits = !self.deadlines_off && self.log.deadline().is_some_and(|due| due <= soon);
        self.phase == Phase::Live && self.members.is_empty() && self.board.is_empty() && self.is_settled() && !waits
    }

    fn consider_rest(&mut self) {
        if !self.rest_armed && self.is_idle() {
            self.rest_armed = true;
            let wait = self.shared.config.idle_after.saturating_sub(self.last_use.elapsed());
            self.myself.send_after(wait, || RoomMsg::Own(Own::Rest));
        }
    }

    /// Stops if nobody has used the room for long enough.
    async fn rest(&mut self) {
        self.rest_armed = false;
        if self.is_idle() && self.last_use.elapsed() >= self.shared.config.idle_after {
            self.finish().await;
        }
    }

    /// Keeps a last snapshot, leaves the registry, and stops once everybody who still has the address is sent back.
    async fn finish(&mut self) {
        let seq = self.log.durable();
        if seq > self.snapshot
            && let Ok(state) = rmp_serde::to_vec_named(&self.log.state)
        {
            let snapshot = Snapshot { seq, version: SNAPSHOT_VERSION, state: state.into() };
            let saving = self.shared.journal.save_snapshot(self.id, self.log.epoch, snapshot);
            if !matches!(tokio::time::timeout(LAST_SNAPSHOT_TIMEOUT, saving).await, Ok(Ok(()))) {
                tracing::warn!(room.id = %self.id, "the last snapshot was not kept; the next start replays more events");
            }
        }
        self.phase = Phase::Gone;
        self.shared.registry.retire(self.id, self.myself.get_id());
        if let Err(error) = self.myself.drain() {
            tracing::warn!(room.id = %self.id, %error, "a room could not drain its mailbox");
        }
    }

    /// Answers what reaches a room that is gone, so that it is tried again where the room is now.
    fn send_back(&mut self, message: RoomMsg) {
        match message {
            // Dropped, its link says that the room is gone.
            RoomMsg::Join(_) => {}
            RoomMsg::Op(op) => self.answer(Asker::of(op, None).0, Err(moved())),
            RoomMsg::Read(read) => {
                let _ = read.reply.send(Err(moved()));
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
