//! The shapes that leave the crate: the view, the stored events, the sentences of the log.

use super::harness::{ANA, BEN, Room, VIC, ZOE, id};
use crate::golden::events_are_as_stored;
use crate::protocol::to_json;
use crate::trip::{Event, State, Trip};
use crate::{EventMeta, RoomKind, Seq, Timestamp};
use serde_json::{Map, Value, json};

/// A trip in which every sort of event has happened, each with as many fields as it can have.
fn eventful() -> Room {
    let mut room = Room::empty();
    let start = json!({"local": "2027-05-02T09:30", "tz": "Europe/Lisbon"});
    let end = json!({"local": "2027-05-02T11:00:30", "tz": "Europe/Madrid"});
    let money = json!({"minor": 120_000, "currency": "EUR"});
    let (place, activity, message) = (id(1), id(2), id(3));
    let script = [
        (
            ANA,
            json!({"type": "create", "title": "Lisbon", "description": "Sun\nand sea", "destination": "Lisboa", "start_date": "2027-05-01",
            "end_date": "2027-05-07", "trip_type": "city", "budget": money, "privacy": "unlisted", "trip_data": {"a": [1, -2, 0.5, null, "x"]}}),
        ),
        (ANA, json!({"type": "add_member", "user": BEN, "role": "participant"})),
        (ANA, json!({"type": "add_member", "user": VIC, "role": "viewer"})),
        (ANA, json!({"type": "add_member", "user": ZOE, "role": "participant"})),
        (
            ANA,
            json!({"type": "update_details", "title": "Lisboa", "description": null, "destination": "Lisbon", "start_date": "2027-05-02",
            "end_date": null, "trip_type": "beach", "budget": null, "privacy": "public", "trip_data": null}),
        ),
        (ANA, json!({"type": "set_status", "status": "active"})),
        (ANA, json!({"type": "set_role", "user": VIC, "role": "participant"})),
        (
            BEN,
            json!({"type": "add_place", "id": place, "name": "Castelo", "kind": "poi", "position": {"lat": 38.7139, "lon": -9.1335},
            "address": "R. de Santa Cruz", "notes": "steep"}),
        ),
        (
            BEN,
            json!({"type": "update_place", "place": place, "name": "Castelo de São Jorge", "kind": "city", "position": null, "address": null,
            "notes": "very steep"}),
        ),
        (ZOE, json!({"type": "vote_place", "place": place, "on": true})),
        (
            BEN,
            json!({"type": "add_activity", "id": activity, "title": "Walk", "kind": "outdoor", "status": "idea", "start": start, "end": end,
            "place": place, "cost": money, "assignees": [ANA, ZOE], "notes": "shoes"}),
        ),
        (
            BEN,
            json!({"type": "update_activity", "activity": activity, "title": "Long walk", "kind": "sightseeing", "status": "booked",
            "start": {"date": "2027-05-03"}, "end": {"date": "2027-05-04"}, "cost": null, "assignees": [ZOE], "notes": null}),
        ),
        (BEN, json!({"type": "move_activity", "activity": activity, "day": "2027-05-05", "after": null})),
        (ZOE, json!({"type": "send_message", "id": message, "body": "hello", "anchor": {"activity": activity}, "mentions": [BEN]})),
        (ZOE, json!({"type": "send_message", "id": id(4), "body": "there", "reply_to": message, "anchor": {"place": place}})),
        (ZOE, json!({"type": "edit_message", "message": message, "body": "hello you"})),
        (BEN, json!({"type": "react", "message": message, "emoji": "👍", "on": true})),
        (BEN, json!({"type": "mark_read", "seq": 14})),
        (ANA, json!({"type": "remove_member", "user": ZOE})),
        (VIC, json!({"type": "leave"})),
        (ANA, json!({"type": "delete_message", "message": message})),
        (BEN, json!({"type": "remove_place", "place": place})),
        (BEN, json!({"type": "remove_activity", "activity": activity})),
        (
            ANA,
            json!({"type": "add_expense", "id": id(5), "title": "Tram", "payer": BEN, "amount": {"minor": 600, "currency": "EUR"},
            "shares": [{"user": BEN, "minor": 250}, {"user": ANA, "minor": 350}], "date": "2027-05-03"}),
        ),
        (
            BEN,
            json!({"type": "update_expense", "expense": id(5), "title": "Tram 28", "payer": ANA, "amount": {"minor": 700, "currency": "CHF"},
            "shares": [{"user": BEN, "minor": 700}], "date": null}),
        ),
        (BEN, json!({"type": "remove_expense", "expense": id(5)})),
        (ANA, json!({"type": "delete"})),
    ];
    for (author, wire) in script {
        room.ok(author, wire);
    }
    room
}

