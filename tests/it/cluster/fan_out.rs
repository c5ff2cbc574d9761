//! What members at another node cost the room's owner: one word per event and node, however many they are.

use serde_json::json;
use tripsync_domain::protocol::Codec;
use uuid::Uuid;

use super::fleet::{Fleet, Wiring};
use super::load::Account;
use super::plan::Plan;
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

/// Words with events that a node has told others.
async fn fans(server: &Server) -> u64 {
    server.metric("tripsync_cluster_words_sent_total{kind=\"fan\"}").await.unwrap_or(0)
}
