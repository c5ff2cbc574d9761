use super::harness::{ANA, BEN, Room, VIC, ZOE, id};
use crate::ErrorCode::{AlreadyExists, Forbidden, Invalid, LimitReached, NotFound};
use crate::trip::limits::{EXPENSES_MAX, SHARES_MAX};
use crate::{RoomId, UserId};
use serde_json::{Value, json};
use uuid::Uuid;

const POOL: RoomId = RoomId(Uuid::from_u128(7));

fn lunch(number: u128, minor: i64, shares: &[(UserId, i64)]) -> Value {
    let shares: Vec<_> = shares.iter().map(|(user, minor)| json!({"user": user, "minor": minor})).collect();
    json!({"type": "add_expense", "id": id(number), "title": "Lunch", "payer": ANA, "amount": {"minor": minor, "currency": "EUR"}, "shares": shares})
}

#[test]
fn add_up_to_the_cent() {
    let mut room = Room::trip();
    for (minor, shares, pointer) in [
        (1_000, vec![(ANA, 500), (BEN, 499)], "/shares"),
        (1_000, vec![(ANA, 500), (BEN, 501)], "/shares"),
        (1_000, vec![], "/shares"),
        (1_000, vec![(ANA, 1_500), (BEN, -500)], "/shares/1/minor"),
        (1_000, vec![(ANA, 500), (BEN, 250), (ANA, 250)], "/shares/2/user"),
        (1_000, vec![(ANA, 500), (ZOE, 500)], "/shares/1/user"),
        (0, vec![(ANA, 0)], "/amount/minor"),
        (-100, vec![(ANA, -100)], "/amount/minor"),
    ] {
        room.refused(ANA, lunch(1, minor, &shares), Invalid, pointer);
    }
    let many: Vec<_> = (0..=SHARES_MAX as u128).map(|user| (UserId(Uuid::from_u128(0x100 + user)), 1)).collect();
    room.refused(ANA, lunch(1, 51, &many), Invalid, "/shares");
    let stranger = json!({"type": "add_expense", "title": "x", "payer": ZOE, "amount": {"minor": 1, "currency": "EUR"},
        "shares": [{"user": ANA, "minor": 1}]});
    room.refused(ANA, stranger, Invalid, "/payer");
    // Nothing is a share, and the order does not matter.
    room.ok(ANA, lunch(1, 1_000, &[(BEN, 1_000), (ANA, 0)]));
    assert_eq!(room.state.expenses[&id(1)].item.shares[0].user, ANA);
    for (field, value, pointer) in [
        ("amount", json!({"minor": 999, "currency": "EUR"}), "/shares"),
        ("shares", json!([{"user": ANA, "minor": 999}]), "/shares"),
        ("shares", json!([{"user": ANA, "minor": 500}, {"user": ZOE, "minor": 500}]), "/shares/1/user"),
        ("shares", json!(null), "/shares"),
        ("payer", json!(ZOE), "/payer"),
    ] {
        room.refused(BEN, json!({"type": "update_expense", "expense": id(1), field: value}), Invalid, pointer);
    }
    let settled = json!({"type": "update_expense", "expense": id(1), "amount": {"minor": 5, "currency": "JPY"}, "shares": [{"user": VIC, "minor": 5}]});
    room.ok(BEN, settled);
}

#[test]
fn are_written_by_those_who_may_edit() {
    let mut room = Room::trip();
    room.refused(VIC, lunch(1, 1, &[(VIC, 1)]), Forbidden, "");
    room.refused(ZOE, lunch(1, 1, &[(ANA, 1)]), NotFound, "");
    room.ok(BEN, lunch(1, 1, &[(VIC, 1)]));
    room.refused(VIC, json!({"type": "update_expense", "expense": id(1), "title": "x"}), Forbidden, "");
    room.refused(VIC, json!({"type": "remove_expense", "expense": id(1)}), Forbidden, "");
    room.refused(ANA, lunch(1, 1, &[(VIC, 1)]), AlreadyExists, "/id");
    room.ok(ANA, json!({"type": "remove_expense", "expense": id(1)}));
    let said = room.refused(BEN, json!({"type": "remove_expense", "expense": id(1)}), NotFound, "/expense");
    assert!(said.starts_with("The expense was removed by Ana at "), "{said}");
    room.refused(BEN, lunch(1, 1, &[(VIC, 1)]), AlreadyExists, "/id");
}

