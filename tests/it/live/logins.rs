//! Logins where several servers share one Postgres, and no Redis: what one of them ends, all refuse within a second.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tripsync_domain::protocol::Codec;

use super::people::User;
use super::sessions::revoked;
use super::socket::{LIMIT, Socket};
use crate::harness::{Backend, PrivatePostgres, Server, TestDatabase, eventually, http_client};

/// Within which what one node ends is ended on the others, as GUARANTEES has it.
const SOON: Duration = Duration::from_secs(1);

/// Two servers on a Postgres; on SQLite, which one process has to itself, a single one.
pub(super) async fn nodes(database: &TestDatabase, settings: &[(&str, &str)]) -> Vec<Server> {
    let count = match database.backend() {
        Backend::Sqlite => 1,
        Backend::Postgres => 2,
    };
    let mut servers = Vec::new();
    for _ in 0..count {
        let launch = Server::on(database).set("auth.signing_key", "the key that all nodes of these tests sign with");
        let launch = settings.iter().fold(launch, |launch, (key, value)| launch.set(key, value));
        servers.push(launch.start().await);
    }
    servers
}

async fn two_nodes() -> (TestDatabase, Server, Server) {
    let database = TestDatabase::create(Backend::Postgres).await;
    let mut servers = nodes(&database, &[]).await.into_iter();
    (database, servers.next().unwrap(), servers.next().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_on_one_node_ends_the_login_on_the_other_within_a_second() {
    let (_database, here, there) = two_nodes().await;
    let phone = User::register(&here, "Ana").await;
    let laptop = phone.login(&there).await;
    let mut on_phone = phone.socket(&there, Codec::Json).await;
    let mut on_laptop = laptop.socket(&there, Codec::MessagePack).await;

    assert_eq!(laptop.call(&here, Method::POST, "/api/v1/auth/logout", None).await.0, 204);
    tokio::join!(ends_soon(&mut on_laptop), refuses_soon(&laptop, &there));
    assert_eq!(Socket::open(&laptop.opening(&there, Codec::Json)).await.unwrap_err(), "401");
    on_phone.until_now().await;
    assert_eq!(phone.call(&there, Method::GET, "/api/v1/me", None).await.0, 200);

    let tablet = phone.login(&here).await;
    let mut on_tablet = tablet.socket(&here, Codec::Json).await;
    let (status, ended) = phone.call(&there, Method::POST, "/api/v1/auth/logout-all", None).await;
    assert_eq!((status, &ended["sessions_ended"]), (200, &json!(2)));
    tokio::join!(ends_soon(&mut on_tablet), refuses_soon(&tablet, &here), refuses_soon(&phone, &here), revoked(&mut on_phone));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_that_two_nodes_see_twice_ends_its_login_on_both() {
    let (_database, here, there) = two_nodes().await;
    let ana = User::register(&here, "Ana").await;
    let (status, login) = ana.call(&there, Method::POST, "/api/v1/auth/login", Some(ana.credentials())).await;
    assert_eq!(status, 200, "{login}");
    let thief = ana.with_token(login["access_token"].as_str().unwrap().to_owned());
    let mut sockets = [thief.socket(&here, Codec::Json).await, thief.socket(&there, Codec::Json).await];

    // Two tabs at the same moment, led to different nodes.
    let first = &login["refresh_token"];
    let (one, other) = tokio::join!(refresh(&here, first), refresh(&there, first));
    assert_eq!((one.0, other.0), (200, 200), "{one:?} {other:?}");
    assert_eq!(one.1["refresh_token"], other.1["refresh_token"]);

    let (status, newest) = refresh(&there, &one.1["refresh_token"]).await;
    assert_eq!(status, 200, "{newest}");
    let (status, refused) = refresh(&here, first).await;
    assert_eq!((status, &refused["code"]), (401, &json!("token_reused")));
    let [on_here, on_there] = &mut sockets;
    tokio::join!(ends_soon(on_here), ends_soon(on_there), refuses_soon(&thief, &here), refuses_soon(&thief, &there));
    let (status, refused) = refresh(&there, &newest["refresh_token"]).await;
    assert_eq!((status, &refused["code"]), (401, &json!("session_revoked")));
    assert_eq!(ana.call(&there, Method::GET, "/api/v1/me", None).await.0, 200, "the other login is nobody's business");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_database_sockets_stay_and_nothing_is_ended_in_vain() {
    let mut postgres = PrivatePostgres::start().await;
    let database = postgres.database().await;
    let servers = nodes(&database, &[]).await;
    let ana = User::register(&servers[0], "Ana").await;
    let mut socket = ana.socket(&servers[1], Codec::Json).await;

    postgres.kill().await;
    let (status, refused) = ana.call(&servers[0], Method::POST, "/api/v1/auth/logout", None).await;
    assert_eq!((status, &refused["code"]), (503, &json!("retry")), "a logout that is not stored is not confirmed");
    let (status, refused) = ana.call(&servers[0], Method::POST, "/api/v1/live/tickets", None).await;
    assert_eq!((status, &refused["code"]), (503, &json!("retry")));
    socket.until_now().await;

    postgres.restart().await;
    eventually("a logout", LIMIT, || async {
        let (status, body) = ana.call(&servers[0], Method::POST, "/api/v1/auth/logout", None).await;
        // Refused: it is the one before, whose answer was lost.
        if matches!(status, 204 | 401) { Ok(()) } else { Err(format!("{status} {body}")) }
    })
    .await;
    revoked(&mut socket).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_pool_keeps_neither_logouts_nor_readiness_waiting() {
    let database = TestDatabase::create(Backend::Postgres).await;
    let servers = nodes(&database, &[("database.connections_max", "2")]).await;
    let [here, there] = &servers[..] else { panic!("two nodes") };
    let ana = User::register(here, "Ana").await;
    let mut socket = ana.socket(there, Codec::Json).await;
    let status = async |path: &str| http_client().get(there.url(path)).send().await.unwrap().status().as_u16();

    let (mut locking, looking) = (PgConnection::connect(database.url()).await.unwrap(), PgPool::connect(database.url()).await.unwrap());
    locking.execute("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let waiting: JoinSet<_> = (0..4)
        .map(|_| {
            let request = http_client().get(there.url("/api/v1/me")).bearer_auth(&ana.token);
            async move { request.send().await.unwrap().status() }
        })
        .collect();
    let locked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("every connection of the pool waits", LIMIT, || async {
        let count: i64 = sqlx::query_scalar(locked).fetch_one(&looking).await.unwrap();
        if count == 2 { Ok(()) } else { Err(count) }
    })
    .await;
    assert_eq!(status("/readyz").await, 200);
    assert_eq!(ana.call(here, Method::POST, "/api/v1/auth/logout", None).await.0, 204);
    ends_soon(&mut socket).await;
    assert_eq!((status("/readyz").await, there.metric("tripsync_database_reached").await), (200, Some(1)));
    locking.execute("ROLLBACK").await.unwrap();
    drop(waiting);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stood_still_believes_no_token_of_a_login_that_ended_meanwhile() {
    let (_database, here, there) = two_nodes().await;
    let ana = User::register(&here, "Ana").await;
    let mut socket = ana.socket(&there, Codec::Json).await;
    let opening = ana.opening(&there, Codec::Json);

    there.freeze().await;
    assert_eq!(ana.call(&here, Method::POST, "/api/v1/auth/logout", None).await.0, 204);
    // It stands still for longer than others may take to hear of it.
    sleep(SOON * 2).await;
    // Before its door: they race with whatever it does when it goes on.
    let mut calls = Vec::new();
    for n in 0..16 {
        let (method, more) =
            if n % 2 == 0 { ("GET", String::new()) } else { ("POST", format!("idempotency-key: {n}\r\ncontent-length: 0\r\n")) };
        let head = format!("{method} /api/v1/trips HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n", ana.token);
        let mut call = TcpStream::connect(there.address()).await.unwrap();
        call.write_all(format!("{head}{more}\r\n").as_bytes()).await.unwrap();
        calls.push(call);
    }
    there.thaw();
    assert_eq!(Socket::open(&opening).await.unwrap_err(), "401");
    for mut call in calls {
        let mut answer = String::new();
        call.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("session_revoked"), "{answer}");
    }
    revoked(&mut socket).await;
    assert_eq!(ana.login(&here).await.call(&there, Method::GET, "/api/v1/me", None).await.0, 200);
}

async fn ends_soon(socket: &mut Socket) {
    timeout(SOON, revoked(socket)).await.expect("the socket is closed within a second");
}

/// Until the node refuses the user's token.
async fn refuses_soon(user: &User, server: &Server) {
    eventually("the token is refused", SOON, || async {
        let (status, body) = user.call(server, Method::GET, "/api/v1/me", None).await;
        if status == 401 && body["code"] == "session_revoked" { Ok(()) } else { Err(format!("{status} {body}")) }
    })
    .await;
}

async fn refresh(server: &Server, token: &Value) -> (u16, Value) {
    let request = http_client().post(server.url("/api/v1/auth/refresh")).json(&json!({"refresh_token": token}));
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}
