//! What members at another node cost the room's owner: one word per event and node, however many they are, and one view for those who come in together.

use serde_json::json;
use tripsync_domain::protocol::Codec;
use uuid::Uuid;

use super::fleet::Fleet;
use super::load::Account;
use super::plan::Plan;
use super::wiring::Wiring;
use crate::harness::{Client, Server};

const EVENTS: u64 = 40;
/// Sockets at each node.
const SOCKETS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_costs_the_owner_one_word_per_node() {
    let fleet = Fleet::start(&Plan::of(0), Wiring::Direct).await;
    let [owner, near, far] = fleet.servers.as_slice() else { panic!("three nodes") };
    let account = Account::register(owner.address(), "Ana").await;
    let trip = account.make(owner.address(), "/trips", &json!({"title": "Lisbon"})).await;
    let room: Uuid = trip["id"].as_str().unwrap().parse().unwrap();
    let mut author = Client::connect(&owner.live_url(), &account.token, Codec::MessagePack).await;
    author.join(room).await;

    let mut members = Vec::new();
    for (server, expected) in [(near, EVENTS), (far, 2 * EVENTS)] {
        for index in 0..SOCKETS {
            let codec = if index % 2 == 0 { Codec::MessagePack } else { Codec::Json };
            let mut member = Client::connect(&server.live_url(), &account.token, codec).await;
            member.join(room).await;
            members.push(member);
        }
        let before = fans(owner).await;
        let mut last = 0;
        for number in 0..EVENTS {
            last = author.ask(room, json!({"type": "send_message", "body": format!("number {number}")})).await.unwrap();
        }
        for member in &mut members {
            member.reached(room, last).await;
        }
        assert_eq!(fans(owner).await - before, expected, "{} members at other nodes", members.len());
        assert_eq!((fans(near).await, fans(far).await), (0, 0), "only the owner tells");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_come_in_together_are_shown_one_view() {
    // Until an owner says how much it has sent.
    let rarely = [("cluster.beat_every", "20s"), ("cluster.silence_max", "60s")];
    let fleet = Fleet::start_with(&Plan::of(0), Wiring::Direct, &rarely).await;
    let [owner, near, _] = fleet.servers.as_slice() else { panic!("three nodes") };
    let account = Account::register(owner.address(), "Ana").await;
    let trip = account.make(owner.address(), "/trips", &json!({"title": "Lisbon"})).await;
    let room: Uuid = trip["id"].as_str().unwrap().parse().unwrap();
    let mut author = Client::connect(&owner.live_url(), &account.token, Codec::MessagePack).await;
    author.join(room).await;
    let last = author.ask(room, json!({"type": "send_message", "body": "\"what is quoted\""})).await.unwrap();
    let mut members = Vec::new();
    for index in 0..SOCKETS {
        let codec = if index % 2 == 0 { Codec::MessagePack } else { Codec::Json };
        members.push(Client::connect(&near.live_url(), &account.token, codec).await);
    }
    let before = (words(owner, "start").await, words(owner, "start_with_view").await);
    futures_util::future::join_all(members.iter_mut().map(|member| member.join(room))).await;
    let (starts, views) = (words(owner, "start").await - before.0, words(owner, "start_with_view").await - before.1);
    assert_eq!((starts, views), (SOCKETS as u64 - 1, 1));
    author.reached(room, last).await;
    for member in &members {
        author.room(room).agrees_with(member.room(room));
    }
}

/// Words with events that a node has told others.
async fn fans(server: &Server) -> u64 {
    words(server, "fan").await
}

/// Words of a kind that a node has told others.
async fn words(server: &Server, kind: &str) -> u64 {
    server.metric(&format!("tripsync_cluster_words_sent_total{{kind=\"{kind}\"}}")).await.unwrap_or(0)
}
