//! What happened to a pool.
//!
//! Who may see an event is decided when it is made and stands in it: `to`, or the two whom it concerns. What a claim is about is for its
//! owner and the rider; who sits in the car is for those in the car; how many seats are left is for everybody. Stored for ever: fields
//! may be added with a default, never renamed or removed (golden files watch it).

use super::types::{Body, Claim, Details, Ending, Review, Rider, Share, Words};
use crate::{ItemId, RoomId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// An event of a pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The pool is offered. For everybody.
    PoolCreated {
        /// The room.
        room: RoomId,
        /// The pool.
        details: Box<Details>,
        /// Its owner, who drives.
        owner: UserId,
        /// The owner's name.
        name: String,
    },
    /// The pool itself changed. For everybody.
    DetailsUpdated {
        /// As it was.
        from: Box<Details>,
        /// As it is.
        to: Box<Details>,
    },
    /// Somebody asked for seats: the claim is pending, waiting or held; or confirmed at once, with a message that is for the owner alone.
    /// For the owner and the rider.
    Claimed {
        /// The owner.
        owner: UserId,
        /// The claim.
        claim: Box<Claim>,
        /// The place on the waiting list, from 1; none for those who do not wait.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<u16>,
    },
    /// The owner wants who waits: a free seat will be offered. For the owner and the rider.
    WaitingApproved {
        /// The owner.
        owner: UserId,
        /// The claim.
        claim: ItemId,
        /// The rider.
        user: UserId,
    },
    /// A free seat is taken for the first on the waiting list whom it fits. For the owner and the rider.
    Offered {
        /// The owner.
        owner: UserId,
        /// The claim; it is on the waiting list no more.
        claim: ItemId,
        /// The rider.
        user: UserId,
        /// Until when it waits for the rider's answer.
        until: Timestamp,
    },
    /// The rider has the seats. For everybody who is in the car now.
    Confirmed {
        /// The claim without its message: a booking that was instant was not seen before.
        claim: Box<Claim>,
        /// The owner and the riders, this one included.
        to: BTreeSet<UserId>,
    },
    /// Who is in the car, for the rider who joins it; follows `confirmed`.
    RidersShown {
        /// The rider.
        user: UserId,
        /// All riders, this one included.
        riders: Vec<Rider>,
    },
    /// A claim is over; its seats are free. For the owner, the rider and, after a confirmed one, those in the car.
    ClaimEnded {
        /// The claim.
        claim: ItemId,
        /// The rider.
        user: UserId,
        /// How far it had come.
        was: String,
        /// Why it is over.
        ending: Ending,
        /// In words of whoever ended it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Words>,
        /// Who sees it.
        to: BTreeSet<UserId>,
    },
    /// What is left, after everything that the same command changed. For everybody.
    SeatsChanged {
        /// Taken seats per leg.
        taken: Vec<u8>,
        /// How many are on the waiting list.
        waiting: u16,
        /// Places of the waiting list that were given up, in order; each counts from 1 after those before it are gone. Whoever waits behind
        /// moves up.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left: Vec<u16>,
    },
    /// The ride began. For everybody.
    PoolDeparted {},
    /// A rider got in, or did not. For those in the car.
    Boarded {
        /// The claim.
        claim: ItemId,
        /// The rider.
        user: UserId,
        /// Whether they got in.
        boarded: bool,
        /// Who sees it.
        to: BTreeSet<UserId>,
    },
    /// The ride is over. For everybody.
    PoolCompleted {},
    /// What each rider owes the owner. For those in the car; follows `pool_completed`.
    CostsShared {
        /// One entry per rider.
        shares: Vec<Share>,
        /// Who sees it.
        to: BTreeSet<UserId>,
    },
    /// The ride is off. For everybody.
    PoolCancelled {
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Words>,
    },
    /// Somebody in the car wrote. For those in the car.
    MessageSent {
        /// The message's id.
        id: ItemId,
        /// What it says.
        body: Body,
        /// Who sees it.
        to: BTreeSet<UserId>,
    },
    /// Somebody said what they think of somebody with whom they rode. For everybody.
    Reviewed {
        /// The review.
        review: Box<Review>,
    },
    /// An event of a newer version, which this one ignores.
    #[serde(other)]
    Unknown,
}

impl Event {
    /// The `type` tag as it is serialised.
    #[must_use]
    pub const fn tag(&self) -> &'static str {
        match self {
            Self::PoolCreated { .. } => "pool_created",
            Self::DetailsUpdated { .. } => "details_updated",
            Self::Claimed { .. } => "claimed",
            Self::WaitingApproved { .. } => "waiting_approved",
            Self::Offered { .. } => "offered",
            Self::Confirmed { .. } => "confirmed",
            Self::RidersShown { .. } => "riders_shown",
            Self::ClaimEnded { .. } => "claim_ended",
            Self::SeatsChanged { .. } => "seats_changed",
            Self::PoolDeparted {} => "pool_departed",
            Self::Boarded { .. } => "boarded",
            Self::PoolCompleted {} => "pool_completed",
            Self::CostsShared { .. } => "costs_shared",
            Self::PoolCancelled { .. } => "pool_cancelled",
            Self::MessageSent { .. } => "message_sent",
            Self::Reviewed { .. } => "reviewed",
            Self::Unknown => "unknown",
        }
    }
}
