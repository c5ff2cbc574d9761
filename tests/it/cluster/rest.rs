//! Somebody who writes over REST while nodes go and come: each call goes to the next node, and is sent again once, under the same key. A node
//! that does not take the connection is passed over, as a client with a list of nodes or a balancer does: nothing was sent to it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::load::{Account, Control};

/// Time between two calls.
const EVERY: Duration = Duration::from_millis(100);
/// A call that takes longer has failed.
const LIMIT: Duration = Duration::from_secs(10);
/// Pause before the second attempt when nobody says how long; at most this when somebody does.
const AGAIN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(1));

/// See the module's text.
pub(super) struct Caller {
    account: Account,
    rooms: Vec<Uuid>,
    control: Arc<Control>,
    http: reqwest::Client,
    /// Marks in the bodies of messages that were accepted.
    pub(super) accepted: BTreeSet<Uuid>,
    pub(super) calls: u64,
    pub(super) repeated: u64,
    pub(super) failed: Vec<String>,
}

/// Why an attempt did not succeed.
enum Refused {
    /// Nothing was sent.
    Connection,
    /// It was, or was refused; how long to wait, and what was said.
    Call(Duration, String),
}

impl Caller {
    pub(super) fn new(account: Account, rooms: Vec<Uuid>, control: Arc<Control>) -> Self {
        let idle = Duration::from_secs(4);
        let http = reqwest::Client::builder().no_proxy().pool_idle_timeout(idle).timeout(LIMIT).build().unwrap();
        Self { account, rooms, control, http, accepted: BTreeSet::new(), calls: 0, repeated: 0, failed: Vec::new() }
    }

    pub(super) fn has_rooms(&self) -> bool {
        !self.rooms.is_empty()
    }

    /// Calls until everybody is told to end.
    pub(super) async fn run(mut self) -> Self {
        let mut turn = 0;
        while !self.control.is_ending() {
            let (room, mark) = (self.rooms[turn % self.rooms.len()], Uuid::now_v7());
            turn += 1;
            self.calls += 1;
            let first = self.call(turn, room, mark).await;
            let outcome = match first {
                Ok(()) => Ok(()),
                Err((wait, why)) => {
                    self.repeated += 1;
                    tokio::time::sleep(wait).await;
                    self.call(turn + 1, room, mark).await.map_err(|(_, again)| format!("{why}, then {again}"))
                }
            };
            match outcome {
                Ok(()) => drop(self.accepted.insert(mark)),
                Err(why) => self.failed.push(why),
            }
            tokio::time::sleep(EVERY).await;
        }
        self
    }

    /// One attempt; how long to wait before the next, and what went wrong.
    async fn call(&self, turn: usize, room: Uuid, mark: Uuid) -> Result<(), (Duration, String)> {
        for turn in turn..turn + self.control.nodes.len() {
            match self.send(turn, room, mark).await {
                Ok(()) => return Ok(()),
                Err(Refused::Call(wait, why)) => return Err((wait, why)),
                Err(Refused::Connection) => {}
            }
        }
        Err((AGAIN.0, "no node takes a connection".to_owned()))
    }

    async fn send(&self, turn: usize, room: Uuid, mark: Uuid) -> Result<(), Refused> {
        let node = self.control.nodes[turn % self.control.nodes.len()];
        let request = self.http.post(format!("http://{node}/api/v1/trips/{room}/messages")).bearer_auth(&self.account.token);
        let answer = request.header("idempotency-key", mark.to_string()).json(&json!({"body": mark})).send().await;
        let answer = answer.map_err(|error| match (error.is_connect(), error.is_timeout()) {
            (true, _) => Refused::Connection,
            (_, true) => Refused::Call(AGAIN.0, "no answer in time".to_owned()),
            _ => Refused::Call(AGAIN.0, "the connection broke".to_owned()),
        })?;
        if answer.status().is_success() {
            return Ok(());
        }
        let wait = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok()).map(Duration::from_secs);
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        Err(Refused::Call(wait.unwrap_or(AGAIN.0).min(AGAIN.1), format!("{status} {text}")))
    }
}
