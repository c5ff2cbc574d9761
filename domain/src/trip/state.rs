//! A trip as its events made it.

use super::event::{Event, Moved, SentMessage};
use super::fields::{Field, Stamp, Stamps, Tracked};
use super::limits;
use super::types::{Activity, Details, Expense, Member, Message, Place, Slot};
use crate::civil::Date;
use crate::{EventMeta, ItemId, RoomId, Seq, UserId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// The whole state of a trip. `default()` is the room before its first event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The last event applied. Set by every event, known or not.
    pub seq: Seq,
    /// The trip; none before `trip_created`. Changed by `details_updated` and `status_changed`.
    pub trip: Option<Trip>,
    /// Set by `trip_deleted`, never cleared.
    pub ended: Option<Stamp>,
    /// Set by `trip_created` and `member_added`, changed by `role_changed`, cleared by `member_removed` and `member_left`.
    pub members: BTreeMap<UserId, Tracked<Member>>,
    /// Set by `activity_added`, changed by `activity_updated`, `activity_moved`, `place_removed` (the place) and by a member's going (the
    /// assignees), cleared by `activity_removed`.
    pub activities: BTreeMap<ItemId, Tracked<Activity>>,
    /// The order of the activities of each day; no empty lists. Every activity is in exactly one list, the one of its `day`, once.
    pub days: BTreeMap<Date, Vec<ItemId>>,
    /// The order of the activities without a day.
    pub unscheduled: Vec<ItemId>,
    /// Set by `place_added`, changed by `place_updated`, `place_voted` and by a member's going (the votes), cleared by `place_removed`.
    pub places: BTreeMap<ItemId, Tracked<Place>>,
    /// Set by `expense_added`, changed by `expense_updated`, cleared by `expense_removed`.
    #[serde(default)]
    pub expenses: BTreeMap<ItemId, Tracked<Expense>>,
    /// The newest messages, at most [`limits::MESSAGES_IN_STATE`], oldest first. Changed by the `message_…` events; a deleted message stays
    /// without its body.
    pub messages: VecDeque<Message>,
    /// Up to which seq each member has read. Set by `read_marked`, cleared by a member's going.
    pub reads: BTreeMap<UserId, Seq>,
    /// What was removed last, at most [`limits::TOMBSTONES_MAX`], oldest first.
    pub tombstones: VecDeque<Tombstone>,
}

/// The trip itself with what never changes about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trip {
    /// The room.
    pub room: RoomId,
    /// Who made it; a member and an organizer for ever.
    pub creator: UserId,
    /// The rest, with the last writers of its fields.
    pub details: Tracked<Details>,
}

/// A removed item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tombstone {
    /// Its id.
    pub id: ItemId,
    /// Who removed it and when.
    pub removed: Stamp,
    /// The remover's name.
    pub by_name: String,
}

impl State {
    /// A member.
    #[must_use]
    pub fn member(&self, user: UserId) -> Option<&Member> {
        self.members.get(&user).map(|tracked| &tracked.item)
    }

    /// An activity.
    #[must_use]
    pub fn activity(&self, id: ItemId) -> Option<&Activity> {
        self.activities.get(&id).map(|tracked| &tracked.item)
    }

    /// A place.
    #[must_use]
    pub fn place(&self, id: ItemId) -> Option<&Place> {
        self.places.get(&id).map(|tracked| &tracked.item)
    }

    /// The expense that came from a pool.
    #[must_use]
    pub fn expense_of(&self, pool: RoomId) -> Option<&Expense> {
        self.expenses.values().map(|tracked| &tracked.item).find(|expense| expense.pool == Some(pool))
    }

    /// One of the newest messages.
    #[must_use]
    pub fn message(&self, id: ItemId) -> Option<&Message> {
        self.messages.iter().rev().find(|message| message.id == id)
    }

    /// The trip itself; none before it is created.
    #[must_use]
    pub fn details(&self) -> Option<&Details> {
        self.trip.as_ref().map(|trip| &trip.details.item)
    }

    /// The order of a day's activities, or of the unscheduled ones.
    #[must_use]
    pub fn list(&self, day: Option<Date>) -> &[ItemId] {
        match day {
            None => &self.unscheduled,
            Some(day) => self.days.get(&day).map_or(&[], Vec::as_slice),
        }
    }

