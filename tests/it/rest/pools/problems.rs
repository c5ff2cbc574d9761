//! Bad requests about pools: each gets a typed problem that points at the mistake, and nothing changes.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Place, World, new_pool};
use crate::harness::{TestDatabase, for_each_backend};
use crate::rest::client::{send, text};

for_each_backend!(
    bad_bodies_point_at_the_mistake,
    bad_addresses_lead_nowhere,
    more_than_five_requests_are_too_many,
    waiting_for_a_seat_counts_while_the_owner_has_not_answered
);

/// Who sends where what, code and pointer (`-`: none).
const BODIES: &[(Place, &str, &str, &str, &str)] = &[
    (Place::Stranger, "/requests", "{", "malformed", "-"),
    (Place::Stranger, "/requests", "[]", "invalid", ""),
    (Place::Stranger, "/requests", "{\"seats\":0}", "invalid", "/seats"),
    (Place::Stranger, "/requests", "{\"seats\":5}", "invalid", "/seats"),
    (Place::Stranger, "/requests", "{\"seats\":\"2\"}", "invalid", "/seats"),
    (Place::Stranger, "/requests", "{\"from\":\"{claim}\"}", "invalid", "/from"),
    (Place::Stranger, "/requests", "{\"from\":\"{last}\"}", "invalid", "/to"),
    (Place::Stranger, "/requests", "{\"id\":\"x\"}", "invalid", "/id"),
    (Place::Stranger, "/requests", "{\"id\":\"{claim}\"}", "already_exists", "/id"),
    (Place::Stranger, "/requests", "{\"type\":\"hold\"}", "unknown_field", "/type"),
    (Place::Stranger, "/requests", "{\"user\":\"{user}\"}", "unknown_field", "/user"),
    (Place::Stranger, "/holds", "{}", "conflict", "-"),
    (Place::Stranger, "/holds", "{\"wait\":true}", "unknown_field", "/wait"),
    (Place::Owner, "/invitations", "{}", "invalid", ""),
    (Place::Owner, "/invitations", "{\"user\":\"{last}\"}", "not_found", "/user"),
    (Place::Owner, "/invitations", "{\"user\":\"{user}\"}", "already_exists", "/user"),
    (Place::Owner, "/invitations", "{\"user\":\"{outsider}\"}", "invalid", "/user"),
    (Place::Owner, "/claims/{claim}/reject", "{\"reason\":\"\"}", "invalid", "/reason"),
    (Place::Owner, "/claims/{claim}/reject", "{\"claim\":\"{claim}\"}", "unknown_field", "/claim"),
    (Place::Owner, "/claims/{claim}/reject", "{}", "conflict", "-"),
    (Place::Owner, "/claims/{claim}/board", "{}", "invalid", ""),
    (Place::Owner, "/claims/{claim}/board", "{\"boarded\":1}", "invalid", "/boarded"),
    (Place::Owner, "/cancel", "{\"why\":1}", "unknown_field", "/why"),
    (Place::Owner, "/messages", "{\"body\":\"\"}", "invalid", "/body"),
    (Place::Owner, "/reviews", "{\"of\":\"{user}\",\"stars\":6}", "invalid", "/stars"),
    (Place::Owner, "/commands", "{\"cmd\":{\"type\":\"fly\"}}", "unknown_command", "/cmd/type"),
    (Place::Owner, "/commands", "{\"cmd\":{\"type\":\"approve\"}}", "invalid", "/cmd"),
    (Place::Owner, "/commands", "{\"cmd\":{\"type\":\"add_place\",\"name\":\"x\"}}", "unknown_command", "/cmd/type"),
];

