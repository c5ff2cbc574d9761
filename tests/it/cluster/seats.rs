//! The race for three seats with claimants at three nodes, while the pool's owner is killed in the middle.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tripsync::clock::SystemClock;
use tripsync_actors::ports::Clock as _;
use uuid::Uuid;

use super::fleet::{Fleet, NODES};
use super::load::Account;
use super::plan::Plan;
use super::wiring::Wiring;
use crate::harness::comes_true;

const SEATS: usize = 3;
/// Claims that are under way at once.
const AT_ONCE: usize = 64;
/// People who claim, when nothing else is said.
const CLAIMS: usize = 150;
/// How long one claim may take, with all its attempts: the key of a call that its node died over is held for a minute
/// (`http.request_timeout` and half a minute more).
const LIMIT: Duration = Duration::from_secs(150);

/// What somebody was told.
#[derive(Debug)]
enum Told {
    Stored(u64),
    Refused(String),
    Nothing(String),
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seats() {
    // One round: it takes as long as the key of a call whose node was killed is held.
    let plan = Plan::of(1);
    let claims = plan.claims.unwrap_or(CLAIMS);
    let mut fleet = Fleet::start(&plan, Wiring::Direct).await;
    let nodes = fleet.addresses();
    let owner = Account::register(nodes[0], "Owner").await;
    let people: Vec<Account> =
        stream::iter(0..claims).map(|index| Account::register(nodes[index % NODES], "Rider")).buffered(16).collect().await;
    let began = Instant::now();
    let (mut rounds, mut attempts) = (0, 0);
    while rounds < plan.rounds && began.elapsed() < plan.time_max {
        let pool: Uuid = owner.make(nodes[rounds % NODES], "/pools", &pool()).await["id"].as_str().unwrap().parse().unwrap();
        let answered = AtomicUsize::new(0);
        let racing = stream::iter(people.iter().enumerate()).map(|(index, account)| {
            let (nodes, answered) = (&nodes, &answered);
            async move {
                let told = claim(account, nodes, index, pool).await;
                answered.fetch_add(1, Ordering::Relaxed);
                (index, told)
            }
        });
        let racing = racing.buffer_unordered(AT_ONCE).collect::<Vec<_>>();
        let killing = async {
            assert!(comes_true(LIMIT, || answered.load(Ordering::Relaxed) >= claims / 3).await, "a third was not answered in time");
            let owned = fleet.owned(&[pool]).await;
            let node = owned.iter().position(|owned| !owned.is_empty()).expect("somebody owns the pool");
            fleet.servers[node].kill().await;
            fleet.servers[node].restart().await;
        };
        let (told, ()) = tokio::join!(racing, killing);
        attempts += told.iter().map(|(_, (_, attempts))| attempts).sum::<usize>();
        judge(&state(&owner, nodes[rounds % NODES], pool).await, &people, &told);
        rounds += 1;
    }
    eprintln!(
        "| seats | {rounds} rounds | {claims} claims each on {SEATS} seats | {} attempts had to be repeated | nobody was seated twice or refused wrongly |",
        attempts - rounds * claims
    );
    assert!(rounds > 0);
}

pub(super) fn pool() -> Value {
    let departure = jiff::Timestamp::from_millisecond(SystemClock.now().as_ms()).unwrap() + jiff::SignedDuration::from_hours(2);
    let local = departure.to_string().chars().take(19).collect::<String>();
    json!({
        "stops": [
            {"name": "Munich", "position": {"lat": 48.14, "lon": 11.58}},
            {"name": "Nuremberg", "position": {"lat": 49.45, "lon": 11.08}},
        ],
        "departure": {"local": local, "tz": "UTC"},
        "seats": SEATS,
        "booking": "instant",
    })
}

/// Claims a seat, again and again under the same key until there is an answer; and how many attempts that took.
async fn claim(account: &Account, nodes: &[SocketAddr], index: usize, pool: Uuid) -> (Told, usize) {
    let http = crate::harness::http_client();
    let (key, until) = (Uuid::now_v7().to_string(), Instant::now() + LIMIT);
    let body = json!({"cmd": {"type": "request", "wait": index.is_multiple_of(4)}});
    let mut last = String::new();
    for attempt in 1.. {
        if Instant::now() > until {
            return (Told::Nothing(last), attempt);
        }
        let url = format!("http://{}/api/v1/pools/{pool}/commands", nodes[(index + attempt) % nodes.len()]);
        match http.post(url).bearer_auth(&account.token).header("idempotency-key", &key).json(&body).send().await {
            Ok(answer) => {
                let status = answer.status();
                let body: Value = answer.json().await.unwrap_or_default();
                match status.as_u16() {
                    200..300 => return (Told::Stored(body["seq"].as_u64().unwrap()), attempt),
                    // The first attempt may still be on its way.
                    409 if body["code"] == "idempotency_key_in_use" => last = format!("{status} {body}"),
                    429 | 500.. => last = format!("{status} {body}"),
                    _ => return (Told::Refused(body["code"].as_str().unwrap_or_default().to_owned()), attempt),
                }
            }
            Err(error) => last = error.to_string(),
        }
        sleep(Duration::from_millis(100)).await;
    }
    (Told::Nothing(last), 0)
}

async fn state(owner: &Account, node: SocketAddr, pool: Uuid) -> Value {
    let url = format!("http://{node}/api/v1/pools/{pool}/state");
    let state = crate::harness::eventually("the pool's state", LIMIT, || async {
        let answer = crate::harness::http_client().get(&url).bearer_auth(&owner.token).send().await.map_err(|error| error.to_string())?;
        let answer = answer.error_for_status().map_err(|error| error.to_string())?;
        answer.json::<Value>().await.map_err(|error| error.to_string())
    });
    state.await["state"].clone()
}

/// Exactly three have a seat, everybody else knows why not, and who waits stands in the order in which they came.
fn judge(state: &Value, people: &[Account], told: &[(usize, (Told, usize))]) {
    assert_eq!(told.len(), people.len());
    assert_eq!(state["taken"], json!([SEATS]));
    let claims: BTreeMap<String, &Value> =
        state["claims"].as_array().unwrap().iter().map(|claim| (claim["user"].as_str().unwrap().to_owned(), claim)).collect();
    let line: Vec<&str> = state["line"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    let mut came: BTreeMap<u64, &str> = BTreeMap::new();
    let (mut seated, mut refused) = (0, BTreeSet::new());
    for (index, (told, _)) in told {
        let claim = claims.get(&people[*index].id.to_string());
        match (told, claim.map(|claim| claim["stage"]["stage"].as_str().unwrap())) {
            (Told::Stored(_), Some("confirmed")) => seated += 1,
            (Told::Stored(seq), Some("waiting")) => drop(came.insert(*seq, claim.unwrap()["id"].as_str().unwrap())),
            (Told::Refused(code), None) => drop(refused.insert(code.as_str())),
            (Told::Nothing(last), _) => panic!("person {index} was never answered; last: {last}"),
            other => panic!("person {index}: {other:?}"),
        }
    }
    assert_eq!(seated, SEATS);
    assert_eq!(came.values().copied().collect::<Vec<_>>(), line, "who came first waits in front");
    assert!(refused.is_subset(&BTreeSet::from(["seats_taken", "limit_reached"])), "{refused:?}");
    assert!(!came.is_empty(), "nobody waits");
}
