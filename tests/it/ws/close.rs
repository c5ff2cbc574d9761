use crate::harness::{Client, Inside, eventually, http_client};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tripsync_domain::protocol::Codec;

const LIMIT: Duration = Duration::from_secs(20);

fn bye(client: &mut Client) -> Value {
    client.take_other().into_iter().find(|frame| frame["t"] == "bye").expect("a bye before the close")
}

#[tokio::test]
async fn an_oversize_message_closes_with_1009() {
    let server = Inside::start(&[]).await;
    let ann = server.account("ann").await;
    let mut client = Client::connect(&server.live_url(), &ann.token, Codec::Json).await;
    // The largest that is allowed is read.
    client.send_message(Message::text("x".repeat(65_536))).await;
    client.until("the error", |client| client.has_other("error")).await;
    client.send_message(Message::text("x".repeat(65_537))).await;
    assert_eq!(client.closed().await, 1009);
    assert_eq!(bye(&mut client)["code"], "too_large");
    nobody_is_left(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn too_much_nonsense_closes_with_4500() {
    let server = Inside::start(&[]).await;
    let ann = server.account("ann").await;
    let mut client = Client::connect(&server.live_url(), &ann.token, Codec::Json).await;
    for _ in 0..21 {
        client.send_message(Message::text("{")).await;
    }
    assert_eq!(client.closed().await, 4500);
    assert_eq!(bye(&mut client)["code"], "protocol_violation");
    server.stop().await;
}

#[tokio::test]
async fn a_logout_ends_its_sockets_at_once() {
    let server = Inside::start(&[]).await;
    let ann = server.account("ann").await;
    let mut client = Client::connect(&server.live_url(), &ann.token, Codec::Json).await;
    let answer = http_client().post(server.url("/api/v1/auth/logout")).bearer_auth(&ann.token).send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    assert_eq!(client.closed().await, 4503);
    assert_eq!(bye(&mut client)["code"], "session_revoked");
    server.stop().await;
}

#[tokio::test]
async fn a_token_runs_out_unless_it_is_renewed() {
    let server = Inside::start(&[("auth.access_token_ttl", "3s")]).await;
    let mut ann = server.account("ann").await;
    let mut client = Client::connect(&server.live_url(), &ann.token, Codec::Json).await;
    client.send(&json!({"t": "auth", "token": "nonsense"})).await;
    client.until("the refusal", |client| client.has_other("error")).await;
    assert_eq!(client.take_other()[0]["code"], "unauthorized");
    // A token's time is counted in whole seconds: so that the fresh one is later.
    client.listen(Duration::from_millis(1_500)).await;
    server.refresh(&mut ann).await;
    client.send(&json!({"t": "auth", "token": ann.token})).await;
    client.until("the consent", |client| client.has_other("auth_ok")).await;
    client.listen(Duration::from_millis(1_900)).await;
    assert!(!client.has_other("bye"), "the first token has run out, the second has not");
    assert_eq!(client.closed().await, 4502);
    assert_eq!(bye(&mut client)["code"], "token_expired");

    server.refresh(&mut ann).await;
    client.set_token(&ann.token);
    client.send(&json!({"t": "ping", "n": 1})).await;
    client.listen(Duration::from_millis(1)).await;
    assert_eq!(client.welcome()["user"], ann.user.to_string());
    server.stop().await;
}

#[tokio::test]
async fn a_shutdown_says_when_to_come_back() {
    let server = Inside::start(&[]).await;
    let ann = server.account("ann").await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(Client::connect(&server.live_url(), &ann.token, Codec::MessagePack).await);
    }
    server.drain();
    let mut hints = Vec::new();
    for client in &mut clients {
        assert_eq!(client.closed().await, 1012);
        let bye = bye(client);
        assert_eq!(bye["code"], "restarting");
        hints.push(bye["retry_after_ms"].as_u64().unwrap());
    }
    hints.sort_unstable();
    hints.dedup();
    assert_eq!(hints.len(), 3, "they do not all come back at once");
    timeout(LIMIT, server.stop()).await.expect("it ends soon");
}

/// A socket by hand, for what no client library does.
async fn by_hand(server: &Inside, token: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let request = format!(
        "GET /api/v1/live HTTP/1.1\r\nhost: {}\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: tripsync.v1.json\r\nauthorization: Bearer {token}\r\n\r\n",
        server.address()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    stream
}

/// Everything until the end, and the close code at it.
async fn close_code(mut stream: TcpStream) -> u16 {
    let mut all = Vec::new();
    timeout(LIMIT, stream.read_to_end(&mut all)).await.expect("the server closes").unwrap();
    let close = all.windows(4).rposition(|bytes| bytes[0] == 0x88 && bytes[1] <= 125).expect("a close frame");
    u16::from_be_bytes([all[close + 2], all[close + 3]])
}

#[tokio::test]
async fn silence_closes_with_4005_and_a_pong_keeps_it_open() {
    let server = Inside::start(&[("live.heartbeat", "100ms"), ("live.heartbeat_timeout", "500ms")]).await;
    let ann = server.account("ann").await;
    // Answers pings, as every library does while it reads.
    let mut alive = Client::connect(&server.live_url(), &ann.token, Codec::Json).await;
    let silent = by_hand(&server, &ann.token).await;
    let (code, ()) = tokio::join!(close_code(silent), alive.listen(Duration::from_secs(2)));
    assert_eq!((code, alive.reconnects()), (4005, 0));
    alive.send(&json!({"t": "ping", "n": 1})).await;
    alive.until("the pong", |client| client.has_other("pong")).await;
    server.stop().await;
}

#[tokio::test]
async fn a_broken_protocol_gets_the_close_code_of_the_rfc() {
    let server = Inside::start(&[]).await;
    let ann = server.account("ann").await;
    for (what, bytes, code) in [
        ("a message that is not masked", &[0x81, 0x02, b'{', b'}'][..], 1002),
        ("a reserved bit", &[0xc1, 0x80, 0, 0, 0, 0], 1002),
        ("an unknown opcode", &[0x83, 0x80, 0, 0, 0, 0], 1002),
        ("a continuation of nothing", &[0x80, 0x80, 0, 0, 0, 0], 1002),
        ("text that is not UTF-8", &[0x81, 0x81, 0, 0, 0, 0, 0xff], 1007),
        ("a length of 2^62", &[0x82, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1009),
    ] {
        let mut stream = by_hand(&server, &ann.token).await;
        stream.write_all(bytes).await.unwrap();
        assert_eq!(close_code(stream).await, code, "{what}");
    }
    nobody_is_left(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn connections_that_just_end_leave_nothing_behind() {
    let server = Inside::start(&[]).await;
    let ann = server.account("ann").await;
    let trip = server.trip(&ann, &[]).await;
    for turn in 0..12 {
        let mut client = Client::connect(&server.live_url(), &ann.token, Codec::Json).await;
        client.join(trip).await;
        match turn % 3 {
            0 => client.close().await,
            1 => client.drop_connection(),
            _ => drop(by_hand(&server, &ann.token).await),
        }
    }
    nobody_is_left(&server).await;
    server.stop().await;
}

async fn nobody_is_left(server: &Inside) {
    eventually("every socket is gone", LIMIT, || async { server.app.rooms.hub.sockets() == 0 }).await;
}
