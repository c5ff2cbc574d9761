//! Who may be on the way into a room: so many at once, the others in order, and nobody for ever.

use super::fake::{FakeRooms, Stage, Told, room};
use crate::engine::Turn;
use crate::session::Rooms;
use futures_util::FutureExt;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tripsync_domain::{CommandNumber, ErrorCode};

/// So many sessions on rooms that let one in at a time.
fn sessions<const N: usize>() -> [Stage; N] {
    let rooms = Arc::new(FakeRooms::new(1));
    let mut n = 100;
    std::array::from_fn(|_| {
        n += 1;
        Stage::with(&rooms, n)
    })
}

/// Lets everything happen that can without time going by noticeably.
async fn quiet() {
    sleep(Duration::from_millis(1)).await;
}

fn is_waiting(stage: &mut Stage) -> bool {
    stage.session.work().now_or_never().is_none()
}

#[tokio::test(start_paused = true)]
async fn the_next_comes_in_when_the_one_before_is_in() {
    let [mut first, mut second] = sessions();
    let mut trip = first.open(room(1)).await;
    for stage in [&mut first, &mut second] {
        stage.join(room(1));
        stage.op(room(1), CommandNumber(1), &json!({}));
    }
    first.work().await.unwrap();
    assert_eq!((trip.next().await, trip.next().await), (Told::Join(None), Told::Op(1, 0)));
    assert!(is_waiting(&mut second));
    trip.quiet().await;
    trip.let_in();
    second.work().await.unwrap();
    assert_eq!((trip.next().await, trip.next().await), (Told::Join(None), Told::Op(1, 0)), "what it sent meanwhile follows");
}

#[tokio::test(start_paused = true)]
async fn a_room_that_lets_nobody_in_keeps_nobody_out_of_another() {
    let [mut first, mut second] = sessions();
    let (mut stuck, mut other) = (first.open(room(1)).await, second.open(room(2)).await);
    first.join(room(1));
    first.work().await.unwrap();
    assert_eq!(stuck.next().await, Told::Join(None));
    second.join(room(2));
    let asked = Instant::now();
    second.work().await.unwrap();
    assert_eq!(other.next().await, Told::Join(None));
    assert_eq!(asked.elapsed(), Duration::from_millis(250));
}

#[tokio::test(start_paused = true)]
async fn a_room_that_does_not_open_keeps_nobody_out_of_another() {
    let [mut first, mut second] = sessions();
    first.rooms.stuck.lock().insert(room(1));
    let mut other = second.open(room(2)).await;
    first.join(room(1));
    assert!(is_waiting(&mut first));
    second.join(room(2));
    second.work().await.unwrap();
    assert_eq!(other.next().await, Told::Join(None));
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_is_told_when_to_come_again_and_each_something_else() {
    let [mut one, mut two, mut back] = sessions();
    let trip = back.joined(room(1)).await;
    trip.let_in();
    quiet().await;
    // For eleven seconds it is somebody else's turn.
    for _ in 0..44 {
        let rooms = Arc::clone(&one.rooms);
        tokio::spawn(async move {
            let turn: Turn = rooms.turn().await;
            sleep(Duration::from_secs(1)).await;
            drop(turn);
        });
    }
    quiet().await;
    one.join(room(1));
    one.op(room(1), CommandNumber(1), &json!({}));
    two.join(room(1));
    back.send(&json!({"t": "join", "room": room(1)})).unwrap();
    let asked = Instant::now();
    assert!([&mut one, &mut two, &mut back].into_iter().all(is_waiting));
    one.work().await.unwrap();
    assert_eq!(asked.elapsed(), Duration::from_secs(10));
    two.work().await.unwrap();
    back.work().await.unwrap();
    let (one, two, back) = (one.heard(), two.heard(), back.heard());
    let overloaded = json!(ErrorCode::Overloaded);
    assert_eq!((&one[0]["t"], &one[0]["code"], &one[0]["about"]["room"]), (&json!("error"), &overloaded, &json!(room(1))));
    assert_eq!((&one[1]["t"], &one[1]["code"], &one[1]["n"]), (&json!("rejected"), &overloaded, &json!(1)));
    assert_eq!((&back[0]["t"], &back[0]["code"]), (&json!("left"), &overloaded));
    let hints = [&one, &two, &back].map(|said| said[0]["retry_after_ms"].as_u64().unwrap());
    assert!(hints.iter().all(|hint| (2_000..=4_000).contains(hint)), "{hints:?}");
    assert!(hints[0] != hints[1] && hints[1] != hints[2], "{hints:?}");
}

#[tokio::test(start_paused = true)]
async fn a_turn_is_never_lost() {
    let [mut first, mut leaves, mut drops, mut last] = sessions();
    let mut trip = first.open(room(1)).await;
    first.join(room(1));
    first.work().await.unwrap();
    for stage in [&mut leaves, &mut drops, &mut last] {
        stage.join(room(1));
        assert!(is_waiting(stage));
    }
    leaves.send(&json!({"t": "leave", "room": room(1)})).unwrap();
    drop(drops.session);
    // The room dies with the first join in it.
    trip.next().await;
    trip.stop().await;
    drop(trip);
    let mut next = first.open(room(1)).await;
    last.work().await.unwrap();
    assert_eq!(next.next().await, Told::Join(None));
    next.let_in();
    first.session.sweep();
    first.work().await.unwrap();
    assert_eq!(next.next().await, Told::Join(None));
    drop((first, next));
    quiet().await;
    assert_eq!(last.rooms.admission.free(), 1);
}