/// Stored events are for ever. A line of this file may be added, with a new sort of event; a line that changes breaks every journal that
/// there is. (With `UPDATE_GOLDEN=1` the file is written anew.)
#[test]
fn stored_events_keep_their_bytes() {
    events_are_as_stored::<Trip>("trip-events.v1.json", &eventful().journal, 24);
}

#[test]
fn events_of_a_newer_version_are_passed_over() {
    let mut state = Room::trip().state;
    let newer = json!({"type": "poll_opened", "amount": {"minor": 1, "currency": "EUR"}, "payer": ANA, "list": [1, 2]});
    let with_ids =
        rmp_serde::to_vec_named(&Map::from_iter([("type".to_owned(), json!("boat_sunk")), ("x".to_owned(), json!({"y": 1}))])).unwrap();
    for event in [serde_json::from_value::<Event>(newer).unwrap(), rmp_serde::from_slice(&with_ids).unwrap()] {
        assert_eq!(event, Event::Unknown);
        let mut expected = state.clone();
        expected.seq = state.seq.next();
        let meta = EventMeta { seq: state.seq.next(), at: Timestamp::from_ms(0), by: ANA, command: None };
        Trip::evolve(&mut state, &meta, &event);
        assert_eq!(state, expected);
    }
    // A newer version may add fields to an event that is known.
    let more = json!({"type": "read_marked", "from": 1, "to": 2, "device": "phone"});
    assert_eq!(serde_json::from_value::<Event>(more).unwrap(), Event::ReadMarked { from: Seq(1), to: Seq(2) });
}

