//! A pool as its events made it.

use super::event::Event;
use super::limits::{MESSAGES_IN_STATE, SPEED_MIN};
#[cfg(any(test, feature = "testing"))]
use super::sabotage::{Sabotage, is};
use super::types::{Claim, Details, Message, Phase, PoolStatus, Review, Rider, Share, Stage};
use crate::geo::Position;
use crate::presence::Fix;
use crate::{EventMeta, ItemId, RoomId, Seq, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// The whole state of a pool. `default()` is the room before its first event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The last event applied. Set by every event, known or not.
    pub seq: Seq,
    /// The pool; none before `pool_created`. Changed by `details_updated`.
    pub pool: Option<Pool>,
    /// Set by `pool_departed`, `pool_completed` and `pool_cancelled`.
    pub phase: Phase,
    /// When the phase was reached.
    pub phase_at: Timestamp,
    /// What is not over: set by `claimed` and `confirmed`, changed by `waiting_approved`, `offered`, `confirmed` and `boarded`, cleared by
    /// `claim_ended`. One per user.
    pub claims: BTreeMap<ItemId, Claim>,
    /// The claims that wait, first come first; no others.
    pub line: Vec<ItemId>,
    /// What riders owe. Set by `costs_shared`.
    pub shares: Vec<Share>,
    /// Set by `reviewed`.
    pub reviews: Vec<Review>,
    /// The newest messages, at most [`MESSAGES_IN_STATE`], oldest first.
    pub messages: VecDeque<Message>,
}

/// The pool itself with what never changes about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    /// The room.
    pub room: RoomId,
    /// Whose it is; drives.
    pub owner: UserId,
    /// The owner's name.
    pub owner_name: String,
    /// The rest.
    pub details: Details,
}

impl State {
    /// The claim of a user.
    #[must_use]
    pub fn claim_of(&self, user: UserId) -> Option<&Claim> {
        self.claims.values().find(|claim| claim.user == user)
    }

    /// The claims that have their seats for good.
    pub fn confirmed(&self) -> impl Iterator<Item = &Claim> {
        self.claims.values().filter(|claim| claim.stage == Stage::Confirmed {})
    }

    /// Those in the car as the others see them.
    #[must_use]
    pub fn riders(&self) -> Vec<Rider> {
        self.confirmed().map(Rider::from).collect()
    }

    /// The owner and everybody with a confirmed seat.
    #[must_use]
    pub fn car(&self) -> BTreeSet<UserId> {
        self.pool.iter().map(|pool| pool.owner).chain(self.confirmed().map(|claim| claim.user)).collect()
    }

    /// The legs that a claim rides, as indices; empty when it names a stop that is not on the way.
    #[must_use]
    pub fn legs_of(&self, from: ItemId, to: ItemId) -> std::ops::Range<usize> {
        let Some(pool) = &self.pool else { return 0..0 };
        match (pool.details.index_of(from), pool.details.index_of(to)) {
            (Some(from), Some(to)) => from..to,
            _ => 0..0,
        }
    }

    /// Taken seats on each leg.
    #[must_use]
    pub fn taken(&self) -> Vec<u8> {
        let mut taken = vec![0_u8; self.pool.as_ref().map_or(0, |pool| pool.details.legs())];
        for claim in self.claims.values().filter(|claim| claim.stage.takes_seats()) {
            for leg in self.legs_of(claim.from, claim.to) {
                if let Some(taken) = taken.get_mut(leg) {
                    *taken = taken.saturating_add(claim.seats);
                }
            }
        }
        #[cfg(any(test, feature = "testing"))]
        if is(Sabotage::TakesTwice) {
            for claim in self.claims.values().filter(|claim| matches!(claim.stage, Stage::Pending {} | Stage::Confirmed {})) {
                self.legs_of(claim.from, claim.to).for_each(|leg| taken[leg] = taken[leg].saturating_add(claim.seats));
            }
        }
        taken
    }

    /// Free seats all the way from one stop to another.
    #[must_use]
    pub fn left(&self, from: ItemId, to: ItemId) -> u8 {
        let Some(pool) = &self.pool else { return 0 };
        let taken = self.taken();
        let most = self.legs_of(from, to).filter_map(|leg| taken.get(leg)).max().copied();
        most.map_or(0, |most| pool.details.seats.saturating_sub(most))
    }

    /// Where the pool stands.
    #[must_use]
    pub fn status(&self) -> PoolStatus {
        match self.phase {
            Phase::Departed => PoolStatus::Departed,
            Phase::Completed => PoolStatus::Completed,
            Phase::Cancelled => PoolStatus::Cancelled,
            Phase::Scheduled => {
                let seats = self.pool.as_ref().map_or(0, |pool| pool.details.seats);
                if self.taken().iter().any(|taken| *taken < seats) { PoolStatus::Open } else { PoolStatus::Full }
            }
        }
    }

