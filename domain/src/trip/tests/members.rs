use super::harness::{ANA, BEN, Room, VIC, ZOE, card, id};
use crate::ErrorCode::{AlreadyExists, Forbidden, Invalid, NotFound};
use crate::trip::{Action, Trip, may};
use crate::{Effect, ErrorCode, Role, RoomKind, UserId};
use serde_json::{Value, json};

/// The table of `may`, cell by cell.
#[test]
fn rights_are_as_the_table_says() {
    use Role::{Organizer, Participant, Viewer};
    for action in Action::ALL {
        let [viewer, participant, organizer] = match action {
            Action::View | Action::Chat | Action::Leave => [true, true, true],
            Action::Vote | Action::Edit => [false, true, true],
            Action::SetStatus | Action::ManageMembers | Action::Moderate | Action::Delete => [false, false, true],
        };
        assert_eq!(may(Viewer, *action), viewer, "{action:?}");
        assert_eq!(may(Participant, *action), participant, "{action:?}");
        assert_eq!(may(Organizer, *action), organizer, "{action:?}");
    }
}

/// Every command, sent by everybody: who is told `forbidden` is who lacks the right, and a stranger learns nothing.
#[test]
fn commands_ask_for_the_rights() {
    let item = id(77);
    let all: [(Value, bool, bool); 20] = [
        (json!({"type": "update_details", "title": "x"}), false, true),
        (json!({"type": "set_status", "status": "active"}), false, false),
        (json!({"type": "delete"}), false, false),
        (json!({"type": "add_member", "user": ZOE, "role": "viewer"}), false, false),
        (json!({"type": "set_role", "user": VIC, "role": "viewer"}), false, false),
        (json!({"type": "remove_member", "user": UserId(item.0)}), false, false),
        (json!({"type": "leave"}), true, true),
        (json!({"type": "add_activity", "title": "x"}), false, true),
        (json!({"type": "update_activity", "activity": item}), false, true),
        (json!({"type": "remove_activity", "activity": item}), false, true),
        (json!({"type": "move_activity", "activity": item}), false, true),
        (json!({"type": "add_place", "name": "x"}), false, true),
        (json!({"type": "update_place", "place": item}), false, true),
        (json!({"type": "remove_place", "place": item}), false, true),
        (json!({"type": "vote_place", "place": item, "on": true}), false, true),
        (json!({"type": "send_message", "body": "x"}), true, true),
        (json!({"type": "edit_message", "message": item, "body": "x"}), true, true),
        (json!({"type": "delete_message", "message": item}), true, true),
        (json!({"type": "react", "message": item, "emoji": "👍", "on": true}), true, true),
        (json!({"type": "mark_read", "seq": 1}), true, true),
    ];
    for (wire, viewer, participant) in all {
        for (user, allowed) in [(VIC, viewer), (BEN, participant), (ANA, true)] {
            let refused = Room::trip().check(user, &wire).err().is_some_and(|refused| {
                // The creator may do anything but leave.
                refused.code == Forbidden && !(user == ANA && wire["type"] == "leave")
            });
            assert_eq!(!refused, allowed, "{wire} by {user}");
        }
        let stranger = Room::trip().check(ZOE, &wire).unwrap_err();
        assert_eq!((stranger.code, &*stranger.message), (NotFound, "There is no such trip"));
    }
}

#[test]
fn come_and_go() {
    let mut room = Room::trip();
    let ghost = UserId(id(1).0);
    room.refused(ANA, json!({"type": "add_member", "user": ghost, "role": "viewer"}), NotFound, "/user");
    room.refused(ANA, json!({"type": "add_member", "user": BEN, "role": "viewer"}), AlreadyExists, "/user");
    room.refused(ANA, json!({"type": "add_member", "user": ZOE, "role": "boss"}), Invalid, "/role");
    room.ok(ANA, json!({"type": "add_member", "user": ZOE, "role": "organizer"}));
    let (meta, event) = room.journal.last().unwrap().clone();
    let told = Trip::effects(&room.state, &meta, &event);
    let room_id = room.state.trip.as_ref().unwrap().room;
    let notice = json!({"type": "member_added", "room": room_id, "kind": "trip", "title": "Lisbon", "by": ANA, "role": "organizer",
        "text": "You are in the trip “Lisbon” as organizer"});
    assert_eq!(told, [Effect::Notice { user: ZOE, notice }]);
    room.ok(ZOE, json!({"type": "remove_member", "user": BEN}));
    assert_eq!(Trip::access(&room.state, &card(BEN)), None);
    room.refused(BEN, json!({"type": "send_message", "body": "hey"}), NotFound, "");
    room.ok(ZOE, json!({"type": "leave"}));
    room.ok(VIC, json!({"type": "leave"}));
    assert_eq!(room.state.members.len(), 1);
}

#[test]
fn the_creator_is_protected() {
    let mut room = Room::trip();
    room.ok(ANA, json!({"type": "set_role", "user": BEN, "role": "organizer"}));
    room.refused(BEN, json!({"type": "remove_member", "user": ANA}), Forbidden, "");
    room.refused(BEN, json!({"type": "set_role", "user": ANA, "role": "viewer"}), Forbidden, "");
    room.refused(ANA, json!({"type": "leave"}), Forbidden, "");
    room.refused(ANA, json!({"type": "set_role", "user": ZOE, "role": "viewer"}), ErrorCode::NotFound, "/user");
    room.ok(BEN, json!({"type": "set_role", "user": ANA, "role": "organizer"}));
}

#[test]
fn whoever_goes_leaves_no_duties_and_no_votes() {
    let mut room = Room::trip();
    room.ok(ANA, json!({"type": "add_place", "id": id(1), "name": "Castle"}));
    room.ok(ANA, json!({"type": "add_activity", "id": id(2), "title": "Walk", "assignees": [ANA, BEN]}));
    room.ok(BEN, json!({"type": "vote_place", "place": id(1), "on": true}));
    room.ok(BEN, json!({"type": "mark_read", "seq": 3}));
    let event = room.ok(ANA, json!({"type": "remove_member", "user": BEN}));
    assert_eq!((&event["assignments"], &event["votes"]), (&json!([id(2)]), &json!([id(1)])));
    assert!(!room.state.activity(id(2)).unwrap().assignees.contains(&BEN));
    assert!(room.state.place(id(1)).unwrap().votes.is_empty());
    assert!(room.state.reads.is_empty());
}
