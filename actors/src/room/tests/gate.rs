//! Nothing leaves before it is durable.

use super::stage::{ANN, BEN, CLEO, ROOM, Stage, card, note, quiet};
use crate::config::EngineConfig;
use crate::engine::CallOptions;
use serde_json::json;
use std::sync::Arc;
use tripsync_domain::{CommandNumber, ErrorCode, Seq};

#[tokio::test(start_paused = true)]
async fn nothing_leaves_before_the_journal_answers() {
    let stage = Stage::new().await;
    let (ann, ben, late, stranger) = (stage.seated(ANN).await, stage.seated(BEN).await, stage.socket(BEN), stage.socket(CLEO));
    stage.memory.freeze();
    stage.op(&ann, 1, &note("one")).await;
    stage.memory.until_waiting(1).await;
    // All of these are decided on what is not durable yet, and would tell of it.
    stage.op(&ann, 1, &note("one")).await;
    stage.op(&ann, 2, &note("two")).await;
    stage.op(&ann, 3, &json!({"type": "refuse"})).await;
    stage.op(&ann, 1, &note("another")).await;
    stage.join(&late, None).await;
    stage.join(&stranger, None).await;
    let if_match = CallOptions { if_match: Some(Seq(2)), ..CallOptions::default() };
    let stale = stage.calling(BEN, note("three"), if_match);
    let engine = stage.engine.clone();
    let read = tokio::spawn(async move { engine.read(ROOM, BEN).await });
    quiet().await;
    for socket in [&ann, &ben, &late, &stranger] {
        assert_eq!(socket.gist(), [""; 0]);
    }
    assert!(!stale.is_finished() && !read.is_finished());

    stage.memory.thaw();
    assert_eq!(stale.await.unwrap().unwrap_err().code, ErrorCode::Stale);
    assert_eq!(read.await.unwrap().unwrap().seq, Seq(4));
    assert_eq!(
        ann.gist(),
        [
            "events [3!]",
            "ack 1 at 3",
            "ack 1 at 3 again",
            "events [4!]",
            "ack 2 at 4",
            "rejected 3 conflict",
            "rejected 1 command_id_reused"
        ]
    );
    assert_eq!(ben.gist(), ["events [3!]", "events [4!]"]);
    assert_eq!(late.gist(), ["state 4"]);
    assert_eq!(stranger.gist(), ["error not_found"]);
}

#[tokio::test(start_paused = true)]
async fn a_command_for_another_seq_is_stale() {
    let stage = Stage::new().await;
    let ann = stage.seated(ANN).await;
    let id = Some((ann.info.client, CommandNumber(1)));
    let call = async |seq| {
        let options = CallOptions { id, if_match: Some(Seq(seq)), ..CallOptions::default() };
        stage.engine.call(ROOM, card(ANN), &note("x"), options).await
    };
    for seq in [1, 3] {
        assert_eq!(call(seq).await.unwrap_err().code, ErrorCode::Stale, "at 2, asked for {seq}");
    }
    assert_eq!(call(2).await.unwrap().seq, Seq(3));
    // What is done is done: sent again it is not stale.
    let again = call(2).await.unwrap();
    assert_eq!((again.seq, again.repeated), (Seq(3), true));
    assert_eq!(stage.last(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_full_room_says_so_and_takes_commands_again_once_some_are_answered() {
    let stage = Stage::with(EngineConfig { room_commands_max: 2, ..EngineConfig::default() }).await;
    stage.memory.freeze();
    let waiting = [1, 2].map(|_| stage.calling(ANN, note("waits"), CallOptions::default()));
    quiet().await;
    let refused = stage.call(&note("too many")).await.unwrap_err();
    assert_eq!((refused.code, refused.retry_after_ms.is_some()), (ErrorCode::Overloaded, true));
    stage.memory.thaw();
    for call in waiting {
        call.await.unwrap().unwrap();
    }
    assert_eq!(stage.call(&note("again")).await.unwrap().seq, Seq(5));
}

#[tokio::test(start_paused = true)]
async fn reads_are_bounded_like_commands() {
    let stage = Stage::with(EngineConfig { room_commands_max: 2, ..EngineConfig::default() }).await;
    stage.memory.freeze();
    let waiting = stage.calling(ANN, note("waits"), CallOptions::default());
    quiet().await;
    let engine = stage.engine.clone();
    let read = tokio::spawn(async move { engine.read(ROOM, ANN).await });
    quiet().await;
    assert_eq!(stage.engine.read(ROOM, ANN).await.unwrap_err().code, ErrorCode::Overloaded);
    stage.memory.thaw();
    waiting.await.unwrap().unwrap();
    assert_eq!(read.await.unwrap().unwrap().seq, Seq(3));
    assert_eq!(stage.engine.read(ROOM, ANN).await.unwrap().seq, Seq(3));
}

#[tokio::test(start_paused = true)]
async fn joining_again_and_again_does_not_pile_up_while_the_journal_is_stuck() {
    let stage = Stage::new().await;
    let (ben, stranger) = (stage.socket(BEN), stage.socket(CLEO));
    stage.memory.freeze();
    let waiting = stage.calling(ANN, note("waits"), CallOptions::default());
    quiet().await;
    for socket in [&ben, &stranger] {
        for turn in 0..100 {
            // What the room keeps of a joining keeps its sink.
            stage.join(socket, None).await;
            quiet().await;
            assert!(Arc::strong_count(&socket.ear) <= 2, "turn {turn}");
            if turn % 2 == 0 {
                stage.leave(socket, true).await;
                quiet().await;
                assert_eq!(Arc::strong_count(&socket.ear), 1, "turn {turn}");
            }
        }
    }
    stage.memory.thaw();
    waiting.await.unwrap().unwrap();
    assert_eq!((ben.gist(), stranger.gist()), (vec!["state 3".to_owned()], vec!["error not_found".to_owned()]));
}
