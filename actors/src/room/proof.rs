//! Making sure that a room is still this node's, where there are several.
//!
//! An append needs no proof: the journal refuses it under an old epoch. What is answered from memory does: a state that somebody joins
//! or reads, and a refusal. While the node's lease is shown to hold since the room was proved to be ours, nobody else can own it. Otherwise such
//! messages wait until the journal has confirmed the epoch at a moment after they came.
//!
//! The epoch alone proves something only to an owner that was entered after it had opened the room: another one that relies on its lease is
//! entered too, and has a higher epoch. Whoever opened it without being entered, in a reload while the lease store was away, may have raised
//! the epoch under such an owner, and waits until it is entered.

use super::ops::{retry, unknown};
use super::{Members, Phase, Room, moved};
use crate::cluster::Claimed;
use crate::room::gate::{Asker, Output};
use crate::room::message::{From, Own, Proof, RoomMsg};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tripsync_domain::{Epoch, RoomKind, SessionId};

/// After the journal could not answer, when somebody waits for it.
const AGAIN_AFTER: Duration = Duration::from_millis(250);
/// The journal's word is given up after this long, and asked for again.
const JOURNAL_TAKES: Duration = Duration::from_secs(5);
/// While the lease store is away: how long those who only watch may look at a room that is another node's by now.
const LOOKS_EVERY: Duration = Duration::from_secs(5);

/// What waits for a proof. Bounded: by the room's permits, and by the sessions, of each of which one joining, one word of having drained and
/// the newest presence wait; and one word of a deadline.
pub(super) struct Doubt {
    /// When the room was last proved to be ours; counts while the lease covers it.
    proved: Instant,
    /// The epoch under which the room was entered as ours after it was opened.
    entered: Option<Epoch>,
    /// What came before the proof that is under way was asked for, and what came after.
    asking: Vec<RoomMsg>,
    waiting: Vec<RoomMsg>,
    under_way: bool,
    /// The lease may have lapsed since `proved`. Set by [`Room::lapsed`], cleared when the room is entered as ours again: until then somebody else
    /// may own it at any time, and those who are in it would never hear.
    lapsed: bool,
    /// Whether the last lapse was known already when the proof that is under way was asked for.
    asked_lapsed: bool,
    /// When it will be asked again by itself.
    again_at: Option<Instant>,
}

impl Doubt {
    /// A room that was opened after `proved`.
    pub(super) const fn new(proved: Instant) -> Self {
        Self {
            proved,
            entered: None,
            asking: Vec::new(),
            waiting: Vec::new(),
            under_way: false,
            lapsed: false,
            asked_lapsed: false,
            again_at: None,
        }
    }

    pub(super) const fn is_settled(&self) -> bool {
        self.asking.is_empty() && self.waiting.is_empty()
    }

    /// Whether nothing is asked either: a claim that is on its way would enter a room that has gone meanwhile.
    pub(super) const fn is_quiet(&self) -> bool {
        self.is_settled() && !self.under_way
    }

    /// The newest presence of a session takes the place of one that waits; of what time brings one word is enough.
    fn wait(&mut self, message: RoomMsg) {
        let is_wake = |message: &RoomMsg| matches!(message, RoomMsg::Own(Own::Wake));
        if is_wake(&message) && self.waiting.iter().any(is_wake) {
            return;
        }
        if let RoomMsg::Presence { session, state } = message {
            let earlier = self.waiting.iter_mut().find_map(|waiting| {
                if let RoomMsg::Presence { session: of, state } = waiting
                    && *of == session
                {
                    Some(state)
                } else {
                    None
                }
            });
            match earlier {
                Some(earlier) => *earlier = state,
                None => self.waiting.push(RoomMsg::Presence { session, state }),
            }
        } else {
            self.waiting.push(message);
        }
    }
}

