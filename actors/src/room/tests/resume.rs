//! Who comes back gets what is missing, and who cannot keep up gets the state.

use super::stage::{ANN, BEN, ROOM, Stage, note, pass, quiet};
use crate::config::EngineConfig;
use crate::ports::Detached;
use serde::de::IgnoredAny;
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tripsync_domain::protocol::EventRecord;
use tripsync_domain::{Seq, Timestamp};

#[tokio::test(start_paused = true)]
async fn who_resumes_gets_what_is_missing_or_the_state() {
    // The room is at epoch 1 and seq 7, of which it holds the last three events.
    let stage = Stage::with(EngineConfig { ring_events_max: 3, ..EngineConfig::default() }).await;
    for text in ["3", "4", "5", "6", "7"] {
        stage.call(&note(text)).await.unwrap();
    }
    for (since, expected) in [
        (None, "state 7"),
        (Some((1, 7)), "resumed 7 []"),
        (Some((1, 6)), "resumed 7 [7!]"),
        (Some((1, 4)), "resumed 7 [5! 6! 7!]"),
        (Some((1, 3)), "state 7"),
        (Some((1, 0)), "state 7"),
        (Some((1, 8)), "state 7"),
        (Some((2, 7)), "state 7"),
        (Some((0, 6)), "resumed 7 [7!]"),
        (Some((u64::MAX, u64::MAX)), "state 7"),
    ] {
        let ben = stage.socket(BEN);
        stage.join(&ben, since).await;
        quiet().await;
        assert_eq!(ben.gist(), [expected], "since {since:?}");
        stage.leave(&ben, false).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_in_a_room_before_it_rested_gets_what_is_missing() {
    let stage = Stage::with(EngineConfig { idle_after: Duration::from_secs(1), ..EngineConfig::default() }).await;
    for n in 3..=300 {
        stage.call(&note(&n.to_string())).await.unwrap();
    }
    for (unreadable, since, events) in [(0, 299, Some(1)), (0, 44, Some(256)), (0, 43, None), (298, 298, Some(2)), (298, 297, None)] {
        pass(Duration::from_secs(5)).await;
        assert_eq!((stage.engine.rooms(), stage.memory.snapshot(ROOM).unwrap().seq), (0, Seq(300)));
        *stage.shim.unreadable.lock() = Seq(unreadable);
        stage.shim.reads.store(0, Ordering::Relaxed);
        let ben = stage.socket(BEN);
        stage.join(&ben, Some((1, since))).await;
        quiet().await;
        let heard = ben.heard();
        let got = heard[0]["events"].as_array().map(Vec::len);
        assert_eq!((got, stage.shim.reads.load(Ordering::Relaxed)), (events, 1), "since {since}");
        stage.leave(&ben, false).await;
    }
}

#[tokio::test(start_paused = true)]
async fn time_goes_on_after_a_rest() {
    let stage = Stage::with(EngineConfig { idle_after: Duration::from_secs(1), ..EngineConfig::default() }).await;
    stage.call(&note("3")).await.unwrap();
    let at = |seq: usize| EventRecord::<IgnoredAny>::decode(&stage.memory.records(ROOM)[seq - 1].bytes).unwrap().at;
    pass(Duration::from_secs(5)).await;
    assert_eq!(stage.engine.rooms(), 0);
    stage.clock.set(Timestamp::from_ms(1_700_000_000_000));
    stage.call(&note("4")).await.unwrap();
    assert_eq!(at(4), at(3));
}

#[tokio::test(start_paused = true)]
async fn who_resumes_while_the_ring_moves_on_misses_nothing() {
    let stage = Stage::with(EngineConfig { ring_events_max: 3, ..EngineConfig::default() }).await;
    stage.call(&note("3")).await.unwrap();
    stage.memory.freeze();
    let waiting = ["4", "5"].map(|text| stage.calling(ANN, note(text), crate::engine::CallOptions::default()));
    quiet().await;
    // What it has is in the ring now, and will not be when its `joined` may leave.
    let (near, far) = (stage.socket(BEN), stage.socket(BEN));
    stage.join(&near, Some((1, 3))).await;
    stage.join(&far, Some((1, 2))).await;
    let after = stage.calling(ANN, note("6"), crate::engine::CallOptions::default());
    quiet().await;
    stage.memory.thaw();
    for call in waiting.into_iter().chain([after]) {
        call.await.unwrap().unwrap();
    }
    assert_eq!(near.gist(), ["resumed 5 [4! 5!]", "events [6!]"]);
    assert_eq!(far.gist(), ["state 6"]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_gets_answers_then_one_resync() {
    for (more, resync) in [(1, "resumed 5 [4! 5!]"), (3, "state 7")] {
        let stage = Stage::with(EngineConfig { ring_events_max: 3, ..EngineConfig::default() }).await;
        let ben = stage.seated(BEN).await;
        stage.call(&note("3")).await.unwrap();
        assert_eq!(ben.gist(), ["events [3!]"]);
        ben.stall();
        stage.op(&ben, 1, &note("4")).await;
        for _ in 0..more {
            stage.call(&note("more")).await.unwrap();
        }
        assert_eq!(ben.gist(), ["ack 1 at 4"]);
        stage.drained(&ben).await;
        // A second word about it changes nothing.
        stage.drained(&ben).await;
        stage.call(&note("last")).await.unwrap();
        let last = stage.last();
        assert_eq!(ben.gist(), [resync.to_owned(), format!("events [{last}!]")]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_who_cannot_take_the_resync_gets_another() {
    let stage = Stage::new().await;
    let ben = stage.seated(BEN).await;
    ben.stall();
    stage.call(&note("3")).await.unwrap();
    stage.tell(crate::room::RoomMsg::Drained { session: ben.info.id }).await;
    stage.call(&note("4")).await.unwrap();
    assert_eq!(ben.gist(), [""; 0]);
    stage.drained(&ben).await;
    quiet().await;
    assert_eq!(ben.gist(), ["resumed 4 [3! 4!]"]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_who_is_removed_hears_that_and_nothing_else() {
    let stage = Stage::new().await;
    let ben = stage.seated(BEN).await;
    ben.stall();
    stage.call(&note("3")).await.unwrap();
    stage.call(&json!({"type": "remove", "user": BEN})).await.unwrap();
    stage.drained(&ben).await;
    quiet().await;
    assert_eq!((ben.gist(), ben.detached()), (vec!["left removed".to_owned()], Some(Detached::Ended)));
}
