//! A room's stand-in on a node whose sessions are in a room that another node owns.
//!
//! It has the same mailbox as a room. What its sessions and callers say goes to the owner in order; what the owner's room lets out comes back once
//! per node and is passed on to the sessions here, each with its own budget. It keeps no state of the room, so that it can never show an old one; when
//! a message is missing, the owner is silent or gone, it ends, and its sessions look for the room again, from where each of them is.

mod calls;

use super::Cluster;
use super::pulse::Pulse;
use super::wire::{self, Down, RelayId, Sender, Shown, Up, Word};
use crate::engine::{Reserved, Shared};
use crate::frame::{Frame, View, frame_of};
use crate::room::message::{Own, Parsed};
use crate::room::{Answers, From, Members, Op, Outcome, Recent, RoomMsg, RoomView};
use bytes::Bytes;
use calls::{Call, Calls, Held};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use tripsync_domain::protocol::ServerFrame;
use tripsync_domain::{ErrorCode, NodeId, Rejection, RoomId, Seq, SessionId};

pub(crate) struct RelayActor;

/// What a relay starts with.
pub(crate) struct RelayStart {
    pub(crate) room: RoomId,
    pub(crate) kind: &'static str,
    pub(crate) owner: NodeId,
    pub(crate) shared: Arc<Shared>,
    pub(crate) cluster: Arc<Cluster>,
}

/// A live relay.
pub(crate) struct Relay {
    id: RelayId,
    room: RoomId,
    kind: &'static str,
    owner: NodeId,
    shared: Arc<Shared>,
    cluster: Arc<Cluster>,
    myself: ActorRef<RoomMsg>,
    members: Members,
    /// The present joining of each session: what the owner says of an earlier one is passed over.
    joinings: HashMap<SessionId, u32>,
    /// Counted over all sessions, so that one that comes again is not taken for what it was before.
    last_joining: u32,
    calls: Calls,
    /// Numbers of the last messages to and from the owner.
    sent: u64,
    heard: u64,
    /// Bytes from the owner that wait in the mailbox.
    backlog: Arc<AtomicUsize>,
    /// The view that the owner sent last, while it may be meant again.
    view: Option<View>,
    pulse: Pulse,
    /// When it says how much was sent next.
    beat_at: Option<Instant>,
    used_at: Instant,
    /// Off the registry; whoever still has its address is sent back there.
    gone: bool,
}

impl Actor for RelayActor {
    type Msg = RoomMsg;
    type State = Box<Relay>;
    type Arguments = RelayStart;

    async fn pre_start(&self, myself: ActorRef<RoomMsg>, start: RelayStart) -> Result<Box<Relay>, ActorProcessingErr> {
        let RelayStart { room, kind, owner, shared, cluster } = start;
        let id = RelayId(shared.new_id());
        let backlog = cluster.relay_started(id, owner, &myself);
        myself.send_after(cluster.config.relay_idle_after, || RoomMsg::Own(Own::Beat));
        metrics::gauge!("tripsync_relays").increment(1);
        let members = Members::new(room);
        Ok(Box::new(Relay {
            id,
            room,
            kind,
            owner,
            shared,
            cluster,
            myself,
            members,
            joinings: HashMap::new(),
            last_joining: 0,
            calls: Calls::default(),
            sent: 0,
            heard: 0,
            backlog,
            view: None,
            pulse: Pulse::default(),
            beat_at: None,
            used_at: Instant::now(),
            gone: false,
        }))
    }

    async fn handle(&self, _: ActorRef<RoomMsg>, message: RoomMsg, relay: &mut Box<Relay>) -> Result<(), ActorProcessingErr> {
        if relay.gone {
            relay.send_back(message);
        } else {
            relay.take(message);
        }
        Ok(())
    }

    async fn post_stop(&self, _: ActorRef<RoomMsg>, relay: &mut Box<Relay>) -> Result<(), ActorProcessingErr> {
        relay.cluster.relay_ended(relay.id);
        metrics::gauge!("tripsync_relays").decrement(1);
        Ok(())
    }
}

