//! The checks, fed with what a good server never sends: each must be able to fail.

mod sockets;

use super::harvest::{Fault, Refused, Verified};
use super::job::{Account, Client, Job, Room};
use super::member::{Outcome, Place, Waiting};
use super::shard::{Common, Shard};
use super::{Clock, verify};
use crate::scenario::{Mix, RoomKind, builtin};
use crate::wire::{Codec, client_id};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use uuid::Uuid;

const RUN: u64 = 0x1234_5678_9abc_def0;
const USER: Uuid = Uuid::from_u128(7);

/// A thread with two members of a trip, who keep replicas.
fn shard() -> Rc<Shard> {
    shard_of(Vec::new())
}

/// The same, whose server is there.
fn shard_of(addresses: Vec<String>) -> Rc<Shard> {
    shard_in(addresses, true)
}

/// The same, of whom nobody reads, perhaps.
fn shard_in(addresses: Vec<String>, reads: bool) -> Rc<Shard> {
    let mut scenario = builtin("fan-out").unwrap();
    scenario.personas[0].reads = reads;
    let client = |index| Client { index, persona: 0, room: 0, account: 0, place: index, of: 2, replica: true, doomed: false, stays: false };
    let job = Job {
        run: RUN,
        addresses,
        sources: Vec::new(),
        threads: 1,
        scenario,
        rooms: vec![Room { id: Uuid::from_u128(1), kind: RoomKind::Trip, items: Vec::new(), owner: 0, expected: vec![(USER, 2)] }],
        accounts: vec![Account { name: String::new(), user: USER, token: String::new() }],
        clients: vec![client(0), client(1)],
    };
    let common = Common { tops: vec![AtomicU64::new(0)], settled: AtomicU64::new(0) };
    Shard::new(Arc::new(job), Arc::new(common), Clock::start(), &[0, 1])
}

fn packed(frame: &Value) -> Message {
    Message::Binary(rmp_serde::to_vec_named(frame).unwrap().into())
}

/// Somebody who is there, as the server says it.
#[derive(Serialize)]
struct Present {
    user: Uuid,
    devices: u32,
}

/// A frame comes to a member.
fn hears(shard: &Rc<Shard>, slot: u32, frame: &Value) {
    let mut member = shard.members[slot as usize].borrow_mut();
    let message = if member.codec == Codec::Json { Message::Text(frame.to_string().into()) } else { packed(frame) };
    shard.heard(slot, &mut member, message);
}

/// Both are in, at the seq 4.
fn joined(shard: &Rc<Shard>) {
    for slot in 0..2 {
        hears(shard, slot, &json!({"t": "joined", "epoch": 1, "seq": 4, "state": {"title": "x"}, "presence": []}));
    }
}

fn events(from: u64, text: &str) -> Value {
    json!({"t": "events", "epoch": 1, "from": from, "events": [{"seq": from, "ev": {"type": text}}]})
}

/// A member sent a command so often.
fn sends(shard: &Rc<Shard>, slot: usize, n: u64, sendings: u32) {
    let message = Message::Text("".into());
    let (outcome, answers, applied) = (Outcome::None, 0, 0);
    let waiting = Waiting { n, due_us: 0, sent_us: 0, message, sendings, answers, outcome, applied, claim: None, mix: Mix::Chat };
    shard.members[slot].borrow_mut().waiting.push_back(waiting);
}

/// What was broken.
fn broken(shard: &Shard) -> BTreeMap<Fault, u64> {
    let Verified { of, .. } = shard.verified.take();
    of.into_iter().filter(|(_, count)| count.violations > 0).map(|(fault, count)| (fault, count.violations)).collect()
}

fn only(fault: Fault) -> BTreeMap<Fault, u64> {
    BTreeMap::from([(fault, 1)])
}

#[test]
fn an_acknowledged_command_is_known_by_its_event_in_json_as_well() {
    for (author, expected) in [(0, BTreeMap::new()), (1, only(Fault::Durability))] {
        let shard = shard();
        for member in &shard.members {
            member.borrow_mut().codec = Codec::Json;
        }
        joined(&shard);
        sends(&shard, 0, 9, 1);
        // The answer may come to this thread before anybody's event.
        shard.members[0].borrow_mut().seq = 5;
        hears(&shard, 0, &json!({"t": "ack", "n": 9, "seq": 5}));
        let event = json!({"seq": 5, "client": client_id(RUN, author), "n": 9, "ev": {"type": "message_sent"}});
        hears(&shard, 1, &json!({"t": "events", "epoch": 1, "from": 5, "events": [event]}));
        for member in &shard.members {
            member.borrow_mut().replica = None;
        }
        verify::members(&shard, &[5]);
        assert_eq!(broken(&shard), expected);
    }
}

