//! A Redis that dies, forgets, stands still or drops connections.

use super::{LIMIT, LONG, bus, fault, leases, node, options, raw, room};
use crate::harness::{PrivateRedis, eventually};
use bytes::Bytes;
use std::time::Duration;
use tripsync::cluster::{Fault, RedisBus, RedisOptions};
use tripsync_actors::cluster::{Bus as _, Leases as _};
use tripsync_domain::NodeId;

/// Redis answers in well under a millisecond; short enough that several calls in a row do not take long.
const CALL: Duration = Duration::from_millis(300);

fn impatient(redis: &PrivateRedis) -> RedisOptions {
    RedisOptions { call_timeout: CALL, ..options(redis.url()) }
}

/// Within the limit whatever Redis does: a call that hangs makes the test fail.
async fn within<T>(what: &str, call: impl Future<Output = T>) -> T {
    tokio::time::timeout(CALL * 10, call).await.unwrap_or_else(|_| panic!("{what} neither works nor fails"))
}

/// Sends until something arrives: what is sent while the receiver is away is lost.
async fn heard(from: &RedisBus, to: (NodeId, &RedisBus), message: &'static str) {
    eventually(&format!("{message:?} arrives"), LIMIT, || async {
        let _ = within("sending", from.send(to.0, Bytes::from_static(message.as_bytes()))).await;
        tokio::time::timeout(Duration::from_millis(50), to.1.receive()).await.ok().flatten().filter(|heard| heard == message)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_redis_fails_calls_and_all_works_by_itself_when_it_is_back() {
    let mut redis = PrivateRedis::start().await;
    let options = impatient(&redis);
    let (ann, bob, room) = (node(), node(), room());
    let (leases, at_ann, at_bob) = (leases(&options).await, bus(&options, ann).await, bus(&options, bob).await);
    for round in 0..3 {
        assert!(!leases.renew(ann, LONG).await.unwrap(), "round {round}: it came back empty");
        assert!(leases.renew(ann, LONG).await.unwrap());
        assert_eq!(leases.claim(room, ann).await.unwrap(), Some(ann));
        heard(&at_ann, (bob, &at_bob), "before").await;

        redis.kill().await;
        let error = within("a claim", leases.claim(room, ann)).await.unwrap_err();
        assert!(matches!(fault(&error), Fault::Redis(_) | Fault::Away | Fault::Silent(_)), "{error:?}");
        // From now on it fails at once, without waiting for anything.
        eventually("calls fail at once", LIMIT, || async {
            let renewed = within("a renewal", leases.renew(ann, LONG)).await.unwrap_err();
            let sent = within("sending", at_ann.send(bob, Bytes::new())).await.unwrap_err();
            matches!(fault(&renewed), Fault::Away) && matches!(fault(&sent), Fault::Away)
        })
        .await;

        redis.restart().await;
        eventually("leases work again", LIMIT, || async { within("asking", leases.nodes()).await }).await;
        heard(&at_ann, (bob, &at_bob), "after").await;
        heard(&at_bob, (ann, &at_ann), "after").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_forgot_everything_says_so() {
    let mut redis = PrivateRedis::start().await;
    let options = impatient(&redis);
    let (ann, bob, room) = (node(), node(), room());
    let (leases, at_ann, at_bob) = (leases(&options).await, bus(&options, ann).await, bus(&options, bob).await);
    for node in [ann, bob] {
        leases.renew(node, LONG).await.unwrap();
    }
    assert_eq!(leases.claim(room, ann).await.unwrap(), Some(ann));
    redis.flush().await;
    assert_eq!(leases.nodes().await.unwrap(), []);
    assert_eq!(leases.owner(room).await.unwrap(), None);
    assert_eq!(leases.claim(room, bob).await.unwrap(), None, "bob has no lease any more");
    assert!(!leases.renew(bob, LONG).await.unwrap());
    assert_eq!(leases.claim(room, bob).await.unwrap(), Some(bob));
    assert!(!leases.renew(ann, LONG).await.unwrap(), "ann must learn that others may have claimed");
    assert_eq!(leases.owner(room).await.unwrap(), Some(bob));
    // Messages do not depend on what is stored.
    at_ann.send(bob, Bytes::from_static(b"still there")).await.unwrap();
    assert_eq!(within("receiving", at_bob.receive()).await.unwrap(), "still there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_stands_still_fails_calls_in_time() {
    let mut redis = PrivateRedis::start().await;
    let options = impatient(&redis);
    let (ann, bob, room) = (node(), node(), room());
    let (leases, at_ann, at_bob) = (leases(&options).await, bus(&options, ann).await, bus(&options, bob).await);
    leases.renew(ann, LONG).await.unwrap();
    assert_eq!(leases.claim(room, ann).await.unwrap(), Some(ann));

    redis.freeze().await;
    let error = within("a renewal", leases.renew(ann, LONG)).await.unwrap_err();
    assert!(matches!(fault(&error), Fault::Silent(limit) if *limit == CALL), "{error:?}");
    within("a claim", leases.claim(room, ann)).await.unwrap_err();
    within("sending", at_ann.send(bob, Bytes::new())).await.unwrap_err();
    eventually("calls fail at once", LIMIT, || async {
        matches!(fault(&within("asking", leases.owner(room)).await.unwrap_err()), Fault::Away)
    })
    .await;

    redis.thaw().await;
    eventually("leases work again", LIMIT, || async { within("asking", leases.nodes()).await }).await;
    // It forgot nothing, but that this is the same Redis is more than a new connection can know.
    assert!(!leases.renew(ann, LONG).await.unwrap());
    assert!(leases.renew(ann, LONG).await.unwrap());
    assert_eq!(leases.owner(room).await.unwrap(), Some(ann));
    heard(&at_ann, (bob, &at_bob), "after").await;
    heard(&at_bob, (ann, &at_ann), "after").await;
}

/// Redis itself cuts receivers off that do not keep up (client-output-buffer-limit); they must hear again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_cut_off_subscribes_again() {
    let redis = PrivateRedis::start().await;
    let options = impatient(&redis);
    let (ann, bob) = (node(), node());
    let (at_ann, at_bob) = (bus(&options, ann).await, bus(&options, bob).await);
    let mut raw = raw(redis.url()).await;
    for _ in 0..5 {
        heard(&at_ann, (bob, &at_bob), "before").await;
        let cut: usize = redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub").query_async(&mut raw).await.unwrap();
        assert_eq!(cut, 2);
        heard(&at_ann, (bob, &at_bob), "after").await;
        heard(&at_bob, (ann, &at_ann), "after").await;
    }
}

/// After a failover the old connections may lead to what is a replica now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_is_left_again() {
    let redis = PrivateRedis::start().await;
    let options = impatient(&redis);
    let (ann, leases, mut raw) = (node(), leases(&options).await, raw(redis.url()).await);
    leases.renew(ann, LONG).await.unwrap();
    let replica_of = async |raw: &mut redis::aio::MultiplexedConnection, host: &str, port: &str| {
        redis::cmd("REPLICAOF").arg(host).arg(port).query_async::<()>(raw).await.unwrap();
    };
    // Of nobody who is there: it keeps what it has, and writes nothing.
    replica_of(&mut raw, "127.0.0.1", "1").await;
    let error = within("a renewal", leases.renew(ann, LONG)).await.unwrap_err();
    assert!(matches!(fault(&error), Fault::Redis(why) if why.code() == Some("READONLY")), "{error:?}");
    eventually("the connection is given up", LIMIT, || async {
        matches!(within("a renewal", leases.renew(ann, LONG)).await, Err(error) if matches!(fault(&error), Fault::Away))
    })
    .await;
    replica_of(&mut raw, "NO", "ONE").await;
    let unbroken = eventually("leases work again", LIMIT, || async { within("a renewal", leases.renew(ann, LONG)).await }).await;
    assert!(!unbroken, "whoever answers now may not know the last claims");
}

/// A node starts while Redis is away, and is there when Redis is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_not_there_yet_is_waited_for() {
    let mut redis = PrivateRedis::start().await;
    redis.kill().await;
    let options = impatient(&redis);
    let ann = node();
    let (leases, at_ann) = (tripsync::cluster::RedisLeases::new(&options).unwrap(), RedisBus::new(&options, ann).unwrap());
    assert!(matches!(fault(&within("asking", leases.nodes()).await.unwrap_err()), Fault::Away));
    redis.restart().await;
    tokio::time::timeout(LIMIT, async { tokio::join!(leases.ready(), at_ann.ready()) }).await.expect("connected");
    assert!(!leases.renew(ann, LONG).await.unwrap());
    let at_bob = bus(&options, node()).await;
    at_bob.send(ann, Bytes::from_static(b"hello")).await.unwrap();
    assert_eq!(within("receiving", at_ann.receive()).await.unwrap(), "hello");
}
