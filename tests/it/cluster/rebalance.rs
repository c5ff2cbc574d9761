//! Moving rooms on purpose: the nodes share them out, and nobody is cut off meanwhile.

use std::time::Duration;

use serde_json::json;
use tripsync_domain::protocol::Codec;
use uuid::Uuid;

use super::fleet::{Fleet, NODES};
use super::load::Account;
use super::plan::Plan;
use super::wiring::Wiring;
use crate::harness::{Client, eventually};

const ROOMS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_are_shared_out_and_nobody_is_cut_off() {
    let fleet = Fleet::start(&Plan::of(0), Wiring::Direct).await;
    let first = &fleet.servers[0];
    let account = Account::register(first.address(), "Ana").await;
    let mut rooms: Vec<Uuid> = Vec::new();
    for number in 0..ROOMS {
        let trip = account.make(first.address(), "/trips", &json!({"title": format!("Trip {number}")})).await;
        rooms.push(trip["id"].as_str().unwrap().parse().unwrap());
    }
    let mut clients = Vec::new();
    for server in &fleet.servers {
        let mut client = Client::connect(&server.live_url(), &account.token, Codec::MessagePack).await;
        for room in &rooms {
            client.join(*room).await;
        }
        clients.push(client);
    }
    assert_eq!(counts(&fleet, &rooms).await, [ROOMS, 0, 0], "whoever makes a room owns it");

    let output = first.command("rebalance").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "asked 3 nodes to share their rooms out evenly\n");

    // Ana's own room is counted, too, and may be anywhere: a third, give or take one.
    let shared = |counts: Vec<usize>| counts.iter().all(|count| count.abs_diff(ROOMS / NODES) <= 1);
    eventually("every node has its share", Duration::from_secs(30), async || shared(counts(&fleet, &rooms).await)).await;

    for room in &rooms {
        let mut last = 0;
        for (number, client) in clients.iter_mut().enumerate() {
            last = client.ask(*room, json!({"type": "send_message", "body": format!("hello from {number}")})).await.unwrap();
        }
        for client in &mut clients {
            client.reached(*room, last).await;
        }
    }
    assert!(clients.iter().all(|client| client.reconnects() == 0), "sockets stay where they are");
}

/// How many of the rooms each node owns.
async fn counts(fleet: &Fleet, rooms: &[Uuid]) -> Vec<usize> {
    fleet.owned(rooms).await.iter().map(Vec::len).collect()
}
