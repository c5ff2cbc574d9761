//! Reading while Postgres answers nothing: what is in an owner's memory can be read over REST, at any node, as long as the owner's lease is shown
//! to hold.

use reqwest::Method;
use serde_json::{Value, json};
use tripsync_domain::protocol::Codec;

use super::fleet::{DATABASE_REACHED, Fleet, LEASE_HELD, NODES};
use super::load::Account;
use super::plan::Plan;
use super::wiring::Wiring;

const OWNER: usize = 0;
/// Has a member of the room, so that it relays for it.
const RELAY: usize = 1;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trip_in_memory_is_read_through_owner_and_relay_while_postgres_is_away() {
    let mut fleet = Fleet::start_with(&Plan::of(0), Wiring::Direct, &[("http.request_timeout", "8s")]).await;
    let nodes = fleet.addresses();
    let ana = Account::register(nodes[OWNER], "Ana").await;
    let trip = ana.trip(nodes[OWNER], &[]).await;
    let mut member = ana.client(&fleet.servers[RELAY], Codec::MessagePack).await;
    member.join(trip).await;
    member.ask(trip, json!({"type": "send_message", "body": "the last before the outage"})).await.unwrap();
    assert_eq!(fleet.owner(trip).await, Some(OWNER));
    let paths = ["", "/state", "/activities"].map(|part| format!("/trips/{trip}{part}"));
    let mut known = Vec::new();
    for path in &paths {
        known.push(read(&ana, &fleet, OWNER, path).await);
    }

    fleet.postgres.freeze().await;
    fleet.says(0..NODES, DATABASE_REACHED, 0.0).await;
    for node in [OWNER, RELAY] {
        for (path, known) in paths.iter().zip(&known) {
            assert_eq!(known.0, 200);
            assert_eq!(&read(&ana, &fleet, node, path).await, known, "node {node}, {path}");
        }
        // Stands in a table.
        refused(&read(&ana, &fleet, node, "/trips").await);
    }

    // Without Redis only Postgres could tell whose the room is.
    fleet.redis.freeze().await;
    fleet.says(0..NODES, LEASE_HELD, 0.0).await;
    for node in [OWNER, RELAY] {
        refused(&read(&ana, &fleet, node, &paths[0]).await);
    }
}

async fn read(who: &Account, fleet: &Fleet, node: usize, path: &str) -> (u16, Value) {
    who.call(fleet.servers[node].address(), Method::GET, path, None).await
}

/// The request's time limit or the room's: whichever is first.
#[track_caller]
fn refused((status, body): &(u16, Value)) {
    assert!(*status >= 500 && ["timeout", "retry"].contains(&body["code"].as_str().unwrap_or_default()), "{status} {body}");
}
