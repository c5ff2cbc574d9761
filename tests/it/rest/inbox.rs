//! The caller's inbox over REST.

use serde_json::{Value, json};
use std::time::Duration;

use super::Api;
use super::client::{Account, Answer, send, text};
use crate::harness::{Client, Server, TestDatabase, eventually, for_each_backend};
use tripsync_domain::protocol::Codec;
use tripsync_domain::{Inbox, UserId};
use uuid::Uuid;

for_each_backend!(
    what_is_delivered_is_read_once_for_all,
    a_ride_request_is_one_at_a_time,
    two_who_go_the_same_way_share_a_ride,
    both_requests_end_with_the_pool_and_not_before,
    who_asks_at_the_same_time_shares_one_pool,
    who_has_left_the_group_shares_no_ride,
    searches_are_kept,
    bad_requests_point_at_the_mistake
);

async fn people<const N: usize>(database: &TestDatabase, names: [&str; N]) -> (Server, [Account; N]) {
    let server = Server::on(database).start().await;
    let api = Api::of(&server);
    let made = futures_util::future::join_all(names.map(|name| api.account(name))).await;
    (server, made.try_into().unwrap_or_else(|_| panic!("all of them")))
}

#[track_caller]
fn etag(answer: &Answer) -> String {
    answer.header("etag").unwrap_or_else(|| panic!("no ETag: {answer:?}")).to_owned()
}