#[test]
fn a_refusal_after_the_acknowledgement_is_noticed() {
    let shard = shard();
    joined(&shard);
    sends(&shard, 0, 9, 2);
    hears(&shard, 0, &json!({"t": "ack", "n": 9, "seq": 4}));
    hears(&shard, 0, &json!({"t": "rejected", "n": 9, "code": "forbidden"}));
    assert_eq!(broken(&shard), only(Fault::Answers));
}

#[test]
fn a_refusal_that_nobody_else_brought_about_is_noticed() {
    for (mix, code, expected) in [
        (Mix::Claim, "seats_taken", BTreeMap::new()),
        (Mix::Withdraw, "not_found", BTreeMap::new()),
        (Mix::Queue, "seats_taken", only(Fault::Refusals)),
        (Mix::Chat, "forbidden", only(Fault::Refusals)),
        (Mix::Chat, "internal", only(Fault::Refusals)),
    ] {
        let shard = shard();
        joined(&shard);
        sends(&shard, 0, 9, 1);
        shard.members[0].borrow_mut().waiting[0].mix = mix;
        hears(&shard, 0, &json!({"t": "rejected", "n": 9, "code": code}));
        assert_eq!(broken(&shard), expected, "{mix:?} {code}");
        assert_eq!(shard.answered.borrow()[&mix].refused, 1);
    }
}

#[test]
fn a_refused_command_is_kept_until_another_sending_of_it_is_applied() {
    let shard = shard();
    joined(&shard);
    sends(&shard, 0, 9, 2);
    shard.members[0].borrow_mut().waiting[0].mix = Mix::Claim;
    hears(&shard, 0, &json!({"t": "rejected", "n": 9, "code": "seats_taken"}));
    let refused = || shard.logs[0].take().into_room(0).refused;
    let kept = refused();
    assert_eq!(kept, [Refused { client: 1, n: 9, no_seat: true }]);
    shard.logs[0].borrow_mut().refused(0, 9, true);
    hears(&shard, 0, &json!({"t": "ack", "n": 9, "seq": 4}));
    assert_eq!(refused(), []);
}

#[test]
fn a_member_that_leaps_without_being_shown_anything_is_noticed() {
    let shard = shard();
    joined(&shard);
    hears(&shard, 0, &json!({"t": "joined", "epoch": 1, "seq": 4, "presence": []}));
    assert_eq!(broken(&shard), BTreeMap::new());
    hears(&shard, 0, &json!({"t": "joined", "epoch": 1, "seq": 6, "presence": []}));
    assert_eq!(broken(&shard), only(Fault::Order));
    hears(&shard, 1, &json!({"t": "joined", "epoch": 1, "seq": 1_000_000_000, "state": {}, "presence": []}));
    assert_eq!(broken(&shard), only(Fault::Order));
}

#[test]
fn frames_that_are_none_are_noticed() {
    let shard = shard();
    joined(&shard);
    shard.heard(0, &mut shard.members[0].borrow_mut(), Message::Binary(vec![0xc1].into()));
    assert_eq!(broken(&shard), only(Fault::Frames));
    shard.heard(0, &mut shard.members[0].borrow_mut(), Message::Text("{".into()));
    assert_eq!(broken(&shard), only(Fault::Frames));
    hears(&shard, 0, &json!({"t": "error", "code": "invalid"}));
    assert_eq!(broken(&shard), only(Fault::Frames));
}

#[test]
fn members_who_get_different_events_do_not_agree() {
    let shard = shard();
    joined(&shard);
    hears(&shard, 0, &events(5, "one"));
    hears(&shard, 1, &events(5, "one"));
    assert_eq!(broken(&shard), BTreeMap::new());
    hears(&shard, 0, &events(6, "one"));
    hears(&shard, 1, &events(6, "two"));
    assert_eq!(broken(&shard), only(Fault::Agreement));
}

#[test]
fn members_who_are_shown_different_states_are_noticed() {
    let shard = shard();
    joined(&shard);
    assert_eq!(shard.verified.borrow().of[&Fault::Snapshots].checked, 1);
    assert_eq!(broken(&shard), BTreeMap::new());
    hears(&shard, 1, &json!({"t": "joined", "epoch": 1, "seq": 4, "state": {"title": "y"}, "presence": []}));
    assert_eq!(broken(&shard), only(Fault::Snapshots));
}

