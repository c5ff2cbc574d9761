use super::harness::{ANA, BEN, Room, id};
use crate::ErrorCode;
use serde_json::json;

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
    room.ok(BEN, json!({"type": "move_activity", "activity": a, "day": null}));
    assert_eq!(room.state.list(None), [a]);
    room.ok(BEN, json!({"type": "move_activity", "activity": b, "after": a}));
    assert_eq!(room.state.list(day), [c, b], "behind one that is elsewhere now: at the end");
    room.refused(BEN, json!({"type": "move_activity", "activity": id(99)}), ErrorCode::NotFound, "/activity");
}

#[test]
fn overwriting_what_one_has_not_seen_is_told() {
    let mut room = Room::trip();
    let a = room.add_activity(1, None);
    let seen = room.seq();
    room.ok(ANA, json!({"type": "update_activity", "activity": a, "title": "Museum"}));
    let wire = json!({"type": "update_activity", "activity": a, "title": "Park", "kind": "outdoor"});
    let conflicts = room.seen(seen).conflicts(BEN, wire);
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].path, format!("/activities/{a}/title"));
    assert_eq!((conflicts[0].by, &conflicts[0].theirs, &conflicts[0].yours), (ANA, &json!("Museum"), &json!("Park")));
}
