//! A ride with one seat left, which two people want: the newcomer, who may be faster, and Tomás.
//!
//! Inês offers it. Tomás asks for the seat after a while, or waits for it; when the newcomer waits, he gives it back after a while, and
//! the newcomer is offered it. Each start offers a fresh ride; one that nobody drives ends by itself.

use super::DemoError;
use super::account::Account;
use super::api::Api;
use super::content::{CURRENCY, ZONE};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tripsync_domain::Timestamp;
use uuid::Uuid;

/// How long Tomás lets a free seat be, and keeps one that somebody waits for.
const HESITATES: Duration = Duration::from_secs(30);
/// How often he looks.
const LOOKS_EVERY: Duration = Duration::from_secs(2);
/// How far ahead the ride leaves.
const LEAVES_AFTER: Duration = Duration::from_secs(6 * 3_600);

/// Offers the ride; its id.
pub(super) async fn offer(api: Api, driver: &Account, now: Timestamp) -> Result<Uuid, DemoError> {
    let authorization = driver.authorization();
    let headers = [("authorization", authorization.as_str())];
    // 2027-05-02T09:30:00.123Z without its milliseconds and zone.
    let leaves: String = now.plus(LEAVES_AFTER).to_string().chars().take(19).collect();
    let stop = |name: &str, lat: f64, lon: f64| json!({"name": name, "position": {"lat": lat, "lon": lon}});
    let ride = json!({
        "stops": [stop("Lisbon, Rossio", 38.7143, -9.1409), stop("Queluz", 38.7571, -9.2548), stop("Sintra", 38.7981, -9.3880)],
        "departure": {"local": leaves, "tz": "UTC"},
        "seats": 1,
        "price": {"minor": 400, "currency": CURRENCY},
        "car": "A small red Fiat",
        "preferences": ["no smoking"],
        "notes": format!("Times are UTC here; in {ZONE} look at your clock. One seat, because of the picnic."),
        "booking": "instant",
        "hold_seconds": 120,
        "offer_seconds": 120,
    });
    let made = api.post("/api/v1/pools", &headers, ride).await?.good("offering the ride")?;
    made.body["id"].as_str().and_then(|id| id.parse().ok()).ok_or(DemoError::Odd { what: "id" })
}

/// Tomás wants the seat, until told to stop or the ride is over.
pub(super) async fn want(api: Api, mut rider: Account, pool: Uuid, stop: &CancellationToken) {
    let mut since = Instant::now();
    let mut before = String::new();
    while stop.run_until_cancelled(tokio::time::sleep(LOOKS_EVERY)).await.is_some() {
        if Instant::now() >= rider.renew_at()
            && let Err(error) = rider.renew().await
        {
            tracing::debug!(%error, "the rider could not log in; he looks again");
            continue;
        }
        let Ok(seen) = api.get(&format!("/api/v1/pools/{pool}/state"), rider.token()).await else { continue };
        let state = &seen.body["state"];
        if matches!(state["phase"].as_str(), Some("completed" | "cancelled" | "departed")) {
            return;
        }
        let now = situation(state);
        if now != before {
            (since, before) = (Instant::now(), now);
        }
        if let Some(command) = next(state, since.elapsed()) {
            let authorization = rider.authorization();
            let path = format!("/api/v1/pools/{pool}/commands");
            if let Err(error) = api.post(&path, &[("authorization", &authorization)], json!({"cmd": command})).await {
                tracing::debug!(%error, "the rider was not heard; he looks again");
            }
        }
    }
}

/// What Tomás waits in: his own claim and whether others wait.
fn situation(state: &Value) -> String {
    format!("{} {} {}", state["claim"]["stage"]["stage"], state["waiting"], state["taken"])
}

/// What he does, after having been in the same situation for a while.
fn next(state: &Value, for_how_long: Duration) -> Option<Value> {
    let claim = &state["claim"];
    match claim["stage"]["stage"].as_str() {
        None if for_how_long >= HESITATES => Some(json!({"type": "request", "wait": true})),
        Some("offered") => Some(json!({"type": "accept", "claim": claim["id"]})),
        Some("confirmed") if state["waiting"].as_u64() > Some(0) && for_how_long >= HESITATES => {
            Some(json!({"type": "withdraw", "claim": claim["id"]}))
        }
        Some(_) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newcomer_may_be_faster_and_is_not_left_waiting() {
        let state = |stage: Value, waiting: u64| json!({"claim": {"id": "c", "stage": {"stage": stage}}, "waiting": waiting, "taken": [1]});
        let kind = |state: &Value, seconds: u64| next(state, Duration::from_secs(seconds)).map(|command| command["type"].clone());
        let free = json!({"waiting": 0, "taken": [0]});
        assert_eq!(kind(&free, 29), None);
        assert_eq!(kind(&free, 30), Some(json!("request")));
        assert_eq!(kind(&state(json!("waiting"), 1), 600), None);
        assert_eq!(kind(&state(json!("offered"), 0), 0), Some(json!("accept")));
        assert_eq!(kind(&state(json!("confirmed"), 0), 600), None);
        assert_eq!(kind(&state(json!("confirmed"), 1), 29), None);
        assert_eq!(kind(&state(json!("confirmed"), 1), 60), Some(json!("withdraw")));
        assert_ne!(situation(&state(json!("confirmed"), 1)), situation(&state(json!("confirmed"), 0)));
    }
}
