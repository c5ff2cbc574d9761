//! A room's history in memory: the working state, what is decided but not durable, and a ring of recent durable records.

use crate::config::EngineConfig;
use crate::ports::{Append, CommandKey, NewRecord};
use bytes::Bytes;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tripsync_domain::protocol::EventRecord;
use tripsync_domain::{
    Audience, ClientId, CommandNumber, Conflict, Ctx, Decision, Effect, Epoch, EventMeta, Projection, Rejection, RoomId, RoomKind, Seq,
    Timestamp, UserCard, UserId,
};
use uuid::Uuid;

/// A record as it goes to sessions.
#[derive(Clone, Debug)]
pub(crate) struct Recent {
    pub(crate) seq: Seq,
    pub(crate) audience: Audience,
    pub(crate) bytes: Bytes,
}

/// A decided event that is not durable yet.
struct Pending<E> {
    meta: EventMeta,
    event: E,
    recent: Recent,
    command: Option<CommandKey>,
    effects: Vec<Effect>,
    /// On the last event of a command: what lists learn of the command.
    projections: Vec<Projection>,
}

/// An event that became durable.
pub(crate) struct Durable<E> {
    pub(crate) meta: EventMeta,
    pub(crate) event: E,
    pub(crate) recent: Recent,
    /// Made from the state right after the event, so that they tell nothing that is not durable.
    pub(crate) effects: Vec<Effect>,
}

fn is_access(change: &Projection) -> bool {
    matches!(change, Projection::MemberSet { .. } | Projection::MemberGone { .. } | Projection::RoomGone)
}

/// Drops all rows of the room but the last, which replaces them; and likewise its listings.
fn keep_last_row(projections: &mut Vec<Projection>) {
    for replaced in [is_row, is_listing] {
        let last = projections.iter().rposition(replaced);
        let mut indexes = 0..;
        projections.retain(|projection| indexes.next() == last || !replaced(projection));
    }
}

const fn is_listing(projection: &Projection) -> bool {
    matches!(projection, Projection::Listing(_) | Projection::Unlisted)
}

const fn is_row(projection: &Projection) -> bool {
    matches!(projection, Projection::Room { .. })
}

/// What judging a command came to.
pub(crate) enum Verdict {
    /// Applied to the working state; the seq of the last event.
    Decided { seq: Seq, conflicts: Vec<Conflict> },
    /// Refused; nothing changed.
    Refused(Rejection),
    /// The rules panicked while judging; nothing changed.
    JudgingPanicked,
    /// The rules panicked while changing the state or telling what changed, or made no event: the working state cannot be trusted
    /// any more.
    Broken,
}

/// The rules panicked, or did not do what they promise: the working state cannot be trusted any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unsound;

/// The identity of a command that is being judged.
#[derive(Clone, Copy)]
pub(crate) struct Identity {
    pub(crate) client: ClientId,
    pub(crate) n: CommandNumber,
    pub(crate) fingerprint: u64,
}

/// See the module documentation.
///
/// - `state`: changed by [`Log::judge`] only; includes pending events.
/// - `decided`: the last seq of `state`; raised by `judge`.
/// - `pending`: filled by `judge`, taken from the front by [`Log::commit`]; its first `in_flight` entries are with the lane.
/// - `access_changed`: set by [`Log::submit`] to whether the append changes who may be here, for the commit that follows; true before,
///   when nothing is known of the events.
/// - `last_at`: when the last event of `state` was judged.
/// - `ring`: filled by `commit`, bounded in events and bytes.
pub(crate) struct Log<K: RoomKind> {
    pub(crate) room: RoomId,
    pub(crate) epoch: Epoch,
    pub(crate) state: K::State,
    decided: Seq,
    pending: VecDeque<Pending<K::Event>>,
    in_flight: usize,
    ring: VecDeque<Recent>,
    ring_bytes: usize,
    last_at: Timestamp,
    access_changed: bool,
}

impl<K: RoomKind> Log<K> {
    /// A log at a durable state.
    pub(crate) fn new(room: RoomId, epoch: Epoch, state: K::State, at: Seq, last_at: Timestamp, ring: VecDeque<Recent>) -> Self {
        let ring_bytes = ring.iter().map(|recent| recent.bytes.len()).sum();
        Self { room, epoch, state, decided: at, pending: VecDeque::new(), in_flight: 0, ring, ring_bytes, last_at, access_changed: true }
    }

    /// The last seq of the working state.
    pub(crate) const fn decided(&self) -> Seq {
        self.decided
    }

    /// The last durable seq.
    pub(crate) fn durable(&self) -> Seq {
        Seq(self.decided.0.saturating_sub(self.pending.len() as u64))
    }

