//! Finding rides.

use serde_json::{Value, json};

use super::{Place, World, in_days, instant_in_days};
use crate::harness::{TestDatabase, for_each_backend};
use crate::rest::client::text;

for_each_backend!(what_goes_the_way_is_found, what_is_found_is_paged, bad_searches_point_at_the_mistake);

/// Lisbon, Coimbra and Porto, a little beside the stops.
const LISBON: &str = "38.7700,-9.0991";
const COIMBRA: &str = "40.2250,-8.4410";
const PORTO: &str = "41.1487,-8.5800";

async fn find(world: &World, place: Place, query: &str) -> Value {
    world.of(place).get(&format!("/api/v1/pools/search?{query}")).await.ok(200)
}

fn ids(found: &Value) -> Vec<String> {
    found["items"].as_array().unwrap().iter().map(|item| text(&item["id"])).collect()
}

async fn what_goes_the_way_is_found(database: TestDatabase) {
    let world = World::on(&database).await;
    let pool = world.pool(json!({})).await;
    let id = pool.rsplit('/').next().unwrap().to_owned();
    world.guest_claim(&pool, true).await;
    let found = find(&world, Place::Stranger, &format!("from={LISBON}&to={COIMBRA}")).await;
    let shown = world.of(Place::Stranger).get(&pool).await.ok(200);
    let hit = &found["items"][0];
    assert_eq!((&found["next"], &found["complete"], found["items"].as_array().unwrap().len()), (&Value::Null, &json!(true), 1));
    for field in ["id", "seq", "owner", "owner_name", "stops", "departure", "seats", "seats_left", "price", "booking", "group", "status"] {
        assert_eq!(hit[field], shown[field], "{field}");
    }
    let stops = &shown["stops"];
    assert_eq!(hit["section"], json!({"from": stops[0]["id"], "to": stops[1]["id"], "seats": 3}));
    assert_eq!((&hit["title"], &hit["from_m"], &hit["to_m"]), (&json!("Lisboa Oriente → Porto Campanhã"), &json!(245), &json!(85)));
    // Anywhere: as far as it goes.
    let found = find(&world, Place::Stranger, &format!("from={COIMBRA}")).await;
    assert_eq!((&found["items"][0]["section"]["to"], &found["items"][0]["to_m"]), (&stops[2]["id"], &Value::Null));

    let way = format!("from={LISBON}&to={PORTO}");
    let (early, late) = (instant_in_days(29), instant_in_days(31));
    for (more, is_found) in [
        ("", true),
        ("&radius_m=1000", true),
        ("&radius_m=300", false),
        ("&seats=3", true),
        ("&seats=4", false),
        ("&price_max=1500&currency=EUR", true),
        ("&price_max=1499&currency=EUR", false),
        ("&price_max=9000&currency=USD", false),
        (&format!("&after={early}&before={late}"), true),
        (&format!("&after={late}"), false),
        (&format!("&before={early}"), false),
    ] {
        assert_eq!(ids(&find(&world, Place::Stranger, &format!("{way}{more}")).await).contains(&id), is_found, "{more}");
    }
    for (from, to) in [(PORTO, LISBON), (COIMBRA, LISBON), (LISBON, "38.9,-9.0")] {
        assert!(ids(&find(&world, Place::Stranger, &format!("from={from}&to={to}")).await).is_empty(), "{from} {to}");
    }
    // For the group alone, and not for its owner; not any more when it is off.
    for (place, is_found) in [(Place::Owner, false), (Place::Outsider, false), (Place::Rider, true)] {
        assert_eq!(ids(&find(&world, place, &way).await), if is_found { vec![id.clone()] } else { vec![] }, "{place:?}");
    }
    world.of(Place::Owner).post(&format!("{pool}/cancel"), Value::Null).await.ok(200);
    assert!(ids(&find(&world, Place::Stranger, &way).await).is_empty());
}

async fn what_is_found_is_paged(database: TestDatabase) {
    let world = World::on(&database).await;
    let mut pools = Vec::new();
    for n in 0..7_u32 {
        let mut stops = super::new_pool()["stops"].clone();
        stops[0]["position"]["lat"] = json!(38.7700 + f64::from(n) / 1000.0);
        let pool = world.pool(json!({"stops": stops, "departure": in_days(30 - u64::from(n))})).await;
        pools.push(pool.rsplit('/').next().unwrap().to_owned());
    }
    let way = format!("from={LISBON}&to={PORTO}");
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let query = if cursor.is_empty() { format!("{way}&limit=3") } else { format!("limit=3&cursor={cursor}") };
        let page = find(&world, Place::Stranger, &query).await;
        seen.extend(ids(&page));
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(seen, pools, "nearest first");
    // A cursor is for its search and its user.
    let stranger = world.of(Place::Stranger);
    let search = "/api/v1/pools/search";
    stranger.get(&format!("{search}?from={COIMBRA}&cursor={cursor}")).await.problem("invalid");
    world.of(Place::Rider).get(&format!("{search}?cursor={cursor}")).await.problem("invalid");
    stranger.get(&format!("{search}?{way}&cursor={cursor}")).await.ok(200);
}

async fn bad_searches_point_at_the_mistake(database: TestDatabase) {
    let world = World::on(&database).await;
    for (query, code, pointer) in [
        ("", "invalid", "?from"),
        ("to=1,2", "invalid", "?from"),
        ("from=1", "invalid", "?from"),
        ("from=91,2", "invalid", "?from"),
        ("from=NaN,2", "invalid", "?from"),
        ("from=1,2&to=x", "invalid", "?to"),
        ("from=1,2&radius_m=0", "invalid", "?radius_m"),
        ("from=1,2&radius_m=50001", "invalid", "?radius_m"),
        ("from=1,2&seats=0", "invalid", "?seats"),
        ("from=1,2&seats=17", "invalid", "?seats"),
        ("from=1,2&after=soon", "invalid", "?after"),
        ("from=1,2&after=2027-05-02T00:00:00Z&before=2027-05-01T00:00:00Z", "invalid", "?before"),
        ("from=1,2&price_max=1", "invalid", "?currency"),
        ("from=1,2&currency=EUR", "invalid", "?price_max"),
        ("from=1,2&price_max=-1&currency=EUR", "invalid", "?price_max"),
        ("from=1,2&price_max=1&currency=euro", "invalid", "?currency"),
        ("from=1,2&limit=0", "invalid", "?limit"),
        ("cursor=x", "invalid", "?cursor"),
        ("from=1,2&radius=5", "unknown_field", "?radius"),
    ] {
        let problem = world.of(Place::Stranger).get(&format!("/api/v1/pools/search?{query}")).await.problem(code);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{query}");
    }
    world.anonymous.get("/api/v1/pools/search?from=1,2").await.problem("unauthorized");
}
