//! A thread with sockets: a runtime of its own, one task per socket, and one that does what is due.

use super::acts::{Author, Doing, choose_and_make};
use super::clock::Clock;
use super::harvest::{Answered, Fault, Verified};
use super::heard::Then;
use super::job::Job;
use super::log::Log;
use super::member::{Member, Outcome, Place, WAITING_MAX, Waiting};
use super::pacer::{Due, What, share};
use super::socket::Meter;
use super::tally::{Tally, Tick};
use crate::rest::Rest;
use crate::scenario::Mix;
use crate::wire::{Out, encode};
use futures_util::Stream;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio::time::sleep;

/// Sockets that come back at once, per thread: what the kernel lets wait to be accepted is bounded.
const RETURNING_MAX: usize = 256;

/// What the threads of a process share.
#[derive(Debug)]
pub(crate) struct Common {
    /// The newest seq of each room that anybody saw.
    pub(crate) tops: Vec<AtomicU64>,
    /// Clients that have come in, or given up, before the first phase.
    pub(crate) settled: AtomicU64,
}

pub(crate) struct Shard {
    pub(crate) job: Arc<Job>,
    pub(crate) common: Arc<Common>,
    pub(crate) clock: Clock,
    pub(crate) members: Vec<RefCell<Member>>,
    pub(crate) logs: Vec<RefCell<Log>>,
    /// Index into `logs` by room.
    pub(crate) log_index: HashMap<u32, usize>,
    pub(crate) tally: RefCell<Tally>,
    pub(crate) verified: RefCell<Verified>,
    pub(crate) meter: Meter,
    /// For those who log in; made when the first one does.
    pub(super) rest: OnceCell<Rest>,
    metered: Cell<(u64, u64)>,
    pub(crate) deliveries: Cell<u64>,
    pub(crate) acked: Cell<u64>,
    pub(super) sockets: Cell<u64>,
    pub(crate) current_after_us: RefCell<BTreeMap<usize, u64>>,
    pub(crate) refusals: RefCell<BTreeMap<String, u64>>,
    pub(crate) answered: RefCell<BTreeMap<Mix, Answered>>,
    pub(super) opening: Semaphore,
    pub(super) returning: Semaphore,
    /// Whether those who never read do so now.
    pub(super) everybody_reads: Cell<bool>,
    pub(super) wake_slow: Notify,
}

impl Shard {
    pub(crate) fn new(job: Arc<Job>, common: Arc<Common>, clock: Clock, mine: &[u32]) -> Rc<Self> {
        let mut log_index = HashMap::new();
        let mut members = Vec::with_capacity(mine.len());
        for index in mine {
            let client = job.clients[*index as usize];
            let next = log_index.len();
            log_index.entry(client.room).or_insert(next);
            let codec = job.scenario.personas[usize::from(client.persona)].codec;
            members.push(RefCell::new(Member::new(client, job.rooms[client.room as usize].id, codec, job.run)));
        }
        let at_once = (job.scenario.limits.opening as usize / job.threads.max(1)).max(1);
        Rc::new(Self {
            common,
            clock,
            members,
            logs: (0..log_index.len()).map(|_| RefCell::default()).collect(),
            log_index,
            tally: RefCell::new(Tally::new(job.scenario.phases.len())),
            verified: RefCell::default(),
            meter: Meter::default(),
            rest: OnceCell::new(),
            metered: Cell::default(),
            deliveries: Cell::default(),
            acked: Cell::default(),
            sockets: Cell::default(),
            current_after_us: RefCell::default(),
            refusals: RefCell::default(),
            answered: RefCell::default(),
            opening: Semaphore::new(at_once),
            returning: Semaphore::new(RETURNING_MAX),
            everybody_reads: Cell::default(),
            wake_slow: Notify::new(),
            job,
        })
    }

    pub(crate) fn log_of(&self, member: &Member) -> usize {
        self.log_index.get(&member.client.room).copied().unwrap_or_default()
    }