#[test]
fn the_view_is_one_map_that_paths_point_into() {
    let mut room = Room::trip();
    let a = room.add_activity(1, Some("2027-05-02"));
    room.ok(BEN, json!({"type": "update_activity", "activity": a, "title": "Walk"}));
    room.ok(BEN, json!({"type": "add_place", "id": id(2), "name": "Castle"}));
    room.ok(BEN, json!({"type": "vote_place", "place": id(2), "on": true}));
    room.ok(VIC, json!({"type": "send_message", "id": id(3), "body": "hello"}));
    room.ok(VIC, json!({"type": "mark_read", "seq": 8}));
    let shares = json!([{"user": BEN, "minor": 250}, {"user": ANA, "minor": 350}]);
    let amount = json!({"minor": 600, "currency": "EUR"});
    room.ok(BEN, json!({"type": "add_expense", "id": id(5), "title": "Tram", "payer": BEN, "amount": amount, "shares": shares}));
    let bytes = Trip::view(&room.state, ANA);
    let view: Value = serde_json::from_slice(&to_json(&bytes).unwrap()).unwrap();
    let at = |seconds: u8| format!("2027-01-15T08:00:{seconds:02}.000Z");
    assert_eq!(
        view,
        json!({
            "kind": "trip",
            "creator": ANA,
            "details": {"title": "Lisbon", "description": null, "destination": null, "start_date": null, "end_date": null,
                "status": "planning", "trip_type": "leisure", "budget": null, "privacy": "private", "trip_data": null},
            "members": {
                ANA.to_string(): {"user": ANA, "name": "Ana", "role": "organizer", "joined_at": at(0),
                    "created_by": ANA, "created_at": at(0), "updated_by": ANA, "updated_at": at(0)},
                BEN.to_string(): {"user": BEN, "name": "Ben", "role": "participant", "joined_at": at(1),
                    "created_by": ANA, "created_at": at(1), "updated_by": ANA, "updated_at": at(1)},
                VIC.to_string(): {"user": VIC, "name": "Vic", "role": "viewer", "joined_at": at(2),
                    "created_by": ANA, "created_at": at(2), "updated_by": ANA, "updated_at": at(2)},
            },
            "days": {"2027-05-02": [a]},
            "unscheduled": [],
            "activities": {a.to_string(): {"id": a, "title": "Walk", "kind": "other", "status": "planned", "day": "2027-05-02", "start": null,
                "end": null, "place": null, "cost": null, "assignees": [], "notes": null,
                "created_by": ANA, "created_at": at(3), "updated_by": BEN, "updated_at": at(4)}},
            "places": {id(2).to_string(): {"id": id(2), "name": "Castle", "kind": "poi", "position": null, "address": null, "notes": null,
                "votes": [BEN], "created_by": BEN, "created_at": at(5), "updated_by": BEN, "updated_at": at(5)}},
            "expenses": {id(5).to_string(): {"id": id(5), "title": "Tram", "payer": BEN, "amount": {"minor": 600, "currency": "EUR"},
                "shares": [{"user": ANA, "minor": 350}, {"user": BEN, "minor": 250}], "date": null, "pool": null,
                "created_by": BEN, "created_at": at(9), "updated_by": BEN, "updated_at": at(9)}},
            "messages": [{"id": id(3), "seq": 8, "by": VIC, "at": at(7), "body": "hello", "reply_to": null, "anchor": null, "mentions": [],
                "edited_at": null, "reactions": {}}],
            "messages_before": false,
            "reads": {VIC.to_string(): 8},
        })
    );
    assert_eq!(view.pointer(&format!("/activities/{a}/title")), Some(&json!("Walk")));
}

#[test]
fn the_log_reads_like_sentences() {
    let room = eventful();
    let lines: Vec<_> = room.journal.iter().map(|(_, event)| Trip::describe(event)).collect();
    let expected = [
        "created the trip “Lisbon”",
        "added Ben as participant",
        "added Vic as viewer",
        "added Zoe as participant",
        "changed the title, description, destination, start date, end date, trip type, budget, privacy and trip data of the trip",
        "changed the status from planning to active",
        "changed Vic from viewer to participant",
        "added the place “Castelo”",
        "changed the name, kind, position, address and notes of the place “Castelo”",
        "voted for the place “Castelo de São Jorge”",
        "added the activity “Walk” on 2027-05-02",
        "changed the title, kind, status, start, end, cost, assignees and notes of the activity “Walk”",
        "moved the activity “Long walk” to 2027-05-05",
        "wrote a message",
        "wrote a message",
        "edited a message",
        "reacted with 👍",
        "read the chat",
        "removed Zoe from the trip",
        "left the trip",
        "deleted a message",
        "removed the place “Castelo de São Jorge”",
        "removed the activity “Long walk”",
        "added the expense “Tram”",
        "changed the title, payer, amount, shares and date of the expense “Tram”",
        "removed the expense “Tram 28”",
        "deleted the trip “Lisboa”",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_snapshot_comes_back() {
    let room = eventful();
    let bytes = rmp_serde::to_vec_named(&room.state).unwrap();
    assert_eq!(rmp_serde::from_slice::<State>(&bytes).unwrap(), room.state);
    let json = serde_json::to_string(&room.state).unwrap();
    assert_eq!(serde_json::from_str::<State>(&json).unwrap(), room.state);
}