    /// The activity directly before another in a list.
    #[must_use]
    pub fn before(&self, day: Option<Date>, id: ItemId) -> Option<ItemId> {
        let list = self.list(day);
        let index = list.iter().position(|other| *other == id)?;
        index.checked_sub(1).and_then(|index| list.get(index)).copied()
    }

    /// Where an activity stands.
    #[must_use]
    pub fn slot(&self, activity: &Activity) -> Slot {
        Slot { day: activity.day, after: self.before(activity.day, activity.id) }
    }

    pub(super) fn evolve(&mut self, meta: &EventMeta, event: &Event) {
        let stamp = Stamp::from(meta);
        self.seq = meta.seq;
        match event {
            Event::TripCreated { room, details, creator } => {
                let details = Tracked::new((**details).clone(), stamp);
                self.trip = Some(Trip { room: *room, creator: creator.user, details });
                self.members.insert(creator.user, Tracked::new(creator.clone(), stamp));
            }
            Event::DetailsUpdated { changes } => {
                if let Some(trip) = &mut self.trip {
                    changes.apply(&mut trip.details, stamp);
                }
            }
            Event::StatusChanged { from, to } => {
                if let Some(trip) = &mut self.trip {
                    trip.details.item.status = *to;
                    if from != to {
                        trip.details.stamps.set(Field::Status, stamp);
                    }
                }
            }
            Event::TripDeleted { .. } => self.ended = Some(stamp),
            Event::MemberAdded { member } => {
                self.members.insert(member.user, Tracked::new(member.clone(), stamp));
            }
            Event::RoleChanged { user, from, to, .. } => {
                if let Some(member) = self.members.get_mut(user) {
                    member.item.role = *to;
                    if from != to {
                        member.stamps.set(Field::Role, stamp);
                    }
                }
            }
            Event::MemberRemoved { member, assignments, votes } | Event::MemberLeft { member, assignments, votes } => {
                self.member_gone(member.user, assignments, votes, stamp);
            }
            Event::ActivityAdded { activity, after } => {
                self.activities.insert(activity.id, Tracked::new((**activity).clone(), stamp));
                self.insert(activity.id, Slot { day: activity.day, after: *after });
            }
            Event::ActivityUpdated { activity, changes, moved, .. } => {
                if let Some(tracked) = self.activities.get_mut(activity) {
                    changes.apply(tracked, stamp);
                }
                if let Some(moved) = moved {
                    self.relocate(*activity, moved, stamp);
                }
            }
            Event::ActivityMoved { activity, from, to, changes, .. } => {
                if let Some(tracked) = self.activities.get_mut(activity) {
                    changes.apply(tracked, stamp);
                }
                self.relocate(*activity, &Moved { from: *from, to: *to }, stamp);
            }
            Event::ActivityRemoved { activity, .. } => {
                if let Some(tracked) = self.activities.remove(&activity.id) {
                    self.take_out(activity.id, tracked.item.day);
                    self.bury(activity.id, stamp);
                }
            }
            Event::PlaceAdded { place } => {
                self.places.insert(place.id, Tracked::new((**place).clone(), stamp));
            }
            Event::PlaceUpdated { place, changes, .. } => {
                if let Some(tracked) = self.places.get_mut(place) {
                    changes.apply(tracked, stamp);
                }
            }
            Event::PlaceRemoved { place, activities } => {
                if self.places.remove(&place.id).is_some() {
                    self.bury(place.id, stamp);
                }
                for id in activities {
                    if let Some(activity) = self.activities.get_mut(id) {
                        activity.item.place = None;
                        activity.stamps.set(Field::Place, stamp);
                    }
                }
            }
            Event::PlaceVoted { place, to, .. } => {
                if let Some(place) = self.places.get_mut(place) {
                    if *to {
                        place.item.votes.insert(meta.by)
                    } else {
                        place.item.votes.remove(&meta.by)
                    };
                }
            }
            Event::ExpenseAdded { expense } => {
                self.expenses.insert(expense.id, Tracked::new((**expense).clone(), stamp));
            }
            Event::ExpenseUpdated { expense, changes, .. } => {
                if let Some(tracked) = self.expenses.get_mut(expense) {
                    changes.apply(tracked, stamp);
                }
            }
            Event::ExpenseRemoved { expense } => {
                if self.expenses.remove(&expense.id).is_some() {
                    self.bury(expense.id, stamp);
                }
            }
            Event::MessageSent { message } => self.message_sent(meta, message),
            Event::MessageEdited { message, to, .. } => {
                if let Some(message) = self.message_mut(*message) {
                    message.body = Some(to.clone());
                    message.edited_at = Some(meta.at);
                }
            }
            Event::MessageDeleted { message } => {
                if let Some(message) = self.message_mut(message.id) {
                    message.body = None;
                    message.reactions.clear();
                    message.mentions.clear();
                }
            }
            Event::MessageReacted { message, emoji, to, .. } => {
                if let Some(message) = self.message_mut(*message) {
                    let users = message.reactions.entry(emoji.clone()).or_default();
                    if *to {
                        users.insert(meta.by)
                    } else {
                        users.remove(&meta.by)
                    };
                    message.reactions.retain(|_, users| !users.is_empty());
                }
            }
            Event::ReadMarked { to, .. } => {
                self.reads.insert(meta.by, *to);
            }
            Event::Unknown => {}
        }
    }

