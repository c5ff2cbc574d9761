use super::fake::{Stage, Told, room};
use crate::ports::Detached;
use serde_json::json;
use std::time::Duration;
use tripsync_domain::protocol::Position;
use tripsync_domain::{CommandNumber, Epoch, ErrorCode, Seq};

const AT: Position = Position { epoch: Epoch(3), seq: Seq(41) };

#[tokio::test(start_paused = true)]
async fn a_lost_room_is_joined_again_from_where_the_session_was() {
    let mut stage = Stage::new();
    let trip = stage.joined(room(1)).await;
    trip.reached(AT);
    let mut next = stage.open(room(1)).await;
    trip.seat().detached(room(1), Detached::Lost);
    stage.control.woken().await;
    stage.session.sweep();
    stage.op(room(1), CommandNumber(5), &json!({}));
    stage.work().await.unwrap();
    assert_eq!(next.next().await, Told::Join(Some(AT)));
    assert_eq!(next.next().await, Told::Op(5, 0), "what came meanwhile follows the join");
    // A late word about the first joining says nothing about the second.
    trip.seat().detached(room(1), Detached::Ended);
    stage.session.sweep();
    assert_eq!((stage.session.rooms_count(), stage.heard().len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_command_to_a_stopped_room_goes_to_its_successor() {
    let mut stage = Stage::new();
    let trip = stage.joined(room(1)).await;
    trip.reached(AT);
    trip.stop().await;
    let mut next = stage.open(room(1)).await;
    stage.op(room(1), CommandNumber(1), &json!({}));
    stage.op(room(1), CommandNumber(2), &json!({}));
    stage.work().await.unwrap();
    assert_eq!(next.next().await, Told::Join(Some(AT)));
    assert_eq!(next.next().await, Told::Op(1, 0));
    assert_eq!(next.next().await, Told::Op(2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_room_that_does_not_come_back_is_left_with_a_hint() {
    let mut stage = Stage::new();
    let trip = stage.joined(room(1)).await;
    trip.stop().await;
    *stage.rooms.refuse.lock() = Some(ErrorCode::RoomUnavailable);
    stage.op(room(1), CommandNumber(1), &json!({}));
    let asked = *stage.rooms.asked.lock();
    stage.work().await.unwrap();
    assert_eq!(*stage.rooms.asked.lock() - asked, 6);
    let said = stage.heard();
    assert_eq!((&said[0]["t"], &said[0]["code"]), (&json!("left"), &json!("room_unavailable")));
    assert_eq!((&said[1]["t"], &said[1]["n"]), (&json!("rejected"), &json!(1)));
    assert_eq!(stage.session.rooms_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_room_that_is_never_heard_of_is_given_up() {
    let mut stage = Stage::new();
    let mut trip = stage.joined(room(1)).await;
    stage.op(room(1), CommandNumber(1), &json!({"users": 1}));
    for _ in 0..8 {
        // As long as a relay waits for an owner that is silent.
        tokio::time::advance(Duration::from_secs(1)).await;
        trip.seat().detached(room(1), Detached::Lost);
        stage.session.sweep();
        stage.work().await.unwrap();
        assert_eq!(trip.next().await, Told::Join(None));
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    trip.seat().detached(room(1), Detached::Lost);
    stage.session.sweep();
    let said = stage.heard();
    assert_eq!((&said[0]["t"], &said[0]["code"]), (&json!("left"), &json!("retry")));
    assert_eq!((&said[1]["t"], &said[1]["n"]), (&json!("rejected"), &json!(1)), "{said:?}");
    assert_eq!(stage.session.rooms_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_room_that_ends_the_session_is_forgotten() {
    let mut stage = Stage::new();
    let trip = stage.joined(room(1)).await;
    trip.seat().detached(room(1), Detached::Ended);
    stage.session.sweep();
    stage.op(room(1), CommandNumber(1), &json!({}));
    assert_eq!(stage.heard()[0]["code"], "not_joined");
}

#[tokio::test(start_paused = true)]
async fn joining_twice_starts_over() {
    let mut stage = Stage::new();
    let mut trip = stage.joined(room(1)).await;
    stage.send(&json!({"t": "join", "room": room(1), "since": AT})).unwrap();
    assert_eq!(trip.next().await, Told::Leave { dropped: true });
    stage.work().await.unwrap();
    assert_eq!(trip.next().await, Told::Join(Some(AT)));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_leaves_its_rooms() {
    let mut stage = Stage::new();
    let (mut one, mut two) = (stage.joined(room(1)).await, stage.joined(room(2)).await);
    stage.session.drained();
    assert_eq!((one.next().await, two.next().await), (Told::Drained, Told::Drained));
    stage.send(&json!({"t": "leave", "room": room(2)})).unwrap();
    assert_eq!(two.next().await, Told::Leave { dropped: false });
    drop(stage.session);
    assert_eq!(one.next().await, Told::Leave { dropped: true });
    two.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_room_is_an_error_about_it() {
    let mut stage = Stage::new();
    stage.join(room(9));
    stage.op(room(9), CommandNumber(1), &json!({}));
    stage.work().await.unwrap();
    let said = stage.heard();
    assert_eq!((&said[0]["code"], &said[0]["about"]["room"]), (&json!("not_found"), &json!(room(9))));
    assert_eq!((&said[1]["t"], &said[1]["code"]), (&json!("rejected"), &json!("not_joined")));
}