#[test]
fn outlive_the_membership_of_those_in_them() {
    let mut room = Room::trip();
    room.ok(ANA, lunch(1, 300, &[(ANA, 100), (BEN, 100), (VIC, 100)]));
    room.ok(BEN, json!({"type": "leave"}));
    assert_eq!(room.state.expenses[&id(1)].item.shares.len(), 3);
    // Who is gone stays in it, with another share too, and gets into no other.
    let other = json!([{"user": ANA, "minor": 50}, {"user": BEN, "minor": 250}]);
    room.ok(ANA, json!({"type": "update_expense", "expense": id(1), "shares": other}));
    room.refused(ANA, lunch(2, 100, &[(BEN, 100)]), Invalid, "/shares/0/user");
}

#[test]
fn tell_whose_value_is_overwritten() {
    let mut room = Room::trip();
    room.ok(ANA, lunch(1, 300, &[(ANA, 300)]));
    let seen = room.seq();
    room.ok(ANA, json!({"type": "update_expense", "expense": id(1), "title": "Dinner"}));
    let conflicts =
        room.seen(seen).conflicts(BEN, json!({"type": "update_expense", "expense": id(1), "title": "Brunch", "date": "2027-05-02"}));
    assert_eq!((conflicts.len(), conflicts[0].path.as_str()), (1, &*format!("/expenses/{}/title", id(1))));
    let conflicts = room.seen(seen).conflicts(ANA, json!({"type": "remove_expense", "expense": id(1)}));
    assert_eq!(conflicts.len(), 2, "title and date are Ben's");
    // The same shares in another order are no change.
    room.ok(ANA, lunch(2, 300, &[(ANA, 100), (BEN, 200)]));
    let same = json!([{"user": BEN, "minor": 200}, {"user": ANA, "minor": 100}]);
    let event = room.ok(ANA, json!({"type": "update_expense", "expense": id(2), "shares": same}));
    assert_eq!(event["changes"], json!({}));
}

#[test]
fn of_a_pool_come_once_and_stay_as_the_ride_settled_them() {
    let mut room = Room::trip();
    room.from(Some(POOL)).ok(BEN, lunch(1, 300, &[(BEN, 300)]));
    assert_eq!(room.state.expenses[&id(1)].item.pool, Some(POOL));
    room.refused(ANA, lunch(2, 300, &[(BEN, 300)]), AlreadyExists, "");
    room.from(Some(RoomId(Uuid::from_u128(8)))).ok(ANA, lunch(3, 300, &[(BEN, 300)]));
    room.from(None);
    let set = |field: &str, value: Value| json!({"type": "update_expense", "expense": id(1), field: value});
    room.refused(ANA, set("payer", json!(BEN)), Invalid, "/payer");
    room.refused(ANA, set("amount", json!({"minor": 300, "currency": "USD"})), Invalid, "/amount");
    room.refused(ANA, set("shares", json!([{"user": ANA, "minor": 300}])), Invalid, "/shares");
    room.ok(ANA, set("title", json!("There and back")));
    // Clients cannot say that something came from a pool.
    let mut forged = lunch(4, 300, &[(BEN, 300)]);
    forged["pool"] = json!(POOL);
    assert_eq!(room.check(ANA, &forged).unwrap_err().code, crate::ErrorCode::UnknownField);
    room.ok(ANA, json!({"type": "remove_expense", "expense": id(1)}));
    let said = room.from(Some(POOL)).refused(BEN, lunch(1, 300, &[(BEN, 300)]), AlreadyExists, "/id");
    assert!(said.contains("was in the trip"), "{said}");
}

#[test]
fn are_bounded() {
    let mut room = Room::trip();
    for number in 0..EXPENSES_MAX as u128 {
        room.quick(ANA, lunch(1 + number, 1, &[(ANA, 1)]));
    }
    room.refused(ANA, lunch(0x9_0000, 1, &[(ANA, 1)]), LimitReached, "");
}