    fn member_gone(&mut self, user: UserId, assignments: &[ItemId], votes: &[ItemId], stamp: Stamp) {
        self.members.remove(&user);
        self.reads.remove(&user);
        for id in assignments {
            if let Some(activity) = self.activities.get_mut(id) {
                activity.item.assignees.remove(&user);
                activity.stamps.set(Field::Assignees, stamp);
            }
        }
        for id in votes {
            if let Some(place) = self.places.get_mut(id) {
                place.item.votes.remove(&user);
            }
        }
    }

    fn message_sent(&mut self, meta: &EventMeta, sent: &SentMessage) {
        self.messages.push_back(Message::from_event(meta, sent));
        if self.messages.len() > limits::MESSAGES_IN_STATE {
            self.messages.pop_front();
        }
    }

    fn message_mut(&mut self, id: ItemId) -> Option<&mut Message> {
        self.messages.iter_mut().rev().find(|message| message.id == id)
    }

    fn bury(&mut self, id: ItemId, removed: Stamp) {
        let by_name = self.member(removed.by).map_or_else(String::new, |member| member.name.clone());
        self.tombstones.push_back(Tombstone { id, removed, by_name });
        if self.tombstones.len() > limits::TOMBSTONES_MAX {
            self.tombstones.pop_front();
        }
    }

    fn relocate(&mut self, id: ItemId, moved: &Moved, stamp: Stamp) {
        let Some(tracked) = self.activities.get_mut(&id) else { return };
        let from = tracked.item.day;
        tracked.item.day = moved.to.day;
        if moved.from != moved.to {
            tracked.stamps.set(Field::Day, stamp);
        }
        self.take_out(id, from);
        self.insert(id, moved.to);
    }

    /// Puts an activity into a list; behind the end when the one to follow is not there.
    fn insert(&mut self, id: ItemId, slot: Slot) {
        let list = match slot.day {
            None => &mut self.unscheduled,
            Some(day) => self.days.entry(day).or_default(),
        };
        let index = match slot.after {
            None => 0,
            Some(after) => list.iter().position(|other| *other == after).map_or(list.len(), |index| index + 1),
        };
        list.insert(index, id);
    }

    fn take_out(&mut self, id: ItemId, day: Option<Date>) {
        match day {
            None => self.unscheduled.retain(|other| *other != id),
            Some(day) => {
                if let Some(list) = self.days.get_mut(&day) {
                    list.retain(|other| *other != id);
                    if list.is_empty() {
                        self.days.remove(&day);
                    }
                }
            }
        }
    }
}

impl Message {
    /// The message that an event sent.
    pub(super) fn from_event(meta: &EventMeta, sent: &SentMessage) -> Self {
        Self {
            id: sent.id,
            seq: meta.seq,
            by: meta.by,
            at: meta.at,
            body: Some(sent.body.clone()),
            reply_to: sent.reply_to,
            anchor: sent.anchor,
            mentions: sent.mentions.clone(),
            edited_at: None,
            reactions: BTreeMap::new(),
        }
    }
}

impl Trip {
    /// The last writers of the trip's own fields.
    #[must_use]
    pub const fn stamps(&self) -> &Stamps {
        &self.details.stamps
    }
}
