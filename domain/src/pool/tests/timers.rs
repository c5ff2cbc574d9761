//! Holds, offers and the departure run out by themselves, each once.

use super::harness::{ANA, BEN, CID, DAN, Room};
use crate::pool::{Ending, Event, Pool};
use crate::{ErrorCode, RoomKind};
use serde_json::json;

fn endings(events: &[Event]) -> Vec<(&str, Ending)> {
    let ending = |event: &'_ Event| if let Event::ClaimEnded { ending, .. } = event { Some(*ending) } else { None };
    events.iter().filter_map(|event| ending(event).map(|ending| (event.tag(), ending))).collect()
}

#[test]
fn a_hold_takes_the_seat_and_its_end_frees_it_once() {
    let mut room = Room::pool("instant");
    room.ok(BEN, json!({"type": "hold", "seats": 2}));
    assert_eq!(room.state.taken(), [2, 2]);
    room.ask(CID, 1);
    assert_eq!(room.stage(CID), Some("waiting"));
    assert_eq!(room.wait(599), []);
    assert_eq!(endings(&room.wait(1)), [("claim_ended", Ending::Expired)]);
    assert_eq!((room.stage(BEN), room.stage(CID)), (None, Some("offered")));
    assert_eq!(room.expire(), []);
    // Cid is silent; nobody else waits.
    assert_eq!(endings(&room.wait(600)), [("claim_ended", Ending::Expired)]);
    assert_eq!(room.state.taken(), [0, 0]);
}

#[test]
fn a_hold_is_accepted_in_time_or_not_at_all() {
    let mut room = Room::with(json!({"booking": "instant", "hold_seconds": 60}));
    room.ok(BEN, json!({"type": "hold"}));
    let ben = room.claim(BEN);
    room.wait(59);
    room.ok(BEN, json!({"type": "accept", "claim": ben}));
    room.wait(600);
    assert_eq!(room.stage(BEN), Some("confirmed"));
    room.refused(BEN, json!({"type": "accept", "claim": ben}), ErrorCode::NotFound, "/claim");
    room.ok(CID, json!({"type": "hold"}));
    let cid = room.claim(CID);
    // Nobody ticks in between: the command itself finds that the time is over.
    room.now = room.now.plus(std::time::Duration::from_secs(60));
    room.refused(CID, json!({"type": "accept", "claim": cid}), ErrorCode::NotFound, "/claim");
}

#[test]
fn an_offer_that_is_not_answered_goes_to_the_next() {
    let mut room = Room::with(json!({"booking": "instant", "seats": 1, "offer_seconds": 100}));
    room.ask(BEN, 1);
    room.ask(CID, 1);
    room.ask(DAN, 1);
    let ben = room.claim(BEN);
    room.ok(BEN, json!({"type": "withdraw", "claim": ben}));
    assert_eq!([room.stage(CID), room.stage(DAN)], [Some("offered"), Some("waiting")]);
    // The clock jumps: the next offer gets its whole time, from when it is made.
    room.wait(5_000);
    assert_eq!([room.stage(CID), room.stage(DAN)], [None, Some("offered")]);
    room.wait(99);
    assert_eq!(room.stage(DAN), Some("offered"));
    room.wait(1);
    assert_eq!(room.stage(DAN), None);
}

#[test]
fn at_departure_whatever_is_not_settled_ends() {
    let mut room = Room::with(json!({"booking": "instant", "seats": 1, "hold_seconds": 7000}));
    room.wait(3_600);
    room.ok(BEN, json!({"type": "hold"}));
    room.ask(CID, 1);
    let departure = room.state.pool.as_ref().unwrap().details.departure.at;
    assert_eq!(Pool::deadline(&room.state), Some(departure), "a hold ends with the departure at the latest");
    let ended = room.wait(3_600);
    assert_eq!(endings(&ended).len(), 2, "{ended:?}");
    assert!(room.state.claims.is_empty());
    room.refused(DAN, json!({"type": "request"}), ErrorCode::PoolClosed, "");
    // The owner may still depart, late.
    room.ok(ANA, json!({"type": "depart"}));
}

#[test]
fn nothing_lingers_for_ever() {
    let mut room = Room::pool("instant");
    room.ask(BEN, 1);
    let events = room.wait(26 * 3_600);
    assert!(events.iter().any(|event| event.tag() == "pool_cancelled"));
    assert!(room.state.claims.is_empty(), "nobody departed, so nobody has a seat");
    assert_eq!(Pool::deadline(&room.state), None);

    let mut room = Room::pool("instant");
    room.ask(BEN, 1);
    room.ok(ANA, json!({"type": "depart"}));
    let events = room.wait(24 * 3_600);
    assert_eq!(events.iter().map(Event::tag).collect::<Vec<_>>(), ["pool_completed", "costs_shared"]);
    assert_eq!(Pool::deadline(&room.state), None);
}

#[test]
fn another_departure_moves_the_deadline() {
    let mut room = Room::pool("approval");
    room.ask(BEN, 1);
    room.ok(ANA, json!({"type": "update_details", "departure": {"local": "2027-01-15T13:00", "tz": "Europe/Berlin"}}));
    room.wait(3 * 3_600);
    assert_eq!(room.stage(BEN), Some("pending"));
    room.wait(3_600);
    assert_eq!(room.stage(BEN), None);
}
