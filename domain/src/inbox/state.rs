//! An inbox as its events made it.

use super::event::Event;
use super::limits::{ITEMS_IN_STATE, ITEMS_IN_VIEW, SEARCHES_MAX};
use super::types::{Item, RideRequest, SavedSearch};
use crate::{EventMeta, ItemId, Seq, UserId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// The whole state of an inbox. `default()` is the room before its first event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The last event applied. Set by every event, known or not.
    pub seq: Seq,
    /// Whose it is. Set by `inbox_opened`.
    pub user: Option<UserId>,
    /// The newest items, at most [`ITEMS_IN_STATE`], oldest first. Set by `delivered`, changed by `read_marked`.
    pub items: VecDeque<Item>,
    /// Unread items that are too old to be in `items`, and the seq of the newest of all such.
    pub older_unread: u64,
    /// See `older_unread`.
    pub older_up_to: Seq,
    /// Everything up to here was read. Raised by `read_marked`.
    pub read_up_to: Seq,
    /// The ride request. Set by `ride_requested`, cleared by `ride_ended`.
    pub ride: Option<RideRequest>,
    /// Set by `search_saved`, cleared by `search_deleted`.
    pub searches: BTreeMap<ItemId, SavedSearch>,
}

/// What a client sees.
#[derive(Serialize)]
pub(super) struct View<'a> {
    kind: &'static str,
    user: Option<UserId>,
    /// How many items were not read, in the view or not.
    unread: u64,
    read_up_to: Seq,
    /// The newest items, oldest first.
    items: Vec<&'a Item>,
    /// Whether there are older ones.
    items_before: bool,
    ride: Option<&'a RideRequest>,
    searches: Vec<&'a SavedSearch>,
}

impl State {
    /// How many items were not read.
    #[must_use]
    pub fn unread(&self) -> u64 {
        self.older_unread + self.items.iter().filter(|item| !item.read).count() as u64
    }

    pub(super) fn view(&self) -> View<'_> {
        let older = self.items.len().saturating_sub(ITEMS_IN_VIEW);
        View {
            kind: super::KIND,
            user: self.user,
            unread: self.unread(),
            read_up_to: self.read_up_to,
            items: self.items.iter().skip(older).collect(),
            items_before: older > 0 || self.older_up_to > Seq(0),
            ride: self.ride.as_ref(),
            searches: self.searches.values().collect(),
        }
    }

    pub(super) fn evolve(&mut self, meta: &EventMeta, event: &Event) {
        self.seq = meta.seq;
        match event {
            Event::InboxOpened { user } => self.user = Some(*user),
            Event::Delivered { id, item } => {
                if self.items.len() == ITEMS_IN_STATE
                    && let Some(old) = self.items.pop_front()
                {
                    self.older_unread += u64::from(!old.read);
                    self.older_up_to = old.seq;
                }
                self.items.push_back(Item { id: *id, seq: meta.seq, at: meta.at, item: (**item).clone(), read: false });
            }
            Event::ReadMarked { up_to, items } => {
                self.read_up_to = self.read_up_to.max(*up_to);
                for item in &mut self.items {
                    item.read |= item.seq <= *up_to || items.contains(&item.id);
                }
                if *up_to >= self.older_up_to {
                    self.older_unread = 0;
                }
            }
            Event::RideRequested { ride } => self.ride = Some((**ride).clone()),
            Event::RideEnded { ride, .. } => self.ride = self.ride.take().filter(|there| there.id != *ride),
            Event::SearchSaved { search } => drop(self.searches.insert(search.id, (**search).clone())),
            Event::SearchDeleted { search } => drop(self.searches.remove(search)),
            Event::Unknown => {}
        }
    }

    pub(super) fn validate(&self) -> Result<(), String> {
        let ordered = self.items.iter().zip(self.items.iter().skip(1)).all(|(older, newer)| older.seq < newer.seq);
        if !ordered || self.items.len() > ITEMS_IN_STATE || self.searches.len() > SEARCHES_MAX {
            return Err("items are out of order, or there are too many things".into());
        }
        if self.items.iter().any(|item| item.seq <= self.read_up_to && !item.read) {
            return Err("something that was read is not".into());
        }
        Ok(())
    }
}
