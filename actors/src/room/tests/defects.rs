//! Rules that panic and rooms that fail: the command is refused, the room rests, and nobody else notices.

use super::kind::{Spot, panics};
use super::stage::{ANN, BEN, ROOM, Stage, card, note, pass, quiet};
use crate::config::EngineConfig;
use crate::engine::CallOptions;
use crate::ports::Detached;
use crate::testing::Fault;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;
use tripsync_domain::{ErrorCode, RoomId, Seq};
use uuid::Uuid;

pub(super) fn break_at(spot: Spot) -> Value {
    json!({"type": "break", "at": spot})
}

#[tokio::test(start_paused = true)]
async fn a_command_that_breaks_the_rules_is_refused_and_does_no_harm_a_second_time() {
    for (spot, panics_once, reloads) in [(Spot::Decide, 1, 0), (Spot::Evolve, 1, 1), (Spot::NoEvent, 0, 1), (Spot::Project, 1, 1)] {
        let stage = Stage::new().await;
        let (ann, ben) = (stage.seated(ANN).await, stage.seated(BEN).await);
        let before = panics();
        for n in 1..=3 {
            stage.op(&ann, n, &break_at(spot)).await;
            assert_eq!(ann.gist(), [format!("rejected {n} internal")], "{spot:?}");
        }
        // As a whole: its first event, which was fine, is not there either.
        assert_eq!((panics() - before, stage.epoch() - 1, stage.last()), (panics_once, reloads, 2), "{spot:?}");
        // It is refused for its author only, and the room goes on with everybody in it.
        stage.op(&ben, 1, &note("fine")).await;
        assert_eq!(ann.gist(), ["events [3!]"]);
        assert_eq!((ann.detached(), ben.gist()), (None, vec!["events [3!]".to_owned(), "ack 1 at 3".to_owned()]));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_decided_beside_a_broken_command_is_not_lost() {
    let stage = Stage::new().await;
    let (ann, ben) = (stage.seated(ANN).await, stage.seated(BEN).await);
    stage.memory.freeze();
    stage.op(&ben, 1, &note("3")).await;
    stage.memory.until_waiting(1).await;
    stage.op(&ben, 2, &note("4")).await;
    stage.op(&ann, 1, &break_at(Spot::Evolve)).await;
    assert_eq!(ann.gist(), ["rejected 1 internal"]);
    stage.memory.thaw();
    quiet().await;
    // The first one was with the journal, which refuses it under the new epoch; the second never was.
    assert_eq!(ben.gist(), ["rejected 1 retry", "rejected 2 retry"]);
    stage.op(&ben, 1, &note("3")).await;
    stage.op(&ben, 2, &note("4")).await;
    assert_eq!(ben.gist(), ["events [3!]", "ack 1 at 3", "events [4!]", "ack 2 at 4"]);
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_panics_leaves_nobody_waiting() {
    let stage = Stage::new().await;
    let ann = stage.seated(ANN).await;
    // A look at what the client has sent before.
    stage.shim.panics.store(true, Ordering::Relaxed);
    stage.op(&ann, 1, &note("3")).await;
    assert_eq!(ann.gist(), ["rejected 1 retry"]);
    stage.shim.panics.store(false, Ordering::Relaxed);
    stage.op(&ann, 1, &note("3")).await;
    assert_eq!(ann.gist(), ["events [3!]", "ack 1 at 3"]);
    // A reload: the room fails, and the next one who asks starts it.
    stage.shim.panics.store(true, Ordering::Relaxed);
    stage.memory.plan_faults([Some(Fault::Lost)]);
    stage.op(&ann, 2, &note("4")).await;
    assert_eq!(ann.detached(), Some(Detached::Lost));
    stage.shim.panics.store(false, Ordering::Relaxed);
    assert_eq!(stage.call(&note("4")).await.unwrap().seq, Seq(4));
}

#[tokio::test(start_paused = true)]
async fn a_room_that_keeps_failing_rests_for_longer_each_time_and_harms_no_other() {
    let config = EngineConfig {
        failures_max: 2,
        failure_window: Duration::from_secs(60),
        quarantine: Duration::from_secs(5),
        ..EngineConfig::default()
    };
    let stage = Stage::with(config).await;
    let other = RoomId(Uuid::from_u128(0x101));
    stage.open(other).await;
    let ben = stage.seated(BEN).await;
    stage.call(&break_at(Spot::View)).await.unwrap();
    // Who fails the room is told that the outcome is not known; who sits in it, that it is lost.
    let began = Instant::now();
    let mut codes = Vec::new();
    let mut rested = 0;
    for _ in 0..7 {
        let Err(refused) = stage.engine.read(ROOM, ANN).await else { panic!("the view still panics") };
        codes.push(refused.code);
        if refused.code == ErrorCode::RoomUnavailable {
            let rest = if rested == 0 { 5 } else { 10 };
            rested += rest;
            // Who is told to come back is told something between that and 5 s more.
            let hint = refused.retry_after_ms.unwrap();
            assert!((rest * 1_000 - 100..=rest * 1_000 + 5_000).contains(&hint), "{hint} ms for {rest} s");
            pass(Duration::from_secs(rest)).await;
        }
        quiet().await;
    }
    use ErrorCode::{Retry, RoomUnavailable};
    assert_eq!(codes, [Retry, Retry, Retry, RoomUnavailable, Retry, Retry, RoomUnavailable]);
    assert_eq!((rested, began.elapsed().as_secs()), (15, 15));
    assert_eq!((ben.gist(), ben.detached()), (vec!["events [3! 4!]".to_owned()], Some(Detached::Lost)));
    let fine = stage.engine.call(other, card(BEN), &note("fine"), CallOptions::default()).await.unwrap();
    assert_eq!((fine.seq, stage.memory.epoch(other).unwrap().0), (Seq(3), 1), "the other room never stopped");
    // What is stored is untouched.
    assert_eq!(stage.last(), 4);
}