async fn what_is_delivered_is_read_once_for_all(database: TestDatabase) {
    let (_server, [ann, ben]) = people(&database, ["ann", "ben"]).await;
    // It is there when it is asked for first, and empty.
    let first = ben.api.get("/api/v1/me/inbox").await;
    assert_eq!(etag(&first), format!("\"{}\"", first.body["seq"]));
    let mut empty = json!({"unread": 0, "read_up_to": 0, "items": [], "items_before": false, "ride": null, "searches": []});
    for given in ["room", "seq"] {
        empty[given] = first.body[given].clone();
    }
    assert_eq!(first.ok(200), empty);
    assert_ne!(ann.api.get("/api/v1/me/inbox").await.ok(200)["room"], empty["room"]);
    let known = ben.api.request(reqwest::Method::GET, "/api/v1/me/inbox").header("If-None-Match", format!("\"{}\"", empty["seq"]));
    assert_eq!(send(known).await.status, 304);

    for n in 0..5 {
        let trip = text(&ann.api.post("/api/v1/trips", json!({"title": format!("t{n}")})).await.ok(201)["id"]);
        ann.api.post(&format!("/api/v1/trips/{trip}/members"), json!({"user": ben.id, "role": "viewer"})).await.ok(201);
        let wanted = n + 1;
        eventually("the item is delivered", Duration::from_secs(20), || async {
            ben.api.get("/api/v1/me/inbox").await.ok(200)["unread"] == wanted
        })
        .await;
    }
    let inbox = ben.api.get("/api/v1/me/inbox").await.ok(200);
    let items = inbox["items"].as_array().unwrap();
    let titles: Vec<_> = items.iter().map(|item| item["item"]["title"].clone()).collect();
    assert_eq!(titles, ["t4", "t3", "t2", "t1", "t0"], "newest first");
    assert!(items.iter().all(|item| item["read"] == false && item["item"]["type"] == "member_added"), "{items:#?}");

    // The same page by page.
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = ben.api.get(&format!("/api/v1/me/inbox/items?limit=2{cursor}")).await.ok(200);
        seen.extend(page["items"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(&seen, items);

    let read = ben.api.post("/api/v1/me/inbox/read", json!({"up_to": items[2]["seq"], "items": [items[0]["id"]]})).await;
    assert_eq!(etag(&read), format!("\"{}\"", read.ok(200)["seq"]));
    let after = ben.api.get("/api/v1/me/inbox").await.ok(200);
    assert_eq!((&after["unread"], &after["read_up_to"]), (&json!(1), &items[2]["seq"]));
    let page = ben.api.get("/api/v1/me/inbox/items").await.ok(200);
    for list in [&after["items"], &page["items"]] {
        let read: Vec<_> = list.as_array().unwrap().iter().map(|item| item["read"].clone()).collect();
        assert_eq!(read, [true, false, true, true, true]);
    }
    // Nobody else's.
    let room = text(&inbox["room"]);
    for path in [format!("/api/v1/trips/{room}"), format!("/api/v1/pools/{room}"), format!("/api/v1/pools/{room}/log")] {
        ben.api.get(&path).await.problem("not_found");
        ann.api.get(&path).await.problem("not_found");
    }
    let deliver = json!({"cmd": {"type": "mark_read", "up_to": 1}});
    ben.api.post(&format!("/api/v1/pools/{room}/commands"), deliver).await.problem("unknown_command");
}

fn ride(lat: f64) -> Value {
    json!({
        "from": {"name": "Gate 3", "position": {"lat": lat, "lon": -9.13}}, "to": {"position": {"lat": 38.6, "lon": -9.14}}, "seats": 2
    })
}

async fn a_ride_request_is_one_at_a_time(database: TestDatabase) {
    let (_server, [ann]) = people(&database, ["ann"]).await;
    ann.api.get("/api/v1/me/ride").await.problem("not_found");
    ann.api.delete("/api/v1/me/ride").await.problem("not_found");
    let first = ann.api.put("/api/v1/me/ride", ride(38.77)).await.ok(200);
    let shown = ann.api.get("/api/v1/me/ride").await.ok(200);
    assert_eq!(first["item"], shown);
    for field in ["from", "to", "seats"] {
        assert_eq!(shown[field], ride(38.77)[field], "{field}");
    }
    let second = ann.api.put("/api/v1/me/ride", ride(38.78)).await.ok(200);
    assert_ne!(second["id"], first["id"]);
    assert_eq!(ann.api.get("/api/v1/me/inbox").await.ok(200)["ride"], second["item"]);
    let stale = ann.api.request(reqwest::Method::DELETE, "/api/v1/me/ride").header("If-Match", format!("\"{}\"", first["seq"]));
    send(stale).await.problem("stale");
    ann.api.delete("/api/v1/me/ride").await.ok(200);
    ann.api.get("/api/v1/me/ride").await.problem("not_found");
}

async fn two_who_go_the_same_way_share_a_ride(database: TestDatabase) {
    let (_server, [ann, ben]) = people(&database, ["ann", "ben"]).await;
    let share = async |api: &Api, with: &Account| api.post("/api/v1/me/ride/pool", json!({"with": with.id, "seats": 3})).await;
    share(&ann.api, &ben).await.problem("conflict");
    for person in [&ann, &ben] {
        person.api.put("/api/v1/me/ride", ride(38.77)).await.ok(200);
    }
    // Fewer seats than Ben needs leave no pool behind.
    let wrong = ann.api.post("/api/v1/me/ride/pool", json!({"with": ben.id, "seats": 1})).await.problem("invalid");
    assert_eq!(wrong["errors"][0]["pointer"], "/seats");
    let shared = share(&ann.api, &ben).await.ok(200);
    assert_eq!(shared["owner"], true);
    let pool = format!("/api/v1/pools/{}", text(&shared["pool"]));
    let offered = ben.api.get(&pool).await.ok(200);
    assert_eq!(
        (&offered["relation"], &offered["claim"]["stage"], &offered["claim"]["seats"]),
        (&json!("claimant"), &json!("offered"), &json!(2))
    );
    ann.api.get("/api/v1/me/ride").await.problem("not_found");
    let accept = format!("{pool}/claims/{}/accept", text(&offered["claim"]["id"]));
    assert_eq!(ben.api.post(&accept, Value::Null).await.ok(200)["item"]["stage"], "confirmed");
    let wrong = ann.api.post("/api/v1/me/ride/pool", json!({"with": ben.id, "seat": 3})).await.problem("unknown_field");
    assert_eq!(wrong["errors"][0]["pointer"], "/seat");
}

const SHARE: &str = "/api/v1/me/ride/pool";

async fn ride_of(person: &Account) -> Option<Value> {
    let answer = person.api.get("/api/v1/me/ride").await;
    (answer.status != 404).then(|| answer.ok(200))
}

fn inbox_of(person: &Account) -> Uuid {
    Inbox::room_of(UserId(person.id.parse().unwrap())).0
}

/// A socket in somebody's inbox.
async fn hearing(server: &Server, person: &Account) -> Client {
    let mut client = Client::connect(&server.live_url(), &person.access_token, Codec::Json).await;
    client.join(inbox_of(person)).await;
    client
}

/// What the client has heard of ride requests.
fn of_rides(client: &Client, inbox: Uuid) -> Vec<Value> {
    let events = client.room(inbox).history().values().map(|event| event["ev"].clone());
    events.filter(|event| ["ride_requested", "ride_ended"].iter().any(|tag| event["type"] == *tag)).collect()
}

async fn both_requests_end_with_the_pool_and_not_before(database: TestDatabase) {
    let (server, people) = people(&database, ["ann", "ben", "cid"]).await;
    let [ann, ben, cid] = &people;
    let (mut ann_hears, mut ben_hears) = (hearing(&server, ann).await, hearing(&server, ben).await);
    let mut asked = Vec::new();
    for person in &people {
        asked.push(Some(person.api.put("/api/v1/me/ride", ride(38.77)).await.ok(200)["item"].clone()));
    }
    let rides = async || [ride_of(ann).await, ride_of(ben).await, ride_of(cid).await];
    assert_eq!(rides().await.as_slice(), asked);
    // Whatever refuses the pool or the invitation leaves all as it was.
    for (body, code) in [
        (json!({"with": ben.id, "seats": 1}), "invalid"),
        (json!({"with": ben.id, "seats": 17}), "invalid"),
        (json!({"with": ben.id, "departure": {"local": "2020-01-01T08:00", "tz": "UTC"}}), "invalid"),
        (json!({"with": ben.id, "price": {"minor": -1, "currency": "EUR"}}), "invalid"),
        (json!({"with": ben.id, "price": {"minor": i64::MAX, "currency": "EUR"}}), "invalid"),
        (json!({"with": ann.id}), "conflict"),
        (json!({"with": Uuid::now_v7()}), "conflict"),
    ] {
        ann.api.post(SHARE, body.clone()).await.problem(code);
        assert_eq!(rides().await.as_slice(), asked, "{body}");
        assert_eq!(ann.api.get("/api/v1/pools").await.ok(200)["items"], json!([]), "{body}");
    }
    // With the pool, and the invitation in it, both are over; nobody else's is.
    let shared = ann.api.post(SHARE, json!({"with": ben.id})).await.ok(200);
    assert_eq!(rides().await, [None, None, asked[2].take()]);
    // Asking again finds both over, and ends nothing twice: what comes next in the inboxes is what comes after that.
    for (api, other) in [(&ann.api, ben), (&ben.api, ann)] {
        api.post(SHARE, json!({"with": other.id})).await.problem("conflict");
    }
    for (person, socket) in [(ann, &mut ann_hears), (ben, &mut ben_hears)] {
        let again = text(&person.api.put("/api/v1/me/ride", ride(38.77)).await.ok(200)["id"]);
        let inbox = inbox_of(person);
        socket.until("the next request", |socket| of_rides(socket, inbox).iter().any(|event| event["ride"]["id"] == json!(again))).await;
        let endings: Vec<_> =
            of_rides(socket, inbox).iter().map(|event| event["ending"].clone()).filter(|ending| !ending.is_null()).collect();
        assert_eq!(endings, ["pooled"]);
    }
    let offered = ben.api.get(&format!("/api/v1/pools/{}", text(&shared["pool"]))).await.ok(200);
    assert_eq!(offered["claim"]["stage"], "offered");
}

async fn who_asks_at_the_same_time_shares_one_pool(database: TestDatabase) {
    let (_server, [ann, ben]) = people(&database, ["ann", "ben"]).await;
    for round in 0..5 {
        for person in [&ann, &ben] {
            person.api.put("/api/v1/me/ride", ride(38.77)).await.ok(200);
        }
        let share = |api: &Api, with: &Account| {
            let (api, with) = (api.clone(), with.id.clone());
            async move { api.post(SHARE, json!({"with": with})).await }
        };
        let (one, other) = tokio::join!(share(&ann.api, &ben), share(&ben.api, &ann));
        let shared: Vec<_> = [&one, &other].into_iter().filter(|answer| answer.status == 200).collect();
        assert!(!shared.is_empty(), "{round}: {one:?} {other:?}");
        assert!(shared.iter().all(|answer| answer.body["pool"] == shared[0].body["pool"]), "{round}: {shared:?}");
        for answer in [&one, &other] {
            // Whoever was too late to see the requests is told that they are over.
            assert!(answer.status == 200 || answer.body["code"] == "conflict", "{round}: {answer:?}");
        }
        assert_eq!((ride_of(&ann).await, ride_of(&ben).await), (None, None), "{round}");
    }
}

async fn who_has_left_the_group_shares_no_ride(database: TestDatabase) {
    let (_server, people) = people(&database, ["ann", "ben"]).await;
    let [ann, ben] = &people;
    let of = async |person: &Account, group: Value| {
        person.api.patch("/api/v1/me", json!({"group": group})).await.ok(200);
    };
    for person in &people {
        of(person, json!("TU Delft")).await;
        person.api.put("/api/v1/me/ride", ride(38.77)).await.ok(200);
    }
    for left in [ann, ben] {
        for group in [Value::Null, json!("Oxford")] {
            of(left, group).await;
            ann.api.post(SHARE, json!({"with": ben.id})).await.problem("conflict");
            ben.api.post(SHARE, json!({"with": ann.id})).await.problem("conflict");
        }
        of(left, json!("TU Delft")).await;
    }
    assert!(ride_of(ann).await.is_some() && ride_of(ben).await.is_some());
    ann.api.post(SHARE, json!({"with": ben.id})).await.ok(200);
}

fn search(name: &str) -> Value {
    json!({"name": name, "from": {"position": {"lat": 38.77, "lon": -9.1}}, "to": {"position": {"lat": 41.15, "lon": -8.6}}})
}

async fn searches_are_kept(database: TestDatabase) {
    let (_server, [ann, ben]) = people(&database, ["ann", "ben"]).await;
    let searches = "/api/v1/me/searches";
    assert_eq!(ann.api.get(searches).await.ok(200), json!({"items": [], "next": null}));
    let answer = ann.api.post(searches, search("Home")).await;
    let location = answer.header("location").unwrap().to_owned();
    let made = answer.ok(201);
    let mut kept = search("Home");
    for (field, value) in
        [("radius_m", json!(5_000)), ("after", Value::Null), ("before", Value::Null), ("seats", json!(1)), ("price_max", Value::Null)]
    {
        kept[field] = value;
    }
    kept["id"] = made["id"].clone();
    assert_eq!((&made["item"], location.as_str()), (&kept, format!("{searches}/{}", text(&made["id"])).as_str()));
    assert_eq!(ann.api.get(&location).await.ok(200), kept);
    // The same id is the same search.
    let mut changed = search("Home on Fridays");
    changed["id"] = made["id"].clone();
    ann.api.post(searches, changed).await.ok(201);
    let all = ann.api.get(searches).await.ok(200);
    assert_eq!((all["items"].as_array().unwrap().len(), &all["items"][0]["name"]), (1, &json!("Home on Fridays")));
    ben.api.get(&location).await.problem("not_found");
    ben.api.delete(&location).await.problem("not_found");
    ann.api.delete(&location).await.ok(200);
    ann.api.delete(&location).await.problem("not_found");
    for n in 0..20 {
        ann.api.post(searches, search(&format!("s{n}"))).await.ok(201);
    }
    ann.api.post(searches, search("one more")).await.problem("limit_reached");
    // A repeat under a key keeps one.
    let keyed = || send(ben.api.request(reqwest::Method::POST, searches).header("Idempotency-Key", "k").json(&search("Home")));
    let (first, again) = (keyed().await.ok(201), keyed().await);
    assert_eq!((again.header("idempotency-replayed"), &again.body["id"]), (Some("true"), &first["id"]));
    assert_eq!(ben.api.get(searches).await.ok(200)["items"].as_array().unwrap().len(), 1);
}

async fn bad_requests_point_at_the_mistake(database: TestDatabase) {
    let (_server, [ann]) = people(&database, ["ann"]).await;
    let put = reqwest::Method::PUT;
    let post = reqwest::Method::POST;
    let with = |mut body: Value, field: &str, value: Value| {
        body[field] = value;
        body
    };
    for (method, path, body, code, pointer) in [
        (&put, "/ride", json!({}), "invalid", ""),
        (&put, "/ride", with(ride(38.77), "seats", json!(0)), "invalid", "/seats"),
        (&put, "/ride", with(ride(38.77), "seats", json!(17)), "invalid", "/seats"),
        (&put, "/ride", with(ride(38.77), "to", ride(38.77)["from"].clone()), "invalid", "/to/position"),
        (&put, "/ride", with(ride(38.77), "id", json!("x")), "invalid", "/id"),
        (&put, "/ride", with(ride(38.77), "at", json!(1)), "unknown_field", "/at"),
        (&post, "/searches", with(search("x"), "radius_m", json!(99)), "invalid", "/radius_m"),
        (&post, "/searches", with(search("x"), "radius_m", json!(50_001)), "invalid", "/radius_m"),
        (&post, "/searches", search(""), "invalid", "/name"),
        (&post, "/inbox/read", json!({"up_to": 1_000}), "invalid", "/up_to"),
        (&post, "/inbox/read", json!({"type": "deliver"}), "unknown_field", "/type"),
        (&post, "/inbox/read", json!({"user": "x"}), "unknown_field", "/user"),
    ] {
        let answer = send(ann.api.request(method.clone(), &format!("/api/v1/me{path}")).json(&body)).await;
        assert_eq!(answer.problem(code)["errors"][0]["pointer"], pointer, "{path} {body}");
    }
}
