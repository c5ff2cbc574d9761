//! The rules of inboxes.

use super::limits::ITEMS_IN_STATE;
use super::{Event, Inbox, State};
use crate::{
    Ctx, ErrorCode, EventMeta, Group, ItemId, Projection, Rejection, RoomId, RoomKind, Seq, Task, Timestamp, UserCard, UserId, command,
};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

const ANA: UserId = UserId(Uuid::from_u128(0xa));
const BEN: UserId = UserId(Uuid::from_u128(0xb));

fn id(number: u128) -> ItemId {
    ItemId(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0000 + number))
}

struct Room {
    state: State,
    now: Timestamp,
    projections: Vec<Projection>,
    journal: Vec<(EventMeta, Event)>,
}

impl Room {
    fn open() -> Self {
        let mut room =
            Self { state: State::default(), now: Timestamp::from_ms(1_800_000_000_000), projections: Vec::new(), journal: Vec::new() };
        room.ok(ANA, json!({"type": "open"}));
        room
    }

    fn room() -> RoomId {
        Inbox::room_of(ANA)
    }

    fn check(&mut self, author: UserId, wire: &Value) -> Result<Vec<Event>, Rejection> {
        let users = [UserCard { user: author, name: "A".into(), group: Group::new("tu").ok() }];
        let new_id = id(0x1_0000 + u128::from(self.state.seq.0));
        let ctx = Ctx { room: Self::room(), author, at: self.now, base: None, new_id, users: &users, reserved: true, origin: None };
        let events = Inbox::decide(&self.state, &ctx, &command::parse(wire)?)?.events;
        self.apply(author, &events);
        Ok(events)
    }

    fn apply(&mut self, by: UserId, events: &[Event]) {
        let mut appended = Vec::new();
        for event in events {
            assert_eq!(rmp_serde::from_slice::<Event>(&rmp_serde::to_vec_named(event).unwrap()).unwrap(), *event);
            assert_eq!(serde_json::to_value(event).unwrap()["type"], event.tag());
            assert!(!Inbox::describe(event).is_empty());
            let meta = EventMeta { seq: self.state.seq.next(), at: self.now, by, command: None };
            Inbox::evolve(&mut self.state, &meta, event);
            appended.push((meta, event.clone()));
        }
        Inbox::validate(&self.state).unwrap();
        self.projections = Inbox::project(&self.state, &appended);
        self.journal.extend(appended);
    }

    #[track_caller]
    fn ok(&mut self, author: UserId, wire: Value) -> Vec<Event> {
        self.check(author, &wire).unwrap_or_else(|refused| panic!("{refused} for {wire}"))
    }

    #[track_caller]
    fn refused(&mut self, author: UserId, wire: Value, code: ErrorCode, pointer: &str) {
        let before = self.state.clone();
        let refused = self.check(author, &wire).expect_err("refused");
        assert_eq!((refused.code, refused.pointer.as_deref().unwrap_or("")), (code, pointer), "{refused} for {wire}");
        assert_eq!(before, self.state);
    }

    fn deliver(&mut self, number: u128) -> ItemId {
        self.ok(UserId::ROOM, json!({"type": "deliver", "id": id(number), "item": {"type": "hello", "text": "Hello"}}));
        id(number)
    }
}

#[test]
fn it_is_the_users_own() {
    let mut room = Room::open();
    assert_eq!(Inbox::access(&room.state, &UserCard { user: BEN, name: String::new(), group: None }), None);
    room.refused(BEN, json!({"type": "mark_read"}), ErrorCode::NotFound, "");
    room.refused(ANA, json!({"type": "deliver", "id": id(1), "item": {"type": "x"}}), ErrorCode::Forbidden, "");
    room.refused(ANA, json!({"type": "open"}), ErrorCode::AlreadyExists, "");
    room.refused(UserId::ROOM, json!({"type": "deliver", "id": id(1), "item": {}}), ErrorCode::Invalid, "/item/type");
    let long = json!({"type": "deliver", "id": id(1), "item": {"type": "x".repeat(9_000)}});
    room.refused(UserId::ROOM, long, ErrorCode::Invalid, "/item");
    // Nobody opens it for somebody else, nor under another room.
    room.state = State::default();
    room.refused(BEN, json!({"type": "open"}), ErrorCode::NotFound, "");
    room.refused(BEN, json!({"type": "open", "user": ANA}), ErrorCode::NotFound, "");
    room.ok(UserId::ROOM, json!({"type": "open", "user": ANA}));
}

#[test]
fn reading_marks_what_was_there_and_nothing_later() {
    let mut room = Room::open();
    let (one, two) = (room.deliver(1), room.deliver(2));
    let seen = room.state.seq;
    room.deliver(3);
    assert_eq!(room.state.unread(), 3);
    room.ok(ANA, json!({"type": "mark_read", "items": [two]}));
    assert_eq!(room.state.unread(), 2);
    room.ok(ANA, json!({"type": "mark_read", "up_to": seen}));
    assert_eq!(room.state.unread(), 1);
    // Going back marks nothing as unread.
    room.ok(ANA, json!({"type": "mark_read", "up_to": 1, "items": [one]}));
    assert_eq!((room.state.unread(), room.state.read_up_to), (1, seen));
    room.refused(ANA, json!({"type": "mark_read", "up_to": 99}), ErrorCode::Invalid, "/up_to");
}

