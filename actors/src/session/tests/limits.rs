use super::fake::{NOW_MS, Stage, Told, room};
use crate::session::Due;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, advance, sleep_until};
use tripsync_domain::{CommandNumber, ErrorCode, Timestamp};

fn codes(said: &[Value]) -> Vec<&str> {
    said.iter().map(|frame| frame["code"].as_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn commands_beyond_the_rate_are_rejected_with_a_hint_that_holds() {
    let mut stage = Stage::new();
    let mut trip = stage.joined(room(1)).await;
    for n in 1..=101 {
        stage.op(room(1), CommandNumber(n), &json!({}));
    }
    for n in 1..=100 {
        assert_eq!(trip.next().await, Told::Op(n, 0));
    }
    let said = stage.heard();
    assert_eq!(codes(&said), ["rate_limited"]);
    advance(Duration::from_millis(said[0]["retry_after_ms"].as_u64().unwrap())).await;
    stage.op(room(1), CommandNumber(101), &json!({}));
    assert_eq!(trip.next().await, Told::Op(101, 0));
}

#[tokio::test(start_paused = true)]
async fn unanswered_commands_are_bounded() {
    let mut stage = Stage::new();
    let mut trip = stage.joined(room(1)).await;
    for n in 1..=257 {
        stage.op(room(1), CommandNumber(n), &json!({}));
        advance(Duration::from_millis(21)).await;
    }
    for n in 1..=256 {
        assert_eq!(trip.next().await, Told::Op(n, 0));
    }
    assert_eq!(codes(&stage.heard()), ["overloaded"]);
    trip.settle();
    stage.op(room(1), CommandNumber(257), &json!({}));
    assert_eq!(trip.next().await, Told::Op(257, 0));
}

#[tokio::test(start_paused = true)]
async fn a_socket_holds_32_rooms() {
    let mut stage = Stage::new();
    for n in 1..=33 {
        stage.join(room(n));
    }
    assert_eq!(codes(&stage.heard()), ["too_many_rooms"]);
    assert_eq!(stage.session.rooms_count(), 32);
}

#[tokio::test(start_paused = true)]
async fn nonsense_is_answered_and_ends_the_session_when_it_does_not_stop() {
    let mut stage = Stage::new();
    for _ in 0..20 {
        stage.send(&json!({"t": "fly"})).unwrap();
    }
    assert_eq!(stage.send(&json!({"t": "fly"})).unwrap_err().code, ErrorCode::ProtocolViolation);
    assert_eq!(codes(&stage.heard()), ["unknown_command"; 21]);

    // Now and then is forgiven.
    let mut stage = Stage::new();
    for _ in 0..100 {
        stage.send(&json!({"t": "join"})).unwrap();
        advance(Duration::from_secs(4)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_pinged_and_then_ends_the_session() {
    let mut stage = Stage::new();
    let start = Instant::now();
    let mut at_s = Vec::new();
    let ending = loop {
        sleep_until(stage.session.deadline()).await;
        match stage.session.tick() {
            Due::Nothing => panic!("woken for nothing"),
            Due::Ping => at_s.push(start.elapsed().as_secs()),
            Due::End(ending) => break ending,
        }
    };
    assert_eq!((at_s, start.elapsed().as_secs(), ending.code), (vec![25, 50], 60, ErrorCode::HeartbeatMissed));

    let mut stage = Stage::new();
    for _ in 0..10 {
        sleep_until(stage.session.deadline()).await;
        assert_eq!(stage.session.tick(), Due::Ping);
        stage.session.heard();
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_runs_out_unless_renewed() {
    let mut stage = Stage::new();
    advance(Duration::from_secs(899)).await;
    stage.session.heard();
    stage.send(&json!({"t": "auth", "token": "good"})).unwrap();
    stage.work().await.unwrap();
    assert_eq!(stage.heard(), [json!({"t": "auth_ok", "expires_at": Timestamp::from_ms(NOW_MS + 900_000)})]);
    advance(Duration::from_secs(899)).await;
    stage.session.heard();
    for token in ["bad", "other"] {
        stage.send(&json!({"t": "auth", "token": token})).unwrap();
        stage.work().await.unwrap();
    }
    assert_eq!(codes(&stage.heard()), ["unauthorized", "forbidden"]);
    assert_eq!(stage.session.tick(), Due::Nothing);
    advance(Duration::from_secs(1)).await;
    let Due::End(ending) = stage.session.tick() else { panic!("the token still holds") };
    assert_eq!(ending.code, ErrorCode::TokenExpired);
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_read_more_slowly() {
    let mut stage = Stage::new();
    let start = Instant::now();
    for _ in 0..2_560 {
        assert!(stage.session.readable_at() <= start);
        stage.session.heard();
    }
    assert!(stage.session.readable_at() > start);
}