impl<K: RoomKind> Room<K> {
    /// Keeps back what may not be answered before the room is known to be ours; and what comes after such a thing, for the order.
    pub(super) fn unless_in_doubt(&mut self, mut message: RoomMsg) -> Option<RoomMsg> {
        let Some(cluster) = &self.shared.cluster else { return Some(message) };
        let answers = matches!(message, RoomMsg::Join(_) | RoomMsg::Op(_) | RoomMsg::Read(_) | RoomMsg::Drained { .. });
        let in_order = matches!(message, RoomMsg::Presence { .. }) && !self.doubt.is_settled();
        let covered = cluster.tenure.covers(self.doubt.proved);
        if covered && self.phase == Phase::Live {
            self.doubt.entered = Some(self.log.epoch);
        }
        let sure = self.phase == Phase::Reloading || (self.doubt.is_settled() && covered);
        // What time brings is decided, not answered: the epoch that the append names is enough, if the room was entered under it.
        let decides = matches!(message, RoomMsg::Own(Own::Wake)) && self.doubt.entered != Some(self.log.epoch) && self.is_due();
        if sure || !(answers || in_order || decides) {
            return Some(message);
        }
        if let RoomMsg::Join(join) = &mut message {
            join.link.give_turn_back();
        }
        self.doubt.wait(message);
        self.make_sure();
        None
    }

    /// The lease may have lapsed. A room with nobody in it finds out when somebody comes.
    pub(super) fn lapsed(&mut self) {
        self.doubt.lapsed = true;
        // What is under way was asked for before this lapse, whatever it knew of earlier ones.
        self.doubt.asked_lapsed = false;
        if !self.members.is_empty() || !self.doubt.is_settled() {
            self.make_sure();
        }
    }

    /// Asks whose the room is, for everything that waits by now.
    pub(super) fn make_sure(&mut self) {
        let Some(cluster) = self.shared.cluster.clone().filter(|_| !self.doubt.under_way) else { return };
        self.doubt.under_way = true;
        self.doubt.asked_lapsed = self.doubt.lapsed;
        self.doubt.asking = std::mem::take(&mut self.doubt.waiting);
        let (shared, myself, room, under) = (Arc::clone(&self.shared), self.myself.clone(), self.id, self.log.epoch);
        tokio::spawn(async move {
            let _turn = cluster.turn().await;
            let at = Instant::now();
            // Entered first: once that is done nobody else can claim it, and then the journal's word lasts.
            let ours = cluster.claim(room).await.ok().map(|claimed| claimed == Claimed::Ours);
            // Others need the turn.
            let epoch = timeout(JOURNAL_TAKES, shared.journal.epoch(room)).await;
            let epoch = epoch.ok().and_then(Result::ok).flatten();
            let _ = myself.cast(RoomMsg::Own(Own::Proved(Proof { at, under, ours, epoch })));
        });
    }

    /// The answer: what waited goes on, or is sent back to where the room is now.
    pub(super) fn proved(&mut self, proof: &Proof) {
        self.doubt.under_way = false;
        let asking = std::mem::take(&mut self.doubt.asking);
        let is_ours = match proof.epoch {
            _ if proof.ours == Some(false) => Some(false),
            // The reload finds out by itself; until then everything is held.
            _ if self.phase == Phase::Reloading => Some(true),
            Some(epoch) if (epoch, epoch) == (self.log.epoch, proof.under) => {
                (proof.ours == Some(true) || self.doubt.entered == Some(epoch)).then_some(true)
            }
            Some(epoch) if epoch > self.log.epoch => Some(false),
            // From before a reload, not to be had, or not enough.
            Some(_) | None => None,
        };
        match is_ours {
            Some(true) => {
                if proof.ours == Some(true) && self.phase == Phase::Live {
                    self.doubt.proved = proof.at;
                    self.doubt.entered = Some(self.log.epoch);
                    self.doubt.lapsed &= !self.doubt.asked_lapsed;
                }
                asking.into_iter().for_each(|message| self.act(message));
                // A lapse that became known meanwhile is known because the lease is there again: the room can be entered, or is another's.
                if !self.doubt.waiting.is_empty() || (self.doubt.lapsed && !self.doubt.asked_lapsed) {
                    self.make_sure();
                } else if self.doubt.lapsed {
                    self.ask_again();
                }
            }
            Some(false) => {
                self.doubt.waiting.splice(0..0, asking);
                self.lose();
            }
            None => {
                let mut kept = Vec::new();
                for message in asking {
                    match message {
                        RoomMsg::Op(op) => self.answer(Asker::of(op, None).0, Err(retry())),
                        RoomMsg::Join(_)
                        | RoomMsg::Leave { .. }
                        | RoomMsg::Read(_)
                        | RoomMsg::Presence { .. }
                        | RoomMsg::Drained { .. }
                        | RoomMsg::Own(_) => {
                            kept.push(message);
                        }
                    }
                }
                self.doubt.waiting.splice(0..0, kept);
                self.ask_again();
            }
        }
    }

