//! Pools counted without their rules: by what the events say.

use super::super::event::Event;
use super::super::state::State;
use super::super::types::{Ending, Phase, Stage};
use crate::ItemId;
use std::collections::{BTreeMap, BTreeSet};

/// What the events say of seats, counted without the rules: `(seats, legs)` of each claim that takes some.
#[derive(Debug, Default)]
pub struct Ledger {
    seats: u8,
    stops: Vec<ItemId>,
    taking: BTreeMap<ItemId, (u8, std::ops::Range<usize>)>,
    waiting: Vec<ItemId>,
    /// Those who wait and whom the owner takes, or need not be asked for.
    wanted: BTreeSet<ItemId>,
    /// Claims that are not over: seats and legs.
    pub open: BTreeMap<ItemId, (u8, std::ops::Range<usize>)>,
    /// How each that is over ended.
    ended: BTreeMap<ItemId, Ending>,
    confirmed: BTreeSet<ItemId>,
}

impl Ledger {
    /// Counts an event.
    ///
    /// # Panics
    /// When it does not fit what was counted before: a seat sold twice, a claim that begins or ends twice, somebody passed over.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::PoolCreated { details, .. } | Event::DetailsUpdated { to: details, .. } => {
                self.seats = details.seats;
                self.stops = details.stops.iter().map(|stop| stop.id).collect();
            }
            Event::Claimed { claim, .. } => {
                assert!(!self.ended.contains_key(&claim.id) && !self.open.contains_key(&claim.id), "a claim begins once");
                let wants = (claim.seats, self.legs(Some(claim.from), Some(claim.to)));
                self.open.insert(claim.id, wants.clone());
                match claim.stage {
                    Stage::Waiting { approved } => {
                        self.waiting.push(claim.id);
                        self.wanted.extend(approved.then_some(claim.id));
                    }
                    Stage::Held { .. } | Stage::Offered { .. } => drop(self.taking.insert(claim.id, wants)),
                    _ => {}
                }
            }
            Event::Offered { claim, .. } => {
                for ahead in self.waiting.iter().take_while(|other| *other != claim).filter(|other| self.wanted.contains(*other)) {
                    let (seats, legs) = &self.open[ahead];
                    assert!(self.left(legs) < u32::from(*seats), "{ahead} was passed over by {claim}");
                }
                self.waiting.retain(|other| other != claim);
                let wants = self.open[claim].clone();
                assert!(self.taking.insert(*claim, wants).is_none(), "an offer is made once");
            }
            Event::Confirmed { claim, .. } => {
                let wants = (claim.seats, self.legs(Some(claim.from), Some(claim.to)));
                self.open.insert(claim.id, wants.clone());
                self.taking.insert(claim.id, wants);
                assert!(self.confirmed.insert(claim.id), "a seat is given once");
            }
            Event::ClaimEnded { claim, ending, .. } => {
                assert!(self.open.remove(claim).is_some(), "what ends was there");
                assert!(self.ended.insert(*claim, *ending).is_none(), "a claim ends once");
                self.taking.remove(claim);
                self.waiting.retain(|other| other != claim);
            }
            Event::WaitingApproved { claim, .. } => drop(self.wanted.insert(*claim)),
            _ => {}
        }
        for leg in 0..self.stops.len().saturating_sub(1) {
            let taken = self.taken(leg);
            assert!(taken <= u32::from(self.seats), "{taken} of {} seats on leg {leg} after {event:?}", self.seats);
        }
    }

    /// The legs between two stops; the whole way without them.
    ///
    /// # Panics
    /// Never, once there is a pool.
    #[must_use]
    pub fn legs(&self, from: Option<ItemId>, to: Option<ItemId>) -> std::ops::Range<usize> {
        let index = |stop: Option<ItemId>| stop.and_then(|stop| self.stops.iter().position(|other| *other == stop));
        index(from).unwrap_or(0)..index(to).unwrap_or(self.stops.len() - 1)
    }

    fn taken(&self, leg: usize) -> u32 {
        self.taking.values().filter(|(_, legs)| legs.contains(&leg)).map(|(seats, _)| u32::from(*seats)).sum()
    }

    /// Free seats on every one of some legs.
    #[must_use]
    pub fn left(&self, legs: &std::ops::Range<usize>) -> u32 {
        let taken =
            |leg: usize| -> u32 { self.taking.values().filter(|(_, legs)| legs.contains(&leg)).map(|(seats, _)| u32::from(*seats)).sum() };
        let most = legs.clone().map(taken).max().unwrap_or(0);
        u32::from(self.seats).saturating_sub(most)
    }

    /// The ledger and the state agree, and once it is over nothing is left open but seats.
    ///
    /// # Panics
    /// When they do not.
    pub fn agrees(&self, state: &State) {
        assert_eq!(self.waiting, state.line);
        assert_eq!(self.open.keys().collect::<Vec<_>>(), state.claims.keys().collect::<Vec<_>>());
        if state.phase != Phase::Scheduled {
            assert!(state.claims.values().all(|claim| claim.stage == Stage::Confirmed {}), "somebody is in limbo");
        }
    }
}