async fn bad_bodies_point_at_the_mistake(database: TestDatabase) {
    let world = World::on(&database).await;
    let owner = world.of(Place::Owner);
    let pool = world.pool(json!({})).await;
    let claim = world.place(&pool, Place::Rider).await.unwrap();
    let before = world.state(&pool).await;
    let last = before["state"]["details"]["stops"][2]["id"].as_str().unwrap().to_owned();
    let names = [
        ("{claim}", claim),
        ("{last}", last),
        ("{user}", world.account(Place::Rider).id.clone()),
        ("{outsider}", world.account(Place::Outsider).id.clone()),
    ];
    let fill = |text: &str| names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value));
    let mut wrong = Vec::new();
    for (place, below, body, code, pointer) in BODIES {
        let request = world.of(*place).request(reqwest::Method::POST, &format!("{pool}{}", fill(below)));
        let answer = send(request.header("Content-Type", "application/json").body(fill(body))).await;
        let pointed = answer.body["errors"][0]["pointer"].as_str().unwrap_or("-");
        if answer.body["code"] != *code || pointed != *pointer {
            wrong.push(format!("{below} {body}: wanted {code} at {pointer:?}, got {}", answer.body));
            continue;
        }
        answer.problem(code);
    }
    let with = |field: &str, value: Value| {
        let mut pool = new_pool();
        pool[field] = value;
        pool
    };
    for (body, code, pointer) in [
        (json!({}), "invalid", ""),
        (with("stops", json!([])), "invalid", "/stops"),
        (with("seats", json!(17)), "invalid", "/seats"),
        (with("departure", json!({"local": "2020-01-01T00:00", "tz": "Etc/UTC"})), "invalid", "/departure"),
        (with("departure", json!({"local": "2027-01-01T00:00", "tz": "Etc/Mars"})), "invalid", "/departure/tz"),
        (with("price", json!({"minor": -1, "currency": "EUR"})), "invalid", "/price/minor"),
        (with("group", json!("chess club")), "invalid", "/group"),
        (with("booking", json!("maybe")), "invalid", "/booking"),
        (with("status", json!("open")), "unknown_field", "/status"),
    ] {
        let answer = owner.post("/api/v1/pools", body.clone()).await;
        if answer.body["errors"][0]["pointer"] != pointer {
            wrong.push(format!("{body}: wanted {code} at {pointer:?}, got {}", answer.body));
            continue;
        }
        answer.problem(code);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(world.state(&pool).await, before, "something changed");
    assert_eq!(owner.get("/api/v1/pools").await.ok(200)["items"].as_array().unwrap().len(), 1);
    // What may be left out may be left out.
    send(owner.request(reqwest::Method::POST, &format!("{pool}/cancel")).header("Content-Type", "text/plain").body("snow"))
        .await
        .problem("unsupported_media_type");
    owner.post(&format!("{pool}/cancel"), Value::Null).await.ok(200);
}

async fn bad_addresses_lead_nowhere(database: TestDatabase) {
    let world = World::on(&database).await;
    let owner = world.of(Place::Owner);
    let pool = world.pool(json!({})).await;
    for id in ["nonsense", "0", "%00", "..%2F..", &Uuid::now_v7().to_string()] {
        for path in [format!("/api/v1/pools/{id}"), format!("{pool}/claims/{id}"), format!("{pool}/messages/{id}")] {
            owner.get(&path).await.problem("not_found");
        }
        for word in ["accept", "withdraw", "approve", "reject", "remove"] {
            owner.post(&format!("{pool}/claims/{id}/{word}"), Value::Null).await.problem("not_found");
        }
        for below in ["contacts", "log", "claims", "messages", "reviews", "state", "pickup"] {
            owner.get(&format!("/api/v1/pools/{id}/{below}")).await.problem("not_found");
        }
    }
}

async fn more_than_five_requests_are_too_many(database: TestDatabase) {
    let world = World::on(&database).await;
    let bob = world.of(Place::Rider);
    for n in 0..6 {
        let pool = world.pool(json!({})).await;
        let answer = bob.post(&format!("{pool}/requests"), json!({})).await;
        if n < 5 {
            answer.ok(201);
        } else {
            answer.problem("limit_reached");
        }
    }
}

async fn waiting_for_a_seat_counts_while_the_owner_has_not_answered(database: TestDatabase) {
    let world = World::on(&database).await;
    let (bob, owner) = (world.of(Place::Rider), world.of(Place::Owner));
    let full = async |booking: &str| {
        let pool = world.pool(json!({"booking": booking, "seats": 1})).await;
        world.guest_claim(&pool, true).await;
        pool
    };
    let wait = async |pool: &str| bob.post(&format!("{pool}/requests"), json!({"wait": true})).await;
    // Where nobody has to answer, as many as one likes; and what was booked is no request.
    for _ in 0..3 {
        wait(&full("instant").await).await.ok(201);
        let booked = world.pool(json!({"booking": "instant"})).await;
        bob.post(&format!("{booked}/requests"), json!({})).await.ok(201);
    }
    let mut claims = Vec::new();
    for _ in 0..5 {
        let pool = full("approval").await;
        let claim = text(&wait(&pool).await.ok(201)["id"]);
        claims.push(format!("{pool}/claims/{claim}"));
    }
    let pool = full("approval").await;
    wait(&pool).await.problem("limit_reached");
    let open = world.pool(json!({})).await;
    bob.post(&format!("{open}/requests"), json!({})).await.problem("limit_reached");
    owner.post(&format!("{}/approve", claims[0]), Value::Null).await.ok(200);
    wait(&pool).await.ok(201);
    bob.post(&format!("{open}/requests"), json!({})).await.problem("limit_reached");
    owner.post(&format!("{}/reject", claims[1]), Value::Null).await.ok(200);
    bob.post(&format!("{open}/requests"), json!({})).await.ok(201);
}
