//! Requests that cannot be understood, and what every answer carries.

use reqwest::Method;
use serde_json::json;

use super::Api;
use super::client::send;
use crate::harness::{Backend, Server, TestDatabase};

#[tokio::test]
async fn every_failure_is_a_typed_problem() {
    let server = Server::on(&TestDatabase::create(Backend::Sqlite).await).start().await;
    let api = Api::of(&server);
    let ann = api.account("ann").await.api;
    let json_body =
        |text: &str| send(ann.request(Method::PATCH, "/api/v1/me").header("Content-Type", "application/json").body(text.to_owned()));

    api.get("/nothing").await.problem("not_found");
    api.get("/api/v1/nothing").await.problem("not_found");
    api.get("/problems/nothing").await.problem("not_found");
    let answer = send(api.request(Method::DELETE, "/api/v1/me")).await;
    let allow: Vec<&str> = answer.header("allow").unwrap().split(',').collect();
    assert!(allow.contains(&"GET") && allow.contains(&"PATCH"), "{allow:?}");
    answer.problem("method_not_allowed");
    send(ann.request(Method::PATCH, "/api/v1/me").body("{}")).await.problem("unsupported_media_type");
    send(ann.request(Method::PATCH, "/api/v1/me").form(&[("bio", "x")])).await.problem("unsupported_media_type");
    send(api.request(Method::POST, "/api/v1/auth/login").header("Content-Type", "text/plain").body("{}"))
        .await
        .problem("unsupported_media_type");
    for text in ["", "{", "{} x", "nul", "{\"bio\":NaN}", "{\"bio\":\"\u{1}\"}", "\u{feff}{}", "{\"preferences\":{\"x\":1e999}}"] {
        json_body(text).await.problem("malformed");
    }
    let bomb = format!("{{\"preferences\":{}{}}}", "{\"a\":".repeat(5_000), "}".repeat(5_000));
    json_body(&bomb).await.problem("malformed");
    json_body("[]").await.problem("invalid");
    json_body("{\"bio\":1}").await.problem("invalid");
    json_body("{\"bio\":\"a\",\"bio\":\"b\"}").await.problem("malformed");
    json_body("{\"is_admin\":true}").await.problem("unknown_field");
    json_body(&format!("{{\"bio\":\"{}\"}}", "x".repeat(2 << 20))).await.problem("too_large");
    let keyed = send(ann.request(Method::POST, "/api/v1/live/tickets").header("Idempotency-Key", "k").body("x".repeat(2 << 20)));
    keyed.await.problem("too_large");
    for authorization in ["", "Bearer", "Bearer ", "Basic eDp5", "Bearer x", "Bearer a b"] {
        send(api.request(Method::GET, "/api/v1/me").header("Authorization", authorization)).await.problem("unauthorized");
    }
    // The scheme's case does not count.
    send(api.request(Method::GET, "/api/v1/me").header("Authorization", "Basic x")).await.problem("unauthorized");
    assert!(ann.get("/api/v1/me").await.ok(200)["bio"].is_null(), "nothing was changed");
}

#[tokio::test]
async fn every_answer_has_its_headers() {
    let server = Server::on(&TestDatabase::create(Backend::Sqlite).await).set("http.public_url", "https://trips.example.org").start().await;
    let api = Api::of(&server);
    for path in ["/health", "/nothing", "/api/v1/me", "/docs/"] {
        let answer = send(api.request(Method::GET, path).header("X-Request-Id", "from-the-client.1")).await;
        assert_eq!(answer.header("x-request-id"), Some("from-the-client.1"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert!(answer.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"), "{path}");
        assert!(answer.header("strict-transport-security").is_some(), "{path}");
    }
    let answer = send(api.request(Method::GET, "/health").header("X-Request-Id", "no spaces")).await;
    assert_eq!(answer.header("x-request-id").unwrap().len(), 36);

    // A problem's type is a page of this server.
    let problem = api.get("/nothing").await.body;
    assert_eq!(problem["type"], json!("https://trips.example.org/problems/not_found"));
    for code in tripsync_domain::ErrorCode::ALL {
        let page = api.request(Method::GET, &format!("/problems/{}", code.as_str())).send().await.unwrap();
        assert_eq!(page.status(), 200);
        assert!(page.text().await.unwrap().contains(code.title()));
    }
}
