use crate::harness::{Client, Inside, eventually, http_client};
use serde_json::Value;
use std::time::Duration;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tripsync_domain::protocol::Codec;

const GOOD: [(&str, &str); 4] = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

/// Status, code and headers of the answer to a handshake with some headers changed (an empty value removes one).
async fn refused(server: &Inside, query: &str, changes: &[(&str, &str)]) -> (u16, String, reqwest::header::HeaderMap) {
    let mut request = http_client().get(server.url(&format!("/api/v1/live{query}")));
    for (name, value) in GOOD.iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name)).chain(changes) {
        if !value.is_empty() {
            request = request.header(*name, *value);
        }
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    assert_eq!(headers["content-type"], "application/problem+json", "status {status}");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["status"], status);
    (status, body["code"].as_str().unwrap().to_owned(), headers)
}

#[tokio::test]
async fn what_is_wrong_is_answered_before_the_upgrade() {
    let server = Inside::start(&[]).await;
    let ann = server.account("ann").await;
    let bearer = format!("Bearer {}", ann.token);
    let token = ("authorization", bearer.as_str());
    let forged = format!("Bearer {}x", ann.token);
    for (query, changes, status, code) in [
        ("", vec![], 401, "unauthorized"),
        ("", vec![("authorization", forged.as_str())], 401, "unauthorized"),
        ("?ticket=nonsense", vec![], 401, "unauthorized"),
        ("", vec![("sec-websocket-protocol", "tripsync.v1.json, token, nonsense")], 401, "unauthorized"),
        ("", vec![token, ("upgrade", "")], 426, "upgrade_required"),
        ("", vec![token, ("sec-websocket-version", "12")], 426, "upgrade_required"),
        ("", vec![token, ("sec-websocket-key", "YWJj")], 400, "malformed"),
        ("", vec![token, ("origin", "https://evil.example")], 403, "origin_refused"),
        ("", vec![token, ("sec-websocket-protocol", "tripsync.v2.json")], 400, "unsupported_version"),
        ("?verbose=1", vec![token], 422, "unknown_field"),
        ("?client=ann", vec![token], 422, "invalid"),
    ] {
        let (was, tag, headers) = refused(&server, query, &changes).await;
        assert_eq!((was, tag.as_str()), (status, code), "{query} {changes:?}");
        assert_eq!(headers.contains_key("www-authenticate"), status == 401);
        assert_eq!(headers.get("sec-websocket-version").is_some_and(|version| version == "13"), status == 426);
    }
    assert_eq!(server.app.rooms.hub.sockets(), 0);
    server.stop().await;
}

#[tokio::test]
async fn tokens_tickets_and_browsers_get_in() {
    let server = Inside::start(&[]).await;
    let ann = server.account("ann").await;

    // A ticket, once; with the page's own origin, and without offering subprotocols.
    let answer = http_client().post(server.url("/api/v1/live/tickets")).bearer_auth(&ann.token).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    let url = format!("{}?ticket={}", server.live_url(), answer["ticket"].as_str().unwrap());
    let mut request = url.as_str().into_client_request().unwrap();
    request.headers_mut().insert("origin", server.url("").parse().unwrap());
    let (_socket, response) = connect_async(request).await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers().get("sec-websocket-protocol")), (101, None));
    assert!(connect_async(url.as_str()).await.is_err(), "a ticket is good once");

    // As a browser does.
    let mut request = server.live_url().into_client_request().unwrap();
    let list = format!("tripsync.v1.json, token, {}", ann.token);
    request.headers_mut().insert("sec-websocket-protocol", list.parse().unwrap());
    let (_socket, response) = connect_async(request).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "tripsync.v1.json");
    server.stop().await;
}

#[tokio::test]
async fn the_welcome_tells_the_limits_that_are_configured() {
    let server = Inside::start(&[("live.commands_per_s", "7"), ("live.heartbeat", "3s")]).await;
    let ann = server.account("ann").await;
    for codec in [Codec::Json, Codec::MessagePack] {
        let client = Client::connect(&server.live_url(), &ann.token, codec).await;
        let welcome = client.welcome();
        assert_eq!(welcome["user"], ann.user.to_string());
        assert_eq!(welcome["resume"], "epoch_seq");
        let limits = &welcome["limits"];
        assert_eq!(
            (&limits["commands_per_s"], &limits["heartbeat_ms"], &limits["frame_bytes_max"]),
            (&7.into(), &3_000.into(), &65_536.into())
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_user_has_so_many_sockets() {
    let server = Inside::start(&[("live.sockets_per_user_max", "2")]).await;
    let ann = server.account("ann").await;
    let bearer = format!("Bearer {}", ann.token);
    let first = Client::connect(&server.live_url(), &ann.token, Codec::Json).await;
    let _second = Client::connect(&server.live_url(), &ann.token, Codec::Json).await;
    let (status, code, headers) = refused(&server, "", &[("authorization", &bearer)]).await;
    assert_eq!((status, code.as_str(), headers.contains_key("retry-after")), (429, "too_many_sockets", true));
    drop(first);
    eventually("the place is free again", Duration::from_secs(10), || async { server.app.rooms.hub.sockets() == 1 }).await;
    let _third = Client::connect(&server.live_url(), &ann.token, Codec::Json).await;
    server.stop().await;
}
