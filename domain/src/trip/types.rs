//! What a trip consists of.

mod expense;

use super::limits;
use crate::civil::{Date, Moment};
use crate::geo::Position;
use crate::money::Money;
use crate::tags::tags;
use crate::text::{Line, Text};
use crate::{ItemId, Role, Seq, Timestamp, UserId};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::collections::{BTreeMap, BTreeSet};

pub use expense::{Expense, ExpenseShare};

/// A title or a name.
pub type Title = Line<{ limits::TITLE_CHARS_MAX }>;
/// A trip's description.
pub type Description = Text<{ limits::DESCRIPTION_CHARS_MAX }>;
/// Where a trip goes.
pub type Destination = Line<{ limits::DESTINATION_CHARS_MAX }>;
/// Notes on an activity or a place.
pub type Notes = Text<{ limits::NOTES_CHARS_MAX }>;
/// A place's address.
pub type Address = Text<{ limits::ADDRESS_CHARS_MAX }>;
/// What a chat message says.
pub type Body = Text<{ limits::MESSAGE_CHARS_MAX }>;

tags!(
    /// Where a trip stands. Allowed changes: [`TripStatus::may_become`].
    TripStatus {
        /// Being planned.
        #[default]
        Planning = "planning",
        /// Under way.
        Active = "active",
        /// Over.
        Completed = "completed",
        /// Called off.
        Cancelled = "cancelled",
    }
);

impl TripStatus {
    /// Whether a trip may go from this status to another. Staying is always allowed.
    ///
    /// | from | to |
    /// |---|---|
    /// | planning | active, cancelled |
    /// | active | completed, cancelled, planning (started by mistake) |
    /// | completed | active (closed too early) |
    /// | cancelled | planning (on again) |
    #[must_use]
    pub fn may_become(self, to: Self) -> bool {
        use TripStatus::{Active, Cancelled, Completed, Planning};
        self == to
            || match self {
                Planning => matches!(to, Active | Cancelled),
                Active => matches!(to, Completed | Cancelled | Planning),
                Completed => matches!(to, Active),
                Cancelled => matches!(to, Planning),
            }
    }
}

tags!(
    /// What sort of trip it is.
    TripType {
        /// Holidays.
        #[default]
        Leisure = "leisure",
        /// Work.
        Business = "business",
        /// With children or relatives.
        Family = "family",
        /// Hiking, climbing, expeditions.
        Adventure = "adventure",
        /// A city break.
        City = "city",
        /// Sun and sea.
        Beach = "beach",
        /// By car from stop to stop.
        RoadTrip = "road_trip",
        /// None of these.
        Other = "other",
    }
);

tags!(
    /// Who may find the trip. Reading and editing always need membership.
    Privacy {
        /// Members only.
        #[default]
        Private = "private",
        /// Whoever has the link, once a link is made.
        Unlisted = "unlisted",
        /// Everybody, once it is published.
        Public = "public",
    }
);

tags!(
    /// What sort of activity it is.
    ActivityKind {
        /// Something to see.
        Sightseeing = "sightseeing",
        /// A meal or a drink.
        Food = "food",
        /// A stay.
        Accommodation = "accommodation",
        /// A flight.
        Flight = "flight",
        /// Any other way from one place to another.
        Transport = "transport",
        /// A concert, a match, a festival.
        Event = "event",
        /// Sport or time outdoors.
        Outdoor = "outdoor",
        /// Shopping.
        Shopping = "shopping",
        /// A meeting.
        Meeting = "meeting",
        /// Nothing planned, on purpose.
        FreeTime = "free_time",
        /// None of these.
        #[default]
        Other = "other",
    }
);

tags!(
    /// Where an activity stands. Any may follow any.
    ActivityStatus {
        /// Somebody's idea.
        Idea = "idea",
        /// Agreed.
        #[default]
        Planned = "planned",
        /// Reserved or paid.
        Booked = "booked",
        /// It happened.
        Done = "done",
        /// It will not happen.
        Cancelled = "cancelled",
    }
);

tags!(
    /// What sort of place it is.
    PlaceKind {
        /// A city or town.
        City = "city",
        /// A country.
        Country = "country",
        /// A region, island or park.
        Region = "region",
        /// A point of interest.
        #[default]
        Poi = "poi",
        /// A place to eat or drink.
        Restaurant = "restaurant",
        /// A place to stay.
        Accommodation = "accommodation",
        /// An airport.
        Airport = "airport",
        /// A railway, bus or underground station, or a port.
        Station = "station",
        /// A shop or market.
        Shop = "shop",
        /// None of these.
        Other = "other",
    }
);

/// Free-form data of an app, a JSON object of at most 8 KiB; replaced as a whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct TripData(serde_json::Map<String, serde_json::Value>);

