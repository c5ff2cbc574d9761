//! Commands: recognised, judged, answered.

use super::{Phase, Room, moved};
use crate::engine::{Ready, Reserved};
use crate::frame::{Frame, frame_of};
use crate::lane::Committed;
use crate::ports::{Refusal, StoredCommand};
use crate::room::clients::{Applied, Standing};
use crate::room::gate::{Asker, Output};
use crate::room::load::caught;
use crate::room::log::{Identity, Verdict};
use crate::room::members::{Answered, Answers};
use crate::room::message::{Found, From, Inquiry, Op, Outcome, Own, Parsed, RoomMsg};
use ractor::ActorProcessingErr;
use serde::de::IgnoredAny;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::time::Instant;
use tripsync_domain::protocol::{EventRecord, ServerFrame};
use tripsync_domain::{ClientId, CommandNumber, Ctx, Epoch, ErrorCode, ItemId, Rejection, RoomKind, UserCard, UserId};

/// Commands that broke the rules and are remembered.
const POISON_MAX: usize = 64;

impl Asker {
    /// Takes a command apart into who asks and what is asked. A session's user is filled in by the room.
    pub(super) fn of(op: Op, user: Option<UserId>) -> (Self, Parsed) {
        let user = user.or(match &op.from {
            From::Caller { author, .. } => Some(author.user),
            From::Session { .. } => None,
        });
        let user = user.unwrap_or(UserId(uuid::Uuid::nil()));
        (Self { user, from: op.from, id: op.id, kept: op.ready.kept, permits: op.permits, receipt: op.receipt }, op.command)
    }
}

impl<K: RoomKind> Room<K> {
    /// Takes a command: finds out who asks and whether it was applied already.
    pub(super) fn op(&mut self, op: Op) {
        self.last_use = Instant::now();
        if self.phase == Phase::Reloading {
            // Whoever asks: a session that is on its way in is not among the members before the reload is done.
            self.answer(Asker::of(op, None).0, Err(retry()));
            return;
        }
        let Some(author) = self.author(&op) else {
            self.answer(Asker::of(op, None).0, Err(not_joined()));
            return;
        };
        if self.end.is_near() {
            let restarting = || Rejection::new(ErrorCode::Restarting, "the server is restarting; send it again under the same number");
            let rejection = if self.end.heir.is_some() { self.shared.spread(moved()) } else { restarting() };
            self.answer(Asker::of(op, Some(author.user)).0, Err(rejection));
            return;
        }
        let Some((client, n)) = op.id else {
            self.judge(op, author);
            return;
        };
        let key = (author.user, client);
        if self.clients.is_waiting(key) {
            self.clients.park(key, op);
            return;
        }
        let standing = if self.shared.sabotage.forgets_commands() { Standing::New } else { self.clients.standing(key, n) };
        match standing {
            Standing::New => self.judge(op, author),
            Standing::Applied(applied) => self.repeat(op, author.user, &applied),
            Standing::Old => {
                let inquiry = self.clients.park(key, op);
                self.look_up(inquiry, n);
            }
            Standing::Unknown => {
                let inquiry = self.clients.park(key, op);
                self.ask_about(inquiry);
            }
        }
    }

    fn author(&self, op: &Op) -> Option<UserCard> {
        match &op.from {
            From::Session { id, .. } => self.members.get(*id).map(|member| member.info.card.clone()),
            From::Caller { author, .. } => Some(author.clone()),
        }
    }

    /// Asks the journal for a client's highest number; its commands wait meanwhile.
    fn ask_about(&self, inquiry: Inquiry) {
        let (shared, myself, room) = (Arc::clone(&self.shared), self.myself.clone(), self.id);
        tokio::spawn(async move {
            let (user, client) = inquiry.key;
            let found = caught(shared.journal.last_command(room, user, client)).await.map_or(Found::Nothing, Found::Last);
            // A room that is gone has answered by being gone: the session joins again and sends again.
            let _ = myself.cast(RoomMsg::Own(Own::Looked { inquiry, found }));
        });
    }

    /// Asks the journal for a client's command with an old number. What the client sends after it waits too, so that a queue that is
    /// sent again is judged in its order.
    fn look_up(&self, inquiry: Inquiry, n: CommandNumber) {
        let (shared, myself, room) = (Arc::clone(&self.shared), self.myself.clone(), self.id);
        tokio::spawn(async move {
            let (user, client) = inquiry.key;
            let found = caught(shared.journal.find_command(room, user, client, n)).await.map_or(Found::Nothing, Found::Command);
            let _ = myself.cast(RoomMsg::Own(Own::Looked { inquiry, found }));
        });
    }

