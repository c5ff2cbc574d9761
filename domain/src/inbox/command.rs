//! What is asked of an inbox.

use super::types::{Label, Spot};
use crate::money::Money;
use crate::{ItemId, Seq, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A command to an inbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Makes the inbox; for its user and the server.
    Open(Open),
    /// Delivers; for the server alone.
    Deliver(Deliver),
    /// Marks as read, on all devices.
    MarkRead(MarkRead),
    /// "I am going there now"; replaces the request that is there.
    RequestRide(Box<RequestRide>),
    /// Takes the ride request back.
    CancelRide(CancelRide),
    /// Keeps a search, or replaces the one with the same id.
    SaveSearch(Box<SaveSearch>),
    /// Drops a search.
    DeleteSearch(DeleteSearch),
}

/// Makes the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Open {
    /// Whose; the author's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<crate::UserId>,
}

/// Delivers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deliver {
    /// The item's id.
    pub id: ItemId,
    /// An object with a `type`.
    pub item: serde_json::Value,
}

/// Marks as read. What comes later stays unread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarkRead {
    /// Everything up to this seq.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<Seq>,
    /// These items.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub items: BTreeSet<ItemId>,
}

/// "I am going there now."
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestRide {
    /// Its id; a fresh one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<ItemId>,
    /// Where the ride starts.
    pub from: Spot,
    /// Where it ends.
    pub to: Spot,
    /// How many people want to ride, 1 to 16; one when absent.
    #[serde(default = "one")]
    pub seats: u8,
}

/// Takes the ride request back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancelRide {
    /// Which; so that a cancellation that comes late does not hit another one.
    pub ride: ItemId,
    /// Whether it became a pool.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pooled: bool,
}

/// Keeps a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaveSearch {
    /// Its id; a fresh one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<ItemId>,
    /// What it is called.
    pub name: Label,
    /// Near which start.
    pub from: Spot,
    /// Near which destination.
    pub to: Spot,
    /// How far around both, in metres, 100 to 50,000; 5,000 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub radius_m: Option<u32>,
    /// Departing at or after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Timestamp>,
    /// Departing at or before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Timestamp>,
    /// With at least so many free seats; one when absent.
    #[serde(default = "one")]
    pub seats: u8,
    /// For at most this price per seat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_max: Option<Money>,
}

/// Drops a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeleteSearch {
    /// Which.
    pub search: ItemId,
}

const fn one() -> u8 {
    1
}
