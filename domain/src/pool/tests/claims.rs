//! Seats asked for, held, given and taken back.

use super::harness::{ANA, BEN, CID, DAN, EVE, Room, ZOE, id};
use crate::ErrorCode;
use serde_json::json;

#[test]
fn the_owner_answers_each_request() {
    let mut room = Room::pool("approval");
    let asked = room.ok(BEN, json!({"type": "request", "seats": 2, "message": "With a dog"}));
    assert_eq!((&asked["type"], &asked["claim"]["stage"]["stage"]), (&json!("claimed"), &json!("pending")));
    assert_eq!(room.state.taken(), [0, 0], "a request takes no seat");
    room.ok(CID, json!({"type": "request"}));
    let (ben, cid) = (room.claim(BEN), room.claim(CID));
    room.ok(ANA, json!({"type": "approve", "claim": ben}));
    assert_eq!((room.stage(BEN), room.state.taken()), (Some("confirmed"), vec![2, 2]));

    // What no longer fits is refused with how many are left, and can be approved once there is room.
    let refused = room.refused(ANA, json!({"type": "approve", "claim": cid}), ErrorCode::SeatsTaken, "");
    assert_eq!(*refused.details.unwrap(), json!({"seats_left": 0}));
    room.refused(ANA, json!({"type": "approve", "claim": ben}), ErrorCode::Conflict, "");
    room.ok(ANA, json!({"type": "remove", "claim": ben, "reason": "No dogs"}));
    room.ok(ANA, json!({"type": "approve", "claim": cid}));

    // Again after a rejection.
    room.ask(DAN, 1);
    let dan = room.claim(DAN);
    room.ok(ANA, json!({"type": "reject", "claim": dan}));
    assert_eq!(room.stage(DAN), None);
    room.ask(DAN, 1);
}

#[test]
fn nobody_asks_twice_or_in_an_own_pool_or_for_nothing() {
    let mut room = Room::pool("instant");
    room.refused(ANA, json!({"type": "request"}), ErrorCode::Forbidden, "");
    room.refused(BEN, json!({"type": "request", "seats": 0}), ErrorCode::Invalid, "/seats");
    room.refused(BEN, json!({"type": "request", "seats": 3}), ErrorCode::Invalid, "/seats");
    room.refused(BEN, json!({"type": "request", "from": id(9)}), ErrorCode::Invalid, "/from");
    room.refused(BEN, json!({"type": "request", "from": id(3), "to": id(1)}), ErrorCode::Invalid, "/to");
    room.refused(BEN, json!({"type": "request", "from": id(2), "to": id(2)}), ErrorCode::Invalid, "/to");
    let ben = room.ask(BEN, 1);
    room.refused(BEN, json!({"type": "request"}), ErrorCode::AlreadyExists, "");
    room.refused(BEN, json!({"type": "hold"}), ErrorCode::AlreadyExists, "");
    room.refused(CID, json!({"type": "request", "id": ben}), ErrorCode::AlreadyExists, "/id");
    room.refused(CID, json!({"type": "withdraw", "claim": ben}), ErrorCode::NotFound, "/claim");
    room.refused(CID, json!({"type": "approve", "claim": ben}), ErrorCode::Forbidden, "");
}

#[test]
fn instant_booking_takes_the_seats_at_once() {
    let mut room = Room::pool("instant");
    room.ask(BEN, 1);
    assert_eq!(room.stage(BEN), Some("confirmed"));
    let refused = room.refused(CID, json!({"type": "request", "seats": 2}), ErrorCode::SeatsTaken, "");
    assert_eq!(*refused.details.unwrap(), json!({"seats_left": 1}));
    room.ask(CID, 1);
    assert_eq!(room.state.status().as_str(), "full");
    let ben = room.claim(BEN);
    room.ok(BEN, json!({"type": "withdraw", "claim": ben}));
    assert_eq!((room.stage(BEN), room.state.status().as_str()), (None, "open"));
}

#[test]
fn a_seat_may_be_free_on_a_part_of_the_way() {
    let mut room = Room::with(json!({"booking": "instant", "seats": 1}));
    room.ok(BEN, json!({"type": "request", "to": id(2)}));
    assert_eq!((room.state.taken(), room.state.status().as_str()), (vec![1, 0], "open"));
    room.refused(CID, json!({"type": "request"}), ErrorCode::SeatsTaken, "");
    room.ok(CID, json!({"type": "request", "from": id(2)}));
    assert_eq!((room.state.taken(), room.state.status().as_str()), (vec![1, 1], "full"));
}

