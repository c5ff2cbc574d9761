//! The little of the REST interface that the tool uses: accounts, rooms, members, the history.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use tripsync_domain::Timestamp;
use uuid::Uuid;

/// Attempts of a request that the server asks to repeat.
const ATTEMPTS_MAX: usize = 50;
const AGAIN: std::time::Duration = std::time::Duration::from_millis(100);

/// Of everybody.
const PASSWORD: &str = "correct horse battery staple 9";

/// Idle connections are given up before the server does it (after 10 s), perhaps while a request is on its way.
const IDLE_MAX: std::time::Duration = std::time::Duration::from_secs(4);

/// How long one request may take, and of that the connecting: a server that hangs is a finding and must not hang the tool.
const ANSWER_MAX: std::time::Duration = std::time::Duration::from_secs(30);
const CONNECT_MAX: std::time::Duration = std::time::Duration::from_secs(10);

/// A client of the interface.
pub(crate) fn client() -> anyhow::Result<reqwest::Client> {
    client_within(ANSWER_MAX)
}

fn client_within(answer_max: std::time::Duration) -> anyhow::Result<reqwest::Client> {
    let client = reqwest::Client::builder().no_proxy().tcp_nodelay(true).pool_idle_timeout(IDLE_MAX);
    Ok(client.connect_timeout(CONNECT_MAX).timeout(answer_max).build()?)
}

/// The interface of some nodes, used in turns.
#[derive(Debug)]
pub(crate) struct Rest {
    http: reqwest::Client,
    addresses: Vec<String>,
    next: AtomicUsize,
}

/// One event of a room's log.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Logged {
    pub(crate) seq: u64,
    pub(crate) client: Option<Uuid>,
    pub(crate) n: Option<u64>,
    /// What happened.
    #[serde(default)]
    pub(crate) event: Value,
}

impl Rest {
    pub(crate) fn new(addresses: &[String]) -> anyhow::Result<Self> {
        let http = client()?;
        Ok(Self { http, addresses: addresses.to_vec(), next: AtomicUsize::new(0) })
    }

