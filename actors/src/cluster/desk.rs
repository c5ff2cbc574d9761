//! Where the owner serves one relay: takes what its sessions and callers say to the room, and makes of it what they would have said here.
//!
//! A task per relay, so that a room that takes long to load holds up no other one. It ends when a message is missing, when the relay's node is
//! silent, or when the room is gone; its sessions are then gone from the room as after a cut connection.

use super::Cluster;
use super::link::RelayLink;
use super::pulse::Pulse;
use super::wire::{self, Down, Sender, Up, View};
use crate::engine::{Engine, Ready, Reserved, RoomRef};
use crate::frame::frame_of;
use crate::ports::Reservation;
use crate::room::{From, Join, Op, Read, RoomMsg, RoomView, SessionInfo};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};
use tripsync_domain::protocol::{Codec, ServerFrame};
use tripsync_domain::{ClientId, ErrorCode, Rejection, RoomId, SessionId, UserId};

/// Messages of one relay that may wait for its desk; beyond it they are lost, and the relay is given up.
/// Commands among them, the only ones that are long, are as many at most as a room may have unanswered.
pub(super) const INBOX_MAX: usize = 8_192;
/// How often a desk whose queue was full tries to say that it is gone.
const GONE_TRIES: u32 = 20;

/// See the module documentation.
pub(super) struct Desk {
    cluster: Arc<Cluster>,
    engine: Engine,
    room: RoomId,
    link: Arc<RelayLink>,
    address: Option<RoomRef>,
    sessions: BTreeMap<SessionId, Guest>,
    /// The number of the last message.
    heard: u64,
    pulse: Pulse,
    beat_at: Instant,
}

/// A session elsewhere. In the room it goes by an id of this desk's own: when it has come back through another relay, what this desk still says
/// of it, above all that it left, does not mean the one that is back.
#[derive(Clone, Copy)]
struct Guest {
    id: SessionId,
    user: UserId,
}

/// Why a desk ends.
enum End {
    /// The relay said so, or what it said is lost.
    Over,
    /// The room cannot be had here; whoever waits is told this.
    Refused(Rejection),
}

/// Told when a command of a session elsewhere is answered, so that it does not count as unanswered there any more.
pub(crate) struct Receipt {
    link: Arc<RelayLink>,
    call: u64,
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.link.push(&Down::Settled { call: self.call });
    }
}

