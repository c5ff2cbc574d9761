//! The cluster's ports on Redis: their contract, and what only a real Redis can show.

mod flood;
mod outage;
mod seal;

use crate::harness::{eventually, shared_redis_url};
use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;
use tripsync::cluster::{ENTRY_TTL, Fault, RedisBus, RedisLeases, RedisOptions};
use tripsync::config::Secret;
use tripsync_actors::cluster::{Bus, Leases};
use tripsync_actors::testing::contract::{BusSubject, LeaseSubject, bus_contract, leases_contract};
use tripsync_domain::{NodeId, RoomId};
use uuid::Uuid;

/// Far more than anything here takes.
const LIMIT: Duration = Duration::from_secs(30);
/// A lease that outlives a test.
const LONG: Duration = Duration::from_secs(600);

/// A cluster of its own on a Redis that may have others.
fn options(url: &str) -> RedisOptions {
    RedisOptions {
        url: Secret::new(url),
        secret: Secret::new("the same on every node of a cluster"),
        prefix: format!("test:{}:", Uuid::now_v7()),
        call_timeout: Duration::from_secs(5),
        entry_ttl: ENTRY_TTL,
        inbox_max: 10_000,
        inbox_bytes_max: 64 << 20,
    }
}

fn node() -> NodeId {
    NodeId(Uuid::now_v7())
}

fn room() -> RoomId {
    RoomId(Uuid::now_v7())
}

async fn leases(options: &RedisOptions) -> RedisLeases {
    let leases = RedisLeases::new(options).unwrap();
    tokio::time::timeout(LIMIT, leases.ready()).await.expect("connected to redis");
    leases
}

async fn bus(options: &RedisOptions, node: NodeId) -> RedisBus {
    let bus = RedisBus::new(options, node).unwrap();
    tokio::time::timeout(LIMIT, bus.ready()).await.expect("connected to redis");
    bus
}

/// A plain connection, to look at what is stored and to do what a node would not do.
async fn raw(url: &str) -> MultiplexedConnection {
    redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}

/// The fault behind a failed call.
fn fault<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a Fault {
    error.source().and_then(|source| source.downcast_ref()).expect("a fault is behind it")
}

struct Subject {
    options: RedisOptions,
    leases: RedisLeases,
}

#[async_trait]
impl LeaseSubject for Subject {
    fn leases(&self) -> &dyn Leases {
        &self.leases
    }

