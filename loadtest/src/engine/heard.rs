//! What a client makes of a frame: what is counted and timed, and what must hold.

use super::harvest::Fault;
use super::log::JUMP_MAX;
use super::member::{Member, Outcome, Place, Waiting};
use super::shard::Shard;
use crate::wire::{Body, Codec, Frame, Records, hash, is_of_run};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as Unreadable, StrDeserializer};
use std::rc::Rc;
use tokio_tungstenite::tungstenite::Message;
use tripsync_domain::ErrorCode;

/// How long to wait before a command is sent again when the server does not say.
const AGAIN_MS: u64 = 200;
/// Closes with this code are for clients that do not read fast enough (docs/ERRORS.md).
const CLOSED_SLOW: u16 = 4001;

/// What the reading task does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    ReadOn,
    /// The server closes, or the client goes.
    Close,
}

/// Whether this says "not now" rather than "no".
fn comes_again(code: &str) -> bool {
    let code: StrDeserializer<'_, Unreadable> = code.into_deserializer();
    ErrorCode::deserialize(code).is_ok_and(|code| matches!(code.http_status(), 408 | 429 | 503))
}

impl Shard {
    /// Takes a message.
    pub(crate) fn heard(self: &Rc<Self>, slot: u32, member: &mut Member, message: Message) -> Then {
        let now_us = self.clock.now_us();
        match message {
            Message::Binary(bytes) => match Frame::read(&bytes) {
                Some(frame) => self.frame(slot, member, &frame, now_us),
                None => {
                    self.broken(Fault::Frames, member, "a frame could not be read");
                    Then::ReadOn
                }
            },
            Message::Text(text) => match serde_json::from_str::<super::json::JsonFrame>(&text) {
                Ok(frame) => self.json(slot, member, &frame, now_us),
                Err(_) => {
                    self.broken(Fault::Frames, member, "a JSON frame could not be read");
                    Then::ReadOn
                }
            },
            Message::Close(why) => {
                if let Some(why) = &why {
                    member.told.get_or_insert_with(|| format!("{} {}", why.code, why.reason));
                }
                if why.is_some_and(|why| u16::from(why.code) == CLOSED_SLOW) {
                    self.tally.borrow_mut().at(now_us).counters.closed_slow += 1;
                    member.told_slow = true;
                }
                Then::Close
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Then::ReadOn,
        }
    }

    fn frame(self: &Rc<Self>, slot: u32, member: &mut Member, frame: &Frame<'_>, now_us: u64) -> Then {
        match frame {
            Frame::Events { epoch, from, events } => {
                if self.may_have_events(member, *epoch, *from) {
                    self.apply(member, *events, Some(now_us));
                }
            }
            Frame::Ack { n, seq, repeated } => self.ack(member, *n, *seq, *repeated, now_us),
            Frame::Joined { epoch, seq, body, presence } => {
                self.entering(member, *epoch, *seq);
                match body {
                    Body::Events(events) => {
                        let live_us = Self::lost_nothing(member).then_some(now_us);
                        self.apply(member, *events, live_us);
                        if member.seq != *seq {
                            self.broken(Fault::Order, member, &format!("`joined` ends at {} and not at its seq {seq}", member.seq));
                            member.seq = *seq;
                        }
                    }
                    Body::State(state) => {
                        if let Some(replica) = &mut member.replica {
                            replica.give_up("they were sent a snapshot");
                        }
                        self.skipped(member, *seq, now_us);
                        member.seq = *seq;
                        self.was_shown(member, *seq, hash(state));
                    }
                    Body::None => self.brought_nothing(member, *seq),
                }
                if let Some(replica) = &mut member.replica {
                    replica.present_anew(presence);
                }
                self.entered(member, *epoch, matches!(body, Body::State(_)), now_us);
            }
            Frame::Rejected { n, code, retry_after_ms } => self.rejected(slot, member, *n, code, *retry_after_ms),
            Frame::Presence(bytes) => {
                self.tally.borrow_mut().at(now_us).counters.presence += 1;
                if let Some(replica) = &mut member.replica {
                    replica.present_changes(bytes);
                }
            }
            Frame::Left { code } => return self.left(member, code),
            Frame::Bye { code, retry_after_ms } => {
                member.retry_after_ms = *retry_after_ms;
                member.told = Some((*code).to_owned());
            }
            Frame::Error { code } => return self.complained(member, code),
            Frame::Other => {}
        }
        Then::ReadOn
    }

    /// Whether events may come now; says so when not.
    pub(super) fn may_have_events(&self, member: &mut Member, epoch: u64, from: u64) -> bool {
        match member.place {
            Place::In => {}
            Place::Gone => {
                self.broken(Fault::Membership, member, "events came after `left`");
                return false;
            }
            Place::Before | Place::Out | Place::Asking | Place::Away => {
                self.broken(Fault::Order, member, "events came before `joined`");
                return false;
            }
        }
        if epoch != member.epoch {
            self.broken(Fault::Order, member, &format!("events of epoch {epoch} came in epoch {}", member.epoch));
        }
        if from != member.seq + 1 {
            self.broken(Fault::Order, member, &format!("event {from} came after {}", member.seq));
            // Said once; what follows is judged from here.
            member.seq = from.saturating_sub(1);
        }
        true
    }

    /// Whether events that come with `joined` were due while the member was in, or would have been but for the server.
    pub(super) fn lost_nothing(member: &Member) -> bool {
        member.joined && !member.left_itself
    }

    /// A state stands in for the events up to it: whoever reads and did not leave should have had each of them.
    pub(super) fn skipped(&self, member: &Member, seq: u64, now_us: u64) {
        if Self::lost_nothing(member) && self.reads(member) {
            self.tally.borrow_mut().at(now_us).counters.missing += seq.saturating_sub(member.seq);
        }
    }

    /// Applies events; those whose wait is the server's are timed.
    fn apply(&self, member: &mut Member, events: Records<'_>, live_us: Option<u64>) {
        let mut log = self.logs[self.log_of(member)].borrow_mut();
        let mut tally = self.tally.borrow_mut();
        let (before, known) = (log.top(), self.known(member.client.room));
        let mut count = 0;
        for record in events.iter() {
            count += 1;
            if record.seq != member.seq + 1 {
                self.broken(Fault::Order, member, &format!("event {} came after {}", record.seq, member.seq));
            }
            member.seq = record.seq;
            if let Err((fault, how)) = log.saw(&record, self.job.run, known) {
                self.broken(fault, member, &how);
            }
            if let Some(now_us) = live_us {
                self.time(&mut tally, member, record.client, record.n, now_us);
            }
            if let Some(replica) = &mut member.replica {
                replica.push(record.bytes, record.whole);
            }
        }
        if count != events.len() {
            self.broken(Fault::Frames, member, "an event could not be read");
        }
        self.moved(member, &mut log, before);
        self.deliveries.set(self.deliveries.get() + count);
    }

    /// A member came further, and with it what is known of the room.
    pub(super) fn moved(&self, member: &mut Member, log: &mut super::log::Log, before: u64) {
        member.moved_us = self.clock.now_us();
        if log.top() > before {
            log.rose_us = member.moved_us;
            self.rose(member.client.room, log.top());
        }
    }

    /// A `joined` with neither a state nor events, which leaves a client where it was.
    pub(super) fn brought_nothing(&self, member: &mut Member, seq: u64) {
        if member.seq != seq {
            self.broken(Fault::Order, member, &format!("`joined` goes from {} to {seq} and brings nothing", member.seq));
        }
        member.seq = seq;
    }

    /// Times a delivery from when its author was due, which the command's number says.
    pub(super) fn time(&self, tally: &mut super::tally::Tally, member: &Member, client: Option<u128>, n: Option<u64>, now_us: u64) {
        match (client, n) {
            (Some(client), Some(n)) if is_of_run(client, self.job.run) => {
                // What a slow reader gets late is not the server's latency.
                if self.reads(member) { tally.delivery(n, now_us, member.client.stays) } else { tally.delivery_untimed(now_us) }
            }
            _ => tally.delivery_untimed(now_us),
        }
    }

    pub(super) fn entering(&self, member: &mut Member, epoch: u64, seq: u64) {
        if epoch < member.epoch || seq < member.seq {
            self.broken(Fault::Order, member, &format!("`joined` goes back: from {}/{} to {epoch}/{seq}", member.epoch, member.seq));
            member.seq = member.seq.min(seq);
        }
        let known = self.known(member.client.room);
        if known > 0 && seq > known.saturating_add(JUMP_MAX) {
            self.broken(Fault::Order, member, &format!("`joined` is at {seq}, far beyond the room, which is known up to {known}"));
        }
        member.epoch = epoch;
        member.moved_us = self.clock.now_us();
    }

    pub(super) fn entered(&self, member: &mut Member, epoch: u64, whole: bool, now_us: u64) {
        member.epoch = epoch;
        member.entered_us = now_us;
        (member.left_itself, member.told_slow) = (false, false);
        let was_in = member.place == Place::In;
        member.place = Place::In;
        self.rose(member.client.room, member.seq);
        {
            let mut tally = self.tally.borrow_mut();
            if was_in {
                tally.at(now_us).counters.resyncs += u64::from(whole);
            }
            let sheet = tally.at(member.since_us);
            if was_in {
                // Nobody waited to get in.
            } else if member.joined {
                sheet.counters.resumes += 1;
                sheet.resume.note(now_us.saturating_sub(member.since_us));
                tally.now.counters.resumes += 1;
            } else {
                sheet.counters.joins += 1;
                sheet.join.note(now_us.saturating_sub(member.since_us));
                tally.now.counters.joins += 1;
            }
        }
        if !was_in {
            self.came(member, now_us);
        }
        member.joined = true;
        member.send_waiting(now_us);
    }

    pub(super) fn ack(&self, member: &mut Member, n: u64, seq: u64, repeated: bool, now_us: u64) {
        let Some(index) = member.waiting.iter().position(|waiting| waiting.n == n) else {
            self.broken(Fault::Answers, member, &format!("an `ack` of command {n}, which was not waiting for one"));
            return;
        };
        let waiting = &mut member.waiting[index];
        let (due_us, sent_us, mix) = (waiting.due_us, waiting.sent_us, waiting.mix);
        waiting.answers += 1;
        waiting.applied += u32::from(!repeated);
        let before = std::mem::replace(&mut waiting.outcome, Outcome::Acked { seq });
        let (excess, twice, done) = (waiting.answers > waiting.sendings, waiting.applied > 1, waiting.answers >= waiting.sendings);
        if let Some(claim) = waiting.claim {
            member.claim = Some(claim);
        }
        if done {
            member.waiting.remove(index);
        }
        if excess {
            self.broken(Fault::Answers, member, &format!("command {n} was answered more often than it was sent"));
        }
        if twice {
            self.broken(Fault::Answers, member, &format!("command {n} was applied by two sendings"));
        }
        if let Outcome::Acked { seq: before } = before {
            if before != seq {
                self.broken(Fault::Answers, member, &format!("command {n} was acknowledged at {before} and at {seq}"));
            }
            return;
        }
        if before == Outcome::Refused {
            // Its second sending was judged anew.
            self.logs[self.log_of(member)].borrow_mut().not_refused(member.client.index, n);
        }
        self.answered.borrow_mut().entry(mix).or_default().acked += 1;
        self.tally.borrow_mut().ack(due_us, sent_us, now_us, member.client.stays);
        self.acked.set(self.acked.get() + 1);
        // Answers stand behind the events that they are about.
        if member.place == Place::In && member.seq < seq && self.reads(member) {
            self.broken(Fault::Durability, member, &format!("command {n} was acknowledged at {seq} before that event was there"));
        }
        let author = self.logs[self.log_of(member)].borrow().author(seq);
        match author {
            Some(author) if author == (member.client.index, n) => {}
            Some(_) => self.broken(Fault::Durability, member, &format!("event {seq} is another's, but command {n} was acknowledged there")),
            None => member.unseen.push((n, seq)),
        }
    }

    pub(super) fn rejected(self: &Rc<Self>, slot: u32, member: &mut Member, n: u64, code: &str, retry_after_ms: Option<u64>) {
        let Some(index) = member.waiting.iter().position(|waiting| waiting.n == n) else {
            self.broken(Fault::Answers, member, &format!("command {n} was refused ({code}), but was not waiting"));
            return;
        };
        let waiting: &mut Waiting = &mut member.waiting[index];
        waiting.answers += 1;
        if waiting.answers > waiting.sendings {
            self.broken(Fault::Answers, member, &format!("command {n} was answered more often than it was sent"));
            return;
        }
        let waiting = &mut member.waiting[index];
        let again = matches!(code, "retry" | "restarting" | "moved" | "overloaded" | "rate_limited");
        let due_us = waiting.due_us;
        // Who is removed meanwhile may be told so.
        if let (Outcome::Acked { seq }, false, false) = (waiting.outcome, again, member.client.doomed) {
            self.broken(Fault::Answers, member, &format!("command {n} was acknowledged at {seq} and then refused ({code})"));
            return;
        }
        if again {
            if waiting.outcome == Outcome::None {
                self.later(slot, n, retry_after_ms.unwrap_or(AGAIN_MS));
            }
            self.tally.borrow_mut().at(due_us).counters.rejections += 1;
            return;
        }
        if waiting.outcome == Outcome::None {
            waiting.outcome = Outcome::Refused;
            self.tally.borrow_mut().at(due_us).counters.rejections += 1;
            let mix = waiting.mix;
            self.refused(member, n, mix, code);
        }
        if member.waiting.get(index).is_some_and(|waiting| waiting.answers >= waiting.sendings) {
            member.waiting.remove(index);
        }
    }

    pub(super) fn left(&self, member: &mut Member, code: &str) -> Then {
        self.checked(Fault::Membership, 1);
        if member.client.doomed {
            if code != "removed" {
                self.broken(Fault::Membership, member, &format!("a removed member was told `{code}`"));
            }
            member.place = Place::Gone;
            // Stays to see that nothing more comes.
            return Then::ReadOn;
        }
        if !comes_again(code) {
            self.broken(Fault::Membership, member, &format!("a member was told `{code}`, but nobody removed it"));
        }
        member.told = Some(code.to_owned());
        Then::Close
    }

    /// An `error`: the answer to a `join` that cannot be now, or to something that the server did not understand.
    pub(super) fn complained(&self, member: &mut Member, code: &str) -> Then {
        let joining = member.place == Place::Asking;
        if !(joining && comes_again(code)) {
            self.broken(Fault::Frames, member, &format!("the server did not understand a frame: {code}"));
        }
        member.told = Some(code.to_owned());
        if joining { Then::Close } else { Then::ReadOn }
    }

    /// Notes that something did not hold.
    pub(crate) fn broken(&self, fault: Fault, member: &Member, how: &str) {
        let codec = if member.codec == Codec::Json { " (JSON)" } else { "" };
        let how = format!("client {}{codec} in room {}: {how}", member.client.index, member.room);
        self.verified.borrow_mut().broken(fault, how);
    }

    pub(crate) fn checked(&self, fault: Fault, count: u64) {
        self.verified.borrow_mut().checked(fault, count);
    }
}
