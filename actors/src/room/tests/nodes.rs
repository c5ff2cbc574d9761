//! A room of one node with people on others: relays, and whose the room is.

use super::defects::break_at;
use super::kind::Spot;
use super::stage::{ANN, BEN, CLEO, Hub, ROOM, Socket, Stage, card, note, pass, quiet};
use crate::engine::CallOptions;
use crate::ports::Detached;
use crate::testing::{Away, BusFaults, Fault, MemoryJournal};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tripsync_domain::{ClientId, CommandNumber, ErrorCode, NodeId, RoomId, Seq};
use uuid::Uuid;

/// A room that the first node owns, and a second node; Ann is on the first one, Ben on the second.
struct Two {
    hub: Hub,
    here: Stage,
    there: Stage,
    ann: Socket,
    ben: Socket,
}

async fn two() -> Two {
    let (hub, memory) = (Hub::new(), MemoryJournal::new());
    let (here, there) = (Stage::node(&hub, &memory).await, Stage::node(&hub, &memory).await);
    here.open(ROOM).await;
    let (ann, ben) = (here.seated(ANN).await, there.seated(BEN).await);
    Two { hub, here, there, ann, ben }
}

/// The first node, whose name comes along, does not reach the place of leases any more; Ben's has claimed the room, and he has written there.
async fn deposed() -> (Two, NodeId) {
    let Two { hub, here, there, ann, ben } = two().await;
    let cut_off = hub.cluster.owner(ROOM).unwrap();
    hub.cluster.set_leases_away(Some(cut_off), Some(Away::Fails));
    lease_ends().await;
    let ben = ben.reconnected(&there);
    there.join(&ben, None).await;
    there.op(&ben, 1, &note("3")).await;
    quiet().await;
    assert_eq!(there.epoch(), 2);
    (Two { hub, here, there, ann, ben }, cut_off)
}

/// Longer than a lease lives, with everything that comes of it.
async fn lease_ends() {
    pass(Duration::from_millis(1_600)).await;
}

#[tokio::test(start_paused = true)]
async fn people_on_two_nodes_are_in_one_room() {
    let Two { here, there, ann, ben, .. } = two().await;
    assert_eq!((here.engine.rooms(), there.engine.rooms(), here.epoch()), (1, 1, 1), "a room, and a relay for it");
    here.op(&ann, 1, &note("3")).await;
    there.op(&ben, 1, &note("4")).await;
    there.op(&ben, 2, &json!({"type": "refuse"})).await;
    there.op(&ben, 1, &note("4")).await;
    quiet().await;
    assert_eq!(ann.gist(), ["events [3!]", "ack 1 at 3", "events [4!]"]);
    assert_eq!(ben.gist(), ["events [3!]", "events [4!]", "ack 1 at 4", "rejected 2 conflict", "ack 1 at 4 again"]);
    let view = there.engine.read(ROOM, BEN).await.unwrap();
    assert_eq!((view.seq, view.kind), (Seq(4), "notes"));
    there.leave(&ben, false).await;
    here.op(&ann, 2, &note("5")).await;
    assert_eq!(ben.gist(), Vec::<String>::new(), "who has left hears nothing");
}