    /// The journal has answered about a client: its commands go on.
    pub(super) fn looked(&mut self, inquiry: Inquiry, found: Found) {
        let mut waiting = self.clients.unpark(inquiry);
        if waiting.is_empty() {
            return;
        }
        match found {
            Found::Last(last) => self.clients.learn(inquiry.key, last),
            Found::Command(stored) => {
                if let Some(op) = waiting.pop_front() {
                    self.looked_up(op, stored);
                }
            }
            Found::Nothing => {
                for op in std::mem::take(&mut waiting) {
                    self.answer(Asker::of(op, Some(inquiry.key.0)).0, Err(retry()));
                }
            }
        }
        self.take_up(waiting);
        self.clients.shrink(self.shared.config.clients_max, self.log.durable());
    }

    /// Goes on with commands that waited. One that has to wait again holds up those behind it.
    fn take_up(&mut self, waiting: VecDeque<Op>) {
        for op in waiting {
            self.op(op);
        }
    }

    fn looked_up(&mut self, op: Op, stored: Option<StoredCommand>) {
        let (Some(author), Some((client, n))) = (self.author(&op), op.id) else {
            self.answer(Asker::of(op, None).0, Err(not_joined()));
            return;
        };
        match stored {
            Some(stored) => {
                // Only the conflicts are needed, whatever the event is.
                let conflicts = EventRecord::<IgnoredAny>::decode(&stored.bytes).map(|record| record.conflicts).unwrap_or_default();
                let applied = Applied { n, seq: stored.seq, fingerprint: stored.fingerprint, conflicts };
                self.repeat(op, author.user, &applied);
            }
            // It was refused then, or never arrived; or the same number was applied while the journal was asked.
            None => match self.clients.standing((author.user, client), n) {
                Standing::Applied(applied) => self.repeat(op, author.user, &applied),
                Standing::New | Standing::Old | Standing::Unknown => self.judge(op, author),
            },
        }
    }

    /// Answers a command that was applied before.
    fn repeat(&mut self, op: Op, user: UserId, applied: &Applied) {
        let same = op.command.fingerprint == applied.fingerprint;
        let (asker, _) = Asker::of(op, Some(user));
        let at = self.log.decided();
        if same {
            let outcome = Outcome { seq: applied.seq, repeated: true, conflicts: applied.conflicts.clone() };
            self.gate.push(at, Output::Applied(asker, outcome));
        } else {
            let rejection =
                Rejection::new(ErrorCode::CommandIdReused, "this number was used for another command; a number names one command for ever");
            self.gate.push(at, Output::Refused(asker, rejection));
        }
    }

    /// Judges a command that was not applied before.
    fn judge(&mut self, op: Op, author: UserCard) {
        let fingerprint = op.command.fingerprint;
        let identity = op.id.map(|(client, n)| Identity { client, n, fingerprint });
        let Op { from, id, command: Parsed { command, .. }, base, if_match, origin, ready, permits, receipt } = op;
        let Ready { mut users, reserved, kept } = ready;
        let asker = Asker { user: author.user, from, id, kept, permits, receipt };
        if !self.expire() {
            self.answer(asker, Err(retry()));
            return;
        }
        let before = self.log.decided();
        let verdict = if !self.log.may_command(&author) {
            Verdict::Refused(Rejection::not_found("there is no such room"))
        } else if if_match.is_some_and(|expected| expected != self.log.decided()) {
            let now = self.log.decided();
            Verdict::Refused(Rejection::new(ErrorCode::Stale, format!("the room is at {now}; read it again and decide anew")))
        } else if self.poison.contains(&(author.user, fingerprint)) {
            Verdict::Refused(internal())
        } else if let Ok(command) = command.downcast::<K::Command>() {
            let user = author.user;
            users.push(author);
            let mut ctx = Ctx {
                room: self.id,
                author: user,
                at: self.shared.clock.now(),
                base,
                new_id: ItemId(self.shared.new_id()),
                users: &users,
                reserved,
                origin,
            };
            self.log.judge(&mut ctx, &command, identity)
        } else {
            Verdict::Refused(internal())
        };
        let at = self.log.decided();
        match verdict {
            Verdict::Decided { seq, conflicts } => {
                if let Some(kept) = &asker.kept {
                    self.log.settle(kept.id());
                }
                if let Some(Identity { client, n, fingerprint }) = identity {
                    let applied = Applied { n, seq, fingerprint, conflicts: conflicts.clone() };
                    self.clients.applied((asker.user, client), applied, self.log.durable());
                }
                let outcome = Outcome { seq, repeated: false, conflicts };
                if self.shared.sabotage.broadcasts_early() {
                    let decided: Vec<_> = self.log.pending_after(before).cloned().collect();
                    self.members.deliver(self.log.epoch, &decided, Answers::new());
                }
                if self.shared.sabotage.acks_early() {
                    self.answer(asker, Ok(outcome));
                } else {
                    self.gate.push(at, Output::Applied(asker, outcome));
                }
            }
            Verdict::Refused(rejection) => {
                self.gate.push(at, Output::Refused(asker, rejection));
            }
            Verdict::JudgingPanicked => {
                self.quarantine_command(asker.user, fingerprint);
                self.gate.push(at, Output::Refused(asker, internal()));
            }
            Verdict::Broken => {
                self.quarantine_command(asker.user, fingerprint);
                self.answer(asker, Err(internal()));
                self.reload();
            }
        }
    }

