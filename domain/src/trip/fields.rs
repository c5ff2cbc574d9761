//! Fields that are changed one by one: patches, changes with old and new value, and who wrote a field last.

use crate::{Conflict, Ctx, EventMeta, Seq, Timestamp, UserId};
use serde::{Deserialize, Serialize};

/// What stood before and what stands now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change<T> {
    /// The value before.
    pub from: T,
    /// The value now.
    pub to: T,
}

/// When and by whom something was written. Stored as `[seq, by, at]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(Seq, UserId, Timestamp)", into = "(Seq, UserId, Timestamp)")]
pub struct Stamp {
    /// In which event.
    pub seq: Seq,
    /// Whose.
    pub by: UserId,
    /// When.
    pub at: Timestamp,
}

impl From<(Seq, UserId, Timestamp)> for Stamp {
    fn from((seq, by, at): (Seq, UserId, Timestamp)) -> Self {
        Self { seq, by, at }
    }
}

impl From<Stamp> for (Seq, UserId, Timestamp) {
    fn from(stamp: Stamp) -> Self {
        (stamp.seq, stamp.by, stamp.at)
    }
}

impl From<&EventMeta> for Stamp {
    fn from(meta: &EventMeta) -> Self {
        Self { seq: meta.seq, by: meta.by, at: meta.at }
    }
}

macro_rules! field_names {
    ($($(#[$doc:meta])* $variant:ident = $tag:literal,)*) => {
        /// A field whose last writer is known.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Field {
            $($(#[$doc])* #[serde(rename = $tag)] $variant,)*
        }

        impl Field {
            /// Its name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $tag),* }
            }
        }
    };
}

field_names! {
    /// Trip, activity, expense.
    Title = "title",
    /// Trip.
    Description = "description",
    /// Trip.
    Destination = "destination",
    /// Trip.
    StartDate = "start_date",
    /// Trip.
    EndDate = "end_date",
    /// Trip.
    TripType = "trip_type",
    /// Trip.
    Budget = "budget",
    /// Trip.
    Privacy = "privacy",
    /// Trip.
    TripData = "trip_data",
    /// Trip, activity.
    Status = "status",
    /// Member.
    Role = "role",
    /// Activity, place.
    Kind = "kind",
    /// Activity: the day and the position in it.
    Day = "day",
    /// Activity.
    Start = "start",
    /// Activity.
    End = "end",
    /// Activity.
    Place = "place",
    /// Activity.
    Cost = "cost",
    /// Activity.
    Assignees = "assignees",
    /// Expense.
    Payer = "payer",
    /// Expense.
    Amount = "amount",
    /// Expense.
    Shares = "shares",
    /// Expense.
    Date = "date",
    /// Activity, place.
    Notes = "notes",
    /// Place.
    Name = "name",
    /// Place.
    Position = "position",
    /// Place.
    Address = "address",
}

/// Who wrote each field of one thing last: the creation, and the fields that were written after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stamps {
    /// When the thing was made; stands for every field that is not in `changed`.
    pub created: Stamp,
    /// Fields written later, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<(Field, Stamp)>,
}

impl Stamps {
    pub(super) const fn new(created: Stamp) -> Self {
        Self { created, changed: Vec::new() }
    }

    /// The last writer of a field.
    #[must_use]
    pub fn of(&self, field: Field) -> Stamp {
        self.changed.iter().find(|(name, _)| *name == field).map_or(self.created, |(_, stamp)| *stamp)
    }

    /// The last writer of any field.
    #[must_use]
    pub fn newest(&self) -> Stamp {
        self.changed.iter().map(|(_, stamp)| *stamp).max_by_key(|stamp| stamp.seq).unwrap_or(self.created)
    }

    pub(super) fn set(&mut self, field: Field, stamp: Stamp) {
        match self.changed.iter_mut().find(|(name, _)| *name == field) {
            Some((_, old)) => *old = stamp,
            None => self.changed.push((field, stamp)),
        }
    }
}

/// A thing of the room with the last writers of its fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tracked<T> {
    /// The thing.
    pub item: T,
    /// Who wrote its fields.
    pub stamps: Stamps,
}

impl<T> Tracked<T> {
    pub(super) const fn new(item: T, created: Stamp) -> Self {
        Self { item, stamps: Stamps::new(created) }
    }
}

