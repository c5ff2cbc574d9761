use super::harness::{ANA, BEN, Room, VIC, ZOE, id};
use crate::ErrorCode::{AlreadyExists, Forbidden, Invalid, LimitReached, NotFound, UnknownField};
use crate::trip::limits;
use serde_json::{Value, json};

fn at(local: &str, tz: &str) -> Value {
    json!({"local": local, "tz": tz})
}

#[test]
fn go_where_they_are_put() {
    let mut room = Room::trip();
    let [a, b, c] = [1, 2, 3].map(|number| room.add_activity(number, Some("2027-05-02")));
    let day = Some("2027-05-02".parse().unwrap());
    assert_eq!(room.state.list(day), [a, b, c]);
    room.ok(BEN, json!({"type": "move_activity", "activity": c, "after": null}));
    assert_eq!(room.state.list(day), [c, a, b]);
    room.ok(BEN, json!({"type": "move_activity", "activity": c, "after": a}));
    assert_eq!(room.state.list(day), [a, c, b]);
    let event = room.ok(BEN, json!({"type": "move_activity", "activity": a, "day": null}));
    assert_eq!(event["from"], json!({"day": "2027-05-02", "after": null}));
    assert_eq!(event["to"], json!({"day": null, "after": null}));
    assert_eq!(room.state.list(None), [a]);
    room.ok(BEN, json!({"type": "move_activity", "activity": b, "after": a}));
    assert_eq!(room.state.list(day), [c, b], "behind one that is elsewhere now: at the end");
    room.ok(BEN, json!({"type": "add_activity", "id": id(4), "title": "First", "day": "2027-05-02", "after": null}));
    room.ok(BEN, json!({"type": "add_activity", "id": id(5), "title": "Third", "day": "2027-05-02", "after": c}));
    assert_eq!(room.state.list(day), [id(4), c, id(5), b]);
    room.refused(BEN, json!({"type": "move_activity", "activity": id(99)}), NotFound, "/activity");
    room.refused(BEN, json!({"type": "move_activity", "activity": a, "after": a}), Invalid, "/after");
    room.refused(VIC, json!({"type": "move_activity", "activity": a}), Forbidden, "");
    room.refused(ZOE, json!({"type": "move_activity", "activity": a}), NotFound, "");
}

#[test]
fn a_move_takes_the_times_along() {
    let mut room = Room::trip();
    let (start, end) = (at("2027-05-02T22:00", "Europe/Lisbon"), at("2027-05-03T00:30", "Europe/Lisbon"));
    room.ok(ANA, json!({"type": "add_activity", "id": id(1), "title": "Fado", "start": start, "end": end}));
    assert_eq!(room.state.list(Some("2027-05-02".parse().unwrap())), [id(1)], "a start tells the day");
    let event = room.ok(BEN, json!({"type": "move_activity", "activity": id(1), "day": "2027-05-05"}));
    assert_eq!(event["changes"]["start"], json!({"from": start, "to": at("2027-05-05T22:00", "Europe/Lisbon")}));
    assert_eq!(event["changes"]["end"], json!({"from": end, "to": at("2027-05-06T00:30", "Europe/Lisbon")}));
    let event = room.ok(BEN, json!({"type": "move_activity", "activity": id(1), "day": null}));
    assert_eq!(event.get("changes"), None, "unscheduled it keeps its times as a proposal");
    room.ok(BEN, json!({"type": "move_activity", "activity": id(1), "day": "2027-05-02"}));
    assert_eq!(serde_json::to_value(room.state.activity(id(1))).unwrap()["end"], end);
    room.refused(BEN, json!({"type": "move_activity", "activity": id(1), "day": "9999-12-31"}), Invalid, "/day");
}

#[test]
fn a_start_on_another_day_takes_the_activity_there() {
    let mut room = Room::trip();
    let b = room.add_activity(2, Some("2027-05-03"));
    room.ok(ANA, json!({"type": "add_activity", "id": id(1), "title": "Tram", "day": "2027-05-02"}));
    let seen = room.seq();
    room.ok(ANA, json!({"type": "move_activity", "activity": id(1), "day": "2027-05-04"}));
    let wire = json!({"type": "update_activity", "activity": id(1), "start": {"date": "2027-05-03"}});
    let conflicts = room.seen(seen).conflicts(BEN, wire);
    assert_eq!(room.state.list(Some("2027-05-03".parse().unwrap())), [b, id(1)]);
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].path, format!("/activities/{}/day", id(1)));
    assert_eq!(conflicts[0].theirs, json!({"day": "2027-05-04", "after": null}));
    assert_eq!(conflicts[0].yours, json!({"day": "2027-05-03", "after": b}));
}

