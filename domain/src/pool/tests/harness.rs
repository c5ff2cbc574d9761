//! A pool under test.

use crate::pool::{Event, Pool, Stage, State};
use crate::{
    Audience, Ctx, ErrorCode, EventMeta, Group, ItemId, Projection, Rejection, Role, RoomId, RoomKind, Task, Timestamp, UserCard, UserId,
    command,
};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

/// Owner.
pub(super) const ANA: UserId = UserId(Uuid::from_u128(0xa));
pub(super) const BEN: UserId = UserId(Uuid::from_u128(0xb));
pub(super) const CID: UserId = UserId(Uuid::from_u128(0xc));
pub(super) const DAN: UserId = UserId(Uuid::from_u128(0xd));
pub(super) const EVE: UserId = UserId(Uuid::from_u128(0xe));
/// Of another group.
pub(super) const ZOE: UserId = UserId(Uuid::from_u128(0xf));

/// 2027-01-15T08:00:00Z.
pub(super) const START: i64 = 1_800_000_000_000;

pub(super) fn id(number: u128) -> ItemId {
    ItemId(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0000 + number))
}

pub(super) fn card(user: UserId) -> UserCard {
    let name = format!("U{:x}", user.0.as_u128());
    UserCard { user, name, group: Group::new(if user == ZOE { "other" } else { "tu" }).ok() }
}

/// A room that remembers what happened.
pub(super) struct Room {
    pub(super) state: State,
    pub(super) journal: Vec<(EventMeta, Event)>,
    pub(super) now: Timestamp,
    pub(super) projections: Vec<Projection>,
    /// Whether authors may have one more request that waits.
    pub(super) reserved: bool,
}

impl Room {
    pub(super) fn empty() -> Self {
        Self { state: State::default(), journal: Vec::new(), now: Timestamp::from_ms(START), projections: Vec::new(), reserved: true }
    }

    /// A pool of Ana from stop 1 over stop 2 to stop 3, two seats, departing two hours from now.
    pub(super) fn pool(booking: &str) -> Self {
        Self::with(json!({"booking": booking}))
    }

    pub(super) fn with(more: Value) -> Self {
        let mut room = Self::empty();
        let mut create = json!({
            "type": "create",
            "stops": [
                {"id": id(1), "name": "Munich", "position": {"lat": 48.14, "lon": 11.58}},
                {"id": id(2), "name": "Ingolstadt", "position": {"lat": 48.76, "lon": 11.42}},
                {"id": id(3), "name": "Nuremberg", "position": {"lat": 49.45, "lon": 11.08}},
            ],
            "departure": {"local": "2027-01-15T11:00", "tz": "Europe/Berlin"},
            "seats": 2,
            "price": {"minor": 1200, "currency": "EUR"},
        });
        create.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        room.ok(ANA, create);
        room
    }

    /// The one door for commands: reads the wire form, lets happen what is due, judges, applies, and checks what always holds.
    pub(super) fn check(&mut self, author: UserId, wire: &Value) -> Result<Vec<Event>, Rejection> {
        self.expire();
        let command = command::parse(wire)?;
        let named = wire.get("user").and_then(|user| serde_json::from_value(user.clone()).ok());
        let users: Vec<_> = named.into_iter().chain([author]).map(card).collect();
        let before = self.state.clone();
        let decision = Pool::decide(&self.state, &self.ctx(author, &users), &command);
        assert_eq!(before, self.state);
        let events = decision?.events;
        assert!(!events.is_empty(), "accepted without an event: {wire}");
        self.apply(author, &events);
        Ok(events)
    }

