//! Sessions come and go, and are shown the room.

use super::{Phase, Room, no_such_room, role_in};
use crate::frame::{Frame, View};
use crate::room::gate::Output;
use crate::room::members::{Ticket, seen_by};
use crate::room::message::{Join, Read, RoomMsg, RoomView};
use bytes::Bytes;
use tokio::time::Instant;
use tripsync_domain::protocol::{JoinedHead, Position, joined_until_state, joined_with_events};
use tripsync_domain::{ErrorCode, RoomKind, Seq, SessionId, UserCard, UserId};

impl<K: RoomKind> Room<K> {
    /// A session enters: its `joined` leaves when the state that it shows is durable.
    pub(super) fn join(&mut self, join: Join) {
        self.last_use = Instant::now();
        if self.phase == Phase::Reloading {
            return self.hold(join);
        }
        self.expire();
        if self.phase == Phase::Reloading {
            return self.hold(join);
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

    /// Keeps a join until the reload is done; joins into other rooms need not wait for that.
    fn hold(&mut self, mut join: Join) {
        join.link.give_turn_back();
        self.held.push(RoomMsg::Join(join));
    }

    /// Puts a session's `joined` at the gate.
    pub(super) fn gate_joined(&mut self, session: SessionId, user: UserId, since: Option<Position>) {
        let Some(ticket) = self.members.ticket(session) else { return };
        let at = self.log.decided();
        let since = since.filter(|since| self.can_resume(*since));
        let state = if since.is_none() { Some(self.view_for(user)) } else { None };
        self.gate.push(at, Output::Joined { session, ticket, since, state });
    }

    /// Whether the ring, with what is pending, holds everything after a position.
    pub(super) fn can_resume(&self, since: Position) -> bool {
        let durable = self.log.durable();
        since.epoch <= self.log.epoch && since.seq <= durable && self.log.since(since.seq, durable).is_some()
    }

    /// The encoded view of the working state for one user.
    pub(super) fn view_for(&mut self, user: UserId) -> View {
        let at = self.log.decided();
        let key = K::view_key(&self.log.state, user);
        self.views.of(at, key, || K::view(&self.log.state, user))
    }

    pub(super) fn leave(&mut self, session: SessionId, dropped: bool) {
        self.last_use = Instant::now();
        self.forget_held(session);
        self.forget_doubted(session);
        self.gate.withdraw(session);
        if let Some(info) = self.members.remove(session) {
            let grace = dropped.then_some(self.shared.config.presence_grace);
            self.board.leave(info.card.user, info.id, grace);
            self.schedule_tick();
        }
    }

    /// Drops what a session that goes has waiting for a reload; otherwise it would come in after it went.
    pub(super) fn forget_held(&mut self, session: SessionId) {
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

    pub(super) fn read(&mut self, read: Read) {
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

    pub(super) fn presence(&mut self, session: SessionId, state: tripsync_domain::presence::PresenceState) {
        let Some(member) = self.members.get_mut(session).filter(|member| member.role >= K::PRESENCE) else { return };
        let user = member.info.card.user;
        let state = K::presence(&self.log.state, user, state, self.shared.clock.now());
        if self.board.has(user, session) {
            self.board.update(user, session, state);
            self.schedule_tick();
        } else {
            member.said = Some(state);
        }
    }

    /// The state has changed: what may not be shown any more, such as a position after the ride, is taken back.
    pub(super) fn revise_presence(&mut self) {
        if !K::PRESENCE_FOLLOWS_STATE {
            return;
        }
        let (state, now) = (&self.log.state, self.shared.clock.now());
        self.board.revise(|user, shown| {
            let may = K::presence(state, user, shown.clone(), now);
            (may.fix.is_none() && shown.fix.is_some()).then_some(may)
        });
        self.schedule_tick();
    }

    /// A slow session has caught its breath: one resync brings it up to date.
    pub(super) fn drained(&mut self, session: SessionId) {
        if self.phase == Phase::Reloading {
            self.held.push(RoomMsg::Drained { session });
        } else if self.members.resume(session) {
            metrics::counter!("tripsync_sessions_resynced_total").increment(1);
            self.rejoin(session);
        }
    }

    /// Brings who is here into line with the state, which is durable: after a reload, when the single changes are not known.
    pub(super) fn recheck_access(&mut self) {
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
        let role = |user| role_in::<K>(&self.log.state, &UserCard { user, name: String::new(), group: None });
        self.board.forget_missing(|user| role(user) < Some(K::PRESENCE));
        self.schedule_tick();
    }

    /// Gives a session whose `joined` was lost with the state that it was made from another one.
    pub(super) fn join_anew(&mut self, session: SessionId, ticket: Ticket, since: Option<Position>) {
        if let Some(member) = self.members.holder(session, ticket) {
            let (user, since) = (member.info.card.user, member.cursor.get().or(since));
            self.gate_joined(session, user, since);
        }
    }

    /// Gives a session that is in the room a new `joined`, from its cursor.
    pub(super) fn rejoin(&mut self, session: SessionId) {
        if let Some(member) = self.members.get(session) {
            let (user, since) = (member.info.card.user, member.cursor.get());
            self.gate_joined(session, user, since);
        }
    }

    /// Sends a session its `joined`.
    pub(super) fn start_session(&mut self, (session, ticket): (SessionId, Ticket), at: Seq, since: Option<Position>, state: Option<View>) {
        let Some(member) = self.members.holder(session, ticket) else { return };
        let (user, role, said) = (member.info.card.user, member.role, member.said.take());
        if role >= K::PRESENCE {
            self.board.enter(user, session, self.shared.clock.now());
            if let Some(said) = said {
                self.board.update(user, session, said);
            }
        } else {
            // One that was in already may have left the circle by what it starts over after.
            self.board.leave(user, session, None);
        }
        self.schedule_tick();
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
                joined_with_events(&head, &presence, &seen).map(Frame::new)
            }
            (None, Some(state)) => joined_until_state(&head, &presence).map(|head| Frame::with_view(&head, &state)),
            (None, None) => {
                // The ring moved past `since` while the join waited: start over, with the state.
                self.gate_joined(session, user, None);
                return;
            }
        };
        match encoded {
            Ok(joined) => self.members.start(session, &joined, Position { epoch: self.log.epoch, seq: at }),
            Err(error) => tracing::error!(room.id = %self.id, %error, "a joined frame could not be encoded"),
        }
    }
}