#[tokio::test(start_paused = true)]
async fn calls_of_any_node_reach_the_owner() {
    let Two { here, there, .. } = two().await;
    let id = Some((ClientId(Uuid::from_u128(9)), CommandNumber(1)));
    let options = CallOptions { id, if_match: Some(Seq(2)), ..CallOptions::default() };
    let first = there.engine.call(ROOM, card(BEN), &note("3"), options).await.unwrap();
    let again = here.engine.call(ROOM, card(BEN), &note("3"), CallOptions { id, ..CallOptions::default() }).await.unwrap();
    assert_eq!((first.seq, first.repeated, again.seq, again.repeated), (Seq(3), false, Seq(3), true));
    let other = CallOptions { id: None, if_match: Some(Seq(2)), ..CallOptions::default() };
    assert_eq!(there.engine.call(ROOM, card(BEN), &note("4"), other).await.unwrap_err().code, ErrorCode::Stale);
    let stranger = there.engine.call(ROOM, card(CLEO), &note("4"), CallOptions::default()).await.unwrap_err();
    assert_eq!(stranger.code, ErrorCode::NotFound);
    assert_eq!(there.engine.read(ROOM, CLEO).await.unwrap_err().code, ErrorCode::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_reservation_is_kept_and_given_back_whatever_node_the_command_came_through() {
    let Two { there, .. } = two().await;
    for (accept, ok) in [(false, false), (true, true)] {
        let done = there.engine.call(ROOM, card(BEN), &json!({"type": "reserve", "accept": accept}), CallOptions::default()).await;
        assert_eq!(done.is_ok(), ok, "{done:?}");
        quiet().await;
        // What the command made of it lasts.
        let kept = if accept { vec![ROOM] } else { Vec::new() };
        assert_eq!(there.memory.reserved(BEN, "tests"), kept);
    }
}

#[tokio::test(start_paused = true)]
async fn everybody_sees_who_is_here_and_only_what_is_for_them() {
    let Two { here, there, ann, ben, .. } = two().await;
    pass(Duration::from_millis(300)).await;
    let shows =
        |frames: Vec<Value>, what: &dyn Fn(&Value) -> bool| frames.iter().flat_map(|frame| frame["set"].as_array()).flatten().any(what);
    assert!(shows(ann.heard_presence(), &|entry| entry["user"] == json!(BEN)), "Ben came in on the other node");
    there.presence(&ben, tripsync_domain::presence::PresenceState { typing: true, ..Default::default() }).await;
    pass(Duration::from_millis(300)).await;
    assert!(shows(ann.heard_presence(), &|entry| entry["state"]["typing"] == true));
    let admit = json!({"type": "admit", "user": CLEO, "role": "viewer"});
    here.call(&admit).await.unwrap();
    let cleo = there.seated(CLEO).await;
    let (_, _) = (ben.heard(), ann.heard());
    here.op(&ann, 1, &json!({"type": "note", "text": "4", "to": [BEN]})).await;
    here.op(&ann, 2, &json!({"type": "note", "text": "5", "at_least": "participant"})).await;
    quiet().await;
    assert_eq!(
        (ben.gist(), cleo.gist()),
        (vec!["events [4!]".to_owned(), "events [5!]".into()], vec!["events [4]".to_owned(), "events [5]".into()])
    );
    // A role that changes is known at once.
    here.call(&json!({"type": "admit", "user": CLEO, "role": "participant"})).await.unwrap();
    here.op(&ann, 3, &json!({"type": "note", "text": "7", "at_least": "participant"})).await;
    quiet().await;
    assert_eq!(cleo.gist(), ["events [6!]", "events [7!]"]);
}

#[tokio::test(start_paused = true)]
async fn who_is_removed_is_out_on_every_node() {
    let Two { here, ann, ben, .. } = two().await;
    here.op(&ann, 1, &json!({"type": "remove", "user": BEN})).await;
    here.op(&ann, 2, &note("4")).await;
    quiet().await;
    assert_eq!((ben.gist(), ben.detached()), (vec!["events [3!]".to_owned(), "left removed".into()], Some(Detached::Ended)));
}

#[tokio::test(start_paused = true)]
async fn who_reads_slowly_on_another_node_holds_nobody_up_and_gets_a_resync() {
    let Two { here, there, ann, ben, .. } = two().await;
    ben.stall();
    for n in 1..=3 {
        here.op(&ann, n, &note("more")).await;
    }
    quiet().await;
    assert_eq!(ben.gist(), Vec::<String>::new());
    there.drained(&ben).await;
    quiet().await;
    here.op(&ann, 4, &note("6")).await;
    quiet().await;
    assert_eq!(ben.gist(), ["resumed 5 [3! 4! 5!]", "events [6!]"]);
}

#[tokio::test(start_paused = true)]
async fn when_the_owner_dies_its_rooms_go_on_elsewhere_and_nothing_is_lost() {
    let Two { here, there, ann, ben, .. } = two().await;
    here.op(&ann, 1, &note("3")).await;
    quiet().await;
    here.far.as_ref().unwrap().die();
    here.engine.crash();
    lease_ends().await;
    assert_eq!((ben.gist(), ben.detached()), (vec!["events [3!]".to_owned()], Some(Detached::Lost)));
    let ben = ben.reconnected(&there);
    there.join(&ben, Some((1, 3))).await;
    there.op(&ben, 1, &note("4")).await;
    quiet().await;
    assert_eq!((ben.gist(), there.epoch()), (vec!["resumed 3 []".to_owned(), "events [4!]".into(), "ack 1 at 4".into()], 2));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_goes_away_hands_its_rooms_over_at_once() {
    let Two { hub, here, there, ann, ben } = two().await;
    here.op(&ann, 1, &note("3")).await;
    assert!(here.engine.drain(Duration::from_secs(5)).await);
    quiet().await;
    assert_eq!(ben.detached(), Some(Detached::Lost));
    let before = tokio::time::Instant::now();
    let ben = ben.reconnected(&there);
    // Its node's sockets come here too; what they missed is events, not the state.
    let ann = ann.reconnected(&there);
    there.join(&ben, Some((1, 3))).await;
    there.join(&ann, Some((1, 1))).await;
    quiet().await;
    assert_eq!((ben.gist(), before.elapsed() < Duration::from_millis(50)), (vec!["resumed 3 []".to_owned()], true));
    assert_eq!(ann.gist(), ["resumed 3 [2! 3!]"]);
    assert!(hub.cluster.owner(ROOM).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_lost_is_noticed_and_the_room_looked_for_again() {
    let Two { hub, here, there, ann, ben } = two().await;
    hub.cluster.set_bus_faults(BusFaults { lost: 1_000, ..BusFaults::default() });
    here.op(&ann, 1, &note("3")).await;
    hub.cluster.set_bus_faults(BusFaults::default());
    // By the number that is said from time to time: nothing follows.
    pass(Duration::from_millis(600)).await;
    assert_eq!((ben.gist(), ben.detached()), (vec![], Some(Detached::Lost)));
    let ben = ben.reconnected(&there);
    there.join(&ben, Some((1, 2))).await;
    quiet().await;
    assert_eq!(ben.gist(), ["resumed 3 [3!]"]);
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_to_a_warm_room_on_another_node_asks_the_database_nothing() {
    let Two { hub, here, there, ben, .. } = two().await;
    let asked =
        || [&here, &there].map(|node| [&node.shim.kinds, &node.shim.opened, &node.shim.reads].map(|count| count.load(Ordering::Relaxed)));
    let before = asked();
    // Its node hears nothing of the owner for a while.
    hub.cluster.set_bus_faults(BusFaults { lost: 1_000, ..BusFaults::default() });
    pass(Duration::from_secs(2)).await;
    hub.cluster.set_bus_faults(BusFaults::default());
    assert_eq!(ben.detached(), Some(Detached::Lost));
    let ben = ben.reconnected(&there);
    there.join(&ben, Some((1, 2))).await;
    quiet().await;
    assert_eq!((ben.gist(), asked()), (vec!["resumed 2 []".to_owned()], before));
}

#[tokio::test(start_paused = true)]
async fn a_first_message_after_a_silence_is_missed_as_soon() {
    let Two { hub, here, ann, ben, .. } = two().await;
    // Just after the owner has said how much it had sent, which it does every 5 s by then.
    pass(Duration::from_secs(21)).await;
    hub.cluster.set_bus_faults(BusFaults { lost: 1_000, ..BusFaults::default() });
    here.op(&ann, 1, &note("3")).await;
    quiet().await;
    hub.cluster.set_bus_faults(BusFaults::default());
    pass(Duration::from_millis(600)).await;
    assert_eq!(ben.detached(), Some(Detached::Lost));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_waits_until_an_owner_that_took_its_room_over_without_the_place_of_leases_is_entered() {
    let Two { hub, here, .. } = two().await;
    here.call(&json!({"type": "set_alarm", "after_s": 5})).await.unwrap();
    hub.cluster.set_leases_away(None, Some(Away::Fails));
    lease_ends().await;
    // Its outcome is unknown, so the room is read again, under an epoch that may be above another owner's.
    here.memory.plan_faults([Some(Fault::Lost)]);
    assert_eq!(here.call(&note("4")).await.unwrap_err().code, ErrorCode::Retry);
    quiet().await;
    assert_eq!((here.epoch(), here.last()), (2, 3));
    pass(Duration::from_secs(10)).await;
    assert_eq!(here.last(), 3, "the alarm is due");
    hub.cluster.set_leases_away(None, None);
    pass(Duration::from_secs(2)).await;
    assert_eq!(here.last(), 4, "it has rung");
}

#[tokio::test(start_paused = true)]
async fn without_the_place_of_leases_rooms_go_on_and_none_is_claimed() {
    let Two { hub, here, there, ann, .. } = two().await;
    let other = RoomId(Uuid::from_u128(0x101));
    here.open(other).await;
    hub.cluster.set_leases_away(None, Some(Away::Fails));
    lease_ends().await;
    here.op(&ann, 1, &note("3")).await;
    here.op(&ann, 2, &json!({"type": "refuse"})).await;
    quiet().await;
    assert_eq!(ann.gist(), ["events [3!]", "ack 1 at 3", "rejected 2 conflict"], "the journal shows that the room is still here");
    assert_eq!(here.engine.read(ROOM, ANN).await.unwrap().seq, Seq(3));
    assert_eq!(there.engine.read(other, ANN).await.unwrap_err().code, ErrorCode::Retry);
    assert!(!here.engine.standing().unwrap().holds_lease);
    // Without the journal too nothing can be shown.
    here.memory.set_away(true);
    here.op(&ann, 3, &json!({"type": "refuse"})).await;
    pass(Duration::from_millis(300)).await;
    assert_eq!(ann.gist(), ["rejected 3 retry"]);
    let reading = tokio::spawn({
        let engine = here.engine.clone();
        async move { engine.read(ROOM, ANN).await }
    });
    pass(Duration::from_secs(2)).await;
    assert!(!reading.is_finished(), "not from memory, which may be old");
    here.memory.set_away(false);
    assert_eq!(reading.await.unwrap().unwrap().seq, Seq(3));
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_was_taken_for_dead_answers_nothing_old() {
    let (Two { hub, here, ann, .. }, cut_off) = deposed().await;
    // Ann's node does not know; a refusal and a state would be old ones.
    here.op(&ann, 1, &json!({"type": "refuse"})).await;
    quiet().await;
    assert_eq!((ann.gist(), ann.detached()), (vec!["rejected 1 moved".to_owned()], Some(Detached::Lost)));
    hub.cluster.set_leases_away(Some(cut_off), None);
    lease_ends().await;
    assert_eq!(here.engine.read(ROOM, ANN).await.unwrap().seq, Seq(3), "through a relay to the new owner");
}

#[tokio::test(start_paused = true)]
async fn rooms_that_were_claimed_while_the_lease_had_lapsed_are_given_up() {
    let Two { hub, here, there, ann, ben } = two().await;
    hub.cluster.flush();
    let claimed = there.engine.room_here(ROOM).await;
    assert!(claimed.is_err(), "the relay to the old owner is still there: {:?}", claimed.map(drop));
    drop(ben);
    lease_ends().await;
    // Nobody else wanted it meanwhile: it was entered again and stays.
    here.op(&ann, 1, &note("3")).await;
    assert_eq!((ann.gist(), here.epoch()), (vec!["events [3!]".to_owned(), "ack 1 at 3".into()], 1));
    assert!(hub.cluster.owner(ROOM).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_lapse_that_becomes_known_during_a_proof_is_followed_by_another_proof() {
    let hub = Hub::new();
    let here = Stage::node(&hub, &MemoryJournal::new()).await;
    here.open(ROOM).await;
    // Nobody is in the room, so that it does not mind.
    hub.cluster.flush();
    lease_ends().await;
    assert_eq!(hub.cluster.owner(ROOM), None);
    // Ann comes while nothing answers; it does again before her room has heard that nothing does.
    hub.cluster.set_leases_away(None, Some(Away::Hangs));
    lease_ends().await;
    let ann = here.socket(ANN);
    here.join(&ann, None).await;
    quiet().await;
    hub.cluster.set_leases_away(None, None);
    pass(Duration::from_secs(1)).await;
    assert_eq!((ann.heard()[0]["t"].as_str(), ann.detached()), (Some("joined"), None));
    assert!(hub.cluster.owner(ROOM).is_some(), "nobody can claim it while she looks at it");
}

#[tokio::test(start_paused = true)]
async fn who_only_watches_at_an_owner_without_its_lease_is_led_to_the_next_one() {
    let (deposed, _) = deposed().await;
    // Ann says nothing, and her node does not reach the place of leases.
    pass(Duration::from_secs(6)).await;
    assert_eq!(deposed.ann.detached(), Some(Detached::Lost));
}

#[tokio::test(start_paused = true)]
async fn a_room_goes_to_the_node_with_most_of_its_members() {
    let (hub, memory) = (Hub::new(), MemoryJournal::new());
    let (here, few, many) = (Stage::node(&hub, &memory).await, Stage::node(&hub, &memory).await, Stage::node(&hub, &memory).await);
    here.open(ROOM).await;
    let _few = few.seated(ANN).await;
    let _many = [many.seated(BEN).await, many.seated(ANN).await];
    assert!(here.engine.drain(Duration::from_secs(5)).await);
    pass(Duration::from_millis(20)).await;
    assert_eq!((few.engine.own_rooms(), many.engine.own_rooms(), here.epoch()), (vec![], vec![ROOM], 2), "opened before anybody asks");
}

#[tokio::test(start_paused = true)]
async fn a_room_that_its_owner_cannot_have_is_refused_on_every_node() {
    let Two { here, there, ann, ben, .. } = two().await;
    here.call(&break_at(Spot::View)).await.unwrap();
    // Until it fails no more because it rests.
    while here.engine.read(ROOM, ANN).await.unwrap_err().code != ErrorCode::RoomUnavailable {
        quiet().await;
    }
    let (_, ben) = (ann.gist(), ben.reconnected(&there));
    there.join(&ben, None).await;
    quiet().await;
    assert_eq!((ben.gist(), ben.detached()), (vec!["error room_unavailable".to_owned()], Some(Detached::Ended)));
}

#[tokio::test(start_paused = true)]
async fn a_node_without_the_journal_gives_a_room_up_to_the_others() {
    let Two { hub, here, there, ann, ben } = two().await;
    here.op(&ann, 1, &note("3")).await;
    here.memory.plan_faults([Some(Fault::Lost)]);
    here.memory.set_away(true);
    here.op(&ann, 2, &note("4")).await;
    pass(Duration::from_secs(10)).await;
    assert_eq!((ann.detached(), ben.detached()), (None, None), "it may come back");
    pass(Duration::from_secs(15)).await;
    assert_eq!((ann.detached(), ben.detached(), hub.cluster.owner(ROOM)), (Some(Detached::Lost), Some(Detached::Lost), None));
    there.memory.set_away(false);
    let ben = ben.reconnected(&there);
    there.join(&ben, None).await;
    quiet().await;
    assert_eq!(there.engine.own_rooms(), [ROOM]);
}
