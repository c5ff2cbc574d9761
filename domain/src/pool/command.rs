//! What people ask of a pool.
//!
//! Wire form: `{"type": "request", "seats": 2, …}` ([`crate::command::parse`]).

use super::types::{Body, Booking, Car, Preference, StopName, Words};
use crate::civil::Moment;
use crate::command::present;
use crate::geo::Position;
use crate::money::Money;
use crate::{Group, ItemId, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A command to a pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Makes the pool; its author becomes the owner and drives.
    Create(Box<Create>),
    /// Changes the pool itself.
    UpdateDetails(Box<UpdateDetails>),
    /// Asks for seats: books them at once or asks the owner, as the pool has it.
    Request(Box<Request>),
    /// Takes seats while one decides.
    Hold(Hold),
    /// The owner offers seats to somebody who has not asked.
    Invite(Invite),
    /// Decides for the held or offered seats.
    Accept(Accept),
    /// Gives back what one has asked for, holds, was offered or has.
    Withdraw(Withdraw),
    /// The owner says yes.
    Approve(Approve),
    /// The owner says no.
    Reject(Reject),
    /// The owner takes a confirmed seat back.
    Remove(Remove),
    /// The ride begins.
    Depart(Depart),
    /// Says whether a rider got in.
    Board(Board),
    /// The ride is over.
    Complete(Complete),
    /// Calls the ride off.
    Cancel(Cancel),
    /// Writes to the others in the car.
    SendMessage(SendMessage),
    /// Says what one thinks of somebody with whom one rode.
    Review(WriteReview),
}

/// A stop as it is described.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewStop {
    /// Its id; a fresh one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<ItemId>,
    /// What it is called.
    pub name: StopName,
    /// Where it is.
    pub position: Position,
}

/// Makes the pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// Origin first, destination last.
    pub stops: Vec<NewStop>,
    /// When it leaves the origin: a local time with its zone.
    pub departure: Moment,
    /// Seats for riders, 1 to 16.
    pub seats: u8,
    /// What one seat costs; nothing when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    /// What the car is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub car: Option<Car>,
    /// What the owner wants or does not want.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub preferences: BTreeSet<Preference>,
    /// Anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<Words>,
    /// Shows the pool to this group alone; the author must belong to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// How one gets a seat; `approval` when absent.
    #[serde(default)]
    pub booking: Booking,
    /// Seconds that a hold lasts, 60 to 86,400; 600 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_seconds: Option<u32>,
    /// Seconds that an offer to the waiting list lasts, 60 to 86,400; 600 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer_seconds: Option<u32>,
}

/// Changes the pool itself; what is absent stays. The group and the way of booking stay for ever.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateDetails {
    /// Another way; only while nobody has asked for a seat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stops: Option<Vec<NewStop>>,
    /// Another time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub departure: Option<Moment>,
    /// More seats, or fewer as far as they are free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seats: Option<u8>,
    /// Another price; only while nobody has asked for a seat.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub price: Option<Option<Money>>,
    /// Another car.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub car: Option<Option<Car>>,
    /// Other preferences, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferences: Option<BTreeSet<Preference>>,
    /// Other notes.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub notes: Option<Option<Words>>,
    /// Seconds that later holds last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_seconds: Option<u32>,
    /// Seconds that later offers last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer_seconds: Option<u32>,
}

/// Asks for seats.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The claim's id; a fresh one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<ItemId>,
    /// How many; one when absent.
    #[serde(default = "one")]
    pub seats: u8,
    /// The stop where one gets in; the origin when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<ItemId>,
    /// The stop where one gets out; the destination when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<ItemId>,
    /// What one writes to the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Words>,
    /// Whether to be put on the waiting list when the seats are not free; otherwise the request is refused then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wait: bool,
}

/// Takes seats while one decides; in pools with instant booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// The claim's id; a fresh one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<ItemId>,
    /// How many; one when absent.
    #[serde(default = "one")]
    pub seats: u8,
    /// The stop where one gets in; the origin when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<ItemId>,
    /// The stop where one gets out; the destination when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<ItemId>,
}

/// The owner offers seats to somebody who has not asked; they are taken while the invited decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    /// The claim's id; a fresh one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<ItemId>,
    /// Whom.
    pub user: UserId,
    /// How many; one when absent.
    #[serde(default = "one")]
    pub seats: u8,
    /// The stop where they get in; the origin when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<ItemId>,
    /// The stop where they get out; the destination when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<ItemId>,
}

macro_rules! about_a_claim {
    ($($(#[$doc:meta])* $name:ident { $(#[$claim_doc:meta])* })*) => {
        $($(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $(#[$claim_doc])*
            pub claim: ItemId,
        })*
    };
}

about_a_claim! {
    /// Decides for the held or offered seats.
    Accept {
        /// One's own claim.
    }
    /// Gives back what one has asked for, holds, was offered or has.
    Withdraw {
        /// One's own claim.
    }
    /// The owner says yes: the seats are the rider's; who waits is offered a seat from now on.
    Approve {
        /// A claim that is pending, or waiting without approval.
    }
}

/// The owner says no.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reject {
    /// A claim that is pending or waiting.
    pub claim: ItemId,
    /// Why; the rider reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Words>,
}

/// The owner takes a confirmed, held or offered seat back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remove {
    /// A claim that has seats.
    pub claim: ItemId,
    /// Why; the rider reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Words>,
}

/// The ride begins: what is not settled ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Depart {}

/// Says whether a rider got in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// A confirmed claim.
    pub claim: ItemId,
    /// Whether they got in.
    pub boarded: bool,
}

/// The ride is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Complete {}

/// Calls the ride off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// Why; everybody concerned reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Words>,
}

/// Writes to the others in the car.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendMessage {
    /// The message's id; a fresh one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<ItemId>,
    /// What it says.
    pub body: Body,
}

/// Says what one thinks of somebody with whom one rode: riders of the driver, the driver of riders; once each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WriteReview {
    /// Of whom.
    pub of: UserId,
    /// 1 to 5.
    pub stars: u8,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Words>,
}

const fn one() -> u8 {
    1
}
