use crate::harness::{Client, Inside};
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;
use tripsync_domain::protocol::Codec;

const FAST: [(&str, &str); 4] = [
    ("live.commands_per_s", "100000"),
    ("live.commands_burst", "100000"),
    ("live.messages_per_s", "100000"),
    ("live.outbound_bytes_max", "16384"),
];

/// Writes chat messages until `done` or for half a minute; their total size is far beyond what kernels hold for one connection.
async fn write_much(client: &mut Client, trip: uuid::Uuid, mut done: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(30);
    let text = "long ".repeat(700);
    while !done() {
        assert!(Instant::now() < limit, "the slow reader was never felt");
        for _ in 0..20 {
            client.op(trip, json!({"type": "send_message", "body": text})).await;
        }
        client.settled().await;
    }
}

#[tokio::test]
async fn a_reader_that_pauses_gets_one_resync_and_is_current_again() {
    let server = Inside::start(&FAST).await;
    let (ann, bob) = (server.account("ann").await, server.account("bob").await);
    let trip = server.trip(&ann, &[&bob]).await;
    let mut slow = Client::connect_slow(&server.live_url(), &bob.token, Codec::MessagePack).await;
    slow.join(trip).await;
    let mut fast = Client::connect(&server.live_url(), &ann.token, Codec::MessagePack).await;
    fast.join(trip).await;
    let mut turns = 0;
    write_much(&mut fast, trip, || {
        turns += 1;
        turns > 100
    })
    .await;
    let last = fast.room(trip).seq();
    slow.reached(trip, last).await;
    assert_eq!(slow.reconnects(), 0, "pausing is no reason to be closed");
    assert!(slow.room(trip).joins() >= 2, "it was brought up to date by a `joined` instead of a queue");
    fast.room(trip).agrees_with(slow.room(trip));
    server.stop().await;
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_closed_and_nobody_else_waits() {
    let mut settings = FAST.to_vec();
    settings.push(("live.slow_timeout", "300ms"));
    let server = Inside::start(&settings).await;
    let (ann, bob) = (server.account("ann").await, server.account("bob").await);
    let trip = server.trip(&ann, &[&bob]).await;
    let mut stuck = Client::connect_slow(&server.live_url(), &bob.token, Codec::Json).await;
    stuck.join(trip).await;
    let mut fast = Client::connect(&server.live_url(), &ann.token, Codec::Json).await;
    fast.join(trip).await;
    let hub = server.app.rooms.hub.clone();
    write_much(&mut fast, trip, || hub.sockets() == 1).await;
    // It comes back by itself and is current.
    let last = fast.room(trip).seq();
    stuck.reached(trip, last).await;
    assert!(stuck.reconnects() >= 1);
    server.stop().await;
}
