//! What an inbox consists of.

use super::limits;
use crate::geo::Position;
use crate::money::Money;
use crate::tags::tags;
use crate::text::Line;
use crate::{Group, ItemId, Seq, Timestamp};
use serde::{Deserialize, Serialize};

/// What a place or a search is called.
pub type Label = Line<{ limits::LABEL_CHARS_MAX }>;

/// Something that was delivered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Its id.
    pub id: ItemId,
    /// In which event.
    pub seq: Seq,
    /// When.
    pub at: Timestamp,
    /// What: an object with a `type` and a `text` that says it in one sentence.
    pub item: serde_json::Value,
    /// Whether it was read.
    pub read: bool,
}

/// A place with its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spot {
    /// What it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Label>,
    /// Where it is.
    pub position: Position,
}

/// "I am going there now, who shares the ride?"
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RideRequest {
    /// Its id.
    pub id: ItemId,
    /// Where the ride starts.
    pub from: Spot,
    /// Where it ends.
    pub to: Spot,
    /// How many people want to ride.
    pub seats: u8,
    /// The group of the user: only its members match. None: those without a group match.
    pub group: Option<Group>,
    /// When it was made.
    pub at: Timestamp,
    /// When it ends by itself.
    pub until: Timestamp,
}

tags!(
    /// Why a ride request is over.
    RideEnding {
        /// Its time was up.
        #[default]
        Expired = "expired",
        /// The user took it back.
        Cancelled = "cancelled",
        /// Another one took its place.
        Replaced = "replaced",
        /// It became a pool.
        Pooled = "pooled",
    }
);

/// A search that is kept; new pools that match it are delivered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedSearch {
    /// Its id.
    pub id: ItemId,
    /// What it is called.
    pub name: Label,
    /// Near which start.
    pub from: Spot,
    /// Near which destination.
    pub to: Spot,
    /// How far around both, in metres.
    pub radius_m: u32,
    /// Departing at or after.
    pub after: Option<Timestamp>,
    /// Departing at or before.
    pub before: Option<Timestamp>,
    /// With at least so many free seats.
    pub seats: u8,
    /// For at most this price per seat.
    pub price_max: Option<Money>,
}
