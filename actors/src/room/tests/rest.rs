//! Starting, resting, snapshots and the end of the engine.

use super::stage::{ANN, BEN, ROOM, Stage, note, pass, quiet};
use crate::config::EngineConfig;
use crate::engine::CallOptions;
use crate::ports::{Detached, Journal, Snapshot};
use crate::testing::Fault;
use bytes::Bytes;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tripsync_domain::{Epoch, ErrorCode, Seq};

fn hasty() -> EngineConfig {
    EngineConfig { idle_after: Duration::from_secs(1), ..EngineConfig::default() }
}

#[tokio::test(start_paused = true)]
async fn who_arrives_together_shares_one_start() {
    let stage = Stage::with(hasty()).await;
    pass(Duration::from_secs(5)).await;
    assert_eq!((stage.engine.rooms(), stage.shim.opened.load(Ordering::Relaxed)), (0, 1));
    let calls: Vec<_> = (0..50).map(|_| stage.calling(ANN, note("x"), CallOptions::default())).collect();
    let mut seqs = Vec::new();
    for call in calls {
        seqs.push(call.await.unwrap().unwrap().seq.0);
    }
    seqs.sort_unstable();
    assert_eq!(seqs, (3..53).collect::<Vec<_>>());
    assert_eq!((stage.engine.rooms(), stage.epoch()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_room_rests_with_a_snapshot_but_not_while_it_is_used() {
    let stage = Stage::with(hasty()).await;
    let ben = stage.seated(BEN).await;
    stage.op(&ben, 1, &note("3")).await;
    pass(Duration::from_secs(60)).await;
    assert_eq!(stage.engine.rooms(), 1, "somebody is in it");
    stage.leave(&ben, true).await;
    pass(Duration::from_secs(4)).await;
    assert_eq!(stage.engine.rooms(), 1, "somebody may come back");
    pass(Duration::from_secs(4)).await;
    assert_eq!(stage.engine.rooms(), 0);
    assert_eq!(stage.memory.snapshot(ROOM).unwrap().seq, Seq(3));
    // What comes back is the same; whoever is up to date needs no state.
    let again = stage.socket(BEN);
    stage.join(&again, Some((1, 3))).await;
    quiet().await;
    assert_eq!(again.gist(), ["resumed 3 []"]);
    let fresh = stage.seated(ANN).await;
    stage.op(&fresh, 1, &note("4")).await;
    assert_eq!(again.gist(), ["events [4!]"]);
}

#[tokio::test(start_paused = true)]
async fn who_comes_while_a_room_goes_to_rest_finds_its_successor() {
    let stage = Stage::with(hasty()).await;
    let permits = stage.shim.snapshots.acquire_many(1_000).await.unwrap();
    stage.call(&note("3")).await.unwrap();
    let old = stage.engine.room(ROOM).await.unwrap();
    pass(Duration::from_secs(2)).await;
    // It writes its last snapshot now, and takes no decision any more.
    let call = stage.calling(ANN, note("4"), CallOptions::default());
    let ben = stage.socket(BEN);
    stage.join(&ben, None).await;
    quiet().await;
    assert!(!call.is_finished() && ben.gist().is_empty());
    drop(permits);
    assert_eq!(call.await.unwrap().unwrap().seq, Seq(4));
    quiet().await;
    // The session is told to join again, and that works.
    assert_eq!((ben.gist(), ben.detached()), (vec![], Some(Detached::Lost)));
    let ben = stage.seated(BEN).await;
    assert_eq!((stage.epoch(), stage.engine.rooms()), (2, 1));
    old.tell(crate::room::RoomMsg::Drained { session: ben.info.id }).unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn snapshots_come_every_so_many_events_and_again_when_one_fails() {
    let stage = Stage::with(EngineConfig { snapshot_every: 4, ..EngineConfig::default() }).await;
    let mut kept = Vec::new();
    for seq in 3..=13 {
        stage.shim.keeps_nothing.store((8..10).contains(&seq), Ordering::Relaxed);
        stage.call(&note("x")).await.unwrap();
        quiet().await;
        kept.push(stage.memory.snapshot(ROOM).map_or(0, |snapshot| snapshot.seq.0));
    }
    //               3  4  5  6  7  8  9 10  11  12  13
    assert_eq!(kept, [0, 4, 4, 4, 4, 4, 4, 10, 10, 10, 10]);
    stage.call(&note("x")).await.unwrap();
    quiet().await;
    assert_eq!(stage.memory.snapshot(ROOM).unwrap().seq, Seq(14));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_is_only_a_short_cut() {
    // Good, of another version (and wrong, if it were trusted), unreadable: the room is the same.
    for (version, readable) in [(1, true), (2, true), (1, false)] {
        let stage = Stage::with(EngineConfig { snapshot_every: 3, ..EngineConfig::default() }).await;
        for text in ["3", "4", "5"] {
            stage.call(&note(text)).await.unwrap();
        }
        quiet().await;
        let good = stage.memory.snapshot(ROOM).unwrap();
        assert_eq!(good.seq, Seq(3));
        if (version, readable) != (1, true) {
            let state = if readable { good.state } else { Bytes::from_static(b"nonsense") };
            stage.shim.save_snapshot(ROOM, Epoch(1), Snapshot { seq: Seq(4), version, state }).await.unwrap();
        }
        let before = stage.engine.read(ROOM, BEN).await.unwrap();
        let after = stage.another().await.read(ROOM, BEN).await.unwrap();
        assert_eq!((before.seq, before.state.packed()), (after.seq, after.state.packed()), "version {version}, readable: {readable}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_the_journal_and_keeps_a_snapshot() {
    let stage = Stage::new().await;
    let ann = stage.seated(ANN).await;
    stage.memory.freeze();
    stage.op(&ann, 1, &note("3")).await;
    stage.op(&ann, 2, &note("4")).await;
    let engine = stage.engine.clone();
    let drain = tokio::spawn(async move { engine.drain(Duration::from_secs(30)).await });
    let address = stage.engine.room(ROOM).await.unwrap();
    quiet().await;
    // Nothing is begun any more, neither here nor in a room that is still there.
    assert_eq!(stage.call(&note("5")).await.unwrap_err().code, ErrorCode::Restarting);
    Stage::op_to(&address, &ann, 3, &note("5")).await;
    assert_eq!(ann.gist(), ["rejected 3 restarting"]);
    assert!(!drain.is_finished());
    stage.memory.thaw();
    assert!(drain.await.unwrap());
    assert_eq!(ann.gist(), ["events [3!]", "ack 1 at 3", "events [4!]", "ack 2 at 4"]);
    assert_eq!((stage.memory.snapshot(ROOM).unwrap().seq, stage.engine.rooms()), (Seq(4), 0));
    assert_eq!(ann.detached(), Some(Detached::Lost));
}

#[tokio::test(start_paused = true)]
async fn the_end_does_not_wait_for_ever() {
    let stage = Stage::new().await;
    stage.memory.freeze();
    let call = stage.calling(ANN, note("3"), CallOptions::default());
    quiet().await;
    assert!(!stage.engine.drain(Duration::from_secs(3)).await);
    assert_eq!(call.await.unwrap().unwrap_err().code, ErrorCode::Retry);
    // What the journal does with it later is what counts.
    stage.memory.plan_faults([Some(Fault::StoredUnanswered)]);
    stage.memory.thaw();
    quiet().await;
    let read = stage.another().await.read(ROOM, ANN).await.unwrap();
    assert_eq!(read.seq.0, stage.last());
}