    async fn call(&self, method: reqwest::Method, path: &str, token: Option<&str>, body: Option<&Value>) -> anyhow::Result<Value> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let mut in_vain = 0;
        for attempt in 1.. {
            let address = &self.addresses[(first + attempt) % self.addresses.len()];
            let mut request = self.http.request(method.clone(), format!("http://{address}/api/v1{path}"));
            if let Some(body) = body {
                request = request.json(body);
            }
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            let answer = match request.send().await {
                // Nothing was sent, and another node may be there.
                Err(error) if error.is_connect() && in_vain + 1 < self.addresses.len() => {
                    in_vain += 1;
                    continue;
                }
                answer => answer.with_context(|| format!("{method} {path}"))?,
            };
            in_vain = 0;
            let status = answer.status();
            let text = answer.text().await?;
            if (status.as_u16() == 503 || status.as_u16() == 429) && attempt < ATTEMPTS_MAX {
                tokio::time::sleep(AGAIN).await;
                continue;
            }
            ensure!(status.is_success(), "{method} {path}: {status}: {text}");
            return Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? });
        }
        anyhow::bail!("{method} {path}: the server is busy")
    }

    async fn post(&self, path: &str, token: &str, body: &Value) -> anyhow::Result<Value> {
        self.call(reqwest::Method::POST, path, Some(token), Some(body)).await
    }

    /// Registers somebody; their id and token.
    pub(crate) async fn register(&self, name: &str) -> anyhow::Result<(Uuid, String)> {
        let new = json!({"email": email(name), "username": name, "password": PASSWORD});
        let made = self.call(reqwest::Method::POST, "/auth/register", None, Some(&new)).await?;
        let token = access_token(&made)?;
        let user = made["user"]["id"].as_str().or(made["id"].as_str()).and_then(|id| id.parse().ok()).unwrap_or_default();
        Ok((user, token))
    }

    /// Logs somebody in who was registered; the token.
    pub(crate) async fn log_in(&self, name: &str) -> anyhow::Result<String> {
        let login = json!({"email": email(name), "password": PASSWORD});
        access_token(&self.call(reqwest::Method::POST, "/auth/login", None, Some(&login)).await?)
    }

    /// Makes a trip.
    pub(crate) async fn trip(&self, token: &str, number: u32) -> anyhow::Result<Uuid> {
        id(&self.post("/trips", token, &json!({"title": format!("Trip {number}")})).await?)
    }

    /// Makes a pool that takes whoever asks, as long as there are seats.
    pub(crate) async fn pool(&self, token: &str, seats: u8, now_us: u64) -> anyhow::Result<Uuid> {
        let leaves = i64::try_from(now_us / 1_000)? + 20 * 86_400_000;
        let local: String = Timestamp::from_ms(leaves).to_string().chars().take(19).collect();
        let stop = |name: &str, lat: f64, lon: f64| json!({"name": name, "position": {"lat": lat, "lon": lon}});
        let pool = json!({
            "stops": [stop("Lisbon", 38.7143, -9.1409), stop("Sintra", 38.7981, -9.3880)],
            "departure": {"local": local, "tz": "UTC"},
            "seats": seats,
            "booking": "instant",
        });
        id(&self.post("/pools", token, &pool).await?)
    }

    /// Adds an activity to a trip.
    pub(crate) async fn activity(&self, token: &str, trip: Uuid, notes: Option<String>) -> anyhow::Result<Uuid> {
        let mut activity = json!({"title": "Walk through the old town"});
        if let Some(notes) = notes {
            activity["notes"] = notes.into();
        }
        id(&self.post(&format!("/trips/{trip}/activities"), token, &activity).await?)
    }

    /// Adds a member to a trip.
    pub(crate) async fn member(&self, token: &str, trip: Uuid, user: Uuid, role: &str) -> anyhow::Result<()> {
        self.post(&format!("/trips/{trip}/members"), token, &json!({"user": user, "role": role})).await.map(|_| ())
    }

    /// Removes a member from a trip.
    pub(crate) async fn remove(&self, token: &str, trip: Uuid, user: Uuid) -> anyhow::Result<()> {
        self.call(reqwest::Method::DELETE, &format!("/trips/{trip}/members/{user}"), Some(token), None).await.map(|_| ())
    }

    /// A page of a room's log, newest first, and the cursor of the next one.
    pub(crate) async fn log(
        &self,
        token: &str,
        rooms: &str,
        room: Uuid,
        limit: u32,
        cursor: Option<&str>,
    ) -> anyhow::Result<(Vec<Logged>, Option<String>)> {
        let cursor = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
        let page = self.call(reqwest::Method::GET, &format!("/{rooms}/{room}/log?limit={limit}{cursor}"), Some(token), None).await?;
        let next = page["next"].as_str().map(str::to_owned);
        let items = page.get("items").cloned().context("the log has no items")?;
        Ok((serde_json::from_value(items)?, next))
    }
}

fn email(name: &str) -> String {
    format!("{name}@example.org")
}

fn access_token(session: &Value) -> anyhow::Result<String> {
    Ok(session["access_token"].as_str().context("no access token")?.to_owned())
}

fn id(made: &Value) -> anyhow::Result<Uuid> {
    made["id"].as_str().and_then(|id| id.parse().ok()).with_context(|| format!("no id in {made}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_does_not_answer_is_not_waited_for_without_end() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap().to_string();
        let http = client_within(std::time::Duration::from_millis(50)).unwrap();
        let rest = Rest { http, addresses: vec![address], next: AtomicUsize::new(0) };
        let error = rest.register("somebody").await.unwrap_err();
        assert!(format!("{error:#}").starts_with("POST /auth/register"), "{error:#}");
    }
}