#[test]
fn unread_items_count_also_when_they_are_old() {
    let mut room = Room::open();
    let many = u128::try_from(ITEMS_IN_STATE).unwrap() + 7;
    for number in 0..many {
        room.deliver(number);
    }
    assert_eq!((room.state.items.len(), room.state.unread()), (ITEMS_IN_STATE, u64::try_from(many).unwrap()));
    let up_to = room.state.items[3].seq;
    room.ok(ANA, json!({"type": "mark_read", "up_to": up_to}));
    assert_eq!(room.state.unread(), u64::try_from(ITEMS_IN_STATE).unwrap() - 4);
    assert!(room.state.seq > Seq(0));
}

#[test]
fn a_ride_request_lives_fifteen_minutes_and_replaces_the_one_before() {
    let mut room = Room::open();
    let ride = |number| {
        let spot = |lat| json!({"name": "Somewhere", "position": {"lat": lat, "lon": 11.5}});
        json!({"type": "request_ride", "id": id(number), "from": spot(48.1), "to": spot(48.2)})
    };
    room.ok(ANA, ride(1));
    assert!(room.projections.iter().any(|projection| matches!(projection, Projection::Task { task: Task::Match {}, .. })));
    assert_eq!(Inbox::deadline(&room.state), Some(room.now.plus(Duration::from_secs(900))));
    room.now = room.now.plus(Duration::from_secs(60));
    let events = room.ok(ANA, ride(2));
    assert_eq!(events.iter().map(Event::tag).collect::<Vec<_>>(), ["ride_ended", "ride_requested"]);
    // What comes late does not hit the new one.
    room.refused(ANA, json!({"type": "cancel_ride", "ride": id(1)}), ErrorCode::NotFound, "/ride");
    room.now = room.now.plus(Duration::from_secs(900));
    let users = [];
    let ctx = Ctx {
        room: Room::room(),
        author: UserId::ROOM,
        at: room.now,
        base: None,
        new_id: id(9),
        users: &users,
        reserved: true,
        origin: None,
    };
    let expired = Inbox::expire(&room.state, &ctx);
    room.apply(UserId::ROOM, &expired);
    assert_eq!((room.state.ride.as_ref(), Inbox::deadline(&room.state)), (None, None));
    assert_eq!(room.projections, [Projection::Unlisted]);
    room.refused(ANA, json!({"type": "cancel_ride", "ride": id(2)}), ErrorCode::NotFound, "/ride");
    let nowhere = json!({"position": {"lat": 1.0, "lon": 1.0}});
    room.refused(ANA, json!({"type": "request_ride", "from": nowhere, "to": nowhere}), ErrorCode::Invalid, "/to/position");
}

#[test]
fn searches_are_kept_replaced_and_dropped() {
    let mut room = Room::open();
    let search = |number: u128, more: Value| {
        let spot = json!({"position": {"lat": 48.1, "lon": 11.5}});
        let mut wire = json!({"type": "save_search", "id": id(number), "name": "Home", "from": spot, "to": spot});
        wire.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        wire
    };
    (0..20).for_each(|number| drop(room.ok(ANA, search(number, json!({})))));
    room.refused(ANA, search(20, json!({})), ErrorCode::LimitReached, "");
    room.ok(ANA, search(3, json!({"radius_m": 100, "seats": 2})));
    assert_eq!(room.state.searches[&id(3)].seats, 2);
    room.refused(ANA, search(3, json!({"radius_m": 99})), ErrorCode::Invalid, "/radius_m");
    room.refused(ANA, search(3, json!({"seats": 17})), ErrorCode::Invalid, "/seats");
    let backwards = json!({"after": "2027-01-02T00:00:00.000Z", "before": "2027-01-01T00:00:00.000Z"});
    room.refused(ANA, search(3, backwards), ErrorCode::Invalid, "/before");
    room.ok(ANA, json!({"type": "delete_search", "search": id(3)}));
    room.refused(ANA, json!({"type": "delete_search", "search": id(3)}), ErrorCode::NotFound, "/search");
}

/// Stored events are for ever; see [`crate::golden`].
#[test]
fn stored_events_keep_their_bytes() {
    let mut room = Room::open();
    let one = room.deliver(1);
    room.ok(ANA, json!({"type": "mark_read", "up_to": 1, "items": [one]}));
    let spot = |lat| json!({"name": "Gate 3", "position": {"lat": lat, "lon": 11.5}});
    room.ok(ANA, json!({"type": "request_ride", "id": id(2), "from": spot(48.1), "to": spot(48.2), "seats": 2}));
    room.ok(ANA, json!({"type": "cancel_ride", "ride": id(2)}));
    let search = json!({"type": "save_search", "id": id(3), "name": "Home", "from": spot(48.1), "to": spot(48.2), "seats": 2, "radius_m": 900,
        "after": "2027-01-01T00:00:00.000Z", "before": "2027-02-01T00:00:00.000Z", "price_max": {"minor": 900, "currency": "EUR"}});
    room.ok(ANA, search);
    room.ok(ANA, json!({"type": "delete_search", "search": id(3)}));
    crate::golden::events_are_as_stored::<Inbox>("inbox-events.v1.json", &room.journal, 7);
}