    /// Whether a member's persona reads what it is sent.
    pub(crate) fn reads(&self, member: &Member) -> bool {
        self.job.scenario.personas[usize::from(member.client.persona)].reads
    }

    /// How far the room is known to have come.
    pub(crate) fn known(&self, room: u32) -> u64 {
        self.common.tops[room as usize].load(Ordering::Relaxed)
    }

    /// The room has come so far.
    pub(crate) fn rose(&self, room: u32, seq: u64) {
        self.common.tops[room as usize].fetch_max(seq, Ordering::Relaxed);
    }

    /// Those who come before the first phase do.
    pub(crate) fn arrive_at_start(self: &Rc<Self>) {
        for (slot, member) in (0..).zip(&self.members) {
            let persona = usize::from(member.borrow().client.persona);
            if self.job.scenario.personas[persona].arrives == "start" {
                self.arrive(slot, None);
            }
        }
    }

    /// Begins a client's life; `at_us` is when it was due, none for before the run.
    fn arrive(self: &Rc<Self>, slot: u32, at_us: Option<u64>) {
        let mut member = self.members[slot as usize].borrow_mut();
        member.place = Place::Out;
        member.since_us = at_us.unwrap_or_default();
        let task = tokio::task::spawn_local(Rc::clone(self).live(slot, at_us.is_none(), Duration::ZERO));
        member.task = Some(task.abort_handle());
    }

    /// A client came in.
    pub(crate) fn came(&self, member: &mut Member, now_us: u64) {
        let starts = &self.tally.borrow().starts_us;
        if !member.joined && starts.is_empty() {
            self.common.settled.fetch_add(1, Ordering::Relaxed);
        }
        let began = if member.joined {
            member.storm.take()
        } else {
            starts.iter().take_while(|start| **start <= member.since_us).count().checked_sub(1).map(|phase| (phase, starts[phase]))
        };
        if let Some((phase, began)) = began {
            let mut after = self.current_after_us.borrow_mut();
            let after = after.entry(phase).or_default();
            *after = (*after).max(now_us.saturating_sub(began));
        }
    }

    /// A command was refused for good.
    pub(crate) fn refused(&self, member: &Member, n: u64, mix: Mix, code: &str) {
        *self.refusals.borrow_mut().entry(code.to_owned()).or_default() += 1;
        self.answered.borrow_mut().entry(mix).or_default().refused += 1;
        if member.client.doomed {
            // Who is removed meanwhile may be told so, and what was applied before stays.
            return;
        }
        if !mix.may_be_refused(code) {
            self.broken(Fault::Refusals, member, &format!("command {n}, a `{}`, was refused: {code}", mix.name()));
        }
        let noted = self.logs[self.log_of(member)].borrow_mut().refused(member.client.index, n, code == "seats_taken");
        if !noted {
            self.verified.borrow_mut().left_out(Fault::Answers, "refusals were too many to be held against the events of their room");
        }
    }

    /// Sends a refused command again later.
    pub(crate) fn later(self: &Rc<Self>, slot: u32, n: u64, after_ms: u64) {
        let shard = Rc::clone(self);
        tokio::task::spawn_local(async move {
            sleep(Duration::from_millis(after_ms)).await;
            let mut member = shard.members[slot as usize].borrow_mut();
            if member.place != Place::In {
                return;
            }
            let waiting = member.waiting.iter_mut().find(|waiting| waiting.n == n && waiting.outcome == Outcome::None);
            let message = waiting.map(|waiting| {
                waiting.sendings += 1;
                waiting.message.clone()
            });
            if let Some(message) = message {
                member.send(message);
            }
        });
    }

    /// Does what is due.
    pub(crate) fn due(self: &Rc<Self>, due: Due) {
        match due.what {
            What::Act(act) => self.act(&mut self.members[due.slot as usize].borrow_mut(), usize::from(act), due.at_us),
            What::Arrive => {
                if self.members[due.slot as usize].borrow().place == Place::Before {
                    self.arrive(due.slot, Some(due.at_us));
                }
            }
            What::Drop { away_us } => self.drop_out(due.slot, due.at_us, away_us, None),
            What::Storm { phase, away_us } => self.drop_out(due.slot, due.at_us, away_us, Some((usize::from(phase), due.at_us))),
        }
    }

