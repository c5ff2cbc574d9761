//! The stored events.

use super::harness::{ANA, BEN, CID, DAN, EVE, Room, id};
use crate::golden::events_are_as_stored;
use crate::pool::{Event, Pool, State};
use crate::{Audience, EventMeta, RoomKind, Timestamp};
use serde_json::json;

/// A pool in which every sort of event has happened, each with as many fields as it can have.
fn eventful() -> Room {
    let mut room = Room::with(json!({
        "booking": "approval", "group": "tu", "car": "Blue van", "preferences": ["no_smoking", "pets"], "notes": "Gate 3",
        "hold_seconds": 300, "offer_seconds": 400,
    }));
    room.ok(ANA, json!({"type": "update_details", "notes": "Gate 4", "departure": {"local": "2027-01-15T12:00", "tz": "Europe/Berlin"}}));
    room.ok(BEN, json!({"type": "request", "id": id(10), "seats": 2, "message": "With a dog", "from": id(1), "to": id(2)}));
    room.ok(ANA, json!({"type": "approve", "claim": id(10)}));
    room.ok(CID, json!({"type": "request", "id": id(11), "wait": true}));
    room.ok(DAN, json!({"type": "request", "id": id(12), "wait": true}));
    room.ok(ANA, json!({"type": "approve", "claim": id(11)}));
    room.ok(ANA, json!({"type": "remove", "claim": id(10), "reason": "No dogs"}));
    room.ok(CID, json!({"type": "accept", "claim": id(11)}));
    room.ok(ANA, json!({"type": "invite", "id": id(13), "user": EVE}));
    room.ok(CID, json!({"type": "send_message", "id": id(14), "body": "Where do we meet?"}));
    room.ok(ANA, json!({"type": "depart"}));
    room.ok(ANA, json!({"type": "board", "claim": id(11), "boarded": true}));
    room.ok(ANA, json!({"type": "complete"}));
    room.ok(CID, json!({"type": "review", "of": ANA, "stars": 5, "text": "Smooth"}));
    // Another ride's end, so that every sort of event is here.
    let mut other = Room::pool("instant");
    other.ok(ANA, json!({"type": "cancel", "reason": "The car broke down"}));
    room.journal.extend(other.journal);
    room
}

/// Stored events are for ever; see [`crate::golden`].
#[test]
fn stored_events_keep_their_bytes() {
    events_are_as_stored::<Pool>("pool-events.v1.json", &eventful().journal, 16);
}

#[test]
fn events_of_a_newer_version_are_passed_over_and_shown_to_nobody() {
    let event: Event = serde_json::from_value(json!({"type": "tyre_changed", "wheel": 3})).unwrap();
    assert_eq!(Pool::audience(&event), Audience::Users([].into()));
    let mut state = State::default();
    let meta = EventMeta { seq: state.seq.next(), at: Timestamp::from_ms(0), by: ANA, command: None };
    Pool::evolve(&mut state, &meta, &event);
    assert_eq!(state, State { seq: meta.seq, ..State::default() });
}
