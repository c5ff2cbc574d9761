use super::harness::{ANA, BEN, Room, id};
use crate::ErrorCode::{AlreadyExists, Invalid, NotFound};
use serde_json::json;

#[test]
fn are_unique_by_name_and_position() {
    let mut room = Room::trip();
    let here = json!({"lat": 38.7139, "lon": -9.1335});
    room.ok(ANA, json!({"type": "add_place", "id": id(1), "name": "Castelo", "position": here}));
    room.refused(BEN, json!({"type": "add_place", "name": "castelo", "position": here}), AlreadyExists, "/name");
    // Less than a centimetre away is the same place.
    let nearly = json!({"lat": 38.713_900_000_04, "lon": -9.1335});
    room.refused(BEN, json!({"type": "add_place", "name": "CASTELO ", "position": nearly}), AlreadyExists, "/name");
    room.ok(BEN, json!({"type": "add_place", "id": id(2), "name": "Castelo"}));
    room.refused(BEN, json!({"type": "update_place", "place": id(2), "position": here}), AlreadyExists, "/name");
    room.ok(BEN, json!({"type": "update_place", "place": id(1), "name": "CASTELO"}));
    room.ok(BEN, json!({"type": "add_place", "name": "Restaurante", "position": here}));
}

#[test]
fn are_on_the_earth() {
    let mut room = Room::trip();
    for (lat, lon) in [(90.1, 0.0), (-90.1, 0.0), (0.0, 180.1), (0.0, -180.1)] {
        let wire = json!({"type": "add_place", "name": "x", "position": {"lat": lat, "lon": lon}});
        room.refused(ANA, wire, Invalid, "/position");
    }
    for wrong in [json!({"lat": 1}), json!([1, 2]), json!({"lat": "1", "lon": 2}), json!({"lat": null, "lon": 2})] {
        let refused = room.check(ANA, &json!({"type": "add_place", "name": "x", "position": wrong})).unwrap_err();
        assert!(refused.code == Invalid && refused.pointer.unwrap().starts_with("/position"));
    }
    room.ok(ANA, json!({"type": "add_place", "id": id(1), "name": "Null island", "position": {"lat": -0.0, "lon": 0}}));
    room.ok(ANA, json!({"type": "add_place", "name": "Pole", "position": {"lat": 90, "lon": 180}}));
    assert!(crate::trip::Position::new(f64::NAN, 0.0).is_none() && crate::trip::Position::new(0.0, f64::INFINITY).is_none());
}

#[test]
fn take_one_vote_each() {
    let mut room = Room::trip();
    room.ok(ANA, json!({"type": "add_place", "id": id(1), "name": "Castle"}));
    for (user, on, votes) in [(ANA, true, 1), (ANA, true, 1), (BEN, true, 2), (ANA, false, 1), (ANA, false, 1)] {
        room.ok(user, json!({"type": "vote_place", "place": id(1), "on": on}));
        assert_eq!(room.state.place(id(1)).unwrap().votes.len(), votes);
    }
}

#[test]
fn leave_the_activities_there_without_a_place() {
    let mut room = Room::trip();
    room.ok(ANA, json!({"type": "add_place", "id": id(1), "name": "Castle"}));
    room.ok(ANA, json!({"type": "add_activity", "id": id(2), "title": "Walk", "place": id(1)}));
    room.ok(ANA, json!({"type": "add_activity", "id": id(3), "title": "Swim"}));
    let event = room.ok(BEN, json!({"type": "remove_place", "place": id(1)}));
    assert_eq!((&event["place"]["name"], &event["activities"]), (&json!("Castle"), &json!([id(2)])));
    assert_eq!(room.state.activity(id(2)).unwrap().place, None);
    let said = room.refused(ANA, json!({"type": "update_activity", "activity": id(3), "place": id(1)}), NotFound, "/place");
    assert!(said.starts_with("The place was removed by Ben at "), "{said}");
}

#[test]
fn distances_are_those_of_the_globe() {
    let at = |lat, lon| crate::trip::Position::new(lat, lon).unwrap();
    let (lisbon, porto) = (at(38.7223, -9.1393), at(41.1579, -8.6291));
    for (from, to, metres) in [
        (lisbon, lisbon, 0),
        (lisbon, porto, 274_250),
        // A degree along the equator and along a meridian, over the date line, over the pole, to the other side.
        (at(0.0, 0.0), at(0.0, 1.0), 111_195),
        (at(0.0, 0.0), at(1.0, 0.0), 111_195),
        (at(0.0, 179.5), at(0.0, -179.5), 111_195),
        (at(89.5, 0.0), at(89.5, 180.0), 111_195),
        (at(10.0, 20.0), at(-10.0, -160.0), 20_015_115),
    ] {
        let (there, back) = (from.metres_to(to), to.metres_to(from));
        assert_eq!(there, back);
        assert!(there.abs_diff(metres) <= 50, "{from:?} to {to:?}: {there} m instead of {metres} m");
    }
}
