//! What clients ask of a trip.
//!
//! Wire form: `{"type": "add_activity", "title": "Louvre", …}` ([`crate::command::parse`]). Items may be given an `id` by the client, so
//! that it can show them before they are acknowledged; otherwise the room makes one.

mod expense;

use super::fields::patch;
use super::types::{
    Activity, ActivityKind, ActivityStatus, Address, Anchor, Body, Description, Destination, Details, Emoji, Notes, Place, PlaceKind,
    Privacy, Title, TripData, TripStatus, TripType,
};
use crate::civil::{Date, Moment};
use crate::geo::Position;
use crate::money::Money;
use crate::{ItemId, Role, Seq, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

pub use expense::{AddExpense, ExpenseChanges, RemoveExpense, UpdateExpense};

/// A command to a trip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Makes the trip; its author becomes the creator.
    Create(Box<Create>),
    /// Changes the trip itself.
    UpdateDetails(Box<UpdateDetails>),
    /// Changes where the trip stands.
    SetStatus(SetStatus),
    /// Deletes the trip for everybody.
    Delete(Delete),
    /// Takes a user in.
    AddMember(AddMember),
    /// Changes a member's rights.
    SetRole(SetRole),
    /// Puts a member out.
    RemoveMember(RemoveMember),
    /// Leaves the trip.
    Leave(Leave),
    /// Adds an activity.
    AddActivity(Box<AddActivity>),
    /// Changes an activity.
    UpdateActivity(Box<UpdateActivity>),
    /// Removes an activity.
    RemoveActivity(RemoveActivity),
    /// Moves an activity within its day or to another.
    MoveActivity(MoveActivity),
    /// Adds a place.
    AddPlace(Box<AddPlace>),
    /// Changes a place.
    UpdatePlace(Box<UpdatePlace>),
    /// Removes a place.
    RemovePlace(RemovePlace),
    /// Votes for a place or takes the vote back.
    VotePlace(VotePlace),
    /// Adds an expense.
    AddExpense(Box<AddExpense>),
    /// Changes an expense.
    UpdateExpense(Box<UpdateExpense>),
    /// Removes an expense.
    RemoveExpense(RemoveExpense),
    /// Writes to the chat.
    SendMessage(Box<SendMessage>),
    /// Changes what one's own message says.
    EditMessage(Box<EditMessage>),
    /// Deletes a message.
    DeleteMessage(DeleteMessage),
    /// Reacts to a message or takes the reaction back.
    React(React),
    /// Says up to where the chat was read.
    MarkRead(MarkRead),
}

/// Makes the trip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// What it is called.
    pub title: Title,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Description>,
    /// Where it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<Destination>,
    /// The first day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_date: Option<Date>,
    /// The last day; not before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_date: Option<Date>,
    /// What sort of trip it is; `leisure` when absent.
    #[serde(default)]
    pub trip_type: TripType,
    /// What it may cost; not negative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Money>,
    /// Who may find it; `private` when absent.
    #[serde(default)]
    pub privacy: Privacy,
    /// Free-form data: a JSON object of at most 8 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trip_data: Option<TripData>,
}

patch! {
    /// Changes the trip itself. With a `status` it is `set_status` too, both or neither, and needs that command's rights.
    command UpdateDetails {
        /// The new status; allowed changes: [`TripStatus::may_become`].
        #[serde(default, deserialize_with = "crate::command::present", skip_serializing_if = "Option::is_none")]
        status: Option<TripStatus>,
    }
    /// What changed about the trip itself.
    changes DetailChanges of Details {
        /// What it is called.
        title (Title): Title,
        /// What it is about.
        description (Description): Option<Description>,
        /// Where it goes.
        destination (Destination): Option<Destination>,
        /// The first day.
        start_date (StartDate): Option<Date>,
        /// The last day; not before the first.
        end_date (EndDate): Option<Date>,
        /// What sort of trip it is.
        trip_type (TripType): TripType,
        /// What it may cost; not negative.
        budget (Budget): Option<Money>,
        /// Who may find it.
        privacy (Privacy): Privacy,
        /// Free-form data, replaced as a whole.
        trip_data (TripData): Option<TripData>,
    }
}

/// Changes where the trip stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetStatus {
    /// The new status; allowed changes: [`TripStatus::may_become`].
    pub status: TripStatus,
}

/// Deletes the trip for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delete {}

/// Takes a user in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddMember {
    /// Whom.
    pub user: UserId,
    /// With which rights.
    pub role: Role,
}

/// Changes a member's rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetRole {
    /// Whose.
    pub user: UserId,
    /// The new rights.
    pub role: Role,
}

