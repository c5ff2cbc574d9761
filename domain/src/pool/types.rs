//! What a pool consists of.

use super::limits;
use crate::civil::Moment;
use crate::geo::Position;
use crate::money::{MinorUnits, Money};
use crate::tags::tags;
use crate::text::{Line, Text};
use crate::{ItemId, Seq, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a stop is called.
pub type StopName = Line<{ limits::STOP_CHARS_MAX }>;
/// What the car is.
pub type Car = Line<{ limits::CAR_CHARS_MAX }>;
/// One thing that the owner wants or does not want, such as `no_smoking`.
pub type Preference = Line<{ limits::PREFERENCE_CHARS_MAX }>;
/// Notes, the message of a request, a reason, a review.
pub type Words = Text<{ limits::TEXT_CHARS_MAX }>;
/// What a chat message says.
pub type Body = Text<{ limits::MESSAGE_CHARS_MAX }>;

tags!(
    /// Where a pool stands, as it is shown. `open` and `full` follow from the seats; the others are told.
    PoolStatus {
        /// Before departure, with a free seat on some leg.
        #[default]
        Open = "open",
        /// Before departure, without a free seat on any leg.
        Full = "full",
        /// Under way.
        Departed = "departed",
        /// Arrived.
        Completed = "completed",
        /// Called off.
        Cancelled = "cancelled",
    }
);

tags!(
    /// What the owner has told of the ride.
    Phase {
        /// Before departure.
        #[default]
        Scheduled = "scheduled",
        /// Under way.
        Departed = "departed",
        /// Arrived.
        Completed = "completed",
        /// Called off.
        Cancelled = "cancelled",
    }
);

impl Phase {
    /// Whether a pool may go from this phase to another.
    ///
    /// | from | to |
    /// |---|---|
    /// | scheduled | departed, cancelled |
    /// | departed | completed, cancelled (a breakdown) |
    /// | completed, cancelled | nothing |
    #[must_use]
    pub const fn may_become(self, to: Self) -> bool {
        match self {
            Self::Scheduled => matches!(to, Self::Departed | Self::Cancelled),
            Self::Departed => matches!(to, Self::Completed | Self::Cancelled),
            Self::Completed | Self::Cancelled => false,
        }
    }
}

tags!(
    /// How one gets a seat.
    Booking {
        /// The owner answers each request.
        #[default]
        Approval = "approval",
        /// Whoever asks first has it.
        Instant = "instant",
    }
);

/// A point of the way where people get in and out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stop {
    /// Its id.
    pub id: ItemId,
    /// What it is called.
    pub name: StopName,
    /// Where it is.
    pub position: Position,
}

/// When a pool departs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departure {
    /// What the clock on the wall shows, with the zone.
    pub local: Moment,
    /// The instant; worked out from `local` when it was told, and unchanged when the rules of a zone change later.
    pub at: Timestamp,
}

/// The pool itself, as its owner describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Details {
    /// Origin first, destination last; 2 to [`limits::STOPS_MAX`].
    pub stops: Vec<Stop>,
    /// When it leaves the first stop.
    pub departure: Departure,
    /// Seats for riders, 1 to [`limits::SEATS_MAX`].
    pub seats: u8,
    /// What one seat costs, however far; not negative. None: nothing.
    pub price: Option<Money>,
    /// What the car is.
    pub car: Option<Car>,
    /// What the owner wants or does not want.
    pub preferences: BTreeSet<Preference>,
    /// Anything else.
    pub notes: Option<Words>,
    /// The group whose members alone see the pool; none: everybody sees it.
    pub group: Option<crate::Group>,
    /// How one gets a seat.
    pub booking: Booking,
    /// Seconds that a hold lasts.
    pub hold_seconds: u32,
    /// Seconds that an offer to the waiting list lasts.
    pub offer_seconds: u32,
}

impl Details {
    /// The number of a stop on the way; 0 is the origin.
    #[must_use]
    pub fn index_of(&self, stop: ItemId) -> Option<usize> {
        self.stops.iter().position(|other| other.id == stop)
    }