    fn ctx<'a>(&self, author: UserId, users: &'a [UserCard]) -> Ctx<'a> {
        let new_id = id(0x1_0000 * u128::from(self.state.seq.0 + 1));
        Ctx { room: RoomId(Uuid::from_u128(1)), author, at: self.now, base: None, new_id, users, reserved: self.reserved, origin: None }
    }

    fn apply(&mut self, by: UserId, events: &[Event]) {
        let mut appended = Vec::new();
        for event in events {
            assert_eq!(rmp_serde::from_slice::<Event>(&rmp_serde::to_vec_named(event).unwrap()).unwrap(), *event);
            assert_eq!(serde_json::to_value(event).unwrap()["type"], event.tag());
            assert!(!Pool::describe(event).is_empty());
            let meta = EventMeta { seq: self.state.seq.next(), at: self.now, by, command: None };
            Pool::evolve(&mut self.state, &meta, event);
            appended.push((meta, event.clone()));
        }
        Pool::validate(&self.state).unwrap_or_else(|broken| panic!("{broken} after {events:?}"));
        self.projections.extend(Pool::project(&self.state, &appended));
        self.journal.extend(appended);
    }

    /// Lets happen what is due, as the engine does before every command; the events.
    pub(super) fn expire(&mut self) -> Vec<Event> {
        let mut all = Vec::new();
        while let Some(due) = Pool::deadline(&self.state).filter(|due| *due <= self.now) {
            let events = Pool::expire(&self.state, &self.ctx(UserId::ROOM, &[]));
            assert!(!events.is_empty(), "due and nothing happens");
            self.apply(UserId::ROOM, &events);
            assert!(Pool::deadline(&self.state).is_none_or(|next| next > due), "the deadline stays");
            all.extend(events);
        }
        all
    }

    pub(super) fn wait(&mut self, seconds: u64) -> Vec<Event> {
        self.now = self.now.plus(Duration::from_secs(seconds));
        self.expire()
    }

    /// The command is accepted; its first event as JSON.
    #[track_caller]
    pub(super) fn ok(&mut self, author: UserId, wire: Value) -> Value {
        let events = self.check(author, &wire).unwrap_or_else(|refused| panic!("{refused} for {wire}"));
        serde_json::to_value(events.first().unwrap()).unwrap()
    }

    /// The command is refused with a code at a pointer.
    #[track_caller]
    pub(super) fn refused(&mut self, author: UserId, wire: Value, code: ErrorCode, pointer: &str) -> Rejection {
        match self.check(author, &wire) {
            Ok(events) => panic!("accepted {wire}: {events:?}"),
            Err(refused) => {
                assert_eq!((refused.code, refused.pointer.as_deref().unwrap_or("")), (code, pointer), "{refused} for {wire}");
                refused
            }
        }
    }

    /// A user asks for seats, and waits if there are none.
    #[track_caller]
    pub(super) fn ask(&mut self, user: UserId, seats: u8) -> ItemId {
        self.ok(user, json!({"type": "request", "seats": seats, "wait": true}));
        self.claim(user)
    }

    #[track_caller]
    pub(super) fn claim(&self, user: UserId) -> ItemId {
        self.state.claim_of(user).unwrap_or_else(|| panic!("{user} has no claim")).id
    }

    /// How far a user's claim has come.
    pub(super) fn stage(&self, user: UserId) -> Option<&'static str> {
        self.state.claim_of(user).map(|claim| Stage::as_str(claim.stage))
    }

    pub(super) fn role(&self, user: UserId) -> Option<Role> {
        Pool::access(&self.state, &card(user))
    }

    pub(super) fn view(&self, user: UserId) -> Value {
        let json = crate::protocol::to_json(&Pool::view(&self.state, user)).unwrap();
        serde_json::from_slice(&json).unwrap()
    }

    /// What a user was told in the inbox, by type, since the last call.
    pub(super) fn told(&mut self, user: UserId) -> Vec<String> {
        let mut told = Vec::new();
        self.projections.retain(|projection| match projection {
            Projection::Task { task: Task::Deliver { user: to, item }, .. } if *to == user => {
                told.push(item["type"].as_str().unwrap().to_owned());
                false
            }
            _ => true,
        });
        told
    }

    /// The events that a user may see, by type.
    pub(super) fn seen(&self, user: UserId) -> Vec<&'static str> {
        let includes = |event: &Event| match Pool::audience(event) {
            Audience::Everyone => true,
            Audience::Users(users) => users.contains(&user),
            Audience::AtLeast(_) => false,
        };
        self.journal.iter().filter(|(_, event)| includes(event)).map(|(_, event)| event.tag()).collect()
    }
}
