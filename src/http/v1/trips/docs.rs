//! What answers say of the things of a trip: read from the room's view (MessagePack) or a stored document (JSON), written as JSON. Their
//! schemas are in [`super::schema`].

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tripsync_domain::civil::{Date, Moment};
use tripsync_domain::money::Money;
use tripsync_domain::trip::{ActivityKind, ActivityStatus, Anchor, ExpenseShare, PlaceKind, Position, Privacy, TripStatus, TripType};
use tripsync_domain::{ItemId, Role, RoomId, Seq, Timestamp, UserId};

/// The trip itself, as the view has it.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Details {
    title: String,
    description: Option<String>,
    destination: Option<String>,
    start_date: Option<Date>,
    end_date: Option<Date>,
    status: TripStatus,
    trip_type: TripType,
    budget: Option<Money>,
    privacy: Privacy,
    trip_data: Option<serde_json::Map<String, Value>>,
}

/// A trip, without its collections.
#[derive(Debug, Serialize)]
pub(super) struct Trip {
    id: RoomId,
    seq: Seq,
    role: Role,
    creator: Option<UserId>,
    #[serde(flatten)]
    details: Details,
    members: usize,
    activities: usize,
    places: usize,
    expenses: usize,
    created_at: Option<Timestamp>,
}

/// What [`Trip`] reads of the view.
#[derive(Debug, Deserialize)]
pub(super) struct TripView {
    creator: Option<UserId>,
    details: Option<Details>,
    members: BTreeMap<String, Joined>,
    activities: BTreeMap<String, IgnoredAny>,
    places: BTreeMap<String, IgnoredAny>,
    expenses: BTreeMap<String, IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct Joined {
    joined_at: Timestamp,
}

impl TripView {
    /// `None` for a room whose trip is not there yet.
    pub(super) fn trip(self, id: RoomId, seq: Seq, role: Role) -> Option<Trip> {
        // The creator joined with the first event and stays for ever.
        let created_at = self.creator.and_then(|creator| self.members.get(&creator.to_string())).map(|member| member.joined_at);
        Some(Trip {
            id,
            seq,
            role,
            creator: self.creator,
            details: self.details?,
            members: self.members.len(),
            activities: self.activities.len(),
            places: self.places.len(),
            expenses: self.expenses.len(),
            created_at,
        })
    }
}

/// What [`Activity`] reads of the view.
#[derive(Debug, Deserialize)]
pub(super) struct ItineraryView {
    /// The order within each day.
    pub(super) days: BTreeMap<Date, Vec<ItemId>>,
    /// The order of those without a day.
    pub(super) unscheduled: Vec<ItemId>,
    /// By id.
    pub(super) activities: BTreeMap<ItemId, Activity>,
}

/// The same without the order.
#[derive(Debug, Deserialize)]
pub(super) struct ActivitiesView {
    /// By id.
    pub(super) activities: BTreeMap<ItemId, Activity>,
}

/// An activity.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Activity {
    pub(super) id: ItemId,
    title: String,
    kind: ActivityKind,
    status: ActivityStatus,
    pub(super) day: Option<Date>,
    start: Option<Moment>,
    end: Option<Moment>,
    place: Option<ItemId>,
    cost: Option<Money>,
    assignees: BTreeSet<UserId>,
    notes: Option<String>,
    created_by: UserId,
    created_at: Timestamp,
    updated_by: UserId,
    updated_at: Timestamp,
}

/// What [`Place`] reads of the view.
#[derive(Debug, Deserialize)]
pub(super) struct PlacesView {
    /// By id.
    pub(super) places: BTreeMap<ItemId, Place>,
}

/// A place.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Place {
    pub(super) id: ItemId,
    name: String,
    pub(super) kind: PlaceKind,
    pub(super) position: Option<Position>,
    address: Option<String>,
    notes: Option<String>,
    votes: BTreeSet<UserId>,
    created_by: UserId,
    pub(super) created_at: Timestamp,
    updated_by: UserId,
    updated_at: Timestamp,
}

/// What [`Expense`] reads of the view.
#[derive(Debug, Deserialize)]
pub(super) struct ExpensesView {
    /// By id.
    pub(super) expenses: BTreeMap<ItemId, Expense>,
}

/// An expense.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Expense {
    pub(super) id: ItemId,
    title: String,
    payer: UserId,
    amount: Money,
    shares: Vec<ExpenseShare>,
    date: Option<Date>,
    pool: Option<RoomId>,
    created_by: UserId,
    pub(super) created_at: Timestamp,
    updated_by: UserId,
    updated_at: Timestamp,
}

/// A chat message, as its stored document has it.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Message {
    id: ItemId,
    seq: Seq,
    by: UserId,
    at: Timestamp,
    body: Option<String>,
    reply_to: Option<ItemId>,
    anchor: Option<Anchor>,
    #[serde(default)]
    mentions: BTreeSet<UserId>,
    edited_at: Option<Timestamp>,
    #[serde(default)]
    reactions: BTreeMap<String, BTreeSet<UserId>>,
}

/// Who has read how far.
#[derive(Debug, Deserialize)]
pub(super) struct ReadsView {
    /// By member.
    pub(super) reads: BTreeMap<UserId, Seq>,
}

/// How far a member has read.
#[derive(Debug, Serialize)]
pub(super) struct ReadMark {
    pub(super) user: UserId,
    pub(super) seq: Seq,
}
