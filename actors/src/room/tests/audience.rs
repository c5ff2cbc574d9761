//! Who sees what: audiences, and members who come and go.

use super::stage::{ANN, BEN, CLEO, ROOM, Stage, note, quiet};
use crate::engine::CallOptions;
use crate::ports::Detached;
use serde_json::{Value, json};
use tripsync_domain::ErrorCode;

fn remove(user: tripsync_domain::UserId) -> Value {
    json!({"type": "remove", "user": user})
}

fn admit(user: tripsync_domain::UserId) -> Value {
    json!({"type": "admit", "user": user, "role": "viewer"})
}

#[tokio::test(start_paused = true)]
async fn who_is_not_addressed_gets_the_bare_seq() {
    let stage = Stage::new().await;
    stage.call(&admit(CLEO)).await.unwrap();
    let (ann, ben, cleo) = (stage.seated(ANN).await, stage.seated(BEN).await, stage.seated(CLEO).await);
    // All four in one batch, behind a first one.
    stage.memory.freeze();
    stage.op(&ann, 1, &note("4")).await;
    stage.memory.until_waiting(1).await;
    stage.op(&ann, 2, &json!({"type": "note", "text": "5", "to": [BEN]})).await;
    stage.op(&ann, 3, &json!({"type": "note", "text": "6", "at_least": "participant"})).await;
    stage.op(&ann, 4, &json!({"type": "note", "text": "7", "to": [ANN, CLEO]})).await;
    stage.op(&ann, 5, &note("8")).await;
    quiet().await;
    stage.memory.thaw();
    quiet().await;
    // Also the author sees only what is for them; the answer they get all the same.
    assert_eq!(ann.gist(), ["events [4!]", "ack 1 at 4", "events [5 6! 7! 8!]", "ack 2 at 5", "ack 3 at 6", "ack 4 at 7", "ack 5 at 8"]);
    assert_eq!(ben.gist(), ["events [4!]", "events [5! 6! 7 8!]"]);
    assert_eq!(cleo.gist(), ["events [4!]", "events [5 6 7! 8!]"]);

    // Who resumes sees the same.
    for (user, expected) in [(ANN, "resumed 8 [5 6! 7! 8!]"), (BEN, "resumed 8 [5! 6! 7 8!]"), (CLEO, "resumed 8 [5 6 7! 8!]")] {
        let socket = stage.socket(user);
        stage.join(&socket, Some((1, 4))).await;
        quiet().await;
        assert_eq!(socket.gist(), [expected]);
    }
}

#[tokio::test(start_paused = true)]
async fn delivery_to_a_removed_member_ends_at_the_removal() {
    let stage = Stage::new().await;
    let (ann, ben, other) = (stage.seated(ANN).await, stage.seated(BEN).await, stage.seated(BEN).await);
    stage.memory.freeze();
    stage.op(&ann, 1, &note("3")).await;
    stage.memory.until_waiting(1).await;
    // One batch: the removal is in its middle, and commands of the removed are on both sides of it.
    stage.op(&ben, 1, &note("4")).await;
    stage.op(&ann, 2, &remove(BEN)).await;
    stage.op(&ben, 2, &note("not any more")).await;
    stage.op(&ann, 3, &note("6")).await;
    let (early, late) = (stage.socket(CLEO), stage.socket(BEN));
    stage.op(&ann, 4, &admit(CLEO)).await;
    stage.join(&early, None).await;
    stage.join(&late, None).await;
    stage.op(&ann, 5, &remove(CLEO)).await;
    stage.op(&ann, 6, &note("9")).await;
    quiet().await;
    stage.memory.thaw();
    quiet().await;
    assert_eq!(ben.gist(), ["events [3!]", "events [4! 5!]", "ack 1 at 4", "rejected 2 not_found", "left removed"]);
    assert_eq!(other.gist(), ["events [3!]", "events [4! 5!]", "left removed"]);
    assert_eq!(early.gist(), ["state 7", "events [8!]", "left removed"]);
    assert_eq!(late.gist(), ["error not_found"]);
    for socket in [&ben, &other, &early, &late] {
        assert_eq!(socket.detached(), Some(Detached::Ended));
    }
    assert_eq!(stage.last(), 9);
    // Afterwards it is as if there were no such room.
    stage.op(&ben, 3, &note("x")).await;
    quiet().await;
    assert_eq!(ben.gist(), ["rejected 3 not_joined"]);
    let call = stage.calling(BEN, note("x"), CallOptions::default()).await.unwrap();
    assert_eq!(call.unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(stage.engine.read(ROOM, BEN).await.unwrap_err().code, ErrorCode::NotFound);
}

#[tokio::test(start_paused = true)]
async fn who_is_taken_in_again_in_the_same_batch_comes_in_anew() {
    let stage = Stage::new().await;
    let (ann, ben, back) = (stage.seated(ANN).await, stage.seated(BEN).await, stage.socket(BEN));
    stage.memory.freeze();
    stage.op(&ann, 1, &note("3")).await;
    stage.memory.until_waiting(1).await;
    stage.op(&ann, 2, &remove(BEN)).await;
    stage.op(&ann, 3, &admit(BEN)).await;
    stage.join(&back, None).await;
    stage.op(&ann, 4, &json!({"type": "note", "text": "6", "at_least": "participant"})).await;
    quiet().await;
    stage.memory.thaw();
    quiet().await;
    assert_eq!(ben.gist(), ["events [3!]", "events [4!]", "left removed"]);
    assert_eq!(back.gist(), ["state 5", "events [6]"], "it has the new role");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_room_ends_every_place_in_it() {
    let stage = Stage::new().await;
    let (ann, ben) = (stage.seated(ANN).await, stage.seated(BEN).await);
    stage.op(&ann, 1, &json!({"type": "close"})).await;
    stage.op(&ann, 2, &note("too late")).await;
    quiet().await;
    assert_eq!(ann.gist(), ["events [3!]", "ack 1 at 3", "left room_deleted", "rejected 2 not_joined"]);
    assert_eq!(ben.gist(), ["events [3!]", "left room_deleted"]);
    let late = stage.socket(ANN);
    stage.join(&late, Some((1, 3))).await;
    quiet().await;
    assert_eq!(late.gist(), ["error not_found"]);
}
