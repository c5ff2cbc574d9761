//! Departure, boarding, arrival, cancellation, reviews.

use super::harness::{ANA, BEN, CID, DAN, Room};
use crate::ErrorCode;
use crate::RoomKind;
use crate::pool::{Action, Phase, Pool, Relation, may};
use crate::presence::PresenceState;
use serde_json::json;

#[test]
fn phases_follow_in_their_order() {
    for from in Phase::ALL {
        for to in Phase::ALL {
            let mut room = Room::pool("instant");
            let path: &[&str] = match from {
                Phase::Scheduled => &[],
                Phase::Departed => &["depart"],
                Phase::Completed => &["depart", "complete"],
                Phase::Cancelled => &["cancel"],
            };
            path.iter().for_each(|step| drop(room.ok(ANA, json!({"type": step}))));
            let step = match to {
                Phase::Scheduled => continue,
                Phase::Departed => "depart",
                Phase::Completed => "complete",
                Phase::Cancelled => "cancel",
            };
            let accepted = room.check(ANA, &json!({"type": step})).is_ok();
            assert_eq!(accepted, from.may_become(*to), "{from} → {to}");
        }
    }
}

#[test]
fn rights_are_as_the_table_says() {
    let wires = |room: &Room, action: Action| {
        let claim = room.state.claims.keys().next().copied();
        match action {
            Action::View => json!({"type": "create", "stops": [], "departure": {"date": "2027-01-01"}, "seats": 1}),
            Action::Ask => json!({"type": "request", "wait": true}),
            Action::Accept => json!({"type": "accept", "claim": claim}),
            Action::Withdraw => json!({"type": "withdraw", "claim": claim}),
            Action::Ride => json!({"type": "send_message", "body": "Hello"}),
            Action::Answer => json!({"type": "approve", "claim": claim}),
            Action::Edit => json!({"type": "update_details", "notes": "Bring water"}),
            Action::Drive => json!({"type": "board", "claim": claim, "boarded": true}),
            Action::Cancel => json!({"type": "cancel"}),
            Action::Review => json!({"type": "review", "of": ANA, "stars": 5}),
        }
    };
    for action in Action::ALL {
        for relation in Relation::ALL {
            let mut room = Room::with(json!({"booking": "instant", "seats": 1}));
            room.ask(BEN, 1);
            room.ask(CID, 1);
            let who = match relation {
                Relation::Owner => ANA,
                Relation::Rider => BEN,
                Relation::Claimant => CID,
                Relation::Visitor => DAN,
            };
            assert_eq!(Relation::of(&room.state, who), *relation);
            // What is refused for lack of rights is refused with one of these; other reasons have other words.
            let refused = room.check(who, &wires(&room, *action)).err();
            let lacks = refused.is_some_and(|refused| {
                let text = refused.message;
                ["Only the pool's owner", "own pool", "asked in this pool", "no such claim", "those who ride"]
                    .iter()
                    .any(|part| text.contains(part))
            });
            let expected = match (action, relation) {
                // The claim that is tried is Ben's, which is none of Cid's.
                (Action::Accept | Action::Withdraw, Relation::Claimant) => continue,
                _ => !may(*relation, *action),
            };
            assert_eq!(lacks, expected, "{action:?} by {relation:?}");
        }
    }
}

#[test]
fn departing_answers_everybody_and_completing_tells_the_costs() {
    let mut room = Room::with(json!({"booking": "approval", "seats": 3}));
    for user in [BEN, CID, DAN] {
        room.ask(user, 1);
    }
    let (ben, cid) = (room.claim(BEN), room.claim(CID));
    room.ok(ANA, json!({"type": "approve", "claim": ben}));
    room.ok(ANA, json!({"type": "approve", "claim": cid}));
    room.ok(ANA, json!({"type": "depart"}));
    assert_eq!([room.stage(BEN), room.stage(CID), room.stage(DAN)], [Some("confirmed"), Some("confirmed"), None]);
    room.ok(ANA, json!({"type": "board", "claim": ben, "boarded": true}));
    room.ok(ANA, json!({"type": "board", "claim": cid, "boarded": false}));
    room.refused(BEN, json!({"type": "withdraw", "claim": ben}), ErrorCode::PoolClosed, "");
    room.refused(BEN, json!({"type": "review", "of": ANA, "stars": 5}), ErrorCode::Conflict, "");
    room.ok(ANA, json!({"type": "complete"}));
    assert_eq!(serde_json::to_value(&room.state.shares).unwrap(), json!([{"user": BEN, "seats": 1, "minor": 1200}]));

    room.ok(BEN, json!({"type": "review", "of": ANA, "stars": 5, "text": "Smooth"}));
    room.refused(BEN, json!({"type": "review", "of": ANA, "stars": 1}), ErrorCode::AlreadyExists, "");
    room.refused(BEN, json!({"type": "review", "of": CID, "stars": 1}), ErrorCode::Invalid, "/of");
    room.refused(CID, json!({"type": "review", "of": ANA, "stars": 1}), ErrorCode::Invalid, "/of");
    room.refused(ANA, json!({"type": "review", "of": BEN, "stars": 6}), ErrorCode::Invalid, "/stars");
    room.ok(ANA, json!({"type": "review", "of": BEN, "stars": 4}));
    assert_eq!(room.told(BEN).last().map(String::as_str), Some("pool_reviewed"));
}

