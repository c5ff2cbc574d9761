use super::*;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(20);

struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

async fn floor(state_bytes: usize) -> SocketAddr {
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, state_bytes));
    address
}

impl Client {
    async fn open(address: SocketAddr, client: Uuid) -> Self {
        let mut request = format!("ws://{address}/api/v1/live?client={client}").into_client_request().unwrap();
        request.headers_mut().insert("Sec-WebSocket-Protocol", "tripsync.v1.msgpack".parse().unwrap());
        let mut client = Self(connect_async(request).await.unwrap().0);
        assert_eq!(client.next().await["t"], "welcome");
        client
    }

    async fn join(address: SocketAddr, client: Uuid, room: Uuid) -> Self {
        let mut socket = Self::open(address, client).await;
        socket.say(&json!({"t": "join", "room": room.to_string()})).await;
        let joined = socket.next().await;
        assert_eq!((&joined["t"], &joined["room"]), (&json!("joined"), &json!(room)));
        socket
    }

    async fn say(&mut self, frame: &Value) {
        self.0.send(Message::Binary(Bytes::from(rmp_serde::to_vec_named(frame).unwrap()))).await.unwrap();
    }

    async fn message(&mut self, room: Uuid, n: u64, body: &str) {
        self.say(&json!({"t": "op", "room": room.to_string(), "n": n, "cmd": {"type": "send_message", "body": body}})).await;
    }

    /// The next frame.
    async fn next(&mut self) -> Value {
        loop {
            match timeout(LIMIT, self.0.next()).await.unwrap().unwrap().unwrap() {
                Message::Binary(bytes) => return serde_json::from_slice(&tripsync_domain::protocol::to_json(&bytes).unwrap()).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other @ (Message::Text(_) | Message::Close(_) | Message::Frame(_)) => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_command_reaches_every_member_and_is_acknowledged() {
    let address = floor(1_000).await;
    let (room, ids) = (Uuid::new_v4(), [Uuid::new_v4(), Uuid::new_v4()]);
    let mut author = Client::join(address, ids[0], room).await;
    let mut member = Client::join(address, ids[1], room).await;
    let mut stranger = Client::join(address, ids[1], Uuid::new_v4()).await;
    for (n, body) in [(1, "hello".to_owned()), (2, "x".repeat(300)), (300, "x".repeat(30_000))] {
        author.message(room, n, &body).await;
        let seq = if n == 300 { 3 } else { n };
        let ack = author.next().await;
        assert_eq!(ack, json!({"t": "ack", "room": room, "n": n, "seq": seq, "durable": true}));
        let (mine, theirs) = (author.next().await, member.next().await);
        assert_eq!(mine, theirs);
        assert_eq!((&mine["t"], &mine["from"], &mine["epoch"]), (&json!("events"), &json!(seq), &json!(1)));
        let event = &mine["events"][0];
        assert_eq!((&event["seq"], &event["n"], &event["client"]), (&json!(seq), &json!(n), &json!(ids[0])));
        assert_eq!(event["ev"]["message"]["body"], body);
    }
    stranger.say(&json!({"t": "ping", "n": 7})).await;
    assert_eq!(stranger.next().await["n"], 7, "nothing of another room came before the pong");
}

#[tokio::test]
async fn the_state_is_as_large_as_was_asked() {
    for bytes in [10, 1_000, 70_000] {
        let mut socket = Client::open(floor(bytes).await, Uuid::new_v4()).await;
        socket.say(&json!({"t": "join", "room": Uuid::new_v4().to_string()})).await;
        let joined = socket.next().await;
        assert_eq!(joined["state"]["notes"].as_str().unwrap().len(), bytes);
        assert_eq!((&joined["seq"], &joined["presence"]), (&json!(0), &json!([])));
    }
}

#[tokio::test]
async fn many_commands_in_one_write_come_through_in_order() {
    let address = floor(10).await;
    let room = Uuid::new_v4();
    let mut author = Client::join(address, Uuid::new_v4(), room).await;
    for n in 1..=500 {
        let frame = json!({"t": "op", "room": room.to_string(), "n": n, "cmd": {"type": "rename", "title": "x".repeat(n)}});
        author.0.feed(Message::Binary(Bytes::from(rmp_serde::to_vec_named(&frame).unwrap()))).await.unwrap();
    }
    author.0.flush().await.unwrap();
    for n in 1..=500 {
        let (ack, events) = (author.next().await, author.next().await);
        assert_eq!((&ack["n"], &events["from"]), (&json!(n), &json!(n)));
    }
}

#[tokio::test]
async fn who_never_reads_is_dropped_and_holds_nobody_up() {
    let address = floor(10).await;
    let room = Uuid::new_v4();
    let mut author = Client::join(address, Uuid::new_v4(), room).await;
    let mut slow = Client::join(address, Uuid::new_v4(), room).await;
    // More than what waits at most and what two sockets' buffers take.
    let body = "x".repeat(60_000);
    for n in 1..=600 {
        author.message(room, n, &body).await;
        assert_eq!(author.next().await["n"], n);
        assert_eq!(author.next().await["from"], n);
    }
    let ended = async { while let Some(Ok(_)) = slow.0.next().await {} };
    timeout(LIMIT, ended).await.expect("the slow socket ends");
}

#[tokio::test]
async fn who_has_left_gets_nothing_more() {
    let address = floor(10).await;
    let room = Uuid::new_v4();
    let mut author = Client::join(address, Uuid::new_v4(), room).await;
    let mut gone = Client::join(address, Uuid::new_v4(), room).await;
    gone.say(&json!({"t": "leave", "room": room.to_string()})).await;
    gone.say(&json!({"t": "ping", "n": 1})).await;
    assert_eq!(gone.next().await["t"], "pong", "so the leave was read");
    author.message(room, 1, "hello").await;
    assert_eq!(author.next().await["t"], "ack");
    gone.say(&json!({"t": "ping", "n": 2})).await;
    assert_eq!(gone.next().await["n"], 2);
}

#[tokio::test]
async fn rest_gives_ids_and_tokens_and_other_codecs_are_refused() {
    let address = floor(10).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for _ in 0..2 {
        let answer = http.post(format!("http://{address}/api/v1/trips")).json(&json!({"title": "x".repeat(5_000)})).send().await.unwrap();
        let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert!(Uuid::try_parse(body["id"].as_str().unwrap()).is_ok() && body["access_token"].is_string());
    }
    let mut request = format!("ws://{address}/api/v1/live").into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", "tripsync.v1.json".parse().unwrap());
    assert!(connect_async(request).await.is_err());
}
