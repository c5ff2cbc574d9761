//! The pool itself.

use super::harness::{ANA, BEN, CID, Room, ZOE, id};
use crate::{ErrorCode, Role};
use serde_json::{Value, json};

fn create(more: Value) -> Value {
    let mut create = json!({
        "type": "create",
        "stops": [{"name": "A", "position": {"lat": 1.0, "lon": 2.0}}, {"name": "B", "position": {"lat": 1.5, "lon": 2.0}}],
        "departure": {"local": "2027-02-01T08:00", "tz": "Europe/Berlin"},
        "seats": 3,
    });
    create.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    create
}

#[test]
fn bad_pools_are_refused_where_they_are_wrong() {
    let stop = |name: &str, lat: f64| json!({"name": name, "position": {"lat": lat, "lon": 2.0}});
    let cases = [
        (json!({"stops": [stop("A", 1.0)]}), "/stops"),
        (json!({"stops": (0..11).map(|n| stop("A", f64::from(n))).collect::<Vec<_>>()}), "/stops"),
        (json!({"stops": [stop("A", 1.0), stop("B", 1.0)]}), "/stops/1/position"),
        (
            json!({"stops": [{"id": id(1), "name": "A", "position": {"lat": 1.0, "lon": 2.0}}, {"id": id(1), "name": "B", "position": {"lat": 2.0, "lon": 2.0}}]}),
            "/stops/1/id",
        ),
        (json!({"stops": [stop("A", 91.0), stop("B", 1.0)]}), "/stops/0/position"),
        (json!({"departure": {"local": "2027-01-15T09:00", "tz": "Europe/Berlin"}}), "/departure"),
        (json!({"departure": {"local": "2029-01-15T09:00", "tz": "Europe/Berlin"}}), "/departure"),
        (json!({"departure": {"date": "2027-02-01"}}), "/departure"),
        (json!({"departure": {"local": "2027-02-01T08:00", "tz": "Mars/Olympus"}}), "/departure/tz"),
        (json!({"seats": 0}), "/seats"),
        (json!({"seats": 17}), "/seats"),
        (json!({"price": {"minor": -1, "currency": "EUR"}}), "/price/minor"),
        // Sixteen of them would be no amount.
        (json!({"price": {"minor": 62_500_000_001_i64, "currency": "EUR"}}), "/price/minor"),
        (json!({"hold_seconds": 59}), "/hold_seconds"),
        (json!({"offer_seconds": 86_401}), "/offer_seconds"),
        (json!({"group": "harvard"}), "/group"),
        (json!({"preferences": (0..17).map(|n| n.to_string()).collect::<Vec<_>>()}), "/preferences"),
    ];
    for (more, pointer) in cases {
        Room::empty().refused(ANA, create(more), ErrorCode::Invalid, pointer);
    }
    Room::empty().ok(ANA, create(json!({"group": " TU "})));
}

#[test]
fn a_group_is_for_its_members_and_those_concerned() {
    let room = Room::with(json!({"group": "tu"}));
    assert_eq!((room.role(ANA), room.role(BEN), room.role(ZOE)), (Some(Role::Organizer), Some(Role::Viewer), None));
    let open = Room::pool("instant");
    assert_eq!(open.role(ZOE), Some(Role::Viewer));
}

#[test]
fn what_people_have_asked_for_stays() {
    let mut room = Room::pool("instant");
    room.ok(ANA, json!({"type": "update_details", "price": {"minor": 900, "currency": "EUR"}, "seats": 4, "notes": "Meet at gate 3"}));
    room.ask(BEN, 2);
    room.refused(ANA, json!({"type": "update_details", "price": null}), ErrorCode::Conflict, "/price");
    room.refused(ANA, json!({"type": "update_details", "stops": []}), ErrorCode::Conflict, "/stops");
    room.refused(ANA, json!({"type": "update_details", "seats": 1}), ErrorCode::Conflict, "/seats");
    room.ok(ANA, json!({"type": "update_details", "seats": 2, "notes": null, "price": {"minor": 900, "currency": "EUR"}}));
    let ben = room.claim(BEN);
    room.ok(BEN, json!({"type": "withdraw", "claim": ben}));
    let stops = json!([{"name": "A", "position": {"lat": 1.0, "lon": 2.0}}, {"name": "B", "position": {"lat": 1.5, "lon": 2.0}}]);
    room.ok(ANA, json!({"type": "update_details", "stops": stops, "price": null}));
    room.refused(ANA, json!({"type": "update_details", "group": "x"}), ErrorCode::UnknownField, "/group");
}

#[test]
fn fewer_seats_answer_who_asked_for_more() {
    let mut room = Room::with(json!({"booking": "approval", "seats": 3}));
    room.ask(BEN, 3);
    room.ask(CID, 2);
    room.told(BEN);
    room.ok(ANA, json!({"type": "update_details", "seats": 2}));
    assert_eq!((room.told(BEN), room.told(CID)), (vec!["pool_claim_ended".to_owned()], vec![]));
    let left: Vec<_> = room.state.claims.values().map(|claim| claim.user).collect();
    assert_eq!(left, [CID]);
}