    /// Remembers a command that broke the rules, so that its next sending does no harm.
    fn quarantine_command(&mut self, user: UserId, fingerprint: u64) {
        metrics::counter!("tripsync_rules_panics_total").increment(1);
        tracing::error!(room.id = %self.id, fingerprint, "a command broke the rules of the room; it is refused from now on");
        if self.poison.len() == POISON_MAX {
            self.poison.pop_front();
        }
        self.poison.push_back((user, fingerprint));
    }

    /// The outstanding append is decided.
    pub(super) fn committed(&mut self, epoch: Epoch, committed: Committed) -> Result<(), ActorProcessingErr> {
        if self.phase != Phase::Live || epoch != self.log.epoch {
            // About an append of a state that is given up; the reload reads, or has read, what became of it.
            return Ok(());
        }
        match committed {
            Some(Ok(())) => {
                let durable = self.log.commit(&self.shared.config);
                metrics::counter!("tripsync_events_total").increment(durable.len() as u64);
                self.release(&durable);
                self.revise_presence();
                Ok(())
            }
            Some(Err(Refusal::Fenced)) => {
                self.lose();
                Ok(())
            }
            Some(Err(Refusal::Duplicate)) | None => {
                self.reload();
                Ok(())
            }
        }
    }

    /// Answers a command: a frame to its session, or the reply to its caller.
    pub(super) fn answer(&self, asker: Asker, answer: Result<Outcome, Rejection>) {
        let Asker { from, id, mut kept, permits, receipt, .. } = asker;
        settled(&mut kept, &answer);
        drop((kept, permits));
        match from {
            From::Session { sink, .. } => {
                if let Some(frame) = self.answer_frame(id, answer) {
                    sink.send_always(&[frame]);
                }
            }
            From::Caller { reply, .. } => {
                // The caller may have given up waiting; then nobody needs the answer.
                let _ = reply.send(answer.map_err(|rejection| self.shared.spread(rejection)));
            }
        }
        drop(receipt);
    }

    /// The same, but a session's frame is kept to be written together with the events.
    pub(super) fn answer_into(&self, answers: &mut Answers, mut asker: Asker, answer: Result<Outcome, Rejection>) {
        settled(&mut asker.kept, &answer);
        if let From::Session { id, sink } = asker.from {
            let answered = answers.entry(id).or_insert_with(|| Answered { sink, frames: Vec::new(), receipts: Vec::new() });
            answered.frames.extend(self.answer_frame(asker.id, answer));
            answered.receipts.extend(asker.receipt);
        } else {
            self.answer(asker, answer);
        }
    }

    fn answer_frame(&self, id: Option<(ClientId, CommandNumber)>, answer: Result<Outcome, Rejection>) -> Option<Frame> {
        let (_, n) = id?;
        let room = self.id;
        Some(frame_of(&match answer {
            Ok(Outcome { seq, repeated, conflicts }) => ServerFrame::Ack { room, n, seq, durable: true, repeated, conflicts },
            Err(rejection) => {
                metrics::counter!("tripsync_commands_rejected_total", "code" => rejection.code.as_str()).increment(1);
                // What a failure or a move brings is told to everybody who waits.
                ServerFrame::Rejected { room, n, rejection: self.shared.spread(rejection) }
            }
        }))
    }
}

/// What was reserved for a command that is stored was given back by its append.
fn settled(kept: &mut Option<Reserved>, answer: &Result<Outcome, Rejection>) {
    if let (Some(kept), Ok(Outcome { repeated: false, .. })) = (kept, answer) {
        kept.settled();
    }
}

/// Whether the command is stored cannot be told here; sent again under its number it is answered.
pub(super) fn unknown() -> Rejection {
    Rejection::new(ErrorCode::Retry, "the journal failed; the outcome is not known").retry_after_ms(500)
}

pub(super) fn retry() -> Rejection {
    Rejection::new(ErrorCode::Retry, "the journal is not available; send it again under the same number").retry_after_ms(500)
}

fn not_joined() -> Rejection {
    Rejection::new(ErrorCode::NotJoined, "join the room first")
}

fn internal() -> Rejection {
    Rejection::new(ErrorCode::Internal, "this command met a defect of the server and was not applied; it is in the server's log")
}
