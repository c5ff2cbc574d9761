//! What happened to an inbox. Stored for ever: fields may be added with a default, never renamed or removed (golden files watch it).

use super::types::{RideEnding, RideRequest, SavedSearch};
use crate::{ItemId, Seq, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// An event of an inbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The inbox is there.
    InboxOpened {
        /// Whose.
        user: UserId,
    },
    /// Something was delivered.
    Delivered {
        /// Its id.
        id: ItemId,
        /// What: an object with a `type` and a `text`.
        item: Box<serde_json::Value>,
    },
    /// Something was read.
    ReadMarked {
        /// Everything up to this seq; as before when nothing was said of it.
        up_to: Seq,
        /// These too.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        items: BTreeSet<ItemId>,
    },
    /// The user wants to share a ride now.
    RideRequested {
        /// The request.
        ride: Box<RideRequest>,
    },
    /// The request is over.
    RideEnded {
        /// Which.
        ride: ItemId,
        /// Why.
        ending: RideEnding,
    },
    /// A search is kept, in place of the one with the same id.
    SearchSaved {
        /// The search.
        search: Box<SavedSearch>,
    },
    /// A search is kept no more.
    SearchDeleted {
        /// Which.
        search: ItemId,
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
            Self::InboxOpened { .. } => "inbox_opened",
            Self::Delivered { .. } => "delivered",
            Self::ReadMarked { .. } => "read_marked",
            Self::RideRequested { .. } => "ride_requested",
            Self::RideEnded { .. } => "ride_ended",
            Self::SearchSaved { .. } => "search_saved",
            Self::SearchDeleted { .. } => "search_deleted",
            Self::Unknown => "unknown",
        }
    }
}