impl TripData {
    /// Checks size and depth.
    ///
    /// # Errors
    /// A sentence that says which bound is exceeded.
    pub fn new(data: serde_json::Map<String, serde_json::Value>) -> Result<Self, String> {
        let bytes = serde_json::to_string(&data).map_or(usize::MAX, |text| text.len());
        if bytes > limits::TRIP_DATA_BYTES_MAX {
            return Err(format!("must have at most {} bytes as JSON", limits::TRIP_DATA_BYTES_MAX));
        }
        if 1 + data.values().map(depth).max().unwrap_or(0) > limits::TRIP_DATA_DEPTH_MAX {
            return Err(format!("must nest at most {} deep", limits::TRIP_DATA_DEPTH_MAX));
        }
        Ok(Self(data))
    }

    /// The object.
    #[must_use]
    pub const fn as_map(&self) -> &serde_json::Map<String, serde_json::Value> {
        &self.0
    }
}

impl<'de> Deserialize<'de> for TripData {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(serde_json::Map::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

fn depth(value: &serde_json::Value) -> usize {
    use serde_json::Value;
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// An emoji as a reaction: no letters, no blanks, at least one character beyond ASCII.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Emoji(Box<str>);

impl Emoji {
    /// Checks the shape; whether the characters really make one picture is left to the client that shows them.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fits = text.chars().count() <= limits::EMOJI_CHARS_MAX
            && !text.is_ascii()
            && !text.chars().any(|c| c.is_alphabetic() || c.is_control() || c.is_whitespace());
        fits.then(|| Self(text.into()))
    }

    /// The characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Emoji {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<str>::deserialize(deserializer)?;
        Self::new(&text).ok_or_else(|| de::Error::invalid_value(de::Unexpected::Str(&text), &"an emoji"))
    }
}

/// The trip itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Details {
    /// What it is called.
    pub title: Title,
    /// What it is about.
    pub description: Option<Description>,
    /// Where it goes.
    pub destination: Option<Destination>,
    /// The first day.
    pub start_date: Option<Date>,
    /// The last day; not before the first.
    pub end_date: Option<Date>,
    /// Where it stands.
    pub status: TripStatus,
    /// What sort of trip it is.
    pub trip_type: TripType,
    /// What it may cost.
    pub budget: Option<Money>,
    /// Who may find it.
    pub privacy: Privacy,
    /// Free-form data.
    pub trip_data: Option<TripData>,
}

/// A user in the trip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The account.
    pub user: UserId,
    /// The name that others see, as it was on joining.
    pub name: String,
    /// The rights.
    pub role: Role,
    /// Since when.
    pub joined_at: Timestamp,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Activity {
    /// Its id.
    pub id: ItemId,
    /// What it is called.
    pub title: Title,
    /// What sort of activity it is.
    pub kind: ActivityKind,
    /// Where it stands.
    pub status: ActivityStatus,
    /// The day in whose list it is; none: in the list of unscheduled ones. While it has a day and a start, the start is on that day.
    pub day: Option<Date>,
    /// When it starts.
    pub start: Option<Moment>,
    /// When it ends: not before it starts, all-day if the start is, and only with a start.
    pub end: Option<Moment>,
    /// A place of this trip.
    pub place: Option<ItemId>,
    /// What it costs; not negative.
    pub cost: Option<Money>,
    /// Members who take care of it.
    #[serde(default)]
    pub assignees: BTreeSet<UserId>,
    /// Anything else.
    pub notes: Option<Notes>,
}

/// Where an activity stands: in the list of a day or among the unscheduled ones, behind another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The day; none: unscheduled.
    pub day: Option<Date>,
    /// The activity directly before it; none: it is the first.
    pub after: Option<ItemId>,
}

/// Somewhere to go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Its id.
    pub id: ItemId,
    /// What it is called; with the position unique in the trip.
    pub name: Title,
    /// What sort of place it is.
    pub kind: PlaceKind,
    /// Where it is.
    pub position: Option<Position>,
    /// Its postal address.
    pub address: Option<Address>,
    /// Anything else.
    pub notes: Option<Notes>,
    /// Members who want to go there.
    #[serde(default)]
    pub votes: BTreeSet<UserId>,
}

/// What a message is about: `{"activity": id}` or `{"place": id}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Anchor {
    /// An activity of this trip.
    Activity(ItemId),
    /// A place of this trip.
    Place(ItemId),
}

/// A chat message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its id.
    pub id: ItemId,
    /// The seq of the event that sent it: its place in the chat, and what read marks count.
    pub seq: Seq,
    /// Who wrote it.
    pub by: UserId,
    /// When.
    pub at: Timestamp,
    /// What it says; none once it is deleted.
    pub body: Option<Body>,
    /// The message that it answers.
    pub reply_to: Option<ItemId>,
    /// What it is about.
    pub anchor: Option<Anchor>,
    /// Members that it mentions.
    #[serde(default)]
    pub mentions: BTreeSet<UserId>,
    /// When it was last edited.
    pub edited_at: Option<Timestamp>,
    /// Who reacted how.
    #[serde(default)]
    pub reactions: BTreeMap<Emoji, BTreeSet<UserId>>,
}
