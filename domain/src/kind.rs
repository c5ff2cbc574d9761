//! What a room kind is: rules that judge commands, and a state that events change.
//!
//! A new kind of room is one folder of rules that implements [`RoomKind`] and one line in the engine's registry.

use crate::geo::Position;
use crate::inbox::SavedSearch;
use crate::money::Money;
use crate::presence::PresenceState;
use crate::{ClientId, CommandNumber, Group, ItemId, Rejection, RoomId, Seq, Timestamp, UserId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// The rules of one kind of room.
pub trait RoomKind: Send + Sync + 'static {
    /// The tag of this kind in the database and on the wire, such as `trip`.
    const KIND: &'static str;
    /// What a client asks for (imperative).
    type Command: Serialize + DeserializeOwned + Clone + fmt::Debug + Send + 'static;
    /// What happened (past tense). Serialised internally tagged by `type`; unknown types must decode to a variant that `evolve` ignores.
    type Event: Serialize + DeserializeOwned + Clone + fmt::Debug + Send + 'static;
    /// The whole state; `default()` is the room before its first event. Serialised whole into snapshots.
    type State: Serialize + DeserializeOwned + Clone + Default + fmt::Debug + Send + Sync + 'static;

    /// Judges a command against the present state.
    ///
    /// An accepted command has at least one event, also when it changes no value, because the journal is what answers when the
    /// command is sent again. Only the creating command is accepted by the default state.
    ///
    /// # Errors
    /// The rejection that the author gets; the state is unchanged.
    fn decide(state: &Self::State, ctx: &Ctx<'_>, command: &Self::Command) -> Result<Decision<Self::Event>, Rejection>;

    /// Applies one event. Cannot fail: an event that is in the journal has happened.
    fn evolve(state: &mut Self::State, meta: &EventMeta, event: &Self::Event);

    /// When the room must act by itself next: a hold that runs out, a poll that closes. Kept beside the room, which is woken for it.
    fn deadline(_: &Self::State) -> Option<Timestamp> {
        None
    }

    /// What happens because the deadline has passed at `ctx.at`: at least one event, after which the deadline is later or none. The author is
    /// the room itself ([`UserId::ROOM`]). The engine asks before it judges a command, so that no command meets a state that is out of time.
    fn expire(_: &Self::State, _: &Ctx<'_>) -> Vec<Self::Event> {
        Vec::new()
    }

    /// The room of this kind that a user has of their own, and the command that makes it; it is made when it is asked for first.
    fn own_room(_: UserId) -> Option<(RoomId, Self::Command)> {
        None
    }

    /// A bound on something over all rooms that an accepted command may count against. Reserved before it is judged, as [`Ctx::reserved`]
    /// tells; [`Projection::Reserved`] makes it last, [`Projection::Released`] gives it back, and so does a refusal.
    fn quota(_: &Self::Command) -> Option<Quota> {
        None
    }

    /// The least role that presence is shown to and taken from.
    const PRESENCE: Role = Role::Viewer;

    /// Whether [`RoomKind::presence`] looks at the state, so that what was shown must be looked at again when the state changes.
    const PRESENCE_FOLLOWS_STATE: bool = false;

    /// What of a session's presence may be shown, given the state and the time; such as a position that only a driver under way shares.
    fn presence(_: &Self::State, _: UserId, said: PresenceState, _: Timestamp) -> PresenceState {
        said
    }

    /// The user's place in the room; `None` for everybody who may not know that it exists.
    fn access(state: &Self::State, who: &UserCard) -> Option<Role>;

    /// Users that a command names and whose [`UserCard`] `decide` needs in [`Ctx::users`]. At most a handful.
    fn users_needed(command: &Self::Command) -> Vec<UserId>;

    /// Who may see an event. Everybody else gets its bare seq.
    fn audience(event: &Self::Event) -> Audience;

    /// Whether an event does not say whose command it comes from, because it is for people who may not know: its record is the room's own,
    /// without client and number. The state after it must not depend on its author.
    fn is_anonymous(event: &Self::Event) -> bool {
        let _ = event;
        false
    }

    /// Whether viewers see the state differently; equal keys share one encoded snapshot. 0 when everybody sees the same.
    fn view_key(state: &Self::State, viewer: UserId) -> u64;

    /// The state as a client sees it (`joined.state`), in MessagePack; maps with string keys.
    fn view(state: &Self::State, viewer: UserId) -> Vec<u8>;

    /// Whether the room has ended (was deleted); members are told and nobody has access any more.
    fn is_ended(state: &Self::State) -> bool;

    /// What lists and searches must learn from these events, given the state after them. Stored in the events' transaction.
    fn project(state: &Self::State, events: &[(EventMeta, Self::Event)]) -> Vec<Projection>;

    /// Work for the live owner after the event is durable; never run on replay.
    fn effects(state: &Self::State, meta: &EventMeta, event: &Self::Event) -> Vec<Effect>;

    /// The event's `type` tag as it is serialised; the journal keeps it beside the bytes, for filters.
    fn tag(event: &Self::Event) -> &'static str;

    /// Which thing of the room an event is about, for history by entity.
    fn entity(event: &Self::Event) -> Option<ItemId>;

    /// One sentence per event for the activity log, in plain English without the author's name ("added the activity “Louvre”").
    fn describe(event: &Self::Event) -> String;

    /// The invariants of the state, asserted in debug builds and by the random-room suite.
    ///
    /// # Errors
    /// A sentence that says which invariant is broken.
    fn validate(state: &Self::State) -> Result<(), String>;
}

/// What `decide` may know beside the state and the command.
#[derive(Clone, Debug)]
pub struct Ctx<'a> {
    /// The room.
    pub room: RoomId,
    /// Who asks.
    pub author: UserId,
    /// When the room judges.
    pub at: Timestamp,
    /// The seq that the author had seen when making the command, when told.
    pub base: Option<Seq>,
    /// A fresh id for an item that this command makes without naming one; further ones derive from it by [`Ctx::derived_id`].
    pub new_id: ItemId,
    /// The users that [`RoomKind::users_needed`] named, as far as they exist, and always the author.
    pub users: &'a [UserCard],
    /// Whether [`RoomKind::quota`] had room for the command; true for commands that need none.
    pub reserved: bool,
    /// The room that the command was made from. Only the server makes commands of one room out of another, having looked up what they
    /// say; clients cannot set it.
    pub origin: Option<RoomId>,
}