#[test]
fn a_cancellation_tells_everybody_what_it_means() {
    let mut room = Room::with(json!({"booking": "instant", "seats": 1}));
    room.ask(BEN, 1);
    room.ask(CID, 1);
    room.told(ANA);
    room.ok(ANA, json!({"type": "cancel", "reason": "The car broke down"}));
    assert!(room.state.claims.is_empty());
    assert_eq!((room.told(BEN), room.told(CID)), (vec!["pool_claim_ended".to_owned()], vec!["pool_claim_ended".to_owned()]));
}

#[test]
fn people_are_told_what_others_did() {
    let mut room = Room::with(json!({"booking": "approval", "seats": 1}));
    room.ask(BEN, 1);
    assert_eq!((room.told(ANA), room.told(BEN)), (vec!["pool_claimed".into()], vec![]));
    let ben = room.claim(BEN);
    room.ok(ANA, json!({"type": "approve", "claim": ben}));
    assert_eq!((room.told(ANA), room.told(BEN)), (vec![], vec!["pool_confirmed".into()]));
    room.ask(CID, 1);
    room.told(ANA);
    room.ok(ANA, json!({"type": "update_details", "departure": {"local": "2027-01-15T12:00", "tz": "Europe/Berlin"}}));
    assert_eq!((room.told(BEN), room.told(CID)), (vec!["pool_moved".into()], vec!["pool_moved".into()]));
    let cid = room.claim(CID);
    room.ok(ANA, json!({"type": "approve", "claim": cid}));
    assert_eq!(room.told(CID), ["pool_waiting_approved"]);
    room.ok(BEN, json!({"type": "withdraw", "claim": ben}));
    assert_eq!((room.told(ANA), room.told(BEN), room.told(CID)), (vec!["pool_rider_left".into()], vec![], vec!["pool_offered".into()]));
    room.wait(600);
    assert_eq!((room.told(ANA), room.told(CID)), (vec!["pool_rider_left".into()], vec!["pool_claim_ended".into()]));
    room.ask(BEN, 1);
    assert_eq!(room.told(ANA), ["pool_claimed"]);
    let ben = room.claim(BEN);
    room.ok(BEN, json!({"type": "withdraw", "claim": ben}));
    assert_eq!((room.told(ANA), room.told(BEN)), (vec!["pool_rider_left".into()], vec![]));
}

#[test]
fn a_driver_under_way_shares_the_position_and_the_arrival() {
    let mut room = Room::pool("instant");
    room.ask(BEN, 1);
    let said = |speed: Option<f64>| {
        let state = json!({"typing": true, "fix": {"lat": 48.14, "lon": 11.58, "speed": speed}});
        serde_json::from_value::<PresenceState>(state).unwrap()
    };
    let shown = |room: &Room, user, speed| Pool::presence(&room.state, user, said(speed), room.now);
    assert_eq!(shown(&room, ANA, Some(30.0)).fix, None, "not before the departure");
    room.ok(ANA, json!({"type": "depart"}));
    assert_eq!(shown(&room, BEN, Some(30.0)).fix, None, "not a rider's");
    let fix = shown(&room, ANA, Some(30.0)).fix.unwrap();
    // Munich to Nuremberg are some 150 km: at 30 m/s an hour and 23 minutes.
    let minutes = fix.arrives_at.unwrap().since(room.now).as_secs() / 60;
    assert!((80..86).contains(&minutes), "{minutes}");
    assert_eq!(shown(&room, ANA, Some(1.0)).fix.unwrap().arrives_at, None, "in traffic nobody knows");
    assert_eq!(shown(&room, ANA, None).fix.unwrap().arrives_at, None);
    assert!(shown(&room, ANA, None).typing);
    let forged = json!({"fix": {"lat": 48.14, "lon": 11.58, "arrives_at": "2027-01-15T11:00:00.000Z"}});
    assert!(serde_json::from_value::<PresenceState>(forged).is_err());
    room.ok(ANA, json!({"type": "complete"}));
    assert_eq!(shown(&room, ANA, Some(30.0)).fix, None, "nor after it");
}
