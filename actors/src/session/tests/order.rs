use super::fake::{Stage, Told, room};
use serde_json::json;
use tripsync_domain::CommandNumber;

fn n(n: u64) -> CommandNumber {
    CommandNumber(n)
}

#[tokio::test(start_paused = true)]
async fn commands_keep_their_order_behind_a_join_and_a_look_up() {
    let mut stage = Stage::new();
    let mut trip = stage.open(room(1)).await;
    stage.join(room(1));
    stage.op(room(1), n(1), &json!({}));
    stage.op(room(1), n(2), &json!({"users": 2}));
    stage.op(room(1), n(3), &json!({}));
    stage.op(room(1), n(4), &json!({"users": 1}));
    stage.op(room(1), n(5), &json!({}));
    for _ in 0..3 {
        stage.work().await.unwrap();
    }
    assert_eq!(trip.next().await, Told::Join(None));
    for (n, users) in [(1, 0), (2, 2), (3, 0), (4, 1), (5, 0)] {
        assert_eq!(trip.next().await, Told::Op(n, users));
    }
    trip.quiet().await;
    assert_eq!(stage.heard(), Vec::<serde_json::Value>::new());
}

#[tokio::test(start_paused = true)]
async fn a_hanging_room_holds_up_only_itself_and_only_for_a_while() {
    let mut stage = Stage::new();
    stage.rooms.stuck.lock().insert(room(1));
    let mut other = stage.open(room(2)).await;
    stage.join(room(1));
    stage.op(room(1), n(1), &json!({}));
    stage.join(room(2));
    stage.op(room(2), n(2), &json!({}));
    stage.work().await.unwrap();
    assert_eq!(other.next().await, Told::Join(None));
    assert_eq!(other.next().await, Told::Op(2, 0));

    stage.work().await.unwrap();
    let said = stage.heard();
    assert_eq!((&said[0]["t"], &said[0]["code"], &said[0]["about"]["room"]), (&json!("error"), &json!("retry"), &json!(room(1))));
    assert_eq!((&said[1]["t"], &said[1]["code"], &said[1]["n"]), (&json!("rejected"), &json!("retry"), &json!(1)));
    assert_eq!(stage.session.rooms_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_command_does_not_hold_up_the_next() {
    let mut stage = Stage::new();
    let mut trip = stage.joined(room(1)).await;
    stage.op(room(1), n(1), &json!({"bad": true}));
    stage.op(room(1), n(2), &json!({}));
    assert_eq!(trip.next().await, Told::Op(2, 0));
    let said = stage.heard();
    assert_eq!(said, [json!({"t": "rejected", "room": room(1), "n": 1, "code": "invalid", "message": "no", "pointer": "/bad"})]);
}

#[tokio::test(start_paused = true)]
async fn presence_skips_values_but_never_the_last() {
    let mut stage = Stage::new();
    let mut trip = stage.joined(room(1)).await;
    for turn in 0..100 {
        stage.send(&json!({"t": "presence", "room": room(1), "state": {"typing": turn % 2 == 0}})).unwrap();
    }
    for turn in 0..30 {
        assert_eq!(trip.next().await, Told::Presence(turn % 2 == 0));
    }
    trip.quiet().await;
    tokio::time::sleep_until(stage.session.deadline()).await;
    assert_eq!(stage.session.tick(), crate::session::Due::Nothing);
    assert_eq!(trip.next().await, Told::Presence(false), "the last one of the hundred");
    trip.quiet().await;
}
