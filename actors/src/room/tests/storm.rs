//! What holds when many come at once, and when a join gives its turn back.

use super::stage::{ANN, BEN, CLEO, Hub, ROOM, Socket, Stage, note, pass, quiet};
use crate::config::EngineConfig;
use crate::engine::CallOptions;
use crate::session::Rooms;
use crate::testing::{Away, Fault, MemoryJournal};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

fn one_at_a_time() -> EngineConfig {
    at_once(1)
}

fn at_once(joins_at_once: usize) -> EngineConfig {
    EngineConfig { joins_at_once, ..EngineConfig::default() }
}

/// How many of 500 who come together are in when a member's command is answered that was sent after they came.
async fn in_before_a_command(joins_at_once: usize) -> usize {
    let stage = Stage::with(at_once(joins_at_once)).await;
    let ann = stage.seated(ANN).await;
    let crowd: Vec<_> = (0..500).map(|_| stage.socket(BEN)).collect();
    for socket in &crowd {
        let (engine, socket) = (stage.engine.clone(), socket.clone());
        tokio::spawn(async move {
            let turn = engine.turn().await;
            engine.room(ROOM).await.unwrap().tell(socket.joining(turn)).unwrap();
        });
    }
    let asked = tokio::spawn({
        let (address, ann) = (stage.engine.room(ROOM).await.unwrap(), ann.clone());
        async move { Stage::op_to(&address, &ann, 1, &note("3")).await }
    });
    // No time goes by here; everybody has their turn in between.
    while !ann.gist().iter().any(|frame| frame == "ack 1 at 3") {
        tokio::task::yield_now().await;
    }
    let are_in = crowd.iter().filter(|socket| !socket.gist().is_empty()).count();
    asked.await.unwrap();
    quiet().await;
    assert!(crowd.iter().all(|socket| socket.cursor.get().is_some()), "everybody comes in");
    are_in
}

#[tokio::test(start_paused = true)]
async fn a_member_does_not_wait_for_everybody_who_comes() {
    let (few, all) = (in_before_a_command(8).await, in_before_a_command(1_000).await);
    assert!(few <= 100 && all == 500, "{few} and {all}");
}

#[tokio::test(start_paused = true)]
async fn many_who_hear_the_same_are_told_different_times() {
    let stage = Stage::new().await;
    let mut crowd = Vec::new();
    for _ in 0..50 {
        crowd.push(stage.seated(BEN).await);
    }
    stage.memory.set_away(true);
    stage.memory.plan_faults([Some(Fault::Lost)]);
    let _lost = stage.calling(ANN, note("3"), CallOptions::default());
    quiet().await;
    let mut hints = BTreeSet::new();
    for socket in &crowd {
        stage.op(socket, 1, &note("4")).await;
        let heard = socket.heard();
        assert_eq!(heard[0]["code"], "retry");
        hints.insert(heard[0]["retry_after_ms"].as_u64().unwrap());
    }
    assert!(hints.len() > 40 && hints.iter().all(|hint| (500..=1_000).contains(hint)), "{hints:?}");
    // Those who wait for one start of a room likewise.
    let another = stage.another().await;
    let asking: Vec<_> = (0..50).map(|_| another.clone()).map(|engine| tokio::spawn(async move { engine.room(ROOM).await })).collect();
    let mut hints = BTreeSet::new();
    for asked in asking {
        hints.insert(asked.await.unwrap().err().unwrap().retry_after_ms.unwrap());
    }
    assert!(hints.len() > 40 && hints.iter().all(|hint| (500..=1_000).contains(hint)), "{hints:?}");
}

#[tokio::test(start_paused = true)]
async fn who_is_in_or_refused_or_gone_has_given_the_turn_back() {
    let stage = Stage::with(one_at_a_time()).await;
    for user in [ANN, CLEO] {
        stage.join_in_turn(&stage.socket(user)).await;
        assert!(stage.has_turn().await);
    }
    // At the gate it is kept, until it leaves or what it waits for takes too long.
    stage.memory.freeze();
    let call = stage.calling(ANN, note("one"), CallOptions::default());
    quiet().await;
    let (gone, waits) = (stage.socket(BEN), stage.socket(BEN));
    stage.join_in_turn(&gone).await;
    assert!(!stage.has_turn().await);
    stage.leave(&gone, true).await;
    quiet().await;
    assert!(stage.has_turn().await);
    stage.join_in_turn(&waits).await;
    pass(Duration::from_millis(240)).await;
    assert!(!stage.has_turn().await);
    pass(Duration::from_millis(20)).await;
    assert!(stage.has_turn().await);
    stage.memory.thaw();
    call.await.unwrap().unwrap();
    quiet().await;
    assert_eq!(waits.gist(), ["state 3"]);
}

#[tokio::test(start_paused = true)]
async fn a_room_that_reloads_gives_turns_back() {
    let stage = Stage::with(one_at_a_time()).await;
    stage.memory.plan_faults([Some(Fault::Lost)]);
    stage.memory.set_away(true);
    let call = stage.calling(ANN, note("one"), CallOptions::default());
    quiet().await;
    let ben = stage.socket(BEN);
    stage.join_in_turn(&ben).await;
    assert_eq!((stage.has_turn().await, ben.gist()), (true, vec![]));
    stage.memory.set_away(false);
    call.await.unwrap().unwrap_err();
    pass(Duration::from_secs(3)).await;
    assert_eq!(ben.gist(), ["state 2"]);
}

#[tokio::test(start_paused = true)]
async fn a_room_that_must_make_sure_gives_turns_back() {
    let (hub, memory) = (Hub::new(), MemoryJournal::new());
    let stage = Stage::node_with(&hub, &memory, one_at_a_time()).await;
    stage.open(ROOM).await;
    hub.cluster.set_leases_away(None, Some(Away::Fails));
    pass(Duration::from_millis(1_600)).await;
    stage.memory.set_away(true);
    let ann = stage.socket(ANN);
    stage.join_in_turn(&ann).await;
    assert_eq!((stage.has_turn().await, ann.gist()), (true, vec![]));
}

#[tokio::test(start_paused = true)]
async fn through_a_relay_it_is_given_back_when_the_owner_has_answered() {
    let (hub, memory) = (Hub::new(), MemoryJournal::new());
    let here = Stage::node(&hub, &memory).await;
    here.open(ROOM).await;
    let there = Stage::node_with(&hub, &memory, one_at_a_time()).await;
    let [ben, cleo, late]: [Socket; 3] = [BEN, CLEO, BEN].map(|user| there.socket(user));
    for socket in [&ben, &cleo] {
        there.join_in_turn(socket).await;
        quiet().await;
        assert!(there.has_turn().await);
    }
    assert_eq!((ben.gist(), cleo.gist()), (vec!["state 2".to_owned()], vec!["error not_found".to_owned()]));
    here.memory.freeze();
    let call = here.calling(ANN, json!({"type": "note", "text": "one"}), CallOptions::default());
    quiet().await;
    there.join_in_turn(&late).await;
    assert!(!there.has_turn().await, "it stands in the owner's room");
    here.memory.thaw();
    call.await.unwrap().unwrap();
    quiet().await;
    assert!(there.has_turn().await);
}