#[test]
fn do_not_end_before_they_start() {
    let mut room = Room::trip();
    let mut add = |start: Value, end: Value| {
        room.check(ANA, &json!({"type": "add_activity", "title": "x", "start": start, "end": end}))
            .map_err(|refused| refused.pointer.unwrap())
    };
    let day = |date: &str| json!({"date": date});
    let invalid = |pointer: &str| Err(pointer.to_owned());
    let mut check = |start: Value, end: Value| add(start, end).map(|_| ());
    assert_eq!(check(at("2027-05-02T09:00", "Europe/Lisbon"), at("2027-05-02T10:20", "Europe/Madrid")), Ok(()));
    assert_eq!(check(at("2027-05-02T09:00", "Europe/Lisbon"), at("2027-05-02T09:59", "Europe/Madrid")), invalid("/end"));
    assert_eq!(check(at("2027-05-02T22:00", "Pacific/Auckland"), at("2027-05-02T14:00", "America/Los_Angeles")), Ok(()));
    assert_eq!(check(day("2027-05-02"), day("2027-05-02")), Ok(()));
    assert_eq!(check(day("2027-05-02"), day("2027-05-01")), invalid("/end"));
    assert_eq!(check(day("2027-05-02"), at("2027-05-02T10:00", "UTC")), invalid("/end"));
    assert_eq!(check(Value::Null, day("2027-05-02")), invalid("/end"));
    assert_eq!(check(at("2027-05-02T09:00", "Europe/Atlantis"), Value::Null), invalid("/start/tz"));
    assert_eq!(check(at("2027-05-02T09:00", "UTC"), at("2027-05-02T09:00", "Mars")), invalid("/end/tz"));
    assert_eq!(check(at("2027-05-02T09:61", "UTC"), Value::Null), invalid("/start/local"));

    let mut room = Room::trip();
    let both = json!({"type": "add_activity", "id": id(1), "title": "x", "start": at("2027-05-02T09:00", "UTC"), "end": at("2027-05-02T10:00", "UTC")});
    room.ok(ANA, both);
    room.refused(ANA, json!({"type": "update_activity", "activity": id(1), "start": at("2027-05-02T11:00", "UTC")}), Invalid, "/end");
    room.refused(ANA, json!({"type": "update_activity", "activity": id(1), "start": null}), Invalid, "/end");
    room.ok(ANA, json!({"type": "update_activity", "activity": id(1), "start": null, "end": null}));
    room.refused(
        ANA,
        json!({"type": "add_activity", "title": "x", "day": "2027-05-01", "start": {"date": "2027-05-02"}}),
        Invalid,
        "/start",
    );
}

#[test]
fn an_update_says_what_it_replaced() {
    let mut room = Room::trip();
    let a = room.add_activity(1, None);
    let event = room.ok(
        BEN,
        json!({"type": "update_activity", "activity": a, "title": " Louvre ", "kind": "other", "notes": "book\nearly",
        "cost": {"minor": 2200, "currency": "EUR"}, "assignees": [BEN]}),
    );
    assert_eq!(
        event,
        json!({"type": "activity_updated", "activity": a, "title": "Activity 1", "changes": {
            "title": {"from": "Activity 1", "to": "Louvre"},
            "notes": {"from": null, "to": "book\nearly"},
            "cost": {"from": null, "to": {"minor": 2200, "currency": "EUR"}},
            "assignees": {"from": [], "to": [BEN]},
        }})
    );
    let event = room.ok(BEN, json!({"type": "update_activity", "activity": a, "notes": null}));
    assert_eq!(event["changes"], json!({"notes": {"from": "book\nearly", "to": null}}));
    let event = room.ok(BEN, json!({"type": "update_activity", "activity": a, "title": "Louvre"}));
    assert_eq!(event["changes"], json!({}), "nothing changed, and yet it happened");
}

#[test]
fn nonsense_is_refused_where_it_stands() {
    let mut room = Room::trip();
    let a = room.add_activity(1, None);
    let mut update = |mut fields: Value, code, pointer: &str| {
        fields["type"] = "update_activity".into();
        fields["activity"] = json!(a);
        room.refused(BEN, fields, code, pointer)
    };
    update(json!({"title": null}), Invalid, "/title");
    update(json!({"title": "x".repeat(201)}), Invalid, "/title");
    update(json!({"title": "a\u{7}b"}), Invalid, "/title");
    update(json!({"colour": "red"}), UnknownField, "/colour");
    update(json!({"day": "2027-05-02"}), UnknownField, "/day");
    update(json!({"kind": "nap"}), Invalid, "/kind");
    update(json!({"cost": {"minor": -1, "currency": "EUR"}}), Invalid, "/cost/minor");
    update(json!({"cost": {"minor": 1.5, "currency": "EUR"}}), Invalid, "/cost/minor");
    update(json!({"cost": {"minor": 1, "currency": "EURO"}}), Invalid, "/cost/currency");
    update(json!({"cost": [1, "EUR"]}), Invalid, "/cost");
    update(json!({"start": ["2027-05-02"]}), Invalid, "/start");
    update(json!({"start": {"date": "2027-02-30"}}), Invalid, "/start/date");
    update(json!({"place": id(77)}), NotFound, "/place");
    update(json!({"assignees": [ZOE]}), Invalid, "/assignees");
    let wire = json!({"type": "add_activity", "id": a, "title": "again"});
    room.refused(BEN, wire, AlreadyExists, "/id");
}

#[test]
fn whoever_edits_a_removed_one_learns_who_removed_it() {
    let mut room = Room::trip();
    let [a, b] = [1, 2].map(|number| room.add_activity(number, Some("2027-05-02")));
    let event = room.ok(BEN, json!({"type": "remove_activity", "activity": b}));
    assert_eq!((&event["activity"]["title"], &event["after"]), (&json!("Activity 2"), &json!(a)), "whole, and where it stood");
    let said = room.refused(ANA, json!({"type": "update_activity", "activity": b, "title": "x"}), NotFound, "/activity");
    assert_eq!(said, "The activity was removed by Ben at 2027-01-15T08:00:05.000Z");
    room.refused(ANA, json!({"type": "add_activity", "id": b, "title": "x"}), AlreadyExists, "/id");
}

#[test]
fn are_bounded() {
    let mut room = Room::trip();
    for number in 0..limits::ACTIVITIES_MAX {
        room.quick(ANA, json!({"type": "add_activity", "id": id(number as u128), "title": "x"}));
    }
    room.refused(ANA, json!({"type": "add_activity", "title": "one more"}), LimitReached, "");
    room.ok(ANA, json!({"type": "remove_activity", "activity": id(0)}));
    room.ok(ANA, json!({"type": "add_activity", "title": "one more"}));
}
