//! Every bound of a trip, in one place; the documentation and OpenAPI take them from here.
//!
//! Bounds of texts are counted in characters. They hold for stored events too, so they may be raised but never lowered.

/// Members, the creator included.
pub const MEMBERS_MAX: usize = 500;
/// Activities, scheduled or not.
pub const ACTIVITIES_MAX: usize = 2_000;
/// Places.
pub const PLACES_MAX: usize = 2_000;
/// Expenses.
pub const EXPENSES_MAX: usize = 2_000;
/// People that an expense is shared by.
pub const SHARES_MAX: usize = 50;
/// Newest chat messages in the state; only these can be edited, deleted, reacted and replied to. All are in the collection `messages`.
pub const MESSAGES_IN_STATE: usize = 200;
/// Newest chat messages in the view that a joining client gets.
pub const MESSAGES_IN_VIEW: usize = 50;
/// Removed items that are remembered, so that an edit of one is told who removed it.
pub const TOMBSTONES_MAX: usize = 500;
/// People an activity is assigned to.
pub const ASSIGNEES_MAX: usize = 50;
/// People that a message mentions.
pub const MENTIONS_MAX: usize = 50;
/// Different emojis on one message.
pub const REACTIONS_MAX: usize = 32;

/// Conflicts that one command reports.
pub const CONFLICTS_MAX: usize = 100;

/// Characters of a title or a name.
pub const TITLE_CHARS_MAX: usize = 200;
/// Characters of a trip's description.
pub const DESCRIPTION_CHARS_MAX: usize = 1_000;
/// Characters of a trip's destination.
pub const DESTINATION_CHARS_MAX: usize = 200;
/// Characters of notes on an activity or a place.
pub const NOTES_CHARS_MAX: usize = 4_000;
/// Characters of a place's address.
pub const ADDRESS_CHARS_MAX: usize = 300;
/// Characters of a chat message.
pub const MESSAGE_CHARS_MAX: usize = 4_000;
/// Unicode scalar values of an emoji; families with skin tones take up to eleven.
pub const EMOJI_CHARS_MAX: usize = 16;
/// Bytes of `trip_data`, written as JSON.
pub const TRIP_DATA_BYTES_MAX: usize = 8_192;
/// How deep `trip_data` nests, its own object included.
pub const TRIP_DATA_DEPTH_MAX: usize = 8;
