//! The trip as a client sees it: one map with string keys, the same for everybody.
//!
//! Things are maps by id, so that the paths of conflicts (`/activities/<id>/title`) are pointers into it; order is in `days` and `unscheduled`.

use super::fields::Tracked;
use super::limits::MESSAGES_IN_VIEW;
use super::state::State;
use super::types::{Activity, Details, Expense, Member, Message, Place};
use crate::{ItemId, Seq, Timestamp, UserId};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt::Display;

/// What [`crate::RoomKind::view`] encodes.
#[derive(Serialize)]
struct View<'a> {
    kind: &'static str,
    creator: Option<UserId>,
    details: Option<&'a Details>,
    members: ById<'a, UserId, Tracked<Member>>,
    days: ById<'a, crate::civil::Date, Vec<ItemId>>,
    unscheduled: &'a [ItemId],
    activities: ById<'a, ItemId, Tracked<Activity>>,
    places: ById<'a, ItemId, Tracked<Place>>,
    expenses: ById<'a, ItemId, Tracked<Expense>>,
    messages: Vec<&'a Message>,
    messages_before: bool,
    reads: ById<'a, UserId, Seq>,
}

pub(super) fn view(state: &State) -> Vec<u8> {
    let older = state.messages.len().saturating_sub(MESSAGES_IN_VIEW);
    let view = View {
        kind: super::KIND,
        creator: state.trip.as_ref().map(|trip| trip.creator),
        details: state.details(),
        members: ById(&state.members),
        days: ById(&state.days),
        unscheduled: &state.unscheduled,
        activities: ById(&state.activities),
        places: ById(&state.places),
        expenses: ById(&state.expenses),
        messages: state.messages.iter().skip(older).collect(),
        messages_before: older > 0,
        reads: ById(&state.reads),
    };
    rmp_serde::to_vec_named(&view).unwrap_or_default()
}

/// A map whose keys are written as strings, which is all that JSON and most MessagePack clients know.
struct ById<'a, K, V>(&'a BTreeMap<K, V>);

impl<K: Display, V: Shown> Serialize for ById<'_, K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in self.0 {
            map.serialize_entry(&key.to_string(), &value.shown())?;
        }
        map.end()
    }
}

/// What a client sees of a value of the state.
trait Shown {
    fn shown(&self) -> impl Serialize;
}

impl Shown for Seq {
    fn shown(&self) -> impl Serialize {
        self
    }
}

impl Shown for Vec<ItemId> {
    fn shown(&self) -> impl Serialize {
        self
    }
}

impl<T: Serialize> Shown for Tracked<T> {
    fn shown(&self) -> impl Serialize {
        #[derive(Serialize)]
        struct Item<'a, T> {
            #[serde(flatten)]
            item: &'a T,
            created_by: UserId,
            created_at: Timestamp,
            updated_by: UserId,
            updated_at: Timestamp,
        }
        let (created, newest) = (self.stamps.created, self.stamps.newest());
        Item { item: &self.item, created_by: created.by, created_at: created.at, updated_by: newest.by, updated_at: newest.at }
    }
}
