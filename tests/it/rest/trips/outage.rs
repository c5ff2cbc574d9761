//! A database that answers nothing for a while: requests get typed answers in time, and what is sent again under its key is done
//! once.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, SqliteConnection};

use super::call;
use crate::harness::{Backend, PrivatePostgres, Server, TestDatabase, eventually};
use crate::rest::Api;
use crate::rest::client::{Account, Answer, text};

/// How long a client tries.
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_while_postgres_is_stopped_is_done_once() {
    let mut postgres = PrivatePostgres::start().await;
    let database = postgres.database().await;
    let client = Client::of(&database, "1s").await;
    postgres.freeze().await;
    client.try_in_vain().await;
    postgres.thaw().await;
    client.try_again().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_in_memory_is_read_while_postgres_is_stopped() {
    let mut postgres = PrivatePostgres::start().await;
    let database = postgres.database().await;
    let client = Client::of(&database, "8s").await;
    postgres.freeze().await;
    for path in [client.trip.clone(), format!("{}/state", client.trip), format!("{}/activities", client.trip)] {
        client.api().get(&path).await.ok(200);
    }
    // The room does not know whether somebody belongs to its group.
    in_vain(client.stranger.get(&client.trip).await);
    postgres.thaw().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_while_sqlite_is_locked_is_done_once() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let client = Client::of(&database, "1s").await;
    let mut other = SqliteConnection::connect(database.url()).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    // Reading needs no leave, as long as the room waits for nothing.
    client.api().get(&client.trip).await.ok(200);
    client.try_in_vain().await;
    other.execute("ROLLBACK").await.unwrap();
    client.try_again().await;
}

/// The request's time limit or the room's: whichever is first.
#[track_caller]
fn in_vain(answer: Answer) {
    let code = text(&answer.body["code"]);
    assert!(["timeout", "retry"].contains(&code.as_str()), "{answer:?}");
    answer.problem(&code);
}

struct Client {
    _server: Server,
    ann: Account,
    /// Somebody who may not know of the trip.
    stranger: Api,
    trip: String,
}

impl Client {
    async fn of(database: &TestDatabase, request_timeout: &str) -> Self {
        let server = Server::on(database).set("http.request_timeout", request_timeout).start().await;
        let ann = Api::of(&server).account("ann").await;
        let trip = text(&ann.api.post("/api/v1/trips", json!({"title": "Lisbon"})).await.ok(201)["id"]);
        let stranger = Api::of(&server).account("ben").await.api;
        Self { _server: server, ann, stranger, trip: format!("/api/v1/trips/{trip}") }
    }

    fn api(&self) -> &Api {
        &self.ann.api
    }

    async fn send(&self, key: &str) -> Answer {
        let headers: &[(&str, &str)] = if key.is_empty() { &[] } else { &[("Idempotency-Key", key)] };
        call(self.api(), &Method::POST, &format!("{}/messages", self.trip), &json!({"body": format!("under {key}")}), headers).await
    }

    async fn try_in_vain(&self) {
        for key in ["k1", "k2", ""] {
            in_vain(self.send(key).await);
        }
    }

    /// As a client does that was told nothing.
    async fn try_again(&self) {
        for key in ["k1", "k2"] {
            let sent = eventually("the message is sent", LIMIT, || async {
                let answer = self.send(key).await;
                if answer.status == 201 { Ok(answer.body) } else { Err(answer.body) }
            });
            let sent = sent.await;
            let again = self.send(key).await;
            assert_eq!((again.header("idempotency-replayed"), &again.body), (Some("true"), &sent));
        }
        let messages = self.api().get(&format!("{}/messages", self.trip)).await.ok(200);
        let mut keyed: Vec<Value> = messages["items"].as_array().unwrap().iter().map(|message| message["body"].clone()).collect();
        // The one without a key may have been sent after all; that is what keys are for.
        keyed.retain(|body| body != "under");
        assert_eq!(keyed, ["under k2", "under k1"]);
    }
}