impl Relay {
    fn take(&mut self, message: RoomMsg) {
        match message {
            RoomMsg::Join(join) => {
                self.used_at = Instant::now();
                let session = join.session.id;
                // What it may see is told with its `joined`; until then it gets nothing.
                self.members.add(join.session, join.link, join.cursor, tripsync_domain::Role::Viewer, Seq(0));
                self.join(session, join.since);
            }
            RoomMsg::Leave { session, dropped } => {
                self.used_at = Instant::now();
                self.joinings.remove(&session);
                if self.members.remove(session).is_some() {
                    self.up(Up::Leave { session, dropped });
                }
            }
            RoomMsg::Op(op) => self.op(op),
            RoomMsg::Read(read) => {
                self.used_at = Instant::now();
                let who = read.who.clone();
                let call = self.calls.ask(Call::Read(read));
                self.up(Up::Read { call, who });
            }
            RoomMsg::Presence { session, state } => self.up(Up::Presence { session, state }),
            RoomMsg::Drained { session } => {
                if self.members.resume(session) {
                    metrics::counter!("tripsync_sessions_resynced_total").increment(1);
                    let since = self.members.get(session).and_then(|member| member.cursor.get());
                    self.join(session, since);
                }
            }
            RoomMsg::Own(Own::Down { n, down }) => {
                self.backlog.fetch_sub(down.len(), Ordering::Relaxed);
                self.hear(n, &down);
            }
            RoomMsg::Own(Own::Beat) => self.beat(),
            RoomMsg::Own(Own::OwnerGone) => {
                metrics::counter!("tripsync_relays_broken_total", "by" => "owner_gone").increment(1);
                self.end("the owner is gone or silent", None);
            }
            RoomMsg::Own(Own::Drain) => self.end("this node goes away", None),
            RoomMsg::Own(_) => {}
        }
    }

    /// Asks the owner to let a session in.
    fn join(&mut self, session: SessionId, since: Option<tripsync_domain::protocol::Position>) {
        self.last_joining += 1;
        let joining = self.last_joining;
        self.joinings.insert(session, joining);
        let Some(info) = self.members.get(session).map(|member| Arc::clone(&member.info)) else { return };
        self.up(Up::Join { session, joining, card: info.card.clone(), client: info.client, since });
    }

    fn op(&mut self, op: Op) {
        self.used_at = Instant::now();
        let Op { from, id, command: Parsed { command, .. }, base, if_match, origin, ready, permits, receipt: _ } = op;
        // An address of a relay makes nothing else.
        let Ok(cmd) = command.downcast::<Value>() else { return };
        let reservation = ready.kept.as_ref().map(Reserved::id);
        let held = Held { _permits: permits, kept: ready.kept };
        let (sender, waits) = match from {
            From::Session { id: session, sink } => (Sender::Session(session), Call::Session { session, sink, held }),
            From::Caller { author, reply } => (Sender::Caller(author), Call::Caller { reply, numbered: id.is_some(), held }),
        };
        let call = self.calls.ask(waits);
        let (users, reserved) = (ready.users, ready.reserved);
        self.up(Up::Op(wire::Op { call, from: sender, id, cmd: *cmd, base, if_match, origin, users, reserved, reservation }));
    }

    fn up(&mut self, up: Up) {
        self.sent += 1;
        self.send(self.sent, up);
        if self.beat_at.is_none() || self.pulse.is_due(self.sent) {
            self.beat_in(self.cluster.config.beat_every);
        }
    }

    /// Sets the next beat, unless an earlier one is set.
    fn beat_in(&mut self, wait: Duration) {
        let at = Instant::now() + wait;
        if self.beat_at.is_none_or(|set| at < set) {
            self.beat_at = Some(at);
            self.myself.send_after(wait, || RoomMsg::Own(Own::Beat));
        }
    }

    fn send(&mut self, n: u64, up: Up) {
        let word = Word::Up { relay: self.id, room: self.room, n, up: Box::new(up) };
        if self.cluster.out.send(self.owner, word.encode()).is_err() && n > 0 {
            self.end("too much waits for the owner", None);
        }
    }

    fn beat(&mut self) {
        let config = &self.cluster.config;
        if self.members.is_empty() && self.calls.is_empty() && self.used_at.elapsed() >= config.relay_idle_after {
            self.end("nobody needs the relay", None);
        } else if self.beat_at.is_some_and(|at| at <= Instant::now()) {
            self.beat_at = None;
            self.send(0, Up::Beat { sent: self.sent });
            let wait = self.pulse.beat(self.sent, self.cluster.config.beat_every);
            self.beat_in(wait);
        }
    }