/// Finds the values that a command overwrites without its author having seen them.
///
/// A value counts as unseen when somebody else wrote it after the author's `base`. The author's own other devices do not count: whoever
/// writes on two devices knows both. Without a `base` nothing is known of what the author saw, so nothing is reported.
pub(super) struct Unseen<'a> {
    author: UserId,
    base: Option<Seq>,
    /// JSON pointer to the thing whose fields are written.
    prefix: String,
    stamps: &'a Stamps,
    /// What was found.
    pub(super) conflicts: Vec<Conflict>,
}

impl<'a> Unseen<'a> {
    pub(super) fn new(ctx: &Ctx<'_>, prefix: String, stamps: &'a Stamps) -> Self {
        Self { author: ctx.author, base: ctx.base, prefix, stamps, conflicts: Vec::new() }
    }

    /// Notes that the whole item goes: every value that somebody set unseen is lost.
    pub(super) fn remove(&mut self, item: &impl Serialize) {
        let item = serde_json::to_value(item).unwrap_or_default();
        for (field, _) in &self.stamps.changed {
            let theirs = &item[field.as_str()];
            if !theirs.is_null() {
                self.write(*field, theirs, &serde_json::Value::Null);
            }
        }
    }

    /// Notes that `field` goes from `theirs` to `yours`.
    pub(super) fn write(&mut self, field: Field, theirs: &impl Serialize, yours: &impl Serialize) {
        let stamp = self.stamps.of(field);
        if self.base.is_some_and(|base| stamp.seq > base) && stamp.by != self.author {
            self.conflicts.push(Conflict {
                path: format!("{}/{}", self.prefix, field.as_str()),
                by: stamp.by,
                at: stamp.at,
                seq: stamp.seq,
                theirs: serde_json::to_value(theirs).unwrap_or_default(),
                yours: serde_json::to_value(yours).unwrap_or_default(),
            });
        }
    }
}

/// Declares, for a thing whose fields are changed one by one, the command that changes them and the changes that its event carries.
macro_rules! patch {
    (
        $(#[$command_doc:meta])* command $command:ident { $($(#[$target_doc:meta])* $target:ident: $target_ty:ty,)* }
        $(#[$changes_doc:meta])* changes $changes:ident of $item:ty {
            $($(#[$doc:meta])* $name:ident ($field:ident): $ty:ty,)*
        }
    ) => {
        $(#[$command_doc])*
        ///
        /// A field that is absent stays as it is; `null` clears a field that may be empty.
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $command {
            $($(#[$target_doc])* pub $target: $target_ty,)*
            $(
                $(#[$doc])*
                #[serde(default, deserialize_with = "crate::command::present", skip_serializing_if = "Option::is_none")]
                pub $name: Option<$ty>,
            )*
        }

        impl $command {
            /// What the command changes about an item, field by field; a field that has the value already is not changed.
            pub(in crate::trip) fn changes(&self, item: &$item) -> $changes {
                $changes {
                    $($name: match &self.$name {
                        Some(to) if *to != item.$name => Some($crate::trip::Change { from: item.$name.clone(), to: to.clone() }),
                        Some(_) | None => None,
                    },)*
                }
            }
        }

        $(#[$changes_doc])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        pub struct $changes {
            $(
                $(#[$doc])*
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $name: Option<$crate::trip::Change<$ty>>,
            )*
        }

        impl $changes {
            /// Applies the changes and notes their writer.
            pub(in crate::trip) fn apply(&self, tracked: &mut $crate::trip::Tracked<$item>, stamp: $crate::trip::Stamp) {
                $(if let Some(change) = &self.$name {
                    tracked.item.$name = change.to.clone();
                    tracked.stamps.set($crate::trip::Field::$field, stamp);
                })*
            }

            /// Notes every change as a write.
            pub(in crate::trip) fn note(&self, unseen: &mut $crate::trip::fields::Unseen<'_>) {
                $(if let Some(change) = &self.$name {
                    unseen.write($crate::trip::Field::$field, &change.from, &change.to);
                })*
            }

            /// The names of the changed fields.
            #[must_use]
            pub fn names(&self) -> Vec<&'static str> {
                let mut names = Vec::new();
                $(if self.$name.is_some() {
                    names.push($crate::trip::Field::$field.as_str());
                })*
                names
            }
        }
    };
}
pub(super) use patch;
