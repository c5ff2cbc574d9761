//! What an append projects beyond what every kind of room has, made ready for SQL: seats, listings, reservations, tasks.
//!
//! Written after the events, in their transaction, in an order in which the database's own checks hold at every step if they
//! hold at the end: frees, then capacity, then takes.

use super::batch::Part;
use crate::store::search::cell_of;
use std::collections::{BTreeMap, BTreeSet};
use tripsync_domain::{ItemId, Listing, Section, Seq, Task, UserId};
use uuid::Uuid;

/// What remains of these projections when later ones replace earlier ones.
#[derive(Default)]
pub(super) struct Extras<'a> {
    /// Parts, and how much there is of each.
    pub(super) capacity: Option<(u16, u16)>,
    /// What takes nothing any more; before the takes.
    pub(super) frees: BTreeSet<ItemId>,
    /// What takes how much of which parts: from, to, count.
    pub(super) takes: BTreeMap<ItemId, (u16, u16, u16)>,
    /// What a search finds of the room from now on; `Some(None)`: nothing.
    pub(super) listing: Option<Option<&'a Listing>>,
    /// Whether a user's reservation lasts from now on, or is given back.
    pub(super) reservations: BTreeMap<(UserId, &'static str), bool>,
    /// What was held for commands that are stored now.
    pub(super) settled: Vec<Uuid>,
    /// Work, by event and number.
    pub(super) tasks: BTreeMap<(Seq, u16), &'a Task>,
}

impl Extras<'_> {
    /// Taking again under the same id changes nothing.
    pub(super) fn take(&mut self, id: ItemId, parts: (u16, u16, u16)) {
        self.takes.entry(id).or_insert(parts);
    }

    pub(super) fn free(&mut self, id: ItemId) {
        self.takes.remove(&id);
        self.frees.insert(id);
    }
}

/// The parts that have any, with their rooms.
pub(super) fn of<'p, 'a>(parts: &'p [&'p Part<'a>]) -> impl Iterator<Item = (Uuid, &'p Part<'a>, &'p Extras<'a>)> {
    parts.iter().filter_map(|part| Some((part.append.room.0, *part, part.projected.extras.as_deref()?)))
}

/// Rooms and what takes nothing of them any more.
pub(super) fn frees<'p>(parts: &'p [&'p Part<'_>]) -> impl Iterator<Item = (Uuid, Uuid)> {
    of(parts).flat_map(|(room, _, extras)| extras.frees.iter().map(move |id| (room, id.0)))
}

/// Rooms and how many parts they have from now on.
pub(super) fn parts_now<'p>(parts: &'p [&'p Part<'_>]) -> impl Iterator<Item = (Uuid, i64)> {
    of(parts).filter_map(|(room, _, extras)| Some((room, i64::from(extras.capacity?.0))))
}

/// Rooms, their parts, and how much there is of each.
pub(super) fn capacity<'p>(parts: &'p [&'p Part<'_>]) -> impl Iterator<Item = (Uuid, i64, i64)> {
    of(parts).filter_map(|(room, _, extras)| Some((room, extras.capacity?))).flat_map(|(room, (parts, total))| {
        // A part per leg: at most some tens.
        (0..parts).map(move |part| (room, i64::from(part), i64::from(total)))
    })
}

/// Rooms, takers, and what they take: from, to, count.
pub(super) fn takes<'p>(parts: &'p [&'p Part<'_>]) -> impl Iterator<Item = (Uuid, Uuid, i64, i64, i64)> {
    of(parts).flat_map(|(room, _, extras)| {
        let take =
            move |(id, (from, to, count)): (&ItemId, &(u16, u16, u16))| (room, id.0, i64::from(*from), i64::from(*to), i64::from(*count));
        extras.takes.iter().map(take)
    })
}

/// Rooms and how many sections their listing has from now on.
pub(super) fn sections_now<'p>(parts: &'p [&'p Part<'_>]) -> impl Iterator<Item = (Uuid, i64)> {
    of(parts).filter_map(|(room, _, extras)| {
        let sections = extras.listing?.map_or(0, |listing| listing.sections.len());
        Some((room, i64::try_from(sections).unwrap_or(i64::MAX)))
    })
}

/// A row of `listings`, but for the room's kind.
pub(super) struct ListingRow<'a> {
    pub(super) room: Uuid,
    pub(super) idx: i64,
    pub(super) listing: &'a Listing,
    pub(super) section: &'a Section,
}

impl ListingRow<'_> {
    pub(super) fn group(&self) -> Option<&str> {
        self.listing.group.as_ref().map(tripsync_domain::Group::as_str)
    }

    pub(super) fn price(&self) -> Option<i64> {
        self.listing.price.map(|price| price.minor.get())
    }

    pub(super) fn currency(&self) -> Option<String> {
        self.listing.price.map(|price| price.currency.to_string())
    }

    pub(super) fn start_cell(&self) -> i64 {
        cell_of(self.section.from)
    }

    pub(super) fn end_cell(&self) -> i64 {
        cell_of(self.section.to)
    }
}

/// What a search finds.
pub(super) fn listings<'p, 'a: 'p>(parts: &'p [&'p Part<'a>]) -> impl Iterator<Item = ListingRow<'p>> {
    of(parts).filter_map(|(room, _, extras)| Some((room, extras.listing??))).flat_map(|(room, listing)| {
        let row = move |(idx, section)| ListingRow { room, idx, listing, section };
        (0_i64..).zip(&listing.sections).map(row)
    })
}

/// Users, what is bounded, and the rooms in which they have it (`true`) or have it no more.
pub(super) fn reservations<'p>(parts: &'p [&'p Part<'_>], lasting: bool) -> impl Iterator<Item = (Uuid, &'static str, Uuid)> {
    of(parts).flat_map(move |(room, _, extras)| {
        let those = extras.reservations.iter().filter(move |(_, lasts)| **lasts == lasting);
        those.map(move |((user, what), _)| (user.0, *what, room))
    })
}

/// What was held for commands that are stored now.
pub(super) fn settled<'p>(parts: &'p [&'p Part<'_>]) -> impl Iterator<Item = Uuid> {
    of(parts).flat_map(|(.., extras)| extras.settled.iter().copied())
}

/// A row of `tasks`.
pub(super) struct TaskRow {
    pub(super) room: Uuid,
    pub(super) seq: i64,
    pub(super) idx: i64,
    pub(super) task: String,
    pub(super) at: i64,
}

/// Work outside the rooms.
pub(super) fn tasks<'p>(parts: &'p [&'p Part<'_>]) -> impl Iterator<Item = TaskRow> {
    of(parts).flat_map(|(room, part, extras)| {
        extras.tasks.iter().map(move |((seq, index), task)| {
            let at = part.append.records.iter().find(|record| record.seq == *seq).map_or(part.at, |record| record.at.as_ms());
            // A task is plain data with string keys, which always is JSON; what cannot be read back is seen by whoever does tasks.
            let task = serde_json::to_string(task).unwrap_or_default();
            TaskRow { room, seq: seq.to_db(), idx: i64::from(*index), task, at }
        })
    })
}
