//! Who is shown to be here: one entry per person, no flicker, no ghosts.

use super::stage::{ANN, BEN, CLEO, Socket, Stage, note, pass};
use crate::config::EngineConfig;
use crate::engine::CallOptions;
use crate::testing::Fault;
use serde_json::{Value, json};
use std::time::Duration;
use tripsync_domain::UserId;
use tripsync_domain::presence::PresenceState;

fn typing() -> PresenceState {
    PresenceState { typing: true, ..PresenceState::default() }
}

/// What a socket was told of Ben since the last look: his devices, and whether he types; "gone" when he is not here any more.
fn told_of_ben(socket: &Socket) -> Vec<String> {
    let ben = json!(BEN);
    let of_ben = |frame: &Value| {
        let set = frame["set"].as_array().into_iter().flatten().filter(|entry| entry["user"] == ben);
        let set = set.map(|entry| format!("{}{}", entry["devices"], if entry["state"]["typing"] == true { " typing" } else { "" }));
        let gone = frame["gone"].as_array().into_iter().flatten().filter(|user| **user == ben).map(|_| "gone".to_owned());
        set.chain(gone).collect::<Vec<_>>()
    };
    socket.heard_presence().iter().flat_map(of_ben).collect()
}

/// Waits for longer than a tick, and for less than the grace.
async fn tick() {
    pass(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn devices_are_folded_and_changes_are_told_once_per_tick() {
    let stage = Stage::new().await;
    let ann = stage.seated(ANN).await;
    let (phone, laptop) = (stage.seated(BEN).await, stage.seated(BEN).await);
    tick().await;
    assert_eq!(told_of_ben(&ann), ["2"]);
    for turn in 0..100 {
        stage.presence(&phone, if turn % 2 == 0 { PresenceState::default() } else { typing() }).await;
    }
    tick().await;
    assert_eq!(told_of_ben(&ann), ["2 typing"]);
    // A goodbye of one device, then of the other.
    stage.leave(&phone, false).await;
    tick().await;
    stage.leave(&laptop, false).await;
    tick().await;
    assert_eq!(told_of_ben(&ann), ["1", "gone"]);
}

#[tokio::test(start_paused = true)]
async fn who_drops_and_comes_back_was_here_all_the_time_and_who_does_not_is_gone_once() {
    let stage = Stage::new().await;
    let (ann, ben) = (stage.seated(ANN).await, stage.seated(BEN).await);
    stage.presence(&ben, typing()).await;
    tick().await;
    stage.leave(&ben, true).await;
    tick().await;
    let again = ben.reconnected(&stage);
    // What it does now is said before it is let in.
    stage.join(&again, None).await;
    stage.presence(&again, PresenceState::default()).await;
    tick().await;
    assert_eq!(told_of_ben(&ann), ["1 typing", "0 typing", "1"]);
    stage.leave(&again, true).await;
    pass(Duration::from_secs(60)).await;
    assert_eq!(told_of_ben(&ann), ["0", "gone"]);
    // A late word of a socket that is gone brings nobody back.
    stage.presence(&again, typing()).await;
    stage.leave(&again, true).await;
    tick().await;
    assert_eq!(told_of_ben(&ann), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn who_is_removed_is_gone_at_once_also_within_the_grace() {
    for dropped in [false, true] {
        let stage = Stage::new().await;
        let (ann, ben) = (stage.seated(ANN).await, stage.seated(BEN).await);
        tick().await;
        if dropped {
            stage.leave(&ben, true).await;
            tick().await;
        }
        told_of_ben(&ann);
        stage.call(&json!({"type": "remove", "user": BEN})).await.unwrap();
        tick().await;
        assert_eq!(told_of_ben(&ann), ["gone"]);
        let late = stage.socket(ANN);
        stage.join(&late, None).await;
        tick().await;
        assert_eq!(late.heard()[0]["presence"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn presence_outlives_a_reload_but_not_a_membership_that_ended_in_it() {
    let stage = Stage::new().await;
    let (ann, ben) = (stage.seated(ANN).await, stage.seated(BEN).await);
    stage.presence(&ben, typing()).await;
    tick().await;
    told_of_ben(&ann);
    stage.memory.plan_faults([Some(Fault::Lost)]);
    stage.call(&note("lost")).await.unwrap_err();
    tick().await;
    assert_eq!(told_of_ben(&ann), [""; 0]);
    // The other node removes him; this one learns it when it reloads.
    stage.memory.set_lasting_fault(Some(Fault::StoredUnanswered));
    stage.call(&json!({"type": "remove", "user": BEN})).await.unwrap();
    tick().await;
    assert_eq!(told_of_ben(&ann), ["gone"]);
    assert_eq!(ben.gist(), ["events [3!]", "left removed"]);
}

/// Presence is for participants.
fn admit(user: UserId, role: &str) -> Value {
    json!({"type": "admit", "user": user, "role": role})
}

#[tokio::test(start_paused = true)]
async fn who_leaves_the_circle_sees_nobody_any_more_nor_who_left_it_a_moment_before() {
    let stage = Stage::new().await;
    stage.call(&admit(CLEO, "participant")).await.unwrap();
    let (ann, _ben, cleo) = (stage.seated(ANN).await, stage.seated(BEN).await, stage.seated(CLEO).await);
    tick().await;
    assert_eq!((told_of_ben(&ann), told_of_ben(&cleo)), (vec!["1".to_owned()], vec!["1".to_owned()]));
    // Before the others are told of the first.
    stage.call(&admit(BEN, "viewer")).await.unwrap();
    stage.call(&admit(CLEO, "viewer")).await.unwrap();
    tick().await;
    assert_eq!((told_of_ben(&ann), told_of_ben(&cleo)), (vec!["gone".to_owned()], vec!["gone".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn who_leaves_the_circle_is_gone_also_within_the_grace_or_a_reload() {
    for dropped in [true, false] {
        let stage = Stage::with(EngineConfig { ring_events_max: 2, ..EngineConfig::default() }).await;
        let (_ann, ben) = (stage.seated(ANN).await, stage.seated(BEN).await);
        tick().await;
        if dropped {
            stage.leave(&ben, true).await;
            tick().await;
            stage.call(&admit(BEN, "viewer")).await.unwrap();
        } else {
            // More is stored unnoticed than the room remembers, so that the single changes are not known.
            stage.memory.plan_faults([None, Some(Fault::StoredUnanswered)]);
            stage.memory.freeze();
            let commands = [note("one"), admit(BEN, "viewer"), note("two"), note("three")];
            let calls = commands.map(|command| stage.calling(ANN, command, CallOptions::default()));
            stage.memory.until_waiting(1).await;
            pass(Duration::from_millis(1)).await;
            stage.memory.thaw();
            for call in calls {
                let _ = call.await.unwrap();
            }
            assert_eq!(stage.epoch(), 2, "it has reloaded");
        }
        tick().await;
        let late = stage.socket(ANN);
        stage.join(&late, None).await;
        tick().await;
        let joined = &late.heard()[0];
        let present: Vec<_> = joined["presence"].as_array().unwrap().iter().map(|entry| entry["user"].clone()).collect();
        assert_eq!(present, [json!(ANN)], "dropped: {dropped}");
    }
}

#[tokio::test(start_paused = true)]
async fn comings_alone_are_gathered_for_longer_the_longer_they_go_on() {
    let stage = Stage::new().await;
    let ann = stage.seated(ANN).await;
    tick().await;
    let begun = tokio::time::Instant::now();
    ann.heard();
    let mut told_at = Vec::new();
    let mut devices = Vec::new();
    while begun.elapsed() < Duration::from_millis(1_300) {
        if devices.len() < 100 {
            devices.push(stage.seated(BEN).await);
        }
        pass(Duration::from_millis(10)).await;
        if !told_of_ben(&ann).is_empty() {
            told_at.push(begun.elapsed().as_millis() / 10 * 10);
        }
    }
    assert!(told_at[0] <= 60 && told_at.len() <= 7, "a second of comings: told at {told_at:?} ms");
    assert!(told_at.windows(2).all(|pair| pair[1] - pair[0] <= 270), "never for longer than five ticks: {told_at:?} ms");
    // What somebody says waits for no more than a tick, also among those who come.
    devices.push(stage.seated(BEN).await);
    stage.presence(&devices[0], typing()).await;
    pass(Duration::from_millis(60)).await;
    assert_eq!(told_of_ben(&ann), ["101 typing"]);
}