    /// The place on the waiting list, from 1.
    #[must_use]
    pub fn place(&self, claim: ItemId) -> Option<u16> {
        let index = self.line.iter().position(|other| *other == claim)?;
        u16::try_from(index + 1).ok()
    }

    /// When the destination is reached from a position at the speed that was told with it, along the great circle; `None` without a speed,
    /// below walking pace ([`limits::SPEED_MIN`](super::limits::SPEED_MIN)) and without a destination.
    #[must_use]
    pub fn arrival(&self, fix: &Fix, at: Timestamp) -> Option<Timestamp> {
        let speed = fix.speed.filter(|speed| *speed >= SPEED_MIN)?;
        let destination = self.pool.as_ref()?.details.stops.last()?.position;
        let seconds = Position::new(fix.lat, fix.lon)?.distance_m(destination) / speed;
        Some(at.plus(Duration::try_from_secs_f64(seconds).ok()?))
    }

    /// Whether two users rode together as driver and rider, after the ride.
    #[must_use]
    pub fn rode_together(&self, one: UserId, other: UserId) -> bool {
        let Some(pool) = &self.pool else { return false };
        let rode = |user: UserId| self.confirmed().any(|claim| claim.user == user && claim.boarded != Some(false));
        self.phase == Phase::Completed && ((one == pool.owner && rode(other)) || (other == pool.owner && rode(one)))
    }

    pub(super) fn evolve(&mut self, meta: &EventMeta, event: &Event) {
        self.seq = meta.seq;
        match event {
            Event::PoolCreated { room, details, owner, name } => {
                self.pool = Some(Pool { room: *room, owner: *owner, owner_name: name.clone(), details: (**details).clone() });
                self.phase_at = meta.at;
            }
            Event::DetailsUpdated { to, .. } => {
                if let Some(pool) = &mut self.pool {
                    pool.details = (**to).clone();
                }
            }
            Event::Claimed { claim, .. } => {
                if matches!(claim.stage, Stage::Waiting { .. }) {
                    self.line.push(claim.id);
                }
                self.claims.insert(claim.id, (**claim).clone());
            }
            Event::WaitingApproved { claim, .. } => self.set_stage(*claim, Stage::Waiting { approved: true }),
            Event::Offered { claim, until, .. } => {
                self.line.retain(|other| other != claim);
                self.set_stage(*claim, Stage::Offered { until: *until });
            }
            Event::Confirmed { claim, .. } => {
                let mut claim = (**claim).clone();
                // It was told to the owner alone.
                claim.message = claim.message.or_else(|| self.claims.get(&claim.id)?.message.clone());
                self.claims.insert(claim.id, claim);
            }
            #[cfg(any(test, feature = "testing"))]
            Event::ClaimEnded { claim, ending: super::types::Ending::Expired, .. } if is(Sabotage::ExpiryKeeps) => {
                self.set_stage(*claim, Stage::Confirmed {});
            }
            Event::ClaimEnded { claim, .. } => {
                self.line.retain(|other| other != claim);
                self.claims.remove(claim);
            }
            Event::PoolDeparted {} => self.set_phase(Phase::Departed, meta.at),
            Event::Boarded { claim, boarded, .. } => {
                if let Some(claim) = self.claims.get_mut(claim) {
                    claim.boarded = Some(*boarded);
                }
            }
            Event::PoolCompleted {} => self.set_phase(Phase::Completed, meta.at),
            Event::CostsShared { shares, .. } => self.shares.clone_from(shares),
            Event::PoolCancelled { .. } => self.set_phase(Phase::Cancelled, meta.at),
            Event::MessageSent { id, body, to } => {
                if self.messages.len() == MESSAGES_IN_STATE {
                    self.messages.pop_front();
                }
                self.messages.push_back(Message { id: *id, seq: meta.seq, by: meta.by, at: meta.at, body: body.clone(), to: to.clone() });
            }
            Event::Reviewed { review } => self.reviews.push((**review).clone()),
            Event::RidersShown { .. } | Event::SeatsChanged { .. } | Event::Unknown => {}
        }
    }

    fn set_stage(&mut self, claim: ItemId, stage: Stage) {
        if let Some(claim) = self.claims.get_mut(&claim) {
            claim.stage = stage;
        }
    }

    fn set_phase(&mut self, phase: Phase, at: Timestamp) {
        (self.phase, self.phase_at) = (phase, at);
    }
}