impl Desk {
    pub(super) fn new(cluster: Arc<Cluster>, engine: Engine, room: RoomId, link: Arc<RelayLink>) -> Self {
        let beat_at = Instant::now() + cluster.config.beat_every;
        let (address, sessions) = (None, BTreeMap::new());
        Self { cluster, engine, room, link, address, sessions, heard: 0, pulse: Pulse::default(), beat_at }
    }

    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<(u64, Up)>) {
        let end = loop {
            if self.link.is_cut() {
                break End::Over;
            }
            if self.pulse.is_due(self.link.sent()) {
                self.beat_at = self.beat_at.min(Instant::now() + self.cluster.config.beat_every);
            }
            tokio::select! {
                biased;
                () = sleep_until(self.beat_at) => self.beat(),
                () = self.link.stirred() => {}
                word = inbox.recv() => {
                    let Some((n, up)) = word else { break End::Over };
                    if let Err(end) = self.hear(n, up).await {
                        break end;
                    }
                }
            }
        };
        if let Some(address) = &self.address {
            for guest in self.sessions.values() {
                // A room that is gone has nobody in it.
                let _ = address.tell(RoomMsg::Leave { session: guest.id, dropped: true });
            }
        }
        let rejection = match end {
            End::Over => None,
            End::Refused(rejection) => Some(rejection),
        };
        let gone = Down::Gone { rejection };
        self.link.push(&gone);
        let is_cut = self.link.is_cut();
        self.link.cut();
        self.cluster.desk_ended(self.link.id());
        let mut tries = GONE_TRIES;
        // What cut it may have room again soon; the relay asks by itself, too.
        while is_cut && self.link.say(&gone).is_err() && tries > 0 {
            tries -= 1;
            sleep(self.cluster.config.beat_every).await;
        }
    }

    fn beat(&mut self) {
        let sent = self.link.sent();
        self.link.beat();
        self.beat_at = Instant::now() + self.pulse.beat(sent, self.cluster.config.beat_every);
        if self.pulse.is_calm() {
            self.link.calm(sent);
        }
    }

    async fn hear(&mut self, n: u64, up: Up) -> Result<(), End> {
        if n > 0 {
            if n <= self.heard {
                return Ok(());
            }
            if n != self.heard + 1 {
                return Err(missed());
            }
            self.heard = n;
        }
        match up {
            Up::Beat { sent } if sent > self.heard => Err(missed()),
            Up::Beat { .. } => Ok(()),
            Up::Bye => Err(End::Over),
            Up::Join { session, joining, card, client, since } => {
                // First, because a room that is gone takes its sessions along.
                let _ = self.address().await?;
                let guest = match self.sessions.get(&session) {
                    Some(guest) => *guest,
                    None => Guest { id: SessionId(self.engine.new_id()), user: card.user },
                };
                self.sessions.insert(session, guest);
                let info = Arc::new(SessionInfo { id: guest.id, card, client, codec: Codec::MessagePack });
                let sink = self.link.sink(session, joining);
                // Without a turn of this node's: it has one of its own node's, until it hears that it is in. So joins from elsewhere are bounded by
                // what each other node lets go, and no desk has to hold up what follows a join for it.
                let join = Join::new(self.room, info, sink, Arc::default(), since);
                self.tell(RoomMsg::Join(join)).await
            }
            Up::Leave { session, dropped } => {
                let Some(guest) = self.sessions.remove(&session) else { return Ok(()) };
                self.tell(RoomMsg::Leave { session: guest.id, dropped }).await
            }
            Up::Presence { session, state } => {
                let Some(guest) = self.sessions.get(&session) else { return Ok(()) };
                self.tell(RoomMsg::Presence { session: guest.id, state }).await
            }
            Up::Op(op) => self.op(op).await,
            Up::Read { call, who } => self.read(call, who).await,
        }
    }

    /// The room, started if need be.
    async fn address(&mut self) -> Result<RoomRef, End> {
        if let Some(address) = self.address.as_ref().filter(|address| !address.is_gone()) {
            return Ok(address.clone());
        }
        // Those were told that the room is gone, and are not in the next one.
        self.sessions.clear();
        let address = self.engine.room_here(self.room).await.map_err(|rejection| {
            let elsewhere = matches!(rejection.code, ErrorCode::Moved | ErrorCode::Restarting);
            if elsewhere { End::Over } else { End::Refused(rejection) }
        })?;
        self.address = Some(address.clone());
        Ok(address)
    }

    async fn tell(&mut self, message: RoomMsg) -> Result<(), End> {
        // One that is gone in between: its sessions look for it again.
        self.address().await?.tell(message).map_err(|_| End::Over)
    }

    async fn op(&mut self, op: wire::Op) -> Result<(), End> {
        let wire::Op { call, from, id, cmd, base, if_match, origin, users, reserved, reservation } = op;
        let address = match (self.address().await, &from) {
            (Err(end), Sender::Caller(_)) => {
                // Of this one it is known that nothing was done.
                let rejection = match &end {
                    End::Over => moved(),
                    End::Refused(rejection) => rejection.clone(),
                };
                self.refuse(call, &from, id, rejection);
                return Err(end);
            }
            (address, _) => address?,
        };
        let user = match &from {
            Sender::Session(session) => self.sessions.get(session).map(|guest| guest.user),
            Sender::Caller(card) => Some(card.user),
        };
        let Some(user) = user else {
            // The session was in a room that is gone, and is on its way back.
            self.refuse(call, &from, id, moved());
            return Ok(());
        };
        let admitted = address.parse(&cmd).and_then(|(command, needs)| {
            // The relay takes an answer to mean that this is ours now; a refusal gives it back.
            let reservation = needs.quota.zip(reservation).map(|(quota, id)| Reservation { id, room: self.room, user, quota });
            let kept = reservation.map(|reservation| Reserved::new(Arc::clone(self.engine.journal()), reservation));
            Ok((command, kept, address.admit().map_err(|full| self.engine.spread(full))?))
        });
        let (command, kept, permit) = match admitted {
            Ok(admitted) => admitted,
            Err(rejection) => {
                self.refuse(call, &from, id, rejection);
                return Ok(());
            }
        };
        let (from, receipt) = match from {
            Sender::Session(session) => {
                let receipt = Receipt { link: Arc::clone(&self.link), call };
                // Answers reach a session whichever its joining is.
                let id = self.sessions.get(&session).map_or(session, |guest| guest.id);
                (From::Session { id, sink: self.link.sink(session, 0) }, Some(receipt))
            }
            Sender::Caller(author) => {
                let (reply, answer) = oneshot::channel();
                let link = Arc::clone(&self.link);
                tokio::spawn(async move {
                    let answer = answer.await.unwrap_or_else(|_| Err(unknown())).map(wire::Applied::from);
                    link.push(&Down::Answer { call, answer });
                });
                (From::Caller { author, reply }, None)
            }
        };
        let ready = Ready { users, reserved, kept };
        let op = Op { from, id, command, base, if_match, origin, ready, permits: vec![permit], receipt };
        address.tell(RoomMsg::Op(op)).map_err(|_| End::Over)
    }

    fn refuse(&self, call: u64, from: &Sender, id: Option<(ClientId, tripsync_domain::CommandNumber)>, rejection: Rejection) {
        match from {
            Sender::Session(session) => {
                if let Some((_, n)) = id {
                    let frame = frame_of(&ServerFrame::Rejected { room: self.room, n, rejection });
                    self.link.push(&Down::to(*session, &[frame]));
                }
                self.link.push(&Down::Settled { call });
            }
            Sender::Caller(_) => self.link.push(&Down::Answer { call, answer: Err(rejection) }),
        }
    }

    async fn read(&mut self, call: u64, who: tripsync_domain::UserCard) -> Result<(), End> {
        let address = self.address().await?;
        let permit = match address.admit() {
            Ok(permit) => permit,
            Err(rejection) => {
                self.link.push(&Down::View { call, view: Err(self.engine.spread(rejection)) });
                return Ok(());
            }
        };
        let (reply, answer) = oneshot::channel();
        let link = Arc::clone(&self.link);
        tokio::spawn(async move {
            let view = answer.await.unwrap_or_else(|_| Err(unknown()));
            let view =
                view.map(|view: RoomView| View { epoch: view.epoch, seq: view.seq, role: view.role, state: view.state.packed().clone() });
            link.push(&Down::View { call, view });
        });
        address.tell(RoomMsg::Read(Read { who, reply, permit })).map_err(|_| End::Over)
    }
}

fn moved() -> Rejection {
    Rejection::new(ErrorCode::Moved, "the room has moved; send it again under the same number")
}

fn missed() -> End {
    metrics::counter!("tripsync_relays_broken_total", "by" => "desk").increment(1);
    End::Over
}

fn unknown() -> Rejection {
    Rejection::new(ErrorCode::Retry, "the room failed; the outcome is not known").retry_after_ms(500)
}