/// Puts a member out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveMember {
    /// Whom.
    pub user: UserId,
}

/// Leaves the trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leave {}

/// Adds an activity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddActivity {
    /// Its id, when the client makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<ItemId>,
    /// What it is called.
    pub title: Title,
    /// What sort of activity it is; `other` when absent.
    #[serde(default)]
    pub kind: ActivityKind,
    /// Where it stands; `planned` when absent.
    #[serde(default)]
    pub status: ActivityStatus,
    /// The day; when absent, the day of `start`; without both it is unscheduled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<Date>,
    /// The activity to place it behind: absent for the end of the day's list, `null` for its beginning.
    #[serde(default, deserialize_with = "crate::command::present", skip_serializing_if = "Option::is_none")]
    pub after: Option<Option<ItemId>>,
    /// When it starts; on `day` when both are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Moment>,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Moment>,
    /// A place of this trip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<ItemId>,
    /// What it costs; not negative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// Members who take care of it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub assignees: BTreeSet<UserId>,
    /// Anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<Notes>,
}

patch! {
    /// Changes an activity. A `start` on another day takes the activity to the end of that day.
    command UpdateActivity {
        /// Which.
        activity: ItemId,
    }
    /// What changed about an activity.
    changes ActivityChanges of Activity {
        /// What it is called.
        title (Title): Title,
        /// What sort of activity it is.
        kind (Kind): ActivityKind,
        /// Where it stands.
        status (Status): ActivityStatus,
        /// When it starts.
        start (Start): Option<Moment>,
        /// When it ends.
        end (End): Option<Moment>,
        /// A place of this trip.
        place (Place): Option<ItemId>,
        /// What it costs; not negative.
        cost (Cost): Option<Money>,
        /// Members who take care of it, replaced as a whole.
        assignees (Assignees): BTreeSet<UserId>,
        /// Anything else.
        notes (Notes): Option<Notes>,
    }
}

/// Removes an activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveActivity {
    /// Which.
    pub activity: ItemId,
}

/// Moves an activity within its day or to another. Its start and end keep their time of day and move along by as many days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoveActivity {
    /// Which.
    pub activity: ItemId,
    /// The day; absent for the one where it is, `null` for the list of unscheduled ones.
    #[serde(default, deserialize_with = "crate::command::present", skip_serializing_if = "Option::is_none")]
    pub day: Option<Option<Date>>,
    /// The activity to place it behind: absent for the end of the list, `null` for its beginning. When that one is not in the day's list
    /// (any more), the moved one goes to the end.
    #[serde(default, deserialize_with = "crate::command::present", skip_serializing_if = "Option::is_none")]
    pub after: Option<Option<ItemId>>,
}

/// Adds a place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddPlace {
    /// Its id, when the client makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<ItemId>,
    /// What it is called.
    pub name: Title,
    /// What sort of place it is; `poi` when absent.
    #[serde(default)]
    pub kind: PlaceKind,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// Its postal address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// Anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<Notes>,
}

patch! {
    /// Changes a place.
    command UpdatePlace {
        /// Which.
        place: ItemId,
    }
    /// What changed about a place.
    changes PlaceChanges of Place {
        /// What it is called.
        name (Name): Title,
        /// What sort of place it is.
        kind (Kind): PlaceKind,
        /// Where it is.
        position (Position): Option<Position>,
        /// Its postal address.
        address (Address): Option<Address>,
        /// Anything else.
        notes (Notes): Option<Notes>,
    }
}

/// Removes a place. Activities there lose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemovePlace {
    /// Which.
    pub place: ItemId,
}

/// Votes for a place or takes the vote back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VotePlace {
    /// Which.
    pub place: ItemId,
    /// Whether the author is for it.
    pub on: bool,
}

/// Writes to the chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendMessage {
    /// Its id, when the client makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<ItemId>,
    /// What it says.
    pub body: Body,
    /// One of the newest messages, which it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<ItemId>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<Anchor>,
    /// Members that it mentions; they get a notice.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub mentions: BTreeSet<UserId>,
}

/// Changes what one's own message says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EditMessage {
    /// Which.
    pub message: ItemId,
    /// What it says now.
    pub body: Body,
}

/// Deletes a message: one's own, or as an organizer anybody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeleteMessage {
    /// Which.
    pub message: ItemId,
}

/// Reacts to a message or takes the reaction back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct React {
    /// To which.
    pub message: ItemId,
    /// How.
    pub emoji: Emoji,
    /// Whether the author reacts so.
    pub on: bool,
}

/// Says up to where the chat was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarkRead {
    /// The newest seq of the room that the author has read. A smaller one than before changes nothing.
    pub seq: Seq,
}
