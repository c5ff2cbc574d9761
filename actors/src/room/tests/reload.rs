//! An append that fails: the room reads back what became of it, and everybody hears the truth.

use super::stage::{ANN, BEN, CLEO, ROOM, Stage, card, note, pass, quiet};
use crate::engine::CallOptions;
use crate::ports::Detached;
use crate::testing::Fault;
use serde_json::json;
use std::time::Duration;
use tripsync_domain::{ErrorCode, Seq};

#[tokio::test(start_paused = true)]
async fn what_is_lost_is_to_be_sent_again_and_what_is_stored_counts() {
    for (fault, answer, told, again) in [
        (Fault::Lost, "rejected 1 retry", None, "ack 1 at 3"),
        (Fault::StoredUnanswered, "ack 1 at 3", Some("events [3!]"), "ack 1 at 3 again"),
    ] {
        let stage = Stage::new().await;
        let (ann, ben) = (stage.seated(ANN).await, stage.seated(BEN).await);
        stage.memory.plan_faults([Some(fault)]);
        stage.memory.freeze();
        stage.op(&ann, 1, &note("one")).await;
        stage.memory.until_waiting(1).await;
        // Decided on top of it, and never handed to the journal.
        stage.op(&ann, 2, &note("two")).await;
        stage.op(&ann, 3, &json!({"type": "refuse"})).await;
        stage.memory.thaw();
        quiet().await;
        let told: Vec<_> = told.into_iter().collect();
        assert_eq!(ann.gist(), [told.clone(), vec![answer, "rejected 2 retry", "rejected 3 retry"]].concat());
        assert_eq!(ben.gist(), told);
        stage.op(&ann, 1, &note("one")).await;
        stage.op(&ann, 2, &note("two")).await;
        let heard = ann.gist();
        assert_eq!(heard.iter().filter(|frame| !frame.starts_with("events")).collect::<Vec<_>>(), [again, "ack 2 at 4"]);
        let heard: Vec<_> = told.into_iter().map(str::to_owned).chain(ben.gist()).collect();
        assert_eq!(heard, ["events [3!]", "events [4!]"], "each once: {fault:?}");
        assert_eq!((stage.last(), stage.epoch()), (4, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn while_it_reloads_everything_waits_and_commands_are_to_be_sent_again() {
    let stage = Stage::new().await;
    let ann = stage.seated(ANN).await;
    stage.memory.plan_faults([Some(Fault::StoredUnanswered)]);
    stage.memory.set_away(true);
    let lost = stage.calling(ANN, note("one"), CallOptions::default());
    quiet().await;
    let (ben, cleo, gone) = (stage.socket(BEN), stage.socket(CLEO), stage.socket(BEN));
    for socket in [&ben, &cleo, &gone] {
        stage.join(socket, None).await;
    }
    stage.leave(&gone, true).await;
    // Also for one who is on the way in.
    stage.op(&ann, 1, &note("two")).await;
    stage.op(&ben, 1, &note("two")).await;
    let engine = stage.engine.clone();
    let read = tokio::spawn(async move { engine.read(ROOM, ANN).await });
    pass(Duration::from_secs(10)).await;
    assert_eq!((ann.gist(), ben.gist()), (vec!["rejected 1 retry".to_owned()], vec!["rejected 1 retry".to_owned()]));
    assert!(!lost.is_finished() && !read.is_finished());
    stage.memory.set_away(false);
    assert_eq!((lost.await.unwrap().unwrap().seq, read.await.unwrap().unwrap().seq), (Seq(3), Seq(3)));
    quiet().await;
    assert_eq!(ann.gist(), ["events [3!]"]);
    assert_eq!((ben.gist(), cleo.gist()), (vec!["state 3".to_owned()], vec!["error not_found".to_owned()]));
    assert_eq!((gone.gist(), gone.detached()), (vec![], None));
}

#[tokio::test(start_paused = true)]
async fn a_room_that_another_node_took_over_stops_and_starts_again_from_the_journal() {
    let stage = Stage::new().await;
    let ann = stage.seated(ANN).await;
    let rival = stage.another().await;
    rival.call(ROOM, card(BEN), &note("of the rival"), CallOptions::default()).await.unwrap();
    stage.op(&ann, 1, &note("one")).await;
    // Nothing of it is stored, and nobody is told anything but that the room is lost.
    assert_eq!((ann.gist(), ann.detached(), stage.last()), (vec![], Some(Detached::Lost), 3));
    let ann = ann.reconnected(&stage);
    stage.join(&ann, Some((1, 2))).await;
    stage.op(&ann, 1, &note("one")).await;
    assert_eq!(ann.gist(), ["resumed 3 [3!]", "events [4!]", "ack 1 at 4"]);
    // Now it is the rival who is fenced off; a caller without a number is not told that it can be sent again as if nothing was.
    let fenced = rival.call(ROOM, card(BEN), &note("late"), CallOptions::default()).await.unwrap_err();
    assert_eq!((fenced.code, stage.last()), (ErrorCode::Retry, 4));
}
