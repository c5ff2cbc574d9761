//! Every bound of an inbox.

use std::time::Duration;

/// Newest items in the state; all are in the collection `items`.
pub const ITEMS_IN_STATE: usize = 200;
/// Items in the view that a joining client gets.
pub const ITEMS_IN_VIEW: usize = 50;
/// Bytes of an item, written as JSON.
pub const ITEM_BYTES_MAX: usize = 8_192;
/// Items that one `mark_read` names.
pub const MARKS_MAX: usize = 200;
/// Searches that are kept.
pub const SEARCHES_MAX: usize = 20;
/// Characters of a place's or a search's name.
pub const LABEL_CHARS_MAX: usize = 200;
/// How long a ride request lives.
pub const RIDE_LIVES: Duration = Duration::from_secs(15 * 60);
/// The widest a saved search looks around its points, in metres.
pub const RADIUS_MAX_M: u32 = 50_000;
