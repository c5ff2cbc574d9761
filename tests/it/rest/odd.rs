//! Input that a lenient reader would take for something else, or that only one of the databases minds.

use reqwest::Method;
use serde_json::json;

use super::client::{Api, PASSWORD, send, text};
use crate::harness::{Server, TestDatabase, for_each_backend};

for_each_backend!(control_characters_name_nobody, keys_are_unique_and_arrays_no_objects);

async fn control_characters_name_nobody(database: TestDatabase) {
    let server = Server::on(&database).start().await;
    let api = Api::of(&server);
    let ann = api.account("ann").await;
    for handle in ["a\0b", "a\0b@example.org", "\0", "\u{7f}"] {
        api.post("/api/v1/auth/login", json!({"email": handle, "password": PASSWORD})).await.problem("bad_credentials");
    }
    let trip = text(&ann.api.post("/api/v1/trips", json!({"title": "Rome"})).await.ok(201)["id"]);
    let members = format!("/api/v1/trips/{trip}/members");
    ann.api.post(&members, json!({"username": "a\0b", "role": "viewer"})).await.problem("not_found");
    ann.api.post(&members, json!({"email": "a\0@example.org", "role": "viewer"})).await.problem("not_found");
    ann.api.get(&format!("/api/v1/trips/{trip}/log?type=a%00b")).await.problem("invalid");
    // JSON that is only kept may hold any text.
    let odd = json!({"a\0": "b\0"});
    ann.api.patch(&format!("/api/v1/trips/{trip}"), json!({"trip_data": odd})).await.ok(200);
    assert_eq!(ann.api.get(&format!("/api/v1/trips/{trip}")).await.ok(200)["trip_data"], odd);
    assert_eq!(ann.api.patch("/api/v1/me", json!({"preferences": odd})).await.ok(200)["preferences"], odd);
}

async fn keys_are_unique_and_arrays_no_objects(database: TestDatabase) {
    let server = Server::on(&database).start().await;
    let ann = Api::of(&server).account("ann").await;
    let body =
        |path: &str, body: &'static str| send(ann.api.request(Method::POST, path).header("content-type", "application/json").body(body));
    body("/api/v1/trips", r#"{"title":"a","title":"b"}"#).await.problem("malformed");
    body("/api/v1/trips", r#"{"title":"a","trip_data":{"x":1,"x":2}}"#).await.problem("malformed");
    body("/api/v1/auth/login", r#"{"email":"a","email":"b","password":"x"}"#).await.problem("malformed");
    body("/api/v1/trips", r#"["a"]"#).await.problem("invalid");
    let problem = body("/api/v1/trips", r#"{"title":"a","budget":[1,"EUR"]}"#).await.problem("invalid");
    assert_eq!(problem["errors"][0]["pointer"], "/budget");
    assert_eq!(ann.api.get("/api/v1/trips").await.ok(200)["items"], json!([]), "nothing was made");
}
