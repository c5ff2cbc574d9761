//! Whoever overwrites, or whose value is overwritten, learns of it; see `Unseen`.

use super::harness::{ANA, BEN, Room, id};
use crate::{Seq, Timestamp};
use serde_json::json;

#[test]
fn the_same_field_is_told_another_is_not() {
    let mut room = Room::trip();
    let a = room.add_activity(1, None);
    let seen = room.seq();
    room.ok(ANA, json!({"type": "update_activity", "activity": a, "title": "Museum"}));
    let wire = json!({"type": "update_activity", "activity": a, "title": "Park", "kind": "outdoor"});
    let conflicts = room.seen(seen).conflicts(BEN, wire);
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].path, format!("/activities/{a}/title"));
    assert_eq!((conflicts[0].by, conflicts[0].seq, conflicts[0].at), (ANA, Seq(seen + 1), Timestamp::from_ms(1_800_000_004_000)));
    assert_eq!((&conflicts[0].theirs, &conflicts[0].yours), (&json!("Museum"), &json!("Park")));
    let both = room.state.activity(a).unwrap();
    assert_eq!((both.title.as_str(), both.kind.as_str()), ("Park", "outdoor"));
}

#[test]
fn what_was_seen_is_no_conflict() {
    let mut room = Room::trip();
    let a = room.add_activity(1, None);
    room.ok(ANA, json!({"type": "update_activity", "activity": a, "title": "Museum"}));
    let rename = |title: &str| json!({"type": "update_activity", "activity": a, "title": title});
    assert_eq!(room.conflicts(BEN, rename("without a base")), []);
    let seen = room.seq();
    assert_eq!(room.seen(seen).conflicts(ANA, rename("seen")), []);
    assert_eq!(room.seen(1).conflicts(ANA, rename("one's own")), []);
    room.ok(BEN, rename("agreed"));
    assert_eq!(room.seen(1).conflicts(ANA, rename("agreed")), [], "both want the same");
    // Ana's agreement changed nothing, so the value is still Ben's.
    assert_eq!(room.seen(1).conflicts(ANA, rename("other"))[0].by, BEN);
}

#[test]
fn details_status_roles_and_moves_too() {
    let mut room = Room::trip();
    let [a, b] = [1, 2].map(|number| room.add_activity(number, None));
    room.ok(ANA, json!({"type": "set_role", "user": BEN, "role": "organizer"}));
    let seen = room.seq();
    room.ok(BEN, json!({"type": "update_details", "destination": "Porto"}));
    room.ok(BEN, json!({"type": "set_status", "status": "active"}));
    room.ok(BEN, json!({"type": "move_activity", "activity": a, "after": b}));
    let room = room.seen(seen);
    let path = |found: Vec<crate::Conflict>| found.into_iter().map(|conflict| conflict.path).collect::<Vec<_>>();
    let wire = json!({"type": "update_details", "destination": null, "description": "sun"});
    assert_eq!(path(room.conflicts(ANA, wire)), ["/details/destination"]);
    assert_eq!(path(room.conflicts(ANA, json!({"type": "set_status", "status": "cancelled"}))), ["/details/status"]);
    let wire = json!({"type": "move_activity", "activity": a, "day": "2027-05-02"});
    assert_eq!(path(room.conflicts(ANA, wire)), [format!("/activities/{a}/day")]);
}

#[test]
fn a_removal_loses_what_others_wrote_unseen() {
    let mut room = Room::trip();
    room.ok(ANA, json!({"type": "add_place", "id": id(9), "name": "Castle"}));
    let a = room.add_activity(1, None);
    let seen = room.seq();
    room.ok(BEN, json!({"type": "update_activity", "activity": a, "notes": "took me an hour", "place": id(9)}));
    let conflicts = room.seen(seen).conflicts(ANA, json!({"type": "remove_place", "place": id(9)}));
    assert_eq!(conflicts.len(), 1);
    assert_eq!((&conflicts[0].path, &conflicts[0].yours), (&format!("/activities/{a}/place"), &json!(null)));
    let conflicts = room.seen(seen).conflicts(ANA, json!({"type": "remove_activity", "activity": a}));
    assert_eq!(conflicts.len(), 1);
    assert_eq!((&conflicts[0].theirs, &conflicts[0].yours), (&json!("took me an hour"), &json!(null)));
}