    async fn pass_time(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

#[async_trait]
impl BusSubject for Subject {
    async fn join(&self, node: NodeId) -> Arc<dyn Bus> {
        Arc::new(bus(&self.options, node).await)
    }
}

async fn subject() -> Subject {
    let options = options(&shared_redis_url());
    Subject { leases: leases(&options).await, options }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_on_redis_keep_their_contract() {
    leases_contract(&subject().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bus_on_redis_keeps_its_contract() {
    bus_contract(&subject().await).await;
}

/// What nobody needs any more goes by itself; what a living node needs stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_of_the_living_are_renewed_and_those_of_the_dead_run_out() {
    let url = shared_redis_url();
    let options = RedisOptions { entry_ttl: Duration::from_secs(3), ..options(&url) };
    let (leases, raw) = (leases(&options).await, raw(&url).await);
    let (ann, bob, kept, taken, gone) = (node(), node(), room(), room(), room());
    for node in [ann, bob] {
        leases.renew(node, LONG).await.unwrap();
    }
    for room in [kept, taken, gone] {
        assert_eq!(leases.claim(room, ann).await.unwrap(), Some(ann));
    }
    leases.release(gone, ann).await.unwrap();
    let key = |room: RoomId| format!("{}room:{room}", options.prefix);
    // Somebody else has these now, of which the leases here know nothing, so that they renew neither for bob.
    for room in [taken, gone] {
        let mut set = redis::cmd("SET");
        set.arg(key(room)).arg(bob.to_string()).arg("PX").arg(3_000);
        set.query_async::<()>(&mut raw.clone()).await.unwrap();
    }
    let left = async |room: RoomId| redis::cmd("PTTL").arg(key(room)).query_async::<i64>(&mut raw.clone()).await.unwrap();

    // Longer than an entry lives: `kept` is renewed twice.
    let before = Cell::new(i64::MAX);
    for renewal in ["the first", "the second"] {
        eventually(&format!("{renewal} renewal of the entry"), LIMIT, async || {
            leases.renew(ann, LONG).await.unwrap();
            let now = left(kept).await;
            assert!(now > 0, "the entry of a living node ran out");
            now > before.replace(now)
        })
        .await;
    }
    for room in [taken, gone] {
        eventually("bob's entry runs out, though ann goes on renewing", LIMIT, async || {
            leases.renew(ann, LONG).await.unwrap();
            leases.owner(room).await.unwrap().is_none()
        })
        .await;
    }
    assert_eq!(leases.owner(kept).await.unwrap(), Some(ann));
    leases.resign(ann).await.unwrap();
    // -2 stands for a key that does not exist.
    eventually("nothing is left of the room", LIMIT, async || {
        leases.renew(bob, LONG).await.unwrap();
        left(kept).await == -2
    })
    .await;
    assert_eq!(leases.nodes().await.unwrap(), [bob]);
}

/// Two clusters on one Redis.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clusters_with_different_prefixes_do_not_meet() {
    let url = shared_redis_url();
    let (here, there) = (options(&url), options(&url));
    let (ours, theirs, room, ann) = (leases(&here).await, leases(&there).await, room(), node());
    ours.renew(ann, LONG).await.unwrap();
    assert_eq!(ours.claim(room, ann).await.unwrap(), Some(ann));
    assert_eq!(theirs.owner(room).await.unwrap(), None);
    assert_eq!(theirs.nodes().await.unwrap(), []);
    assert_eq!(theirs.claim(room, ann).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_somebody_else_wrote_are_named() {
    let url = shared_redis_url();
    let options = options(&url);
    let (leases, mut raw, ann, room) = (leases(&options).await, raw(&url).await, node(), room());
    leases.renew(ann, LONG).await.unwrap();
    let nodes = format!("{}nodes", options.prefix);
    redis::cmd("ZADD").arg(&nodes).arg("inf").arg("a stranger").query_async::<()>(&mut raw).await.unwrap();
    let error = leases.nodes().await.unwrap_err();
    assert!(matches!(fault(&error), Fault::Foreign(key) if *key == nodes), "{error:?}");
    redis::cmd("LPUSH").arg(format!("{}room:{room}", options.prefix)).arg("x").query_async::<()>(&mut raw).await.unwrap();
    let error = leases.claim(room, ann).await.unwrap_err();
    assert!(matches!(fault(&error), Fault::Redis(_)), "{error:?}");
    // That is no reason to give up the connection.
    assert!(leases.renew(ann, LONG).await.unwrap());
}

#[tokio::test]
async fn an_address_that_cannot_be_used_is_refused_without_its_password() {
    for url in ["redis://:hunter2@host:port", "http://:hunter2@host", "hunter2"] {
        let error = RedisLeases::new(&options(url)).err().expect("refused");
        let shown = format!("{error:?} {error} {}", tripsync_actors::error_chain(&error));
        assert!(matches!(error, Fault::Url(_)) && !shown.contains("hunter2"), "{shown}");
    }
}

/// What is sent first on `rediss://` is the greeting of TLS, never a command.
#[tokio::test]
async fn rediss_speaks_tls() {
    use tokio::io::AsyncReadExt as _;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("rediss://:hunter2@localhost:{}", listener.local_addr().unwrap().port());
    let _leases = RedisLeases::new(&options(&url)).unwrap();
    let (mut socket, _) = tokio::time::timeout(LIMIT, listener.accept()).await.expect("it connects").unwrap();
    let mut start = [0; 2];
    tokio::time::timeout(LIMIT, socket.read_exact(&mut start)).await.expect("it greets").unwrap();
    // RFC 8446 §5.1: a record of the kind handshake, legacy version 3.x.
    assert_eq!(start, [22, 3]);
}