    fn act(&self, member: &mut Member, act: usize, due_us: u64) {
        let persona = &self.job.scenario.personas[usize::from(member.client.persona)];
        let Some(act) = persona.acts.get(act) else { return };
        if !matches!(member.place, Place::In | Place::Out | Place::Asking) {
            return;
        }
        let now_us = self.clock.now_us();
        let n = member.number(due_us);
        let items = &self.job.rooms[member.client.room as usize].items;
        let author = Author { items, seq: member.seq, claim: member.claim, random: &mut member.random };
        let (cmd, base, claim, mix) = match choose_and_make(act, author, n) {
            Doing::Command { cmd, base, claim, mix } => (cmd, base, claim, mix),
            Doing::Presence(state) => {
                if member.place == Place::In {
                    member.send_presence(&state);
                    self.tally.borrow_mut().sent(due_us, now_us, false);
                }
                return;
            }
            Doing::Nothing => return,
        };
        self.tally.borrow_mut().sent(due_us, now_us, true);
        if member.waiting.len() >= WAITING_MAX {
            self.verified.borrow_mut().slow.unsent += 1;
            return;
        }
        let base = base.then_some(member.seq);
        let message = encode(member.codec, &Out::Op { room: member.room, n, base, cmd: &cmd });
        let twice = persona.repeats > 0.0 && share(&mut member.random) < persona.repeats;
        let sendings = if member.place == Place::In { 1 + u32::from(twice) } else { 0 };
        for _ in 0..sendings {
            member.send(message.clone());
        }
        let sent_us = if sendings > 0 { now_us } else { 0 };
        let outcome = Outcome::None;
        member.waiting.push_back(Waiting { n, due_us, sent_us, message, sendings, answers: 0, outcome, applied: 0, claim, mix });
    }

    /// Reads until the socket ends, or is given up by the server while it is not read.
    pub(super) async fn read(self: &Rc<Self>, slot: u32) {
        while self.reads_until_in(slot).await && self.never_reads(slot).await {}
    }

    /// Reads until the socket ends, or somebody who never reads is in, which is true.
    async fn reads_until_in(self: &Rc<Self>, slot: u32) -> bool {
        let cell = &self.members[slot as usize];
        let slow = !self.reads(&cell.borrow());
        poll_fn(|cx| {
            let mut guard = cell.borrow_mut();
            let member = &mut *guard;
            loop {
                // One that never reads does so until it is in.
                if slow && member.place == Place::In && !self.everybody_reads.get() {
                    return Poll::Ready(true);
                }
                member.poll_written(cx);
                let Some(socket) = &mut member.socket else { return Poll::Ready(false) };
                match Pin::new(socket).poll_next(cx) {
                    Poll::Ready(Some(Ok(message))) => {
                        if self.heard(slot, member, message) == Then::Close {
                            return Poll::Ready(false);
                        }
                    }
                    Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(false),
                    Poll::Pending => {
                        if member.waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
                            member.waker = Some(cx.waker().clone());
                        }
                        return Poll::Pending;
                    }
                }
            }
        })
        .await
    }

    /// What happened since the last call.
    pub(crate) fn tick(&self, second: u64, now_us: u64) -> Tick {
        let mut tally = self.tally.borrow_mut();
        let (read, written) = (self.meter.read.get(), self.meter.written.get());
        let (read_before, written_before) = self.metered.replace((read, written));
        let (received, sent) = (read - read_before, written - written_before);
        // Just before this moment, so that the last second of a phase counts there.
        let sheet = tally.at(now_us.saturating_sub(500_000));
        sheet.counters.bytes_received += received;
        sheet.counters.bytes_sent += sent;
        tally.now.counters.bytes_received += received;
        tally.now.counters.bytes_sent += sent;
        let tick = std::mem::take(&mut tally.now);
        Tick { second, sockets: self.sockets.get(), ..tick }
    }
}