impl Ctx<'_> {
    /// The card of a user who was looked up; `None` when there is no such user.
    #[must_use]
    pub fn user(&self, id: UserId) -> Option<&UserCard> {
        self.users.iter().find(|card| card.user == id)
    }

    /// The `index`-th further fresh id.
    #[must_use]
    pub fn derived_id(&self, index: u16) -> ItemId {
        ItemId(uuid::Uuid::from_u128(self.new_id.0.as_u128() ^ (u128::from(index) << 32)))
    }
}

/// What a room needs to know of a user account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserCard {
    /// The account.
    pub user: UserId,
    /// The name that others see.
    pub name: String,
    /// The group that the user belongs to, such as a college.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
}

/// An accepted command.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision<E> {
    /// What happens, in order; at least one.
    pub events: Vec<E>,
    /// Values that the author overwrites without having seen them.
    pub conflicts: Vec<Conflict>,
}

impl<E> Decision<E> {
    /// One event and no conflict.
    pub fn event(event: E) -> Self {
        Self { events: vec![event], conflicts: Vec::new() }
    }
}

/// A value that somebody else set after the author's `base` and that the command overwrote. Stored with the event, so that the
/// overwritten author learns of it however late.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conflict {
    /// JSON pointer (RFC 6901) into the room's state, such as `/activities/<id>/title`.
    pub path: String,
    /// Who had set the overwritten value.
    pub by: UserId,
    /// When.
    pub at: Timestamp,
    /// In which event.
    pub seq: Seq,
    /// The overwritten value.
    pub theirs: serde_json::Value,
    /// The value that stands now.
    pub yours: serde_json::Value,
}

/// Where an event stands.
#[derive(Clone, Debug, PartialEq)]
pub struct EventMeta {
    /// Its position in the room.
    pub seq: Seq,
    /// When the room judged the command.
    pub at: Timestamp,
    /// Whose command it was.
    pub by: UserId,
    /// The command's identity; absent for commands without a number.
    pub command: Option<(ClientId, CommandNumber)>,
}

/// A user's rights in a room, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees and chats.
    Viewer,
    /// Edits.
    Participant,
    /// Manages members and deletes.
    Organizer,
}

impl Role {
    /// The tag that travels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Participant => "participant",
            Self::Organizer => "organizer",
        }
    }
}

/// Who may see an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Everybody in the room.
    Everyone,
    /// Members with at least this role.
    AtLeast(Role),
    /// These users.
    Users(BTreeSet<UserId>),
}

impl Audience {
    /// Whether a user with a role is addressed.
    #[must_use]
    pub fn includes(&self, user: UserId, role: Role) -> bool {
        match self {
            Self::Everyone => true,
            Self::AtLeast(least) => role >= *least,
            Self::Users(users) => users.contains(&user),
        }
    }
}