#[test]
fn who_is_shown_as_present_is_held_against_who_should_be() {
    for (devices, expected) in [(2, BTreeMap::new()), (1, only(Fault::Presence))] {
        let shard = shard();
        joined(&shard);
        shard.members[1].borrow_mut().place = Place::Before;
        let present = rmp_serde::to_vec_named(&[Present { user: USER, devices }]).unwrap();
        shard.members[0].borrow_mut().replica.as_mut().unwrap().present_anew(&present);
        verify::members(&shard, &[4]);
        assert_eq!(broken(&shard), expected);
    }
}

#[test]
fn a_replica_that_differs_is_noticed_and_one_that_gave_up_is_counted() {
    let shard = shard();
    let view = shard.members[0].borrow_mut().replica.as_mut().unwrap().view();
    // The state of no event breaks no invariant, so that there is something to compare.
    let state = view.unwrap().unwrap();
    verify::replicas(&shard, 0, 0, &state);
    assert_eq!(broken(&shard), BTreeMap::new());
    verify::replicas(&shard, 0, 0, b"something else");
    assert_eq!(broken(&shard), BTreeMap::from([(Fault::Replicas, 2)]));

    joined(&shard);
    verify::replicas(&shard, 0, 4, b"something else");
    let left_out = shard.verified.borrow().of[&Fault::Replicas].left_out.clone();
    assert_eq!(left_out, BTreeMap::from([("gave up because they were sent a snapshot".to_owned(), 2)]));
}

#[tokio::test]
async fn looking_at_a_server_that_hangs_ends_and_is_a_finding() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let shard = shard_of(vec![silent.local_addr().unwrap().to_string()]);
    joined(&shard);
    verify::rooms_within(&shard, Duration::from_millis(50)).await;
    let example = shard.verified.borrow().of[&Fault::Replicas].examples[0].clone();
    assert!(example.contains("could not be looked at: no state came in time"), "{example}");
    assert_eq!(broken(&shard), only(Fault::Replicas));
}

#[test]
fn an_event_that_no_replica_can_read_is_noticed() {
    let shard = shard();
    hears(&shard, 0, &json!({"t": "joined", "epoch": 1, "seq": 1, "events": [{"seq": 1, "ev": 7}], "presence": []}));
    verify::replicas(&shard, 0, 1, b"");
    assert_eq!(broken(&shard), only(Fault::Replicas));
}

#[test]
fn who_is_late_or_away_has_broken_no_promise() {
    let shard = shard();
    joined(&shard);
    shard.members[0].borrow_mut().place = Place::Out;
    shard.members[1].borrow_mut().replica = None;
    verify::members(&shard, &[5]);
    let slow = shard.verified.borrow().slow.clone();
    assert_eq!((slow.away, slow.behind), (1, 1));
    assert_eq!(broken(&shard), BTreeMap::new());
}

#[test]
fn who_never_reads_is_told_why_it_is_closed_or_let_in_again() {
    let close = |code: u16| Message::Close(Some(CloseFrame { code: code.into(), reason: "".into() }));
    for (code, again, expected) in [(4001, false, BTreeMap::new()), (1006, true, BTreeMap::new()), (1006, false, only(Fault::Order))] {
        let shard = shard_in(Vec::new(), false);
        joined(&shard);
        {
            let mut member = shard.members[0].borrow_mut();
            shard.heard(0, &mut member, close(code));
            member.place = Place::Out;
        }
        if again {
            hears(&shard, 0, &json!({"t": "joined", "epoch": 1, "seq": 4, "presence": []}));
        }
        for member in &shard.members {
            member.borrow_mut().replica = None;
        }
        verify::members(&shard, &[4]);
        assert_eq!(broken(&shard), expected, "{code} {again}");
        assert_eq!(shard.tally.borrow().sheets[0].counters.closed_slow, u64::from(code == 4001));
    }
}

#[test]
fn what_comes_with_joined_is_timed_and_what_a_state_stands_for_is_missing() {
    let counted = |frame: Value, left_itself: bool| {
        let shard = shard();
        joined(&shard);
        shard.members[0].borrow_mut().left_itself = left_itself;
        hears(&shard, 0, &frame);
        let counters = shard.tally.borrow().sheets[0].counters;
        (counters.deliveries, counters.arrivals, counters.missing, counters.resyncs)
    };
    let event = json!({"seq": 5, "client": client_id(RUN, 1), "n": 9, "ev": {"type": "message_sent"}});
    let with_event = json!({"t": "joined", "epoch": 1, "seq": 5, "events": [event], "presence": []});
    assert_eq!([false, true].map(|left| counted(with_event.clone(), left)), [(1, 1, 0, 0), (0, 0, 0, 0)]);
    let state = json!({"t": "joined", "epoch": 1, "seq": 7, "state": {"title": "y"}, "presence": []});
    assert_eq!([false, true].map(|left| counted(state.clone(), left)), [(0, 0, 3, 1), (0, 0, 0, 1)]);
}
