//! Who sees what: events by their audience, views by the viewer.

use super::harness::{ANA, BEN, CID, DAN, Room};
use crate::RoomKind;
use crate::pool::Pool;
use serde_json::json;

/// Ben has a seat, Cid waits, Dan looks on.
fn room() -> Room {
    let mut room = Room::with(json!({"booking": "approval", "seats": 1}));
    room.ok(BEN, json!({"type": "request", "message": "Back pain, front seat please"}));
    let ben = room.claim(BEN);
    room.ok(ANA, json!({"type": "approve", "claim": ben}));
    room.ok(CID, json!({"type": "request", "wait": true, "message": "Any chance?"}));
    room.ok(BEN, json!({"type": "send_message", "body": "Where do we meet?"}));
    room
}

#[test]
fn events_go_to_whom_they_concern() {
    let mut room = room();
    let cid = room.claim(CID);
    room.ok(CID, json!({"type": "withdraw", "claim": cid}));
    assert_eq!(
        room.seen(ANA),
        [
            "pool_created",
            "claimed",
            "confirmed",
            "seats_changed",
            "claimed",
            "seats_changed",
            "message_sent",
            "claim_ended",
            "seats_changed"
        ]
    );
    let ben = ["pool_created", "claimed", "confirmed", "riders_shown", "seats_changed", "seats_changed", "message_sent", "seats_changed"];
    assert_eq!(room.seen(BEN), ben);
    assert_eq!(room.seen(CID), ["pool_created", "seats_changed", "claimed", "seats_changed", "claim_ended", "seats_changed"]);
    assert_eq!(room.seen(DAN), ["pool_created", "seats_changed", "seats_changed", "seats_changed"]);
}

#[test]
fn views_show_what_concerns_the_viewer() {
    let room = room();
    let all = |user| room.view(user).as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    let public = "details kind owner owner_name phase phase_at relation reviews status taken waiting";
    assert_eq!(all(DAN), public);
    assert_eq!(all(CID), "claim details kind owner owner_name phase phase_at place relation reviews status taken waiting");
    assert_eq!(all(BEN), "claim details kind messages owner owner_name phase phase_at relation reviews riders shares status taken waiting");
    assert_eq!(
        all(ANA),
        "claims details kind line messages owner owner_name phase phase_at relation reviews riders shares status taken waiting"
    );
    let text = room.view(DAN).to_string() + &room.view(CID).to_string();
    assert!(!text.contains("Back pain") && !text.contains("Where do we meet") && !text.contains(&BEN.to_string()));
    assert!(!room.view(BEN).to_string().contains("Any chance"));
}

#[test]
fn who_joins_the_car_later_does_not_read_what_was_said_before() {
    let mut room = room();
    room.ok(ANA, json!({"type": "update_details", "seats": 2}));
    let cid = room.claim(CID);
    room.ok(ANA, json!({"type": "approve", "claim": cid}));
    room.ok(CID, json!({"type": "accept", "claim": cid}));
    assert_eq!(room.view(CID)["messages"], json!([]));
    assert_eq!(room.view(CID)["riders"].as_array().unwrap().len(), 2);
    room.ok(ANA, json!({"type": "send_message", "body": "At gate 3"}));
    assert_eq!(room.view(CID)["messages"].as_array().unwrap().len(), 1);
    // Whoever leaves the car is a visitor again.
    let ben = room.claim(BEN);
    room.ok(BEN, json!({"type": "withdraw", "claim": ben}));
    assert_eq!((&room.view(BEN)["relation"], room.view(BEN).get("messages")), (&json!("visitor"), None));
}

#[test]
fn what_was_written_to_the_owner_is_read_by_the_owner() {
    for booking in ["approval", "instant"] {
        let mut room = Room::with(json!({"booking": booking, "seats": 3}));
        for user in [CID, BEN] {
            room.ok(user, json!({"type": "request", "message": format!("Between us, {user}")}));
            let claim = room.claim(user);
            if booking == "approval" {
                room.ok(ANA, json!({"type": "approve", "claim": claim}));
            }
        }
        let secret = format!("Between us, {BEN}");
        for (user, reads) in [(ANA, true), (BEN, true), (CID, false), (DAN, false)] {
            let told = room.journal.iter().any(|(_, event)| {
                let role = crate::Role::Organizer;
                Pool::audience(event).includes(user, role) && serde_json::to_string(event).unwrap().contains(&secret)
            });
            assert_eq!((told, room.view(user).to_string().contains(&secret)), (reads, reads), "{user} in a pool with {booking}");
        }
    }
}
