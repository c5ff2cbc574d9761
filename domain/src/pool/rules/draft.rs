//! A decision in the making: events with the state that they lead to.

use super::super::event::Event;
#[cfg(any(test, feature = "testing"))]
use super::super::sabotage::{Sabotage, is};
use super::super::state::State;
use super::super::types::{Claim, Ending, Phase, Stage, Words};
use crate::{Ctx, EventMeta, ItemId, Timestamp, UserId};
use std::collections::BTreeSet;
use std::time::Duration;

/// Events and where they lead. What frees seats need not think of the waiting list: [`Draft::finish`] does.
pub(super) struct Draft<'a> {
    ctx: &'a Ctx<'a>,
    before: &'a State,
    pub(super) state: State,
    events: Vec<Event>,
    /// Places of the waiting list that were given up.
    left: Vec<u16>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(state: &'a State, ctx: &'a Ctx<'a>) -> Self {
        Self { ctx, before: state, state: state.clone(), events: Vec::new(), left: Vec::new() }
    }

    /// Adds an event.
    pub(super) fn push(&mut self, event: Event) {
        if let Event::Offered { claim, .. } | Event::ClaimEnded { claim, .. } = &event {
            self.left.extend(self.state.place(*claim));
        }
        let meta = EventMeta { seq: self.state.seq.next(), at: self.ctx.at, by: self.ctx.author, command: None };
        self.state.evolve(&meta, &event);
        self.events.push(event);
    }

    /// The owner of the pool.
    pub(super) fn owner(&self) -> UserId {
        self.state.pool.as_ref().map_or(self.ctx.author, |pool| pool.owner)
    }

    /// A claim has its seats for good.
    pub(super) fn confirm(&mut self, mut claim: Claim) {
        claim.stage = Stage::Confirmed {};
        let (id, user) = (claim.id, claim.user);
        let mut to = self.state.car();
        to.insert(user);
        if claim.message.is_some() && !self.state.claims.contains_key(&id) {
            // Booked at once: the owner has not read the message yet.
            self.push(Event::Claimed { owner: self.owner(), claim: Box::new(claim.clone()), place: None });
        }
        // The car does not read it.
        claim.message = None;
        self.push(Event::Confirmed { claim: Box::new(claim), to });
        debug_assert!(self.state.claims.contains_key(&id));
        let riders = self.state.riders();
        self.push(Event::RidersShown { user, riders });
    }

    /// A claim is over.
    pub(super) fn end(&mut self, claim: ItemId, ending: Ending, reason: Option<Words>) {
        let Some(claim) = self.state.claims.get(&claim) else { return };
        let mut to = if claim.stage == (Stage::Confirmed {}) { self.state.car() } else { BTreeSet::from([self.owner()]) };
        to.insert(claim.user);
        let was = claim.stage.as_str().to_owned();
        self.push(Event::ClaimEnded { claim: claim.id, user: claim.user, was, ending, reason, to });
    }

    /// Ends all claims that are not confirmed.
    pub(super) fn settle(&mut self, ending: Ending) {
        let open: Vec<_> = self.state.claims.values().filter(|claim| claim.stage != (Stage::Confirmed {})).map(|claim| claim.id).collect();
        for claim in open {
            self.end(claim, ending, None);
        }
    }

    /// Offers free seats to those who wait, in their order, each to the first whom they fit; afterwards nobody waits whom a free seat
    /// fits.
    fn offer(&mut self) {
        let Some(pool) = &self.state.pool else { return };
        if self.state.phase != Phase::Scheduled || self.ctx.at >= pool.details.departure.at {
            return;
        }
        let owner = pool.owner;
        let until = self.ctx.at.plus(Duration::from_secs(u64::from(pool.details.offer_seconds)));
        for id in self.line() {
            let Some(claim) = self.state.claims.get(&id) else { continue };
            if claim.stage == (Stage::Waiting { approved: true }) && self.state.left(claim.from, claim.to) >= claim.seats {
                let user = claim.user;
                self.push(Event::Offered { owner, claim: id, user, until: self.before_departure(until) });
            }
        }
    }

    /// Who waits, first come first.
    fn line(&self) -> Vec<ItemId> {
        #[cfg(any(test, feature = "testing"))]
        if is(Sabotage::LastComeFirstServed) {
            return self.state.line.iter().rev().copied().collect();
        }
        self.state.line.clone()
    }

    /// Whatever waits for a decision ends with the departure at the latest.
    pub(super) fn before_departure(&self, until: Timestamp) -> Timestamp {
        self.state.pool.as_ref().map_or(until, |pool| until.min(pool.details.departure.at))
    }

    /// The events; with the offers that follow from free seats, and with what is left if that changed.
    pub(super) fn finish(mut self) -> Vec<Event> {
        self.offer();
        let taken = self.state.taken();
        let waiting = u16::try_from(self.state.line.len()).unwrap_or(u16::MAX);
        let (same_way, same_line) = (taken == self.before.taken(), self.state.line == self.before.line);
        if self.before.pool.is_some() && !(same_way && same_line && self.left.is_empty()) {
            let left = std::mem::take(&mut self.left);
            self.push(Event::SeatsChanged { taken, waiting, left });
        }
        self.events
    }
}