    /// Takes a word of the owner's desk.
    fn hear(&mut self, n: u64, down: &Bytes) {
        if n > 0 {
            if n <= self.heard {
                return;
            }
            if n != self.heard + 1 && !self.shared.sabotage.drops_silently() {
                return self.missed();
            }
            self.heard = n;
            if self.shared.sabotage.drops_silently() && n.is_multiple_of(7) {
                return;
            }
        }
        let Some(down) = Down::decode(down) else { return self.missed() };
        match down {
            Down::To { session, frames } => self.to(session, &frames),
            Down::Start { session, joining, role, at, frame, view } => {
                let joined = match view {
                    Shown::Nothing => Frame::new(frame),
                    Shown::New(packed) => Frame::with_view(&frame, self.view.insert(View::new(packed))),
                    Shown::Same => match &self.view {
                        Some(view) => Frame::with_view(&frame, view),
                        None => return self.missed(),
                    },
                };
                // One that lags has missed events that this `joined` counts on; it joins again when it has drained.
                if self.is_current(session, joining) && !self.members.is_lagging(session) {
                    self.members.enter(session, role, at.seq);
                    self.members.start(session, &joined, at);
                }
            }
            Down::Fan { epoch, records } => {
                self.view = None;
                let records: Vec<_> =
                    records.into_iter().map(|record| Recent { seq: record.seq, audience: record.to.into(), bytes: record.bytes }).collect();
                self.members.deliver(epoch, &records, Answers::new());
            }
            Down::Presence { least, frame } => self.members.broadcast(least, &Frame::new(frame)),
            Down::Role { session, joining, role } => {
                if self.is_current(session, joining) {
                    self.members.enter(session, role, Seq(0));
                }
            }
            // The others hear the same in a moment; what they say until then would find nobody.
            Down::Lost => self.end("the room is gone from its owner", None),
            Down::Ended { session, joining, last } => {
                if self.is_current(session, joining)
                    && let Some(link) = self.members.detach(session)
                {
                    self.joinings.remove(&session);
                    let last: Vec<_> = last.iter().map(Frame::new).collect();
                    link.end(&last);
                    self.up(Up::Leave { session, dropped: false });
                }
            }
            Down::Settled { call } => self.calls.settled(call),
            Down::Answer { call, answer } => self.calls.answer(call, answer.map(Outcome::from)),
            Down::View { call, view } => {
                let kind = self.kind;
                let shown = |wire::View { epoch, seq, role, state }| RoomView { kind, epoch, seq, role, state: View::new(state) };
                self.calls.show(call, view.map(shown));
            }
            Down::Beat { sent } if sent > self.heard => self.missed(),
            Down::Beat { sent } if sent == self.heard => self.view = None,
            Down::Beat { .. } => {}
            Down::Gone { rejection } => self.end("the owner has no desk for it", rejection),
        }
    }

    fn is_current(&self, session: SessionId, joining: u32) -> bool {
        self.joinings.get(&session) == Some(&joining)
    }

    /// Frames for one session; who has left meanwhile gets its answers all the same.
    fn to(&self, session: SessionId, frames: &[Bytes]) {
        let frames: Vec<_> = frames.iter().map(Frame::new).collect();
        if let Some(sink) = self.members.sink(session).or_else(|| self.calls.sink(session)) {
            sink.send_always(&frames);
        }
    }

    fn missed(&mut self) {
        metrics::counter!("tripsync_relays_broken_total", "by" => "relay").increment(1);
        self.calls.leave_reservations();
        self.end("a message is missing", None);
    }

    /// Ends: sessions look for the room again, unless it cannot be had for another reason than that it is elsewhere; callers are told what is
    /// known.
    fn end(&mut self, why: &'static str, rejection: Option<Rejection>) {
        tracing::debug!(room.id = %self.room, owner = %self.owner, why, "a relay ends");
        self.gone = true;
        if self.sent > 0 {
            let bye = Word::Up { relay: self.id, room: self.room, n: 0, up: Box::new(Up::Bye) };
            // The desk finds out without it too.
            let _ = self.cluster.out.send(self.owner, bye.encode());
        }
        self.cluster.relay_ended(self.id);
        self.shared.registry.retire(self.room, self.myself.get_id());
        self.calls.end(rejection.as_ref(), &self.shared);
        if let Some(rejection) = rejection.filter(|rejection| rejection.code != ErrorCode::Retry) {
            self.members.refuse_all(&rejection);
        }
        // Dropped, their links say that the room is lost.
        self.members = Members::new(self.room);
        if let Err(error) = self.myself.drain() {
            tracing::warn!(room.id = %self.room, %error, "a relay could not drain its mailbox");
        }
    }

    /// Answers what reaches a relay that is gone, so that it is tried again where the room is now.
    fn send_back(&mut self, message: RoomMsg) {
        match message {
            RoomMsg::Op(op) => match op.from {
                From::Session { sink, .. } => {
                    if let Some((_, n)) = op.id {
                        let rejection = self.shared.spread(moved());
                        sink.send_always(&[frame_of(&ServerFrame::Rejected { room: self.room, n, rejection })]);
                    }
                }
                From::Caller { reply, .. } => {
                    let _ = reply.send(Err(self.shared.spread(moved())));
                }
            },
            RoomMsg::Read(read) => {
                let _ = read.reply.send(Err(self.shared.spread(moved())));
            }
            // A join's link, dropped, says that the room is gone.
            RoomMsg::Join(_) | RoomMsg::Leave { .. } | RoomMsg::Presence { .. } | RoomMsg::Drained { .. } | RoomMsg::Own(_) => {}
        }
    }
}

fn moved() -> Rejection {
    Rejection::new(ErrorCode::Moved, "the room has moved; send it again under the same number").retry_after_ms(50)
}
