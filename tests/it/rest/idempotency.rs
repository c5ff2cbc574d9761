//! `Idempotency-Key`.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Connection as _;

use super::Api;
use super::client::{Answer, PASSWORD, send, text};
use crate::harness::{Backend, Server, TestDatabase, for_each_backend};

for_each_backend!(
    the_first_answer_is_given_again,
    logins_answer_again,
    keys_belong_to_users,
    nothing_secret_is_kept_in_clear,
    strangers_do_not_fill_the_disk,
    keys_have_bounds
);

async fn post(api: &Api, path: &str, key: &str, body: Value) -> Answer {
    send(api.request(Method::POST, path).header("Idempotency-Key", key).json(&body)).await
}

async fn the_first_answer_is_given_again(database: TestDatabase) {
    let mut server = Server::on(&database).start().await;
    let api = Api::of(&server);
    let account = json!({"email": "ann@example.org", "password": PASSWORD});

    // At once: one runs, the others hear that it is running or get its answer; nobody hears that the address is taken.
    let attempts = (0..6).map(|_| post(&api, "/api/v1/auth/register", "k1", account.clone()));
    let mut bodies = Vec::new();
    for answer in futures_util::future::join_all(attempts).await {
        if answer.status == 201 {
            bodies.push(answer.body);
        } else {
            answer.problem("idempotency_key_in_use");
        }
    }
    assert!(!bodies.is_empty());

    server.kill().await;
    server.restart().await;
    let replay = post(&api, "/api/v1/auth/register", "k1", account.clone()).await;
    assert_eq!(replay.header("idempotency-replayed"), Some("true"));
    assert_eq!(replay.header("content-type"), Some("application/json"));
    let replay = replay.ok(201);
    assert!(bodies.iter().all(|body| *body == replay));

    // A refusal by the rules is an answer too; under another key it is judged anew.
    let taken = post(&api, "/api/v1/auth/register", "k2", account.clone()).await;
    assert_eq!(taken.header("idempotency-replayed"), None);
    let first_id = text(&taken.problem("already_exists")["request_id"]);
    let again = post(&api, "/api/v1/auth/register", "k2", account).await;
    assert_eq!(again.status, 409);
    assert_eq!(text(&again.body["request_id"]), first_id);

    // What trying again may mend is not kept.
    let wrong = json!({"email": "nobody@example.org", "password": PASSWORD});
    for _ in 0..2 {
        let answer = post(&api, "/api/v1/auth/login", "k3", wrong.clone()).await;
        assert_eq!(answer.header("idempotency-replayed"), None);
        answer.problem("bad_credentials");
    }
}

/// The other POSTs about logins; those about trips are in `trips::keys`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_counts_on_every_node() {
    let database = TestDatabase::create(Backend::Postgres).await;
    let node = || Server::on(&database).set("auth.signing_key", "the key that all nodes of this test sign with");
    let servers = [node().start().await, node().start().await];
    let [here, there] = servers.each_ref().map(Api::of);
    let ann = here.account("ann").await;
    let [here, there] = [here, there].map(|api| api.with_token(&ann.access_token));
    for round in 0..20 {
        let key = format!("k{round}");
        let trip = json!({"title": key});
        let (one, other) =
            tokio::join!(post(&here, "/api/v1/trips", &key, trip.clone()), post(&there, "/api/v1/trips", &key, trip.clone()));
        let mut made = Vec::new();
        for answer in [one, other] {
            if answer.status == 201 {
                made.push(text(&answer.body["id"]));
            } else {
                answer.problem("idempotency_key_in_use");
            }
        }
        for api in [&here, &there] {
            made.push(text(&post(api, "/api/v1/trips", &key, trip.clone()).await.ok(201)["id"]));
        }
        assert!(made.len() >= 3 && made.iter().all(|id| *id == made[0]), "{made:?}");
    }
    let trips = there.get("/api/v1/trips?limit=100").await.ok(200);
    assert_eq!(trips["items"].as_array().unwrap().len(), 20, "one trip per key");
}

async fn logins_answer_again(database: TestDatabase) {
    let server = Server::on(&database).start().await;
    let api = Api::of(&server);
    let ann = api.account("ann").await;
    let login = json!({"email": ann.email, "password": PASSWORD});
    let refresh = json!({"refresh_token": ann.refresh_token});
    for (path, body) in [("/api/v1/auth/login", login.clone()), ("/api/v1/auth/refresh", refresh)] {
        let first = post(&api, path, "k", body.clone()).await;
        assert_eq!(first.header("idempotency-replayed"), None, "{path}");
        let first = first.ok(200);
        let again = post(&api, path, "k", body).await;
        assert_eq!(again.header("idempotency-replayed"), Some("true"), "{path}");
        assert_eq!(again.ok(200), first, "{path}");
    }
    // After a logout nobody is there any more to be answered again.
    for (path, key) in [("/api/v1/auth/logout", "k1"), ("/api/v1/auth/logout-all", "k2")] {
        let token = text(&api.post("/api/v1/auth/login", login.clone()).await.ok(200)["access_token"]);
        let other = api.with_token(&token);
        assert!(post(&other, path, key, Value::Null).await.status.is_success(), "{path}");
        post(&other, path, key, Value::Null).await.problem("session_revoked");
    }
}

