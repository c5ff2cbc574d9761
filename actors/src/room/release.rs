//! What is durable leaves: events to the sessions, answers to who asked, in order.

use super::{Answer, Room, no_such_room};
use crate::frame::frame_of;
use crate::room::gate::Output;
use crate::room::log::{Durable, Recent};
use crate::room::members::Answers;
use std::collections::VecDeque;
use tripsync_domain::protocol::{About, PresenceDelta, ServerFrame};
use tripsync_domain::{Effect, ErrorCode, Projection, Role, RoomKind, Seq, SessionId, UserId};

impl<K: RoomKind> Room<K> {
    /// Lets out what is durable: the events, and what waits at the gate, in order. A `joined` at the gate splits the events, so that
    /// its session gets exactly those after it.
    pub(super) fn release(&mut self, events: &[Durable<K::Event>]) {
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
    pub(super) fn let_out(&mut self, events: &[Durable<K::Event>]) {
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
                    link.end(&[frame_of(&ServerFrame::Error { rejection: no_such_room(), about })]);
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
    pub(super) fn deliver(&mut self, events: &[Durable<K::Event>], mut answers: VecDeque<Answer>) {
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
    pub(super) fn answers_up_to(&self, answers: &mut VecDeque<Answer>, up_to: Seq) -> Answers {
        let mut out = Answers::new();
        while answers.front().is_some_and(|(at, ..)| *at <= up_to)
            && let Some((_, asker, answer)) = answers.pop_front()
        {
            self.answer_into(&mut out, asker, answer);
        }
        out
    }

    /// The event at `at` changes who may be here.
    pub(super) fn change_access(&mut self, at: Seq, change: Projection) {
        if self.shared.sabotage.keeps_removed() {
            return;
        }
        let expelled = match change {
            Projection::MemberSet { user, role } => {
                for (session, before) in self.members.set_role(at, user, role) {
                    self.show_presence(session, user, (before, role));
                }
                if role < K::PRESENCE {
                    self.board.forget_missing(|missing| missing == user);
                    self.schedule_tick();
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
            | Projection::Settled { .. }
            | Projection::Task { .. } => return,
        };
        for info in expelled {
            self.board.leave(info.card.user, info.id, None);
        }
        self.schedule_tick();
    }

    /// A session's role has changed: it enters or leaves the circle that presence is for.
    pub(super) fn show_presence(&mut self, session: SessionId, user: UserId, (before, now): (Role, Role)) {
        if before < K::PRESENCE && now >= K::PRESENCE {
            self.board.enter(user, session, self.shared.clock.now());
            let delta = PresenceDelta { set: self.board.entries(), gone: Vec::new() };
            self.members.send(session, &frame_of(&ServerFrame::Presence { room: self.id, delta }));
        } else if before >= K::PRESENCE && now < K::PRESENCE {
            // Also who has left the circle a moment ago: that will be told to those in it.
            let gone = self.board.shown();
            self.board.leave(user, session, None);
            let delta = PresenceDelta { set: Vec::new(), gone };
            self.members.send(session, &frame_of(&ServerFrame::Presence { room: self.id, delta }));
        }
        self.schedule_tick();
    }
}