#[test]
fn the_waiting_list_moves_in_order_to_the_first_whom_a_seat_fits() {
    let mut room = Room::pool("instant");
    room.ask(BEN, 2);
    room.ask(CID, 2);
    room.ask(DAN, 1);
    room.ask(EVE, 1);
    assert_eq!([CID, DAN, EVE].map(|user| room.state.place(room.claim(user))), [Some(1), Some(2), Some(3)]);
    // One seat more: too little for Cid, whose place stays; Dan is the first whom it fits.
    room.ok(ANA, json!({"type": "update_details", "seats": 3}));
    assert_eq!([CID, DAN, EVE].map(|user| room.stage(user).unwrap()), ["waiting", "offered", "waiting"]);
    assert_eq!(room.state.place(room.claim(EVE)), Some(2));
    // The offered seat is taken while Dan decides.
    assert_eq!(room.state.taken(), [3, 3]);
    // Dan declines; Cid still does not fit, Eve does.
    let dan = room.claim(DAN);
    room.ok(DAN, json!({"type": "withdraw", "claim": dan}));
    assert_eq!([CID, EVE].map(|user| room.stage(user).unwrap()), ["waiting", "offered"]);
    let eve = room.claim(EVE);
    room.ok(EVE, json!({"type": "accept", "claim": eve}));
    assert_eq!(room.stage(EVE), Some("confirmed"));
    // Ben goes: two seats for Cid.
    let ben = room.claim(BEN);
    room.ok(BEN, json!({"type": "withdraw", "claim": ben}));
    assert_eq!(room.stage(CID), Some("offered"));
    // Nobody passes the line: a newcomer finds the car full.
    room.refused(DAN, json!({"type": "request"}), ErrorCode::SeatsTaken, "");
}

#[test]
fn with_approval_a_free_seat_goes_to_whom_the_owner_wants() {
    let mut room = Room::with(json!({"booking": "approval", "seats": 1}));
    room.ask(BEN, 1);
    let ben = room.claim(BEN);
    room.ok(ANA, json!({"type": "approve", "claim": ben}));
    room.ask(CID, 1);
    room.ask(DAN, 1);
    let (cid, dan) = (room.claim(CID), room.claim(DAN));
    assert_eq!([room.stage(CID), room.stage(DAN)], [Some("waiting"); 2]);
    room.ok(ANA, json!({"type": "approve", "claim": dan}));
    room.ok(BEN, json!({"type": "withdraw", "claim": ben}));
    assert_eq!([room.stage(CID), room.stage(DAN)], [Some("waiting"), Some("offered")]);
    room.ok(ANA, json!({"type": "reject", "claim": cid}));
    room.refused(ANA, json!({"type": "reject", "claim": dan}), ErrorCode::Conflict, "");
    room.refused(BEN, json!({"type": "hold"}), ErrorCode::Conflict, "");
}

#[test]
fn places_in_the_line_can_be_followed_by_what_everybody_sees() {
    let mut room = Room::with(json!({"booking": "instant", "seats": 1}));
    room.ask(BEN, 1);
    for user in [CID, DAN, EVE] {
        room.ask(user, 1);
    }
    let mut eve = 3;
    let dan = room.claim(DAN);
    let ben = room.claim(BEN);
    for (author, wire) in [(DAN, json!({"type": "withdraw", "claim": dan})), (BEN, json!({"type": "withdraw", "claim": ben}))] {
        for event in room.check(author, &wire).unwrap() {
            if let crate::pool::Event::SeatsChanged { left, .. } = event {
                left.iter().for_each(|place| eve -= u16::from(*place < eve));
            }
        }
        assert_eq!(room.state.place(room.claim(EVE)), Some(eve));
    }
}

#[test]
fn the_owner_may_offer_a_seat_to_somebody() {
    let mut room = Room::with(json!({"booking": "approval", "seats": 1, "group": "tu"}));
    room.refused(BEN, json!({"type": "invite", "user": CID}), ErrorCode::Forbidden, "");
    room.refused(ANA, json!({"type": "invite", "user": ANA}), ErrorCode::AlreadyExists, "/user");
    room.refused(ANA, json!({"type": "invite", "user": ZOE}), ErrorCode::Invalid, "/user");
    room.ok(ANA, json!({"type": "invite", "user": BEN}));
    assert_eq!((room.stage(BEN), room.told(BEN)), (Some("offered"), vec!["pool_invited".into()]));
    room.refused(ANA, json!({"type": "invite", "user": CID}), ErrorCode::SeatsTaken, "");
    let ben = room.claim(BEN);
    room.ok(BEN, json!({"type": "accept", "claim": ben}));
    assert_eq!(room.stage(BEN), Some("confirmed"));
}

#[test]
fn who_has_too_many_requests_waiting_may_still_book_and_wait() {
    let mut room = Room::pool("approval");
    room.reserved = false;
    room.refused(BEN, json!({"type": "request"}), ErrorCode::LimitReached, "");
    // Waiting for a seat there means waiting for the owner's answer too.
    room.ok(ANA, json!({"type": "invite", "user": CID, "seats": 2}));
    room.refused(BEN, json!({"type": "request", "wait": true}), ErrorCode::LimitReached, "");
    let mut room = Room::with(json!({"booking": "instant", "seats": 1}));
    room.reserved = false;
    room.ask(BEN, 1);
    room.ask(CID, 1);
    assert_eq!([room.stage(BEN), room.stage(CID)], [Some("confirmed"), Some("waiting")]);
}
