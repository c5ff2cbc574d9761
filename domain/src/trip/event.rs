//! What happened to a trip.
//!
//! Events carry what they replace beside what they bring, and removals the removed thing whole, so that history, undo and conflict reports
//! need no second look. They are stored for ever: fields may be added with a default, never renamed or removed (golden files watch it).

use super::command::{ActivityChanges, DetailChanges, ExpenseChanges, PlaceChanges};
use super::types::{Activity, Body, Details, Emoji, Expense, Member, Message, Place, Slot, Title, TripStatus};
use crate::{ItemId, Role, RoomId, Seq, UserId};
use serde::{Deserialize, Serialize};

/// An event of a trip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The trip began.
    TripCreated {
        /// The room.
        room: RoomId,
        /// The trip.
        details: Box<Details>,
        /// Its creator, an organizer for ever.
        creator: Member,
    },
    /// The trip itself changed.
    DetailsUpdated {
        /// How; empty when everything already was as asked.
        changes: Box<DetailChanges>,
    },
    /// The trip stands elsewhere.
    StatusChanged {
        /// Before.
        from: TripStatus,
        /// Now.
        to: TripStatus,
    },
    /// The trip was deleted.
    TripDeleted {
        /// What it was called.
        title: Title,
    },
    /// A user was taken in.
    MemberAdded {
        /// Who, and as what.
        member: Member,
    },
    /// A member's rights changed.
    RoleChanged {
        /// Whose.
        user: UserId,
        /// The name.
        name: String,
        /// Before.
        from: Role,
        /// Now.
        to: Role,
    },
    /// A member was put out.
    MemberRemoved {
        /// Who, and as what.
        member: Member,
        /// Activities that were assigned to the member and are not any more.
        assignments: Vec<ItemId>,
        /// Places that the member's vote was taken from.
        votes: Vec<ItemId>,
    },
    /// A member left.
    MemberLeft {
        /// Who, and as what.
        member: Member,
        /// Activities that were assigned to the member and are not any more.
        assignments: Vec<ItemId>,
        /// Places that the member's vote was taken from.
        votes: Vec<ItemId>,
    },
    /// An activity was added.
    ActivityAdded {
        /// The activity, with its day.
        activity: Box<Activity>,
        /// The activity directly before it in the list; none: it is the first.
        after: Option<ItemId>,
    },
    /// An activity changed.
    ActivityUpdated {
        /// Which.
        activity: ItemId,
        /// What it was called before.
        title: Title,
        /// How; empty when everything already was as asked.
        changes: Box<ActivityChanges>,
        /// Whether a new start took it to another day.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        moved: Option<Moved>,
    },
    /// An activity was moved.
    ActivityMoved {
        /// Which.
        activity: ItemId,
        /// What it is called.
        title: Title,
        /// Where it stood.
        from: Slot,
        /// Where it stands. The list is the day's without the moved activity.
        to: Slot,
        /// How its start and end moved along.
        #[serde(default, skip_serializing_if = "is_default")]
        changes: Box<ActivityChanges>,
    },
    /// An activity was removed.
    ActivityRemoved {
        /// The activity as it was.
        activity: Box<Activity>,
        /// The activity that was directly before it.
        after: Option<ItemId>,
    },
    /// A place was added.
    PlaceAdded {
        /// The place.
        place: Box<Place>,
    },
    /// A place changed.
    PlaceUpdated {
        /// Which.
        place: ItemId,
        /// What it was called before.
        name: Title,
        /// How; empty when everything already was as asked.
        changes: Box<PlaceChanges>,
    },
    /// A place was removed.
    PlaceRemoved {
        /// The place as it was.
        place: Box<Place>,
        /// Activities that were there and have no place now.
        activities: Vec<ItemId>,
    },
    /// The author voted for a place, or took the vote back.
    PlaceVoted {
        /// Which.
        place: ItemId,
        /// What it is called.
        name: Title,
        /// Whether the author was for it before.
        from: bool,
        /// Whether the author is for it.
        to: bool,
    },
    /// An expense was added.
    ExpenseAdded {
        /// The expense.
        expense: Box<Expense>,
    },
    /// An expense changed.
    ExpenseUpdated {
        /// Which.
        expense: ItemId,
        /// What it was called before.
        title: Title,
        /// How; empty when everything already was as asked.
        changes: Box<ExpenseChanges>,
    },
    /// An expense was removed.
    ExpenseRemoved {
        /// The expense as it was.
        expense: Box<Expense>,
    },
    /// A message was written.
    MessageSent {
        /// The message. Its `seq`, `by` and `at` are those of the event.
        message: Box<SentMessage>,
    },
    /// A message's author changed it.
    MessageEdited {
        /// Which.
        message: ItemId,
        /// What it said.
        from: Body,
        /// What it says.
        to: Body,
    },
    /// A message was deleted.
    MessageDeleted {
        /// The message as it was.
        message: Box<Message>,
    },
    /// The author reacted to a message, or took the reaction back.
    MessageReacted {
        /// Which.
        message: ItemId,
        /// How.
        emoji: Emoji,
        /// Whether the author reacted so before.
        from: bool,
        /// Whether the author reacts so.
        to: bool,
    },
    /// The author has read the chat.
    ReadMarked {
        /// Up to which seq before.
        from: Seq,
        /// Up to which seq.
        to: Seq,
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
            Self::TripCreated { .. } => "trip_created",
            Self::DetailsUpdated { .. } => "details_updated",
            Self::StatusChanged { .. } => "status_changed",
            Self::TripDeleted { .. } => "trip_deleted",
            Self::MemberAdded { .. } => "member_added",
            Self::RoleChanged { .. } => "role_changed",
            Self::MemberRemoved { .. } => "member_removed",
            Self::MemberLeft { .. } => "member_left",
            Self::ActivityAdded { .. } => "activity_added",
            Self::ActivityUpdated { .. } => "activity_updated",
            Self::ActivityMoved { .. } => "activity_moved",
            Self::ActivityRemoved { .. } => "activity_removed",
            Self::PlaceAdded { .. } => "place_added",
            Self::PlaceUpdated { .. } => "place_updated",
            Self::PlaceRemoved { .. } => "place_removed",
            Self::PlaceVoted { .. } => "place_voted",
            Self::ExpenseAdded { .. } => "expense_added",
            Self::ExpenseUpdated { .. } => "expense_updated",
            Self::ExpenseRemoved { .. } => "expense_removed",
            Self::MessageSent { .. } => "message_sent",
            Self::MessageEdited { .. } => "message_edited",
            Self::MessageDeleted { .. } => "message_deleted",
            Self::MessageReacted { .. } => "message_reacted",
            Self::ReadMarked { .. } => "read_marked",
            Self::Unknown => "unknown",
        }
    }
}

/// Where something stood and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Where it stood.
    pub from: Slot,
    /// Where it stands. The list is the day's without the moved thing.
    pub to: Slot,
}

/// A message as it was written; who and when is the event's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentMessage {
    /// Its id.
    pub id: ItemId,
    /// What it says.
    pub body: Body,
    /// The message that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<ItemId>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<super::types::Anchor>,
    /// Members that it mentions.
    #[serde(default, skip_serializing_if = "std::collections::BTreeSet::is_empty")]
    pub mentions: std::collections::BTreeSet<UserId>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
