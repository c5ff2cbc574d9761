//! Messages that no node of the cluster sent, or sent to somebody else.

use super::{LIMIT, bus, node, options, raw};
use crate::harness::shared_redis_url;
use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use tokio::sync::mpsc;
use tripsync::cluster::{RedisBus, RedisOptions};
use tripsync::config::Secret;
use tripsync_actors::cluster::{Bus as _, BusError};

async fn publish(raw: &mut MultiplexedConnection, channel: &str, bytes: &[u8]) {
    let heard: usize = redis::cmd("PUBLISH").arg(channel).arg(bytes).query_async(raw).await.unwrap();
    assert!(heard > 0, "nobody listens at {channel}, so this shows nothing");
}

async fn next(bus: &RedisBus) -> Bytes {
    tokio::time::timeout(LIMIT, bus.receive()).await.expect("a message arrives").expect("the bus goes on")
}

/// What travels on a channel while something is sent, as it is.
async fn written_down(url: &str, channel: &str, sending: impl Future<Output = Result<(), BusError>>) -> Vec<u8> {
    let (into, mut tap) = mpsc::channel(16);
    let on_push = move |push: redis::PushInfo| {
        if let (redis::PushKind::Message, Some(redis::Value::BulkString(bytes))) = (push.kind, push.data.into_iter().nth(1)) {
            into.try_send(bytes).expect("the test takes what it taps");
        }
        Ok::<_, redis::aio::SendError>(())
    };
    let config = redis::AsyncConnectionConfig::new().set_push_sender(on_push);
    let client = redis::Client::open(format!("{url}?protocol=resp3")).unwrap();
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
    connection.subscribe(channel).await.unwrap();
    sending.await.unwrap();
    tokio::time::timeout(LIMIT, tap.recv()).await.expect("it travels there").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_sealed_for_this_node_is_dropped() {
    let url = shared_redis_url();
    let options = options(&url);
    let (ann, bob, cid, mallory) = (node(), node(), node(), node());
    let at_bob = bus(&options, bob).await;
    let at_ann = bus(&options, ann).await;
    let mut raw = raw(&url).await;
    let to = |node| format!("{}to:{node}", options.prefix);

    // No seal at all.
    for forged in [&b""[..], b"x", &[1; 48], &[1; 49], &[1; 500]] {
        publish(&mut raw, &to(bob), forged).await;
    }
    // Another secret, on this very cluster.
    let other = RedisOptions { secret: Secret::new("not the same as on other nodes!!"), ..options.clone() };
    bus(&other, mallory).await.send(bob, Bytes::from_static(b"wrong secret")).await.unwrap();
    // Good ones, written down on their way: for somebody else, or with one bit changed (the version's, and the last).
    let for_cid = written_down(&url, &to(cid), at_ann.send(cid, Bytes::from_static(b"for cid"))).await;
    let for_bob = written_down(&url, &to(bob), at_ann.send(bob, Bytes::from_static(b"the first"))).await;
    publish(&mut raw, &to(bob), &for_cid).await;
    publish(&mut raw, &format!("{}all", options.prefix), &for_bob).await;
    for at in [0, for_bob.len() - 1] {
        let mut changed = for_bob.clone();
        changed[at] ^= 1;
        publish(&mut raw, &to(bob), &changed).await;
    }

    assert_eq!(next(&at_bob).await, "the first");
    at_ann.send(bob, Bytes::from_static(b"for bob")).await.unwrap();
    assert_eq!(next(&at_bob).await, "for bob");
}

/// What the seal does not do: whoever can write to Redis can send an old message again. Relays number theirs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_message_that_is_sent_again_is_left_to_the_relay() {
    let url = shared_redis_url();
    let options = options(&url);
    let (ann, bob) = (node(), node());
    let (at_ann, at_bob) = (bus(&options, ann).await, bus(&options, bob).await);
    let channel = format!("{}to:{bob}", options.prefix);
    let old = written_down(&url, &channel, at_ann.send(bob, Bytes::from_static(b"once"))).await;
    let mut raw = raw(&url).await;
    redis::cmd("PUBLISH").arg(&channel).arg(&old).query_async::<()>(&mut raw).await.unwrap();
    assert_eq!((next(&at_bob).await, next(&at_bob).await), ("once".into(), "once".into()));
}