    /// How many legs the way has; one less than stops.
    #[must_use]
    pub fn legs(&self) -> usize {
        self.stops.len().saturating_sub(1)
    }
}

/// What somebody has asked for, has been given or waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// Its id.
    pub id: ItemId,
    /// Whose.
    pub user: UserId,
    /// The name, as it was when asking.
    pub name: String,
    /// How many seats.
    pub seats: u8,
    /// Where the rider gets in.
    pub from: ItemId,
    /// Where the rider gets out.
    pub to: ItemId,
    /// What the rider wrote to the owner.
    pub message: Option<Words>,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// How far it has come.
    pub stage: Stage,
    /// Whether the rider got in; none before the driver has said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boarded: Option<bool>,
}

/// How far a claim has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage {
    /// The owner has to answer. Takes no seat.
    Pending {},
    /// On the waiting list. Takes no seat.
    Waiting {
        /// Whether a free seat is offered to it: the owner has approved it, or need not.
        approved: bool,
    },
    /// The seat is taken while its holder decides.
    Held {
        /// When it is freed.
        until: Timestamp,
    },
    /// A freed seat is taken while whom it is offered to decides.
    Offered {
        /// When it is freed.
        until: Timestamp,
    },
    /// The rider has the seat.
    Confirmed {},
}

impl Stage {
    /// Whether a claim at this stage takes its seats.
    #[must_use]
    pub const fn takes_seats(self) -> bool {
        match self {
            Self::Held { .. } | Self::Offered { .. } | Self::Confirmed {} => true,
            Self::Pending {} | Self::Waiting { .. } => false,
        }
    }

    /// When it ends by itself.
    #[must_use]
    pub const fn until(self) -> Option<Timestamp> {
        match self {
            Self::Held { until } | Self::Offered { until } => Some(until),
            Self::Pending {} | Self::Waiting { .. } | Self::Confirmed {} => None,
        }
    }

    /// The tag that travels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending {} => "pending",
            Self::Waiting { .. } => "waiting",
            Self::Held { .. } => "held",
            Self::Offered { .. } => "offered",
            Self::Confirmed {} => "confirmed",
        }
    }
}

tags!(
    /// Why a claim is over.
    Ending {
        /// The rider took it back.
        #[default]
        Withdrawn = "withdrawn",
        /// The owner said no.
        Rejected = "rejected",
        /// The owner took a confirmed seat back.
        Removed = "removed",
        /// Nobody decided in time.
        Expired = "expired",
        /// The pool was cancelled.
        Cancelled = "cancelled",
        /// The pool departed, or its departure time passed, before it was settled.
        Departed = "departed",
    }
);

/// A rider as the others in the car see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rider {
    /// The claim.
    pub claim: ItemId,
    /// Who.
    pub user: UserId,
    /// The name.
    pub name: String,
    /// How many seats.
    pub seats: u8,
    /// Where they get in.
    pub from: ItemId,
    /// Where they get out.
    pub to: ItemId,
    /// Whether they got in; none before the driver has said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boarded: Option<bool>,
}

impl From<&Claim> for Rider {
    fn from(claim: &Claim) -> Self {
        Self {
            claim: claim.id,
            user: claim.user,
            name: claim.name.clone(),
            seats: claim.seats,
            from: claim.from,
            to: claim.to,
            boarded: claim.boarded,
        }
    }
}

/// What a rider owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Who.
    pub user: UserId,
    /// For how many seats.
    pub seats: u8,
    /// In the pool's currency.
    pub minor: MinorUnits,
}

/// What somebody thinks of somebody with whom they rode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// Whose.
    pub by: UserId,
    /// Of whom.
    pub of: UserId,
    /// 1 to 5.
    pub stars: u8,
    /// In words.
    pub text: Option<Words>,
    /// When.
    pub at: Timestamp,
}

/// A chat message, seen by those who were in the car when it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its id.
    pub id: ItemId,
    /// In which event.
    pub seq: Seq,
    /// Whose.
    pub by: UserId,
    /// When.
    pub at: Timestamp,
    /// What it says.
    pub body: Body,
    /// Who may read it.
    pub to: BTreeSet<UserId>,
}
