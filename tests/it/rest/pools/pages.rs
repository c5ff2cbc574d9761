//! Lists page by page.

use serde_json::{Value, json};
use std::collections::BTreeSet;

use super::{Place, World};
use crate::harness::{TestDatabase, for_each_backend};
use crate::rest::Api;
use crate::rest::client::text;

for_each_backend!(every_list_comes_whole_in_pages, what_was_written_to_others_is_passed_over);

async fn walk(api: &Api, path: &str, key: &str, limit: usize) -> Vec<Value> {
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("{path}?limit={limit}{cursor}")).await.ok(200);
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= limit, "{path}");
        seen.extend(items.iter().map(|item| item[key].clone()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return seen,
        }
        assert!(seen.len() < 1_000, "{path} has no end");
    }
}

async fn every_list_comes_whole_in_pages(database: TestDatabase) {
    let world = World::on(&database).await;
    let owner = world.of(Place::Owner);
    let mut pools = Vec::new();
    for _ in 0..5 {
        pools.push(world.pool(json!({})).await);
    }
    let pool = pools.last().unwrap().clone();
    world.guest_claim(&pool, true).await;
    for place in [Place::Rider, Place::Waiting, Place::Pending] {
        world.place(&pool, place).await;
    }
    let mut messages = Vec::new();
    for n in 0..7 {
        let sent = owner.post(&format!("{pool}/messages"), json!({"body": format!("m{n}")})).await.ok(201);
        assert_eq!(owner.get(&format!("{pool}/messages/{}", text(&sent["id"]))).await.ok(200), sent["item"]);
        messages.push(sent["id"].clone());
    }
    messages.reverse();
    let ids: Vec<_> = pools.iter().rev().map(|pool| json!(pool.rsplit('/').next().unwrap())).collect();
    for limit in [1, 2, 3, 100] {
        assert_eq!(walk(owner, "/api/v1/pools", "id", limit).await, ids, "{limit}");
        assert_eq!(walk(owner, &format!("{pool}/messages"), "id", limit).await, messages, "{limit}");
        let claims = walk(owner, &format!("{pool}/claims"), "name", limit).await;
        assert_eq!(claims, ["guest", "bob", "dora", "carl"].map(|name| json!(name)), "{limit}: first come first");
        let log = walk(owner, &format!("{pool}/log"), "seq", limit).await;
        assert_eq!(log.iter().map(|seq| seq.as_u64().unwrap()).collect::<BTreeSet<_>>().len(), log.len());
        assert!(log.len() > 12 && log.is_sorted_by_key(|seq| u64::MAX - seq.as_u64().unwrap()), "{log:?}");
    }
    for bad in ["limit=0", "limit=101", "cursor=x", "skip=1"] {
        for list in ["/api/v1/pools".to_owned(), format!("{pool}/messages"), format!("{pool}/claims"), format!("{pool}/log")] {
            let answer = owner.get(&format!("{list}?{bad}")).await;
            assert_eq!(answer.status, 422, "{list} {bad}: {answer:?}");
        }
    }
}

async fn what_was_written_to_others_is_passed_over(database: TestDatabase) {
    let world = World::on(&database).await;
    let owner = world.of(Place::Owner);
    let pool = world.pool(json!({})).await;
    for n in 0..4 {
        owner.post(&format!("{pool}/messages"), json!({"body": format!("before {n}")})).await.ok(201);
    }
    world.place(&pool, Place::Rider).await;
    let mut heard = Vec::new();
    for n in 0..4 {
        heard.push(owner.post(&format!("{pool}/messages"), json!({"body": format!("after {n}")})).await.ok(201)["item"]["body"].clone());
    }
    heard.reverse();
    for limit in [1, 3, 100] {
        let path = format!("{pool}/messages");
        assert_eq!(walk(owner, &path, "body", limit).await.len(), 8);
        assert_eq!(walk(world.of(Place::Rider), &path, "body", limit).await, heard, "{limit}");
        // Nor does the page end where there is something.
        let page = world.of(Place::Stranger).get(&format!("{path}?limit={limit}")).await.ok(200);
        assert_eq!(page, json!({"items": [], "next": null}));
    }
}
