//! A client that stops reading while others write a lot.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use tripsync_domain::Role;
use tripsync_domain::protocol::Codec;

use super::journal::{Journal, Told};
use super::mixed::unhurried;
use super::people::User;
use crate::harness::{Backend, Client, Server, TestDatabase};

/// What one message weighs on the wire: 4,000 characters of four bytes.
const BODY_BYTES: usize = 16_000;
/// So many that the frames, kept once per codec for whoever has not read them, would be 64 MB.
const MESSAGES: usize = 2_000;
/// Until somebody who reads nothing is far behind.
const MESSAGES_STUCK: usize = 400;
/// How much more memory the server may take: the journal's page cache is 16 MiB, what waits for each reader at most 1 MiB, the log that
/// rooms keep for those who come back 256 KiB; the rest is the allocator's. Without the bound on what waits it is beyond 80.
const GROWTH_MAX_KIB: u64 = 56 * 1024;
const SLOW: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_cost_little_and_end_with_the_right_state() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let server = unhurried(&database).set("live.slow_timeout", "60s").start().await;
    let (ana, ben) = (User::register(&server, "Ana").await, User::register(&server, "Ben").await);
    let trip = ana.trip(&server, &[(&ben, Role::Participant)]).await;
    let mut slow = Vec::new();
    for index in 0..SLOW {
        let codec = if index % 2 == 0 { Codec::Json } else { Codec::MessagePack };
        let mut client = Client::connect_slow(&server.live_url(), &ben.token, codec).await;
        client.join(trip).await;
        slow.push(Told::new(&ben, client));
    }
    let mut fast = Told::new(&ana, ana.client(&server, Codec::MessagePack).await);
    fast.client.join(trip).await;
    // Warm: what every server takes once is not counted.
    write(&mut fast, trip, 20).await;
    let before = resident_kib(&server);

    let began = Instant::now();
    write(&mut fast, trip, MESSAGES).await;
    let took = began.elapsed();
    let grown = resident_kib(&server).saturating_sub(before);
    assert!(grown < GROWTH_MAX_KIB, "{grown} KiB more for {SLOW} slow readers");

    let journal = Journal::read(&database, trip).await;
    for told in &mut slow {
        told.client.reached(trip, journal.last()).await;
        told.assert_shows(trip, &journal.view());
        assert!(told.client.room(trip).joins() > 1, "it was never behind: nothing was tested");
    }
    fast.client.reached(trip, journal.last()).await;
    journal.holds_all_that_was_told(trip, &slow.iter().chain([&fast]).collect::<Vec<_>>());
    let joins: Vec<_> = slow.iter().map(|told| (told.client.room(trip).joins(), told.client.reconnects())).collect();
    eprintln!("{MESSAGES} messages of {BODY_BYTES} bytes in {took:?}; {grown} KiB more; (joins, reconnects) of the slow: {joins:?}");
}

async fn write(told: &mut Told, trip: uuid::Uuid, messages: usize) {
    let body = "🎶".repeat(BODY_BYTES / 4);
    for message in 0..messages {
        told.client.op(trip, json!({"type": "send_message", "body": body})).await;
        if message % 8 == 7 {
            told.client.settled().await;
        }
    }
    told.client.settled().await;
}

/// Memory of the server process that is really there.
fn resident_kib(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells the resident memory");
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_nothing_is_closed_with_a_word_and_comes_back_current() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let server = unhurried(&database).set("live.slow_timeout", "1s").start().await;
    let (ana, ben) = (User::register(&server, "Ana").await, User::register(&server, "Ben").await);
    let trip = ana.trip(&server, &[(&ben, Role::Participant)]).await;
    let mut stuck = Told::new(&ben, Client::connect_slow(&server.live_url(), &ben.token, Codec::Json).await);
    stuck.client.join(trip).await;
    let mut fast = Told::new(&ana, ana.client(&server, Codec::Json).await);
    fast.client.join(trip).await;
    write(&mut fast, trip, MESSAGES_STUCK).await;
    fast.client
        .until("the stuck one is given up", |client| client.room(trip).present().get(&ben.id).is_none_or(|ben| ben["devices"] == 0))
        .await;
    let journal = Journal::read(&database, trip).await;
    stuck.client.reached(trip, journal.last()).await;
    stuck.assert_shows(trip, &journal.view());
    assert!(stuck.client.reconnects() > 0);
    journal.holds_all_that_was_told(trip, &[&stuck, &fast]);
    tokio::time::timeout(Duration::from_secs(30), stuck.client.close()).await.unwrap();
}
