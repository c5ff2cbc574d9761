//! `Idempotency-Key`: what is sent again has no second effect, also when the answer is lost.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Connection as _;

use super::{Place, World, new_pool};
use crate::harness::{TestDatabase, for_each_backend};
use crate::rest::client::{Answer, send};

for_each_backend!(a_seat_is_asked_for_once);

async fn keyed(world: &World, place: Place, path: &str, key: &str, body: &Value) -> Answer {
    send(world.of(place).request(Method::POST, path).header("Idempotency-Key", key).json(body)).await
}

async fn a_seat_is_asked_for_once(database: TestDatabase) {
    let mut world = World::on(&database).await;
    // Said in the same words each time: it leaves at a minute that passes.
    let body = new_pool();
    let first = keyed(&world, Place::Owner, "/api/v1/pools", "k", &body).await.ok(201);
    let pool = format!("/api/v1/pools/{}", first["id"].as_str().unwrap());
    let requests = format!("{pool}/requests");
    let asked = keyed(&world, Place::Rider, &requests, "k", &json!({"seats": 2})).await.ok(201);
    let again = keyed(&world, Place::Rider, &requests, "k", &json!({"seats": 2})).await;
    assert_eq!((again.header("idempotency-replayed"), &again.body), (Some("true"), &asked));
    keyed(&world, Place::Rider, &requests, "k", &json!({"seats": 1})).await.problem("idempotency_key_reused");
    // The answers are lost, and the server dies: the commands still have their identity.
    world.server.kill().await;
    forget_answers(&database).await;
    world.server.restart().await;
    let made_again = keyed(&world, Place::Owner, "/api/v1/pools", "k", &body).await.ok(201);
    assert_eq!((&made_again["id"], &made_again["repeated"]), (&first["id"], &json!(true)));
    let again = keyed(&world, Place::Rider, &requests, "k", &json!({"seats": 2})).await.ok(201);
    assert_eq!((&again["id"], &again["seq"], &again["repeated"]), (&asked["id"], &asked["seq"], &json!(true)));
    assert_eq!(world.of(Place::Owner).get(&format!("{pool}/claims")).await.ok(200)["items"].as_array().unwrap().len(), 1);
    // The same key makes another room of another kind.
    forget_answers(&database).await;
    let trip = keyed(&world, Place::Owner, "/api/v1/trips", "k", &json!({"title": "Lisbon"})).await.ok(201);
    assert_ne!(trip["id"], first["id"]);
}

async fn forget_answers(database: &TestDatabase) {
    let forget = "DELETE FROM idempotency";
    if database.url().starts_with("sqlite") {
        let mut connection = sqlx::SqliteConnection::connect(database.url()).await.unwrap();
        sqlx::query(forget).execute(&mut connection).await.unwrap();
    } else {
        let mut connection = sqlx::PgConnection::connect(database.url()).await.unwrap();
        sqlx::query(forget).execute(&mut connection).await.unwrap();
    }
}
