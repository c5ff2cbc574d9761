//! Many logins at once: bounded in memory, refused beyond the bound, and no burden for others.

use std::time::Duration;

use serde_json::json;

use super::Api;
use super::client::PASSWORD;
use crate::harness::{Backend, Server, TestDatabase, http_client};

/// The password threads keep 19 MiB each; the rest is room for 600 connections and requests.
const GROWTH_MIB_MAX: u64 = 160;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_hundred_at_once_are_bounded() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let server = Server::on(&database).start().await;
    let api = Api::of(&server);
    let ann = api.account("ann").await;
    let before = peak_mib(server.pid());
    let hashes_before = hashes(&server).await;

    let logins = (0..600).map(|n| {
        let email = if n % 2 == 0 { ann.email.clone() } else { format!("nobody{n}@example.org") };
        api.post("/api/v1/auth/login", json!({"email": email, "password": PASSWORD}))
    });
    let others = async {
        for _ in 0..50 {
            ann.api.get("/api/v1/me").await.ok(200);
        }
    };
    let (answers, ()) = tokio::join!(futures_util::future::join_all(logins), others);

    let (mut accepted, mut refused, mut overloaded) = (0, 0, 0);
    for answer in answers {
        match answer.status.as_u16() {
            200 => accepted += 1,
            401 => {
                answer.problem("bad_credentials");
                refused += 1;
            }
            _ => {
                answer.problem("overloaded");
                overloaded += 1;
            }
        }
    }
    assert!(accepted > 0 && refused > 0 && overloaded > 0, "{accepted} accepted, {refused} refused, {overloaded} overloaded");
    // One hash for each that was judged, none for the others.
    assert_eq!(hashes(&server).await - hashes_before, accepted + refused);
    let grown = peak_mib(server.pid()) - before;
    assert!(grown < GROWTH_MIB_MAX, "grew by {grown} MiB");
    // It is itself again afterwards.
    api.post("/api/v1/auth/login", json!({"email": ann.email, "password": PASSWORD})).await.ok(200);
}

#[tokio::test]
async fn an_unknown_name_costs_the_hash_of_a_known_one() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let server = Server::on(&database).start().await;
    let api = Api::of(&server);
    let ann = api.account("ann").await;
    for (email, password) in [(ann.email.as_str(), "wrong"), ("nobody@example.org", "wrong"), (ann.email.as_str(), ""), ("nobody", "")] {
        let before = hashes(&server).await;
        api.post("/api/v1/auth/login", json!({"email": email, "password": password})).await.problem("bad_credentials");
        assert_eq!(hashes(&server).await - before, 1, "{email} with {password:?}");
    }
}

/// `tripsync_password_hashes_total`
async fn hashes(server: &Server) -> u64 {
    let page = http_client().get(server.metrics_url()).timeout(Duration::from_secs(30)).send().await.unwrap().text().await.unwrap();
    let line = page.lines().find(|line| line.starts_with("tripsync_password_hashes_total "));
    line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

/// The most memory that the process has had, in MiB.
fn peak_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}