    fn ask_again(&mut self) {
        let wait = if self.doubt.is_settled() { LOOKS_EVERY } else { AGAIN_AFTER };
        let at = Instant::now() + wait;
        if self.doubt.again_at.is_none_or(|set| at < set) {
            self.doubt.again_at = Some(at);
            self.myself.send_after(wait, || RoomMsg::Own(Own::Doubt));
        }
    }

    /// It is time to ask again.
    pub(super) fn doubt(&mut self) {
        if self.doubt.again_at.take_if(|at| *at <= Instant::now()).is_some() {
            self.make_sure();
        }
    }

    /// What waited for a proof and now has it.
    pub(super) fn act(&mut self, message: RoomMsg) {
        match message {
            RoomMsg::Join(join) => self.join(join),
            RoomMsg::Op(op) => self.op(op),
            RoomMsg::Read(read) => self.read(read),
            RoomMsg::Presence { session, state } => self.presence(session, state),
            RoomMsg::Drained { session } => self.drained(session),
            RoomMsg::Own(Own::Wake) => self.wake(),
            RoomMsg::Leave { .. } | RoomMsg::Own(_) => {}
        }
    }

    /// What waits of a session that goes; its joining would bring it in after it went.
    pub(super) fn forget_doubted(&mut self, session: SessionId) {
        for list in [&mut self.doubt.asking, &mut self.doubt.waiting] {
            for message in std::mem::take(list) {
                match message {
                    RoomMsg::Join(join) if join.session.id == session => join.link.forget(),
                    RoomMsg::Join(_)
                    | RoomMsg::Leave { .. }
                    | RoomMsg::Op(_)
                    | RoomMsg::Read(_)
                    | RoomMsg::Presence { .. }
                    | RoomMsg::Drained { .. }
                    | RoomMsg::Own(_) => list.push(message),
                }
            }
        }
    }

    /// Another node owns the room, or is to: nothing that is decided here and not durable will ever be. Whoever waits is sent there.
    pub(super) fn lose(&mut self) {
        tracing::info!(room.id = %self.id, epoch = %self.log.epoch, "the room is left to another node");
        metrics::counter!("tripsync_rooms_lost_total").increment(1);
        self.go();
        for (_, output) in self.gate.take() {
            match output {
                // A session joins again and sends again.
                Output::Applied(Asker { from: From::Session { .. }, .. }, _)
                | Output::Refused(Asker { from: From::Session { .. }, .. }, _) => {}
                // Without a number it must not be tried again: it may be stored.
                Output::Applied(asker, _) if asker.id.is_none() => self.answer(asker, Err(unknown())),
                Output::Applied(asker, _) | Output::Refused(asker, _) => self.answer(asker, Err(moved())),
                Output::View { read, .. } => {
                    let _ = read.reply.send(Err(self.shared.spread(moved())));
                }
                // Dropped, a link says that the room is gone.
                Output::Joined { .. } | Output::Denied(_) | Output::Snapshot(_) => {}
            }
        }
        for op in self.clients.reset() {
            self.answer(Asker::of(op, None).0, Err(moved()));
        }
        let waiting = [&mut self.held, &mut self.doubt.asking, &mut self.doubt.waiting].map(std::mem::take);
        waiting.into_iter().flatten().for_each(|message| self.send_back(message));
        self.members = Members::new(self.id);
    }
}