    /// Whether everything decided is durable.
    pub(crate) fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }

    /// Gives back the memory of events that are durable.
    pub(crate) fn slim(&mut self) {
        self.pending.shrink_to_fit();
        self.ring.shrink_to_fit();
    }

    /// Judges a command on the working state and, if it is accepted, applies its events.
    pub(crate) fn judge(&mut self, ctx: &mut Ctx<'_>, command: &K::Command, identity: Option<Identity>) -> Verdict {
        ctx.at = ctx.at.max(self.last_at);
        let judged = catch_unwind(AssertUnwindSafe(|| K::decide(&self.state, ctx, command)));
        let Decision { events, conflicts } = match judged {
            Ok(Ok(decision)) => decision,
            Ok(Err(rejection)) => return Verdict::Refused(rejection),
            Err(_) => return Verdict::JudgingPanicked,
        };
        if events.is_empty() {
            tracing::error!(room.id = %self.room, ?command, "an accepted command made no event");
            return Verdict::Broken;
        }
        let applied = self.apply(ctx, events, identity, &conflicts);
        debug_assert!(applied.is_err() || K::validate(&self.state) == Ok(()), "{:?} after {command:?}", K::validate(&self.state));
        match applied {
            Ok(()) => Verdict::Decided { seq: self.decided, conflicts },
            Err(Unsound) => Verdict::Broken,
        }
    }

    /// Lets happen what is due at `ctx.at`: `Ok(true)` when something was.
    pub(crate) fn expire(&mut self, ctx: &mut Ctx<'_>) -> Result<bool, Unsound> {
        ctx.at = ctx.at.max(self.last_at);
        let mut expired = false;
        while let Some(due) = K::deadline(&self.state).filter(|due| *due <= ctx.at) {
            let events = catch_unwind(AssertUnwindSafe(|| K::expire(&self.state, ctx))).map_err(|_| Unsound)?;
            if events.is_empty() {
                tracing::error!(room.id = %self.room, "a deadline has passed and nothing happens");
                return Err(Unsound);
            }
            self.apply(ctx, events, None, &[])?;
            debug_assert_eq!(K::validate(&self.state), Ok(()), "an invariant is broken by a deadline");
            if K::deadline(&self.state).is_some_and(|next| next <= due) {
                tracing::error!(room.id = %self.room, "a deadline has passed and stays");
                return Err(Unsound);
            }
            expired = true;
        }
        Ok(expired)
    }

    /// When the room must act by itself next.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        K::deadline(&self.state)
    }

    /// The time of a decision: a clock that steps back must not make time run backwards within a room.
    pub(crate) fn time(&self, now: Timestamp) -> Timestamp {
        now.max(self.last_at)
    }

    /// Applies events to the working state.
    fn apply(&mut self, ctx: &Ctx<'_>, events: Vec<K::Event>, identity: Option<Identity>, conflicts: &[Conflict]) -> Result<(), Unsound> {
        self.last_at = ctx.at;
        let last = events.len() - 1;
        let mut made = Vec::with_capacity(events.len());
        for (index, event) in events.into_iter().enumerate() {
            let meta = EventMeta {
                seq: self.decided.next(),
                at: ctx.at,
                by: ctx.author,
                command: identity.map(|identity| (identity.client, identity.n)),
            };
            // The journal's row still has whose it was, by which a repeated command is recognised.
            let (by, signed) = if K::is_anonymous(&event) { (UserId::ROOM, None) } else { (meta.by, identity) };
            let record = EventRecord {
                seq: meta.seq,
                at: meta.at,
                by,
                client: signed.map(|identity| identity.client),
                n: signed.map(|identity| identity.n),
                ev: event,
                conflicts: if index == last { conflicts.to_vec() } else { Vec::new() },
            };
            let bytes = record.encode().map_err(|_| Unsound)?;
            let event = record.ev;
            let evolved = catch_unwind(AssertUnwindSafe(|| {
                K::evolve(&mut self.state, &meta, &event);
                (K::audience(&event), K::effects(&self.state, &meta, &event))
            }));
            let (audience, effects) = evolved.map_err(|_| Unsound)?;
            let recent = Recent { seq: meta.seq, audience, bytes: bytes.into() };
            let command =
                identity.filter(|_| index == last).map(|Identity { client, n, fingerprint }| CommandKey { client, n, fingerprint });
            self.decided = meta.seq;
            made.push((meta.clone(), event.clone()));
            self.pending.push_back(Pending { meta, event, recent, command, effects, projections: Vec::new() });
        }
        // Now rather than for a whole batch, so that rules that panic here are known by their command.
        let projected = catch_unwind(AssertUnwindSafe(|| K::project(&self.state, &made)));
        let (Ok(projections), Some(pending)) = (projected, self.pending.back_mut()) else {
            return Err(Unsound);
        };
        pending.projections = projections;
        Ok(())
    }

    /// What was reserved for the command that was judged last is given back by its append, in the moment in which its events count.
    pub(crate) fn settle(&mut self, reservation: Uuid) {
        if let Some(pending) = self.pending.back_mut() {
            pending.projections.push(Projection::Settled { reservation });
        }
    }

    /// Everything that is pending, for the lane; `None` while an append is outstanding or nothing is pending.
    pub(crate) fn submit(&mut self) -> Option<Append> {
        if self.in_flight > 0 || self.pending.is_empty() {
            return None;
        }
        self.in_flight = self.pending.len();
        let records = self.pending.iter().map(|pending| NewRecord {
            seq: pending.meta.seq,
            at: pending.meta.at,
            by: pending.meta.by,
            tag: K::tag(&pending.event),
            entity: K::entity(&pending.event),
            command: pending.command,
            bytes: pending.recent.bytes.clone(),
        });
        let records = records.collect();
        let mut projections: Vec<_> = self.pending.iter_mut().flat_map(|pending| std::mem::take(&mut pending.projections)).collect();
        keep_last_row(&mut projections);
        self.access_changed = projections.iter().any(is_access);
        Some(Append { room: self.room, epoch: self.epoch, records, projections, deadline: self.deadline() })
    }

    /// The outstanding append is durable: its events move into the ring and are returned, in order.
    pub(crate) fn commit(&mut self, config: &EngineConfig) -> Vec<Durable<K::Event>> {
        let committed: Vec<_> = self.pending.drain(..self.in_flight.min(self.pending.len())).collect();
        self.in_flight = 0;
        committed
            .into_iter()
            .map(|Pending { meta, event, recent, effects, .. }| {
                self.remember(recent.clone(), config);
                Durable { meta, event, recent, effects }
            })
            .collect()
    }

    /// Records that are in the journal, as the events that they are. Their effects see the present state, which is durable too.
    pub(crate) fn read_back(&self, records: Vec<Recent>) -> Vec<Durable<K::Event>> {
        let read = |recent: Recent| {
            // The state was made from the same bytes, so they can be read.
            let record: EventRecord<K::Event> = EventRecord::decode(&recent.bytes).ok()?;
            let meta = EventMeta { seq: record.seq, at: record.at, by: record.by, command: record.client.zip(record.n) };
            let effects = K::effects(&self.state, &meta, &record.ev);
            Some(Durable { meta, event: record.ev, recent, effects })
        };
        records.into_iter().filter_map(read).collect()
    }

    /// The records that are decided, but not known to be durable, after a seq.
    pub(crate) fn pending_after(&self, after: Seq) -> impl Iterator<Item = &Recent> {
        self.pending.iter().map(|pending| &pending.recent).filter(move |recent| recent.seq > after)
    }

    /// Puts a durable record into the ring.
    pub(crate) fn remember(&mut self, recent: Recent, config: &EngineConfig) {
        self.ring_bytes += recent.bytes.len();
        self.ring.push_back(recent);
        while self.ring.len() > config.ring_events_max || self.ring_bytes > config.ring_bytes_max {
            let Some(old) = self.ring.pop_front() else { break };
            self.ring_bytes -= old.bytes.len();
        }
    }

    /// The durable records with `after < seq <= up_to`; `None` when the ring does not reach back that far.
    pub(crate) fn since(&self, after: Seq, up_to: Seq) -> Option<Vec<Recent>> {
        if after == up_to {
            return Some(Vec::new());
        }
        let first = self.ring.front()?.seq;
        if after.next() < first || after > up_to {
            return None;
        }
        let skip = usize::try_from(after.next().0 - first.0).ok()?;
        Some(self.ring.iter().skip(skip).take_while(|recent| recent.seq <= up_to).cloned().collect())
    }

    /// Gives up the ring, for a log that replaces this one.
    pub(crate) fn take_ring(&mut self) -> VecDeque<Recent> {
        std::mem::take(&mut self.ring)
    }

    /// What an event changes in who may be here.
    pub(crate) fn access_changes(&self, durable: &Durable<K::Event>) -> Vec<Projection> {
        let mut changes = K::project(&self.state, &[(durable.meta.clone(), durable.event.clone())]);
        changes.retain(is_access);
        changes
    }

    /// Whether the append that was committed last changes who may be here.
    pub(crate) const fn access_changed(&self) -> bool {
        self.access_changed
    }

    /// Puts older durable records in front of the ring, up to and including `up_to`, as far as the bounds allow.
    pub(crate) fn prepend(&mut self, old: &mut VecDeque<Recent>, up_to: Seq, config: &EngineConfig) {
        while let Some(recent) = old.pop_back() {
            let first = self.ring.front().map_or(self.decided.next(), |first| first.seq);
            let fits = self.ring.len() < config.ring_events_max && self.ring_bytes + recent.bytes.len() <= config.ring_bytes_max;
            if recent.seq <= up_to && recent.seq.next() == first && fits {
                self.ring_bytes += recent.bytes.len();
                self.ring.push_front(recent);
            }
        }
    }

    /// Whether a user may know of the room now. Before its first event a room has no members, and its rules accept only its creation.
    pub(crate) fn may_command(&self, who: &UserCard) -> bool {
        self.decided == Seq(0) || K::access(&self.state, who).is_some()
    }
}
