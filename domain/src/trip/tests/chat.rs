use super::harness::{ANA, BEN, Room, VIC, ZOE, id, lists};
use crate::ErrorCode::{AlreadyExists, Forbidden, Invalid, LimitReached, NotFound};
use crate::trip::{Trip, limits};
use crate::{Effect, Projection, RoomKind, Seq};
use serde_json::{Value, json};

fn doc(room: &Room) -> Value {
    let projected = lists(&room.state, &room.journal[room.journal.len() - 1..]);
    let [Projection::Item { collection: "messages", doc, .. }] = projected.as_slice() else { panic!("{projected:?}") };
    doc.clone()
}

#[test]
fn a_message_answers_points_and_mentions() {
    let mut room = Room::trip();
    room.ok(ANA, json!({"type": "add_activity", "id": id(1), "title": "Walk"}));
    room.ok(VIC, json!({"type": "send_message", "id": id(2), "body": "when?"}));
    let wire = json!({"type": "send_message", "id": id(3), "body": " at nine \n", "reply_to": id(2), "anchor": {"activity": id(1)},
        "mentions": [VIC, BEN]});
    room.ok(BEN, wire);
    let (meta, event) = room.journal.last().unwrap().clone();
    let told = Trip::effects(&room.state, &meta, &event);
    let Effect::Notice { user, notice } = &told[0];
    assert_eq!((told.len(), *user), (1, VIC), "nobody is told of one's own message");
    assert_eq!((&notice["type"], &notice["body"], &notice["seq"]), (&json!("mentioned"), &json!("at nine"), &json!(6)));
    assert_eq!(
        doc(&room),
        json!({"id": id(3), "seq": 6, "by": BEN, "at": "2027-01-15T08:00:05.000Z", "body": "at nine", "reply_to": id(2),
            "anchor": {"activity": id(1)}, "mentions": [BEN, VIC], "edited_at": null, "reactions": {}})
    );
    room.refused(BEN, json!({"type": "send_message", "body": ""}), Invalid, "/body");
    room.refused(BEN, json!({"type": "send_message", "body": "x".repeat(4_001)}), Invalid, "/body");
    room.refused(BEN, json!({"type": "send_message", "id": id(3), "body": "x"}), AlreadyExists, "/id");
    room.refused(BEN, json!({"type": "send_message", "body": "x", "reply_to": id(9)}), NotFound, "/reply_to");
    room.refused(BEN, json!({"type": "send_message", "body": "x", "anchor": {"place": id(1)}}), NotFound, "/anchor/place");
    room.refused(BEN, json!({"type": "send_message", "body": "x", "anchor": {"star": id(1)}}), Invalid, "/anchor");
    room.refused(BEN, json!({"type": "send_message", "body": "x", "mentions": [ZOE]}), Invalid, "/mentions");
}

#[test]
fn authors_edit_and_authors_or_organizers_delete() {
    let mut room = Room::trip();
    for (number, user) in [(1, BEN), (2, BEN), (3, ANA)] {
        room.ok(user, json!({"type": "send_message", "id": id(number), "body": "hello"}));
    }
    room.refused(ANA, json!({"type": "edit_message", "message": id(1), "body": "x"}), Forbidden, "");
    let event = room.ok(BEN, json!({"type": "edit_message", "message": id(1), "body": "hello all"}));
    assert_eq!((&event["from"], &event["to"]), (&json!("hello"), &json!("hello all")));
    assert_eq!((&doc(&room)["body"], &doc(&room)["edited_at"]), (&json!("hello all"), &json!("2027-01-15T08:00:06.000Z")));
    room.refused(BEN, json!({"type": "delete_message", "message": id(3)}), Forbidden, "");
    room.ok(BEN, json!({"type": "delete_message", "message": id(1)}));
    room.ok(ANA, json!({"type": "delete_message", "message": id(2)}));
    assert_eq!((&doc(&room)["body"], &doc(&room)["seq"]), (&json!(null), &json!(5)), "its place stays");
    room.refused(ANA, json!({"type": "delete_message", "message": id(2)}), NotFound, "/message");
    room.refused(BEN, json!({"type": "edit_message", "message": id(2), "body": "x"}), NotFound, "/message");
    room.refused(BEN, json!({"type": "react", "message": id(2), "emoji": "👍", "on": true}), NotFound, "/message");
}

#[test]
fn reactions_are_one_per_person_and_emoji() {
    let mut room = Room::trip();
    room.ok(ANA, json!({"type": "send_message", "id": id(1), "body": "hello"}));
    for (user, emoji, on) in
        [(VIC, "👍", true), (VIC, "👍", true), (BEN, "👍", true), (BEN, "🇵🇹", true), (BEN, "👍", false), (BEN, "🎉", false)]
    {
        room.ok(user, json!({"type": "react", "message": id(1), "emoji": emoji, "on": on}));
    }
    assert_eq!(doc(&room)["reactions"], json!({"👍": [VIC], "🇵🇹": [BEN]}));
    for wrong in ["", "ok", "a👍", "👍 ", "é"] {
        room.refused(BEN, json!({"type": "react", "message": id(1), "emoji": wrong, "on": true}), Invalid, "/emoji");
    }
    let more = u32::try_from(limits::REACTIONS_MAX).unwrap() - 2;
    for number in 0..more {
        let emoji = char::from_u32(0x1_F600 + number).unwrap().to_string();
        room.ok(BEN, json!({"type": "react", "message": id(1), "emoji": emoji, "on": true}));
    }
    room.refused(BEN, json!({"type": "react", "message": id(1), "emoji": "🦄", "on": true}), LimitReached, "");
    room.ok(BEN, json!({"type": "react", "message": id(1), "emoji": "👍", "on": true}));
}

#[test]
fn reading_goes_forward_only() {
    let mut room = Room::trip();
    room.ok(VIC, json!({"type": "mark_read", "seq": 3}));
    room.ok(VIC, json!({"type": "mark_read", "seq": 1}));
    assert_eq!(room.state.reads[&VIC], Seq(3));
    room.refused(VIC, json!({"type": "mark_read", "seq": 6}), Invalid, "/seq");
    room.refused(VIC, json!({"type": "mark_read", "seq": -1}), Invalid, "/seq");
}

#[test]
fn the_state_keeps_the_newest_only() {
    let mut room = Room::trip();
    for number in 0..limits::MESSAGES_IN_STATE as u128 + 10 {
        room.quick(ANA, json!({"type": "send_message", "id": id(number), "body": "hello"}));
    }
    assert_eq!(room.state.messages.len(), limits::MESSAGES_IN_STATE);
    room.refused(ANA, json!({"type": "edit_message", "message": id(9), "body": "x"}), NotFound, "/message");
    room.ok(ANA, json!({"type": "edit_message", "message": id(10), "body": "x"}));
    // A batch that is longer than the window still gives every message to the collection.
    let projected = lists(&room.state, &room.journal[3..]);
    assert!(projected.iter().filter(|projection| matches!(projection, Projection::Item { .. })).count() > limits::MESSAGES_IN_STATE);
}
