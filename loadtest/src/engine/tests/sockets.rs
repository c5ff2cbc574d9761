//! Sockets whose other side does what a good server never does.

use super::*;
use crate::wire::{Out, encode};
use futures_util::{SinkExt, StreamExt};
use std::future::Future;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

type Peer = WebSocketStream<TcpStream>;

/// A command that fills buffers.
const LARGE: usize = 64 * 1024;

#[expect(clippy::result_large_err, clippy::unnecessary_wraps, reason = "tungstenite's signature")]
fn same_protocol(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let wanted = request.headers()["Sec-WebSocket-Protocol"].clone();
    response.headers_mut().insert("Sec-WebSocket-Protocol", wanted);
    Ok(response)
}

/// Takes sockets for ever, and does this with each.
async fn serve<F: Future<Output = ()> + 'static>(listener: TcpListener, each: impl Fn(Peer) -> F) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        each(accept_hdr_async(stream, same_protocol).await.unwrap()).await;
    }
}

/// Waits until it holds, for less long than a test may take.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// A thread with two members and a server that does this with each socket.
async fn with_peer<F: Future<Output = ()> + 'static>(each: impl Fn(Peer) -> F + 'static) -> Rc<Shard> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let shard = shard_of(vec![listener.local_addr().unwrap().to_string()]);
    tokio::task::spawn_local(serve(listener, each));
    shard
}

#[tokio::test]
async fn what_a_blocked_socket_did_not_take_is_written_later() {
    let (came, mut seen) = tokio::sync::mpsc::channel(1_000);
    let (read_on, go) = tokio::sync::watch::channel(false);
    let each = move |mut peer: Peer| {
        let (came, mut go) = (came.clone(), go.clone());
        async move {
            tokio::task::spawn_local(async move {
                peer.next().await;
                peer.send(packed(&json!({"t": "joined", "epoch": 1, "seq": 0, "events": [], "presence": []}))).await.unwrap();
                go.wait_for(|go| *go).await.unwrap();
                while let Some(Ok(message)) = peer.next().await {
                    came.send(message).await.unwrap();
                }
            });
        }
    };
    let local = LocalSet::new();
    let test = async {
        let shard = with_peer(each).await;
        shard.arrive_at_start();
        until("both are in", || shard.members.iter().all(|member| member.borrow().place == Place::In)).await;
        let numbered = |n: usize| Message::Binary(vec![u8::try_from(n % 251).unwrap(); LARGE].into());
        let mut sent = 0;
        // So many more after it blocked; they are what must not be lost.
        let mut more = 20;
        while more > 0 {
            let mut member = shard.members[0].borrow_mut();
            member.send(numbered(sent));
            sent += 1;
            more -= usize::from(member.blocked);
        }
        shard.members[0].borrow_mut().send_presence(&json!({"typing": true}));
        shard.members[0].borrow_mut().send_presence(&json!({"typing": false}));
        read_on.send_replace(true);
        for n in 0..sent {
            assert_eq!(seen.recv().await.unwrap(), numbered(n), "message {n} of {sent}");
        }
        let newest = encode(Codec::Msgpack, &Out::Presence { room: Uuid::from_u128(1), state: &json!({"typing": false}) });
        assert_eq!(seen.recv().await.unwrap(), newest);
    };
    tokio::time::timeout(Duration::from_secs(60), local.run_until(test)).await.unwrap();
}

#[tokio::test]
async fn a_socket_that_ends_before_the_client_is_in_is_a_failure() {
    let shut = |mut peer: Peer| async move {
        peer.next().await;
        peer.send(packed(&json!({"t": "error", "code": "overloaded"}))).await.ok();
    };
    let test = async {
        let shard = with_peer(shut).await;
        shard.members[0].borrow_mut().failures = 18;
        shard.members[1].borrow_mut().failures = 18;
        shard.arrive_at_start();
        until("both give up", || shard.common.settled.load(std::sync::atomic::Ordering::Relaxed) == 2).await;
        assert!(shard.members.iter().all(|member| member.borrow().place == Place::Gone && !member.borrow().joined));
        let why = shard.verified.borrow().slow.examples.clone();
        assert!(why[0].contains("before the client was in, and said overloaded"), "{why:?}");
        assert_eq!(broken(&shard), BTreeMap::new(), "not now is no broken promise");
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn who_is_put_out_again_and_again_gives_up() {
    let out = |mut peer: Peer| async move {
        peer.next().await;
        let room = Uuid::from_u128(1);
        peer.send(packed(&json!({"t": "joined", "epoch": 1, "seq": 0, "events": [], "presence": []}))).await.ok();
        peer.send(packed(&json!({"t": "left", "room": room, "code": "not_found", "message": ""}))).await.ok();
    };
    let test = async {
        let shard = with_peer(out).await;
        for member in &shard.members {
            member.borrow_mut().failures = 19;
        }
        shard.arrive_at_start();
        until("both give up", || shard.members.iter().all(|member| member.borrow().place == Place::Gone)).await;
        assert_eq!(broken(&shard), BTreeMap::from([(Fault::Membership, 4)]), "nobody removed them");
    };
    LocalSet::new().run_until(test).await;
}
