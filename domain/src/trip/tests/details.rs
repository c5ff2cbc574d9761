use super::harness::{ANA, BEN, Room, VIC, ZOE, card, lists};
use crate::ErrorCode::{AlreadyExists, Conflict, Forbidden, Invalid, NotFound, RoomDeleted};
use crate::trip::{Trip, TripStatus};
use crate::{Projection, Role, RoomKind};
use serde_json::json;

#[test]
fn a_trip_begins_with_its_creator() {
    let mut room = Room::empty();
    room.refused(ANA, json!({"type": "set_status", "status": "active"}), NotFound, "");
    room.refused(ANA, json!({"type": "create"}), Invalid, "");
    room.refused(ANA, json!({"type": "create", "title": "  "}), Invalid, "/title");
    let wire = json!({"type": "create", "title": "Lisbon", "start_date": "2027-05-02", "end_date": "2027-05-01"});
    room.refused(ANA, wire, Invalid, "/end_date");
    let wire = json!({"type": "create", "title": "Lisbon", "budget": {"minor": -1, "currency": "EUR"}});
    room.refused(ANA, wire, Invalid, "/budget/minor");

    let event = room.ok(ANA, json!({"type": "create", "title": "Lisbon", "trip_data": {"theme": {"dark": true}}}));
    assert_eq!(event["details"]["status"], "planning");
    assert_eq!(event["creator"], json!({"user": ANA, "name": "Ana", "role": "organizer", "joined_at": "2027-01-15T08:00:00.000Z"}));
    assert_eq!(Trip::access(&room.state, &card(ANA)), Some(Role::Organizer));
    assert_eq!(Trip::access(&room.state, &card(ZOE)), None);
    room.refused(ANA, json!({"type": "create", "title": "Again"}), AlreadyExists, "");
    room.refused(ZOE, json!({"type": "create", "title": "Again"}), NotFound, "");
}

#[test]
fn dates_stay_in_order_whoever_changes_which() {
    let mut room = Room::trip();
    room.ok(ANA, json!({"type": "update_details", "start_date": "2027-05-02", "end_date": "2027-05-08"}));
    room.refused(BEN, json!({"type": "update_details", "start_date": "2027-05-09"}), Invalid, "/end_date");
    room.refused(BEN, json!({"type": "update_details", "end_date": "2027-05-01"}), Invalid, "/end_date");
    room.ok(BEN, json!({"type": "update_details", "end_date": null, "start_date": "2027-05-09"}));
}

#[test]
fn free_form_data_is_bounded() {
    let mut room = Room::trip();
    room.refused(BEN, json!({"type": "update_details", "trip_data": {"x": "y".repeat(9_000)}}), Invalid, "/trip_data");
    let deep = json!({"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": 1}}}}}}}});
    room.ok(BEN, json!({"type": "update_details", "trip_data": deep}));
    room.refused(BEN, json!({"type": "update_details", "trip_data": {"z": deep}}), Invalid, "/trip_data");
    room.refused(BEN, json!({"type": "update_details", "trip_data": [1]}), Invalid, "/trip_data");
}

#[test]
fn status_follows_its_table() {
    let allowed = [
        ("planning", "active"),
        ("planning", "cancelled"),
        ("active", "planning"),
        ("active", "completed"),
        ("active", "cancelled"),
        ("completed", "active"),
        ("cancelled", "planning"),
    ];
    for from in TripStatus::ALL {
        for to in TripStatus::ALL {
            let expected = from == to || allowed.contains(&(from.as_str(), to.as_str()));
            assert_eq!(from.may_become(*to), expected, "{from} to {to}");
        }
    }
    let mut room = Room::trip();
    let said = room.refused(ANA, json!({"type": "set_status", "status": "completed"}), Conflict, "/status");
    assert_eq!(said, "A trip that is planning cannot become completed, only active or cancelled");
    room.ok(ANA, json!({"type": "set_status", "status": "active"}));
    assert_eq!(room.ok(ANA, json!({"type": "set_status", "status": "active"}))["from"], "active");
    room.refused(BEN, json!({"type": "set_status", "status": "completed"}), Forbidden, "");
}

#[test]
fn details_and_status_change_together_or_not_at_all() {
    let mut room = Room::trip();
    room.refused(ANA, json!({"type": "update_details", "title": "Porto", "status": "completed"}), Conflict, "/status");
    room.refused(BEN, json!({"type": "update_details", "title": "Porto", "status": "active"}), Forbidden, "");
    room.refused(ANA, json!({"type": "update_details", "title": "Porto", "status": null}), Invalid, "/status");
    room.ok(ANA, json!({"type": "update_details", "title": "Porto", "status": "active"}));
    let details = room.state.details().unwrap();
    assert_eq!((details.title.as_str(), details.status), ("Porto", TripStatus::Active));
    let tags: Vec<_> = room.journal.iter().rev().take(2).map(|(_, event)| event.tag()).collect();
    assert_eq!(tags, ["status_changed", "details_updated"]);
}

#[test]
fn a_deleted_trip_is_over() {
    let mut room = Room::trip();
    room.refused(BEN, json!({"type": "delete"}), Forbidden, "");
    room.refused(VIC, json!({"type": "delete"}), Forbidden, "");
    room.ok(ANA, json!({"type": "delete"}));
    assert!(Trip::is_ended(&room.state));
    assert_eq!(Trip::access(&room.state, &card(ANA)), None);
    let last = room.journal.last().unwrap().clone();
    assert_eq!(lists(&room.state, std::slice::from_ref(&last)), [Projection::RoomGone]);
    assert_eq!(Trip::effects(&room.state, &last.0, &last.1).len(), 2, "Ben and Vic are told");
    room.refused(ANA, json!({"type": "update_details", "title": "x"}), RoomDeleted, "");
    room.refused(ANA, json!({"type": "create", "title": "x"}), RoomDeleted, "");
}
