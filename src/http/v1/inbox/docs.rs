//! What answers say of the things of an inbox: read from the room's view (MessagePack) or a stored document (JSON), written as JSON.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tripsync_domain::inbox::{RideRequest, SavedSearch};
use tripsync_domain::{ItemId, RoomId, Seq, Timestamp};

/// Something that was delivered.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Item {
    pub(super) id: ItemId,
    pub(super) seq: Seq,
    at: Timestamp,
    item: Map<String, Value>,
    /// Unknown for what was read singly and is not in the view any more.
    #[serde(default)]
    pub(super) read: Option<bool>,
}

/// What is read of the view.
#[derive(Debug, Deserialize)]
pub(super) struct InboxView {
    unread: u64,
    pub(super) read_up_to: Seq,
    /// Oldest first.
    pub(super) items: Vec<Item>,
    items_before: bool,
    pub(super) ride: Option<RideRequest>,
    pub(super) searches: Vec<SavedSearch>,
}

/// An inbox with its newest items.
#[derive(Debug, Serialize)]
pub(super) struct Inbox {
    room: RoomId,
    seq: Seq,
    unread: u64,
    read_up_to: Seq,
    items: Vec<Item>,
    items_before: bool,
    ride: Option<RideRequest>,
    searches: Vec<SavedSearch>,
}

impl InboxView {
    pub(super) fn inbox(self, room: RoomId, seq: Seq) -> Inbox {
        let Self { unread, read_up_to, items, items_before, ride, searches } = self;
        Inbox { room, seq, unread, read_up_to, items: items.into_iter().rev().collect(), items_before, ride, searches }
    }
}
