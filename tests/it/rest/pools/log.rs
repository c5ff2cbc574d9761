//! The activity log shows each what is for them, and does not tell of the rest.

use serde_json::{Value, json};

use super::{Place, World};
use crate::harness::{TestDatabase, for_each_backend};

for_each_backend!(each_sees_their_part, what_is_hidden_cannot_be_asked_for);

/// A pool that is not ready for anything: a guest is in, somebody is pending, and they talk.
async fn busy_pool(world: &World) -> String {
    let pool = world.pool(json!({})).await;
    world.guest_claim(&pool, true).await;
    world.place(&pool, Place::Rider).await;
    world.place(&pool, Place::Pending).await;
    for n in 0..3 {
        world.of(Place::Owner).post(&format!("{pool}/messages"), json!({"body": format!("m{n}")})).await.ok(201);
    }
    pool
}

async fn all(world: &World, pool: &str, place: Place, query: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.of(place).get(&format!("{pool}/log?{query}{cursor}")).await.ok(200);
        items.extend(page["items"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

fn types(items: &[Value]) -> Vec<&str> {
    items.iter().rev().map(|item| item["type"].as_str().unwrap()).collect()
}

async fn each_sees_their_part(database: TestDatabase) {
    let world = World::on(&database).await;
    let pool = busy_pool(&world).await;
    let owner = all(&world, &pool, Place::Owner, "limit=100").await;
    assert_eq!(
        types(&owner),
        [
            "pool_created",
            "claimed",
            "confirmed",
            "seats_changed",
            "claimed",
            "confirmed",
            "seats_changed",
            "claimed",
            "message_sent",
            "message_sent",
            "message_sent"
        ],
        "{owner:#?}"
    );
    let expected = [
        (Place::Stranger, vec!["pool_created", "seats_changed", "seats_changed"]),
        (Place::Pending, vec!["pool_created", "seats_changed", "seats_changed", "claimed"]),
        (
            Place::Rider,
            vec![
                "pool_created",
                "seats_changed",
                "claimed",
                "confirmed",
                "riders_shown",
                "seats_changed",
                "message_sent",
                "message_sent",
                "message_sent",
            ],
        ),
    ];
    for (place, expected) in expected {
        for limit in [1, 2, 100] {
            let seen = all(&world, &pool, place, &format!("limit={limit}")).await;
            assert_eq!(types(&seen), expected, "{place:?} by {limit}");
        }
    }
    // Who took a seat stands in what everybody sees for those alone who know it anyway.
    let guest = json!(world.guest.id);
    assert!(owner.iter().any(|item| item["by"] == guest && item["by_name"] == "guest"), "{owner:#?}");
    for place in [Place::Stranger, Place::Pending] {
        for item in all(&world, &pool, place, "limit=100").await {
            let changed = item["type"] == "seats_changed";
            let hidden =
                item["by"] == json!(uuid::Uuid::nil()) && item["by_name"].is_null() && item["client"].is_null() && item["n"].is_null();
            assert!(!changed || hidden, "{place:?}: {item}");
        }
    }
}

/// Filters answer the same, whether somebody did something hidden or there is no such person.
async fn what_is_hidden_cannot_be_asked_for(database: TestDatabase) {
    let world = World::on(&database).await;
    let pool = busy_pool(&world).await;
    let claims = world.of(Place::Owner).get(&format!("{pool}/claims")).await.ok(200);
    let nobody = world.of(Place::Stranger).get(&format!("{pool}/log?author={}&limit=1", uuid::Uuid::now_v7())).await.ok(200);
    assert_eq!(nobody, json!({"items": [], "next": null}));
    let mut queries: Vec<_> = ["claimed", "confirmed", "message_sent", "riders_shown"].map(|tag| format!("type={tag}")).into();
    queries.extend([&world.guest.id, &world.account(Place::Pending).id].map(|author| format!("author={author}")));
    queries.extend(claims["items"].as_array().unwrap().iter().map(|claim| format!("entity={}", claim["id"].as_str().unwrap())));
    for query in queries {
        let found = world.of(Place::Stranger).get(&format!("{pool}/log?{query}&limit=1")).await.ok(200);
        assert_eq!(found, nobody, "{query}");
    }
}