async fn keys_belong_to_users(database: TestDatabase) {
    let server = Server::on(&database).start().await;
    let api = Api::of(&server);
    let (ann, bob) = (api.account("ann").await.api, api.account("bob").await.api);
    let first = text(&post(&ann, "/api/v1/live/tickets", "k", json!({})).await.ok(201)["ticket"]);
    let again = text(&post(&ann, "/api/v1/live/tickets", "k", json!({})).await.ok(201)["ticket"]);
    assert_eq!(first, again);
    let others = text(&post(&bob, "/api/v1/live/tickets", "k", json!({})).await.ok(201)["ticket"]);
    assert_ne!(first, others);
    post(&ann, "/api/v1/live/tickets", "k", json!({"x": 1})).await.problem("idempotency_key_reused");
    post(&ann, "/api/v1/live/tickets?x=1", "k", json!({})).await.problem("idempotency_key_reused");
    post(&ann, "/api/v1/auth/logout", "k", json!({})).await.problem("idempotency_key_reused");

    // Strangers with the same key do not meet.
    for email in ["carl@example.org", "dora@example.org"] {
        let account = json!({"email": email, "password": PASSWORD});
        assert_eq!(post(&api, "/api/v1/auth/register", "k", account).await.ok(201)["user"]["email"], email);
    }
}

async fn nothing_secret_is_kept_in_clear(database: TestDatabase) {
    let server = Server::on(&database).start().await;
    let api = Api::of(&server);
    let ann = post(&api, "/api/v1/auth/register", "k", json!({"email": "ann@example.org", "password": PASSWORD})).await.ok(201);
    let kept: Vec<u8> = if database.url().starts_with("sqlite") {
        let mut connection = sqlx::SqliteConnection::connect(database.url()).await.unwrap();
        sqlx::query_scalar("SELECT answer FROM idempotency").fetch_one(&mut connection).await.unwrap()
    } else {
        let mut connection = sqlx::PgConnection::connect(database.url()).await.unwrap();
        sqlx::query_scalar("SELECT answer FROM idempotency").fetch_one(&mut connection).await.unwrap()
    };
    assert!(kept.len() > 500);
    for secret in [text(&ann["access_token"]), text(&ann["refresh_token"]), "ann@example.org".to_owned()] {
        assert!(!kept.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
    }
}

async fn strangers_do_not_fill_the_disk(database: TestDatabase) {
    let server = Server::on(&database).start().await;
    let api = Api::of(&server);
    let path = |path: &'static str| format!("/api/v1/{path}");
    for (key, (path, body, code)) in [
        (path("auth/register"), json!({"email": "x", "password": "y"}), "invalid"),
        (path("auth/register"), json!({"email": "x".repeat(20_000), "password": "y"}), "too_large"),
        (path("auth/login"), json!({"email": "x@example.org", "password": "y"}), "bad_credentials"),
        (path("auth/refresh"), json!({}), "invalid"),
        (path("auth/nothing"), json!({}), "not_found"),
        (path("auth/logout"), json!({}), "unauthorized"),
        (path("trips"), json!({"title": "x"}), "unauthorized"),
        (path("nothing"), json!({}), "not_found"),
    ]
    .into_iter()
    .enumerate()
    {
        post(&api, &path, &format!("k{key}"), body).await.problem(code);
    }
    assert_eq!(kept(&database).await, 0);
    api.account("ann").await.api.get("/api/v1/me").await.ok(200);
    post(&api, "/api/v1/auth/register", "k", json!({"email": "bob@example.org", "password": PASSWORD})).await.ok(201);
    assert_eq!(kept(&database).await, 1);
}

/// Answers in the database.
async fn kept(database: &TestDatabase) -> i64 {
    let count = "SELECT count(*) FROM idempotency";
    if database.url().starts_with("sqlite") {
        sqlx::query_scalar(count).fetch_one(&mut sqlx::SqliteConnection::connect(database.url()).await.unwrap()).await.unwrap()
    } else {
        sqlx::query_scalar(count).fetch_one(&mut sqlx::PgConnection::connect(database.url()).await.unwrap()).await.unwrap()
    }
}

async fn keys_have_bounds(database: TestDatabase) {
    let server = Server::on(&database).start().await;
    let ann = Api::of(&server).account("ann").await.api;
    for key in ["", "with space", &"x".repeat(256)] {
        let problem = post(&ann, "/api/v1/live/tickets", key, json!({})).await.problem("invalid");
        assert_eq!(problem["errors"][0]["pointer"], "Idempotency-Key");
    }
    // Elsewhere than on POST it means nothing.
    for _ in 0..2 {
        let answer = send(ann.request(Method::PATCH, "/api/v1/me").header("Idempotency-Key", "k").json(&json!({"bio": "x"}))).await;
        assert_eq!(answer.header("idempotency-replayed"), None);
        answer.ok(200);
    }
}
