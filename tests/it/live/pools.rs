//! Pools on a real server: races for seats, time that goes on while the server is down, and who sees what.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tripsync::clock::SystemClock;
use tripsync_actors::ports::Clock as _;
use tripsync_domain::protocol::Codec;
use tripsync_domain::{Inbox, UserId};
use uuid::Uuid;

use super::people::User;
use super::socket::Socket;
use crate::harness::{Server, TestDatabase, for_each_backend, http_client};

for_each_backend!(
    a_thousand_claims_on_three_seats,
    time_goes_on_while_the_server_is_down,
    everybody_sees_what_concerns_them,
    a_kept_search_is_told_of_a_new_pool,
    two_ride_requests_become_one_pool
);

const ROUNDS: usize = 50;
const CLAIMS: usize = 1_000;
/// Of the thousand, those who ask over sockets.
const ON_SOCKETS: usize = 200;
const SEATS: usize = 3;

fn now() -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(SystemClock.now().as_ms()).unwrap()
}

/// The body of a new pool.
fn pool(more: &Value) -> Value {
    let departure = now() + jiff::SignedDuration::from_hours(2);
    let local = departure.to_string().chars().take(19).collect::<String>();
    let mut body = json!({
        "stops": [
            {"name": "Munich", "position": {"lat": 48.14, "lon": 11.58}},
            {"name": "Nuremberg", "position": {"lat": 49.45, "lon": 11.08}},
        ],
        "departure": {"local": local, "tz": "UTC"},
        "seats": SEATS,
        "booking": "instant",
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

impl User {
    async fn offer(&self, server: &Server, more: Value) -> Uuid {
        let (status, body) = self.call(server, Method::POST, "/api/v1/pools", Some(pool(&more))).await;
        assert_eq!(status, 201, "{body}");
        body["id"].as_str().unwrap().parse().unwrap()
    }

    /// A command over REST; the receipt, or the problem.
    async fn does(&self, server: &Server, pool: Uuid, cmd: Value) -> (u16, Value) {
        self.call(server, Method::POST, &format!("/api/v1/pools/{pool}/commands"), Some(json!({"cmd": cmd}))).await
    }

    async fn state(&self, server: &Server, pool: Uuid) -> Value {
        let (status, body) = self.call(server, Method::GET, &format!("/api/v1/pools/{pool}/state"), None).await;
        assert_eq!(status, 200, "{body}");
        body["state"].clone()
    }

    fn inbox(&self) -> Uuid {
        Inbox::room_of(UserId(self.id)).0
    }
}

/// What somebody was told.
#[derive(Debug)]
enum Told {
    Stored(u64),
    Refused(String),
}

async fn crowd(server: &Server) -> Vec<User> {
    let register = |number: usize| async move { User::register(server, &format!("Rider {number}")).await };
    stream::iter(0..CLAIMS).map(register).buffer_unordered(16).collect().await
}

async fn a_thousand_claims_on_three_seats(database: TestDatabase) {
    let server = Server::on(&database).set("live.sockets_per_user_max", 20).start().await;
    let owner = User::register(&server, "Owner").await;
    let people = crowd(&server).await;
    let (wired, unwired) = people.split_at(ON_SOCKETS);
    let open = |user: &'_ User| {
        let opening = user.opening(&server, Codec::MessagePack);
        async move {
            let mut socket = Socket::open(&opening).await.unwrap();
            socket.expect("welcome").await;
            socket
        }
    };
    let mut sockets: Vec<Socket> = stream::iter(wired).map(open).buffered(16).collect().await;
    let http = http_client();
    for round in 0..ROUNDS {
        let pool = owner.offer(&server, json!({})).await;
        let claim = |index: usize| json!({"type": "request", "wait": index.is_multiple_of(4)});
        let n = u64::try_from(round + 1).unwrap();
        let on_sockets = stream::iter(sockets.iter_mut().enumerate()).map(|(index, socket)| async move {
            socket.send(&json!({"t": "join", "room": pool})).await;
            socket.expect("joined").await;
            socket.send(&json!({"t": "op", "room": pool, "n": n, "cmd": claim(index)})).await;
            let told = loop {
                let frame = socket.frame().await;
                match frame["t"].as_str().unwrap() {
                    "ack" => break Told::Stored(frame["seq"].as_u64().unwrap()),
                    "rejected" => break Told::Refused(frame["code"].as_str().unwrap().to_owned()),
                    _ => {}
                }
            };
            socket.send(&json!({"t": "leave", "room": pool})).await;
            (index, told)
        });
        let over_rest = stream::iter(unwired.iter().enumerate()).map(|(index, user)| {
            let request = http.post(server.url(&format!("/api/v1/pools/{pool}/commands"))).bearer_auth(&user.token);
            let index = index + ON_SOCKETS;
            async move {
                let answer = request.json(&json!({"cmd": claim(index)})).send().await.unwrap();
                let status = answer.status();
                let body: Value = answer.json().await.unwrap();
                let told = if status.is_success() {
                    Told::Stored(body["seq"].as_u64().unwrap())
                } else {
                    Told::Refused(body["code"].as_str().unwrap().to_owned())
                };
                (index, told)
            }
        });
        let (mut told, rest): (Vec<_>, Vec<_>) =
            tokio::join!(on_sockets.buffer_unordered(ON_SOCKETS).collect(), over_rest.buffer_unordered(CLAIMS).collect());
        told.extend(rest);
        judge(&owner.state(&server, pool).await, &people, &told);
    }
}

/// Exactly three have a seat, everybody else knows why not, and who waits stands in the order in which they came.
fn judge(state: &Value, people: &[User], told: &[(usize, Told)]) {
    assert_eq!(told.len(), CLAIMS);
    assert_eq!(state["taken"], json!([SEATS]));
    let claims: BTreeMap<String, &Value> =
        state["claims"].as_array().unwrap().iter().map(|claim| (claim["user"].as_str().unwrap().to_owned(), claim)).collect();
    let line: Vec<&str> = state["line"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    let mut came: BTreeMap<u64, &str> = BTreeMap::new();
    let (mut seated, mut refused) = (0, BTreeMap::<&str, usize>::new());
    for (index, told) in told {
        let claim = claims.get(&people[*index].id.to_string());
        match (told, claim.map(|claim| claim["stage"]["stage"].as_str().unwrap())) {
            (Told::Stored(_), Some("confirmed")) => seated += 1,
            (Told::Stored(seq), Some("waiting")) => drop(came.insert(*seq, claim.unwrap()["id"].as_str().unwrap())),
            (Told::Refused(code), None) => *refused.entry(code).or_default() += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seated, SEATS);
    assert_eq!(came.values().copied().collect::<Vec<_>>(), line, "who came first waits in front");
    let reasons: BTreeSet<_> = refused.keys().copied().collect();
    assert!(reasons.is_subset(&BTreeSet::from(["seats_taken", "limit_reached"])), "{refused:?}");
    assert_eq!(seated + came.len() + refused.values().sum::<usize>(), CLAIMS);
    assert_eq!(came.len(), 200, "the waiting list is as long as it may be");
}

async fn time_goes_on_while_the_server_is_down(database: TestDatabase) {
    let mut server = Server::on(&database).start().await;
    let (ana, ben, cid) =
        (User::register(&server, "Ana").await, User::register(&server, "Ben").await, User::register(&server, "Cid").await);
    let pool = ana.offer(&server, json!({"seats": 1, "hold_seconds": 60, "offer_seconds": 60})).await;
    assert_eq!(ben.does(&server, pool, json!({"type": "hold"})).await.0, 200);
    assert_eq!(cid.does(&server, pool, json!({"type": "request", "wait": true})).await.0, 200);
    let held = ben.state(&server, pool).await;
    let until: jiff::Timestamp = held["claim"]["stage"]["until"].as_str().unwrap().parse().unwrap();
    server.kill().await;
    server.restart().await;
    let mut client = cid.client(&server, Codec::Json).await;
    client.join(cid.inbox()).await;
    // Nobody touches the pool: it is woken by itself, and Cid is told.
    let offered = |client: &crate::harness::Client| {
        let history = client.room(cid.inbox()).history();
        history.values().find(|event| event["ev"]["item"]["type"] == "pool_offered").cloned()
    };
    // The shortest hold is a minute, which is as long as anything is waited for otherwise.
    client.listen(Duration::from_secs(30)).await;
    client.until("an offer", |client| offered(client).is_some()).await;
    let offer = offered(&client).expect("an offer in time");
    let at: jiff::Timestamp = offer["ev"]["item"]["at"].as_str().unwrap().parse().unwrap();
    let late = at.duration_since(until);
    assert!(late >= jiff::SignedDuration::ZERO && late < jiff::SignedDuration::from_secs(10), "{late} after its time");
    let claim = offer["ev"]["item"]["claim"].clone();
    assert_eq!(cid.does(&server, pool, json!({"type": "accept", "claim": claim})).await.0, 200);
    assert_eq!(ben.state(&server, pool).await.get("claim"), None, "Ben's hold has run out");
    assert_eq!(ana.state(&server, pool).await["taken"], json!([1]));
}

/// The events of a room that a user's socket is told, by type; bare ones as `-`.
async fn seen(user: &User, server: &Server, pool: Uuid, seq: u64) -> Vec<String> {
    let mut client = user.client(server, Codec::Json).await;
    client.join_from_zero(pool).await;
    client.reached(pool, seq).await;
    let tag = |event: &Value| event["ev"]["type"].as_str().unwrap_or("-").to_owned();
    client.room(pool).history().values().map(tag).collect()
}

async fn everybody_sees_what_concerns_them(database: TestDatabase) {
    let server = Server::on(&database).start().await;
    let mut people = Vec::new();
    for name in ["Ana", "Ben", "Cid", "Dan"] {
        people.push(User::register(&server, name).await);
    }
    let [ana, ben, cid, dan] = people.as_slice() else { unreachable!() };
    let pool = ana.offer(&server, json!({"seats": 1, "booking": "approval"})).await;
    let mut watching = dan.client(&server, Codec::Json).await;
    watching.join(pool).await;
    let secret = "Back pain, front seat please";
    ben.does(&server, pool, json!({"type": "request", "message": secret})).await;
    let claim = ben.state(&server, pool).await["claim"]["id"].clone();
    assert_eq!(ana.does(&server, pool, json!({"type": "approve", "claim": claim})).await.0, 200);
    cid.does(&server, pool, json!({"type": "request", "wait": true})).await;
    let (_, receipt) = ben.does(&server, pool, json!({"type": "send_message", "body": "Where do we meet?"})).await;
    let seq = receipt["seq"].as_u64().unwrap();
    watching.reached(pool, seq).await;
    let live: Vec<_> = watching.room(pool).history().values().cloned().collect();
    let text = json!([live, dan.state(&server, pool).await, cid.state(&server, pool).await]).to_string();
    for hidden in [secret, "Where do we meet", &ben.id.to_string(), "Rider"] {
        assert!(!text.contains(hidden), "{hidden} is seen by somebody else");
    }
    // Nor does what everybody is told, how many seats are left, say who took them or waits for them.
    let text = json!([live, dan.state(&server, pool).await]).to_string();
    assert!(!text.contains(&cid.id.to_string()), "{text}");
    let tags: Vec<_> = live.iter().map(|event| event["ev"]["type"].as_str().unwrap_or("-")).collect();
    assert_eq!(tags, ["-", "-", "-", "seats_changed", "-", "seats_changed", "-"]);
    // The same who comes later, and everybody by what they are.
    assert_eq!(seen(dan, &server, pool, seq).await, ["pool_created", "-", "-", "-", "seats_changed", "-", "seats_changed", "-"]);
    assert_eq!(seen(cid, &server, pool, seq).await, ["pool_created", "-", "-", "-", "seats_changed", "claimed", "seats_changed", "-"]);
    let riders = ["pool_created", "claimed", "confirmed", "riders_shown", "seats_changed", "-", "seats_changed", "message_sent"];
    assert_eq!(seen(ben, &server, pool, seq).await, riders);
    let owners = ["pool_created", "claimed", "confirmed", "-", "seats_changed", "claimed", "seats_changed", "message_sent"];
    assert_eq!(seen(ana, &server, pool, seq).await, owners);
    // Presence and the driver's position are for the car, and only under way.
    let mut driver = ana.client(&server, Codec::Json).await;
    driver.join(pool).await;
    let mut rider = ben.client(&server, Codec::Json).await;
    rider.join(pool).await;
    let fix = json!({"fix": {"lat": 48.5, "lon": 11.5, "speed": 25.0}});
    driver.presence(pool, fix.clone()).await;
    rider.until("the driver is here", |client| client.room(pool).present().contains_key(&ana.id)).await;
    driver.ask(pool, json!({"type": "depart"})).await.unwrap();
    assert!(rider.room(pool).present()[&ana.id]["state"].get("fix").is_none(), "not before the departure");
    driver.presence(pool, fix).await;
    rider.until("the driver's position", |client| !client.room(pool).present()[&ana.id]["state"]["fix"].is_null()).await;
    driver.ask(pool, json!({"type": "complete"})).await.unwrap();
    rider.until("the position is gone", |client| client.room(pool).present()[&ana.id]["state"]["fix"].is_null()).await;
    watching.until("departed", |client| client.room(pool).history().values().any(|event| event["ev"]["type"] == "pool_departed")).await;
    assert!(watching.room(pool).present().is_empty(), "a visitor sees nobody");
}

async fn a_kept_search_is_told_of_a_new_pool(database: TestDatabase) {
    let server = Server::on(&database).start().await;
    let (ana, ben) = (User::register(&server, "Ana").await, User::register(&server, "Ben").await);
    let mut client = ben.client(&server, Codec::Json).await;
    client.join(ben.inbox()).await;
    let spot = |lat: f64, lon: f64| json!({"position": {"lat": lat, "lon": lon}});
    let search = |id: Uuid, radius: u32| json!({"type": "save_search", "id": id, "name": "Home", "from": spot(48.15, 11.58), "to": spot(49.45, 11.08), "radius_m": radius});
    let (near, far) = (Uuid::now_v7(), Uuid::now_v7());
    client.ask(ben.inbox(), search(near, 2_000)).await.unwrap();
    client.ask(ben.inbox(), search(far, 500)).await.unwrap();
    let dropped = Uuid::now_v7();
    client.ask(ben.inbox(), search(dropped, 5_000)).await.unwrap();
    client.ask(ben.inbox(), json!({"type": "delete_search", "search": dropped})).await.unwrap();
    // Searches are kept by the outbox: each new pool finds those that are kept by then.
    let found = |client: &crate::harness::Client| -> Vec<Value> {
        let history = client.room(ben.inbox()).history();
        history.values().filter(|event| event["ev"]["item"]["type"] == "match").map(|event| event["ev"]["item"].clone()).collect()
    };
    let mut pools = Vec::new();
    while found(&client).is_empty() {
        pools.push(ana.offer(&server, json!({})).await);
        client.listen(Duration::from_millis(200)).await;
        assert!(pools.len() < 100, "nobody is told");
    }
    let first = found(&client).remove(0);
    assert_eq!((&first["search"], &first["by"]), (&json!(near), &json!(ana.id)));
    assert!(pools.iter().any(|pool| first["room"] == json!(pool)));
}

async fn two_ride_requests_become_one_pool(database: TestDatabase) {
    let server = Server::on(&database).start().await;
    let (ana, ben) = (User::register(&server, "Ana").await, User::register(&server, "Ben").await);
    let ride = |lat: f64| json!({"type": "request_ride", "from": {"position": {"lat": lat, "lon": 11.5}}, "to": {"position": {"lat": 49.0, "lon": 11.5}}});
    let mut clients = Vec::new();
    for (user, lat) in [(&ana, 48.1), (&ben, 48.11)] {
        let mut client = user.client(&server, Codec::Json).await;
        client.join(user.inbox()).await;
        client.ask(user.inbox(), ride(lat)).await.unwrap();
        clients.push(client);
    }
    // Both at once: one pool.
    let share = |user: &User, other: &User| {
        let (user, body) = (user.clone(), json!({"with": other.id}));
        let server = &server;
        async move { user.call(server, Method::POST, "/api/v1/me/ride/pool", Some(body)).await }
    };
    let (one, other) = tokio::join!(share(&ana, &ben), share(&ben, &ana));
    let made: Vec<_> = [&one, &other].into_iter().filter(|(status, _)| *status == 200).collect();
    assert!(!made.is_empty(), "{one:?} {other:?}");
    assert!(made.iter().all(|(_, body)| body["pool"] == made[0].1["pool"]), "{one:?} {other:?}");
    let pool: Uuid = made[0].1["pool"].as_str().unwrap().parse().unwrap();
    let (owner, guest) = if ana.state(&server, pool).await["relation"] == "owner" { (&ana, &ben) } else { (&ben, &ana) };
    let claim = guest.state(&server, pool).await["claim"].clone();
    if claim["stage"]["stage"] == "offered" {
        assert_eq!(guest.does(&server, pool, json!({"type": "accept", "claim": claim["id"]})).await.0, 200);
    }
    assert_eq!(owner.state(&server, pool).await["taken"], json!([1]));
    for (client, user) in clients.iter_mut().zip([&ana, &ben]) {
        client
            .until("the request is over", |client| {
                client.room(user.inbox()).history().values().any(|event| event["ev"]["ending"] == "pooled")
            })
            .await;
    }
}