/// A change of what lists and searches know of a room; applied in the transaction of the events that cause it.
#[derive(Clone, Debug, PartialEq)]
pub enum Projection {
    /// The room's row in lists: replaces what was there.
    Room {
        /// The title in lists.
        title: String,
        /// The status tag.
        status: String,
        /// What a list item shows beyond that: a JSON object.
        summary: serde_json::Value,
    },
    /// A user is a member with a role now.
    MemberSet {
        /// Who.
        user: UserId,
        /// As what.
        role: Role,
    },
    /// A user is no member any more.
    MemberGone {
        /// Who.
        user: UserId,
    },
    /// One document of a collection that is too long to stay in the state (chat messages): replaces what was there with the same id
    /// and seq. An id that is used again with another seq changes nothing: it cannot overwrite what is too old to be in the state.
    Item {
        /// The collection, such as `messages`.
        collection: &'static str,
        /// Its id.
        id: ItemId,
        /// Its place in the collection: the seq of the event that made it.
        seq: Seq,
        /// The document: a JSON object.
        doc: serde_json::Value,
    },
    /// The room has ended: it leaves every list.
    RoomGone,
    /// How much there is of what [`Projection::Taken`] takes: `total` in each of the parts 0 to `parts` − 1. The database refuses what
    /// would exceed it, whatever the rules say.
    Capacity {
        /// How many parts, such as the legs of a way.
        parts: u16,
        /// What each part has.
        total: u16,
    },
    /// Something takes a part of the capacity. Taking it again under the same id changes nothing.
    Taken {
        /// What takes it.
        id: ItemId,
        /// The parts `from` to `to` − 1.
        from: u16,
        /// See `from`.
        to: u16,
        /// How much of each.
        count: u16,
    },
    /// Something takes nothing any more.
    Freed {
        /// What took it.
        id: ItemId,
    },
    /// What a search by area finds; replaces what there was of the room.
    Listing(Box<Listing>),
    /// A search by area finds the room no more.
    Unlisted,
    /// The user's reservation in this room counts until it is released ([`RoomKind::quota`]).
    Reserved {
        /// Whose.
        user: UserId,
        /// Of what.
        what: &'static str,
    },
    /// The user's reservation in this room is given back; without one nothing happens.
    Released {
        /// Whose.
        user: UserId,
        /// Of what.
        what: &'static str,
    },
    /// What was kept of a quota for the command of these events while it was under way is needed no more. Made by the engine.
    Settled {
        /// Which.
        reservation: uuid::Uuid,
    },
    /// Work outside the room, done at least once after the events are durable, also after a crash. `(room, seq, index)` tells it from
    /// all others.
    Task {
        /// The seq of the event that causes it.
        seq: Seq,
        /// Its number among those of the event.
        index: u16,
        /// What to do.
        task: Task,
    },
}

/// Work outside the room that causes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum Task {
    /// Put an item into a user's inbox.
    Deliver {
        /// Whose inbox.
        user: UserId,
        /// What: a JSON object with a `type`.
        item: serde_json::Value,
    },
    /// Look for what matches the room's listing, and tell both sides.
    Match {},
    /// Tell the user of later listings that this search finds; in place of the search with the same id.
    Watch {
        /// Whose search.
        user: UserId,
        /// What is looked for.
        search: Box<SavedSearch>,
    },
    /// Tell the user of such listings no more.
    Unwatch {
        /// The search's id.
        search: ItemId,
    },
}

/// What a search by area finds.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// Who may find it; none: everybody.
    pub group: Option<Group>,
    /// Whose it is.
    pub owner: UserId,
    /// When it begins.
    pub at: Timestamp,
    /// What a seat costs.
    pub price: Option<Money>,
    /// From where to where one can go.
    pub sections: Vec<Section>,
}

/// A part of the way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Section {
    /// The stop where it begins.
    pub from_stop: ItemId,
    /// Where that is.
    pub from: Position,
    /// The stop where it ends.
    pub to_stop: ItemId,
    /// Where that is.
    pub to: Position,
    /// Free seats.
    pub seats: u8,
}

/// A bound over all rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Of what.
    pub what: &'static str,
    /// How much a user may have at once.
    pub max: u16,
}

/// Work for the live owner after an event is durable.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Tell a user on all sockets, in this room or not.
    Notice {
        /// Whom.
        user: UserId,
        /// What: a JSON object with a `type`.
        notice: serde_json::Value,
    },
}
