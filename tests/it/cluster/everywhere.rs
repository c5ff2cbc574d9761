//! What people see of each other does not depend on which node their sockets are at: items and notices, presence, removals, refusals.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use tripsync_domain::protocol::Codec;
use tripsync_domain::{Inbox, UserId};
use uuid::Uuid;

use super::fleet::Fleet;
use super::load::Account;
use super::plan::Plan;
use super::wiring::Wiring;
use crate::harness::{Client, Server, eventually};

/// Long enough for a busy machine to bring somebody back within it.
const GRACE: Duration = Duration::from_secs(4);
/// Within which a removal acts on all nodes. GUARANTEES says a second; a machine that runs other tests meanwhile gets more.
const SOON: Duration = Duration::from_secs(5);
/// For what waits until Redis is back.
const LIMIT: Duration = Duration::from_secs(30);

async fn fleet() -> Fleet {
    let grace = format!("{}ms", GRACE.as_millis());
    Fleet::start_with(&Plan::of(0), Wiring::Direct, &[("live.presence_grace", &grace)]).await
}

fn nodes(fleet: &Fleet) -> [&Server; 3] {
    fleet.servers.iter().collect::<Vec<_>>().try_into().expect("three nodes")
}

/// The types of the items that a client was told of since its inbox was empty.
fn items(client: &Client, inbox: Uuid) -> Vec<String> {
    let delivered = client.room(inbox).history().values().filter(|event| event["ev"]["type"] == "delivered");
    delivered.map(|event| event["ev"]["item"]["type"].as_str().unwrap().to_owned()).collect()
}

/// The types of the notices that its socket got.
fn notices(client: &Client) -> Vec<String> {
    let notices = client.other().iter().filter(|frame| frame["t"] == "notice");
    notices.map(|frame| frame["notice"]["type"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_concerns_a_user_reaches_the_sockets_at_every_node_once() {
    let fleet = fleet().await;
    let [one, two, three] = nodes(&fleet);
    let (ana, ben) = (Account::register(one.address(), "Ana").await, Account::register(three.address(), "Ben").await);
    let inbox = Inbox::room_of(UserId(ben.id)).0;
    // The node of whoever comes first owns it; the sockets are at the others.
    let mut first = ben.client(one, Codec::Json).await;
    first.join(inbox).await;
    let mut sockets = [ben.client(two, Codec::Json).await, ben.client(three, Codec::MessagePack).await];
    for socket in &mut sockets {
        socket.join(inbox).await;
    }
    first.close().await;
    assert_eq!(fleet.owner(inbox).await, Some(0));

    // Each through a node that is not the trip's owner, or is.
    let trip = ana.trip(two.address(), &[]).await;
    assert_eq!(fleet.owner(trip).await, Some(1));
    let member = json!({"user": ben.id, "role": "participant"});
    ana.make(three.address(), &format!("/trips/{trip}/members"), &member).await;
    let message = json!({"body": "Look, Ben", "mentions": [ben.id]});
    ana.make(one.address(), &format!("/trips/{trip}/messages"), &message).await;
    let member = format!("/trips/{trip}/members/{}", ben.id);
    assert_eq!(ana.call(two.address(), Method::PATCH, &member, Some(&json!({"role": "viewer"}))).await.0, 200);
    assert_eq!(ana.call(one.address(), Method::DELETE, &member, None).await.0, 200);

    let told = ["member_added", "mentioned", "role_changed", "member_removed"];
    for socket in &mut sockets {
        socket.until("every item", |socket| items(socket, inbox).len() >= told.len()).await;
        socket.until("the last notice", |socket| notices(socket).last().is_some_and(|last| last == "member_removed")).await;
    }
    // What came twice would have come before this.
    let seq = sockets[0].room(inbox).seq();
    let read = sockets[0].ask(inbox, json!({"type": "mark_read", "up_to": seq})).await.unwrap();
    for socket in &mut sockets {
        socket.reached(inbox, read).await;
        assert_eq!(items(socket, inbox), told);
        assert_eq!(notices(socket), ["member_added", "mentioned", "role_changed", "member_removed"]);
        assert_eq!(socket.reconnects(), 0);
    }
}

/// Waits until a user is shown like this; `None`: not at all.
async fn shows(watcher: &mut Client, trip: Uuid, user: Uuid, what: &str, wanted: impl Fn(Option<&Value>) -> bool) {
    watcher.until(what, |watcher| wanted(watcher.room(trip).present().get(&user))).await;
}

async fn shows_devices(watcher: &mut Client, trip: Uuid, user: Uuid, devices: u64) {
    let what = format!("somebody with {devices} devices");
    shows(watcher, trip, user, &what, |shown| shown.is_some_and(|shown| shown["devices"] == devices)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_at_different_nodes_see_each_other_come_and_go() {
    let mut fleet = fleet().await;
    let [one, two, three] = nodes(&fleet);
    let (ana, ben) = (Account::register(one.address(), "Ana").await, Account::register(one.address(), "Ben").await);
    let trip = ana.trip(one.address(), &[&ben]).await;
    let (mut a, mut b) = (ana.client(two, Codec::MessagePack).await, ben.client(three, Codec::Json).await);
    a.join(trip).await;
    assert!(!a.room(trip).present().contains_key(&ben.id));
    b.join(trip).await;
    assert_eq!(fleet.owner(trip).await, Some(0), "neither of them is at the owner");
    shows_devices(&mut a, trip, ben.id, 1).await;
    shows_devices(&mut b, trip, ana.id, 1).await;

    let item = Uuid::now_v7();
    b.presence(trip, json!({"editing": {"item": item, "field": "title"}})).await;
    shows(&mut a, trip, ben.id, "what Ben edits", |ben| ben.is_some_and(|ben| ben["state"]["editing"]["item"] == json!(item))).await;
    a.presence(trip, json!({"typing": true})).await;
    shows(&mut b, trip, ana.id, "Ana typing", |ana| ana.is_some_and(|ana| ana["state"]["typing"] == true)).await;
    // A device at a third node is one more of the same person.
    let mut phone = ben.client(one, Codec::Json).await;
    phone.join(trip).await;
    shows_devices(&mut a, trip, ben.id, 2).await;
    phone.close().await;
    shows_devices(&mut a, trip, ben.id, 1).await;

    // Back within the grace: Ben was here all the time.
    let since = a.room(trip).present()[&ben.id]["since"].clone();
    b.drop_connection();
    shows_devices(&mut a, trip, ben.id, 0).await;
    b.until("it is back", |b| b.reconnects() == 1 && b.room(trip).is_joined()).await;
    shows_devices(&mut a, trip, ben.id, 1).await;
    assert_eq!((&a.room(trip).present()[&ben.id]["since"], a.room(trip).gone()), (&since, 0), "he flickered");

    // Not back: shown for the grace, and then no more. With a goodbye at once.
    let dropped = Instant::now();
    b.drop_connection();
    shows_devices(&mut a, trip, ben.id, 0).await;
    shows(&mut a, trip, ben.id, "nobody", |ben| ben.is_none()).await;
    assert!(dropped.elapsed() >= GRACE * 9 / 10, "kept for {:?} only", dropped.elapsed());
    b.until("it is back", |b| b.reconnects() == 2 && b.room(trip).is_joined()).await;
    shows_devices(&mut a, trip, ben.id, 1).await;
    let left = Instant::now();
    b.leave(trip).await;
    shows(&mut a, trip, ben.id, "nobody", |ben| ben.is_none()).await;
    assert!(left.elapsed() < GRACE, "kept after a goodbye for {:?}", left.elapsed());

    // His node dies: nobody says that he is gone, and he is not shown for ever.
    let mut tablet = ben.client(three, Codec::Json).await;
    tablet.join(trip).await;
    shows_devices(&mut a, trip, ben.id, 1).await;
    fleet.servers[2].kill().await;
    shows(&mut a, trip, ben.id, "nobody", |ben| ben.is_none()).await;
    assert_eq!((a.reconnects(), a.room(trip).joins()), (0, 1), "Ana noticed nothing of all this");
}

/// A trip of the first node with three members, of whom Ben has a socket at each node and Cleo one where Ben's are relayed.
struct Gathering {
    ana: Account,
    ben: Account,
    trip: Uuid,
    of_ana: Client,
    of_ben: Vec<Client>,
    of_cleo: Vec<Client>,
}

impl Gathering {
    async fn at(fleet: &Fleet) -> Self {
        let [one, two, three] = nodes(fleet);
        let mut people = Vec::new();
        for name in ["Ana", "Ben", "Cleo"] {
            people.push(Account::register(one.address(), name).await);
        }
        let [ana, ben, cleo] = <[Account; 3]>::try_from(people).unwrap();
        let trip = ana.trip(one.address(), &[&ben, &cleo]).await;
        let mut of_ana = ana.client(one, Codec::Json).await;
        of_ana.join(trip).await;
        let (mut of_ben, mut of_cleo) = (Vec::new(), Vec::new());
        for node in [one, two, three] {
            of_ben.push(ben.client(node, Codec::Json).await);
            of_cleo.push(cleo.client(node, Codec::MessagePack).await);
        }
        for client in of_ben.iter_mut().chain(&mut of_cleo) {
            client.join(trip).await;
        }
        assert_eq!(fleet.owner(trip).await, Some(0));
        Self { ana, ben, trip, of_ana, of_ben, of_cleo }
    }

    /// Ana removes Ben through this node; the seq of that.
    async fn remove_ben(&self, node: &Server) -> u64 {
        let path = format!("/trips/{}/members/{}", self.trip, self.ben.id);
        let (status, receipt) = self.ana.call(node.address(), Method::DELETE, &path, None).await;
        assert_eq!(status, 200, "{receipt}");
        receipt["seq"].as_u64().unwrap()
    }

    /// What Ben is answered over REST when he reads and when he writes.
    async fn ben_asks(&self, node: &Server) -> [(u16, Value); 2] {
        let body = json!({"body": "Let me in"});
        let (read, write) = (format!("/trips/{}/state", self.trip), format!("/trips/{}/messages", self.trip));
        let read = self.ben.call(node.address(), Method::GET, &read, None).await;
        [read, self.ben.call(node.address(), Method::POST, &write, Some(&body)).await]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_removed_through_one_node_is_out_at_all_of_them() {
    let fleet = fleet().await;
    let [one, ..] = nodes(&fleet);
    let mut all = Gathering::at(&fleet).await;
    let trip = all.trip;
    let removal = all.remove_ben(one).await;
    // Frames in order: the event of the removal, and that he is out.
    let out = async {
        for client in &mut all.of_ben {
            client.until("Ben is out", |client| client.room(trip).has_left()).await;
            let left = client.other().iter().find(|frame| frame["t"] == "left").unwrap();
            assert_eq!((&left["code"], &left["retry_after_ms"]), (&json!("removed"), &Value::Null), "{left}");
            let (seq, last) = client.room(trip).history().last_key_value().unwrap();
            assert_eq!((*seq, &last["ev"]["type"]), (removal, &json!("member_removed")));
        }
    };
    timeout(SOON, out).await.expect("Ben is out everywhere soon");
    for server in &fleet.servers {
        for (status, problem) in all.ben_asks(server).await {
            assert_eq!((status, &problem["code"]), (404, &json!("not_found")), "{problem}");
        }
    }
    // What is said now reaches everybody who is in, over the same relays, and not Ben.
    let after = all.of_ana.ask(trip, json!({"type": "send_message", "body": "He is gone"})).await.unwrap();
    for client in &mut all.of_cleo {
        client.reached(trip, after).await;
    }
    for client in &mut all.of_ben {
        client.send(&json!({"t": "join", "room": trip, "since": {"epoch": 1, "seq": 1}})).await;
        client.until("he is refused", |client| client.has_other("error")).await;
        let refused = client.other().iter().find(|frame| frame["t"] == "error").unwrap();
        assert_eq!(refused["code"], "not_found", "{refused}");
        assert_eq!(client.room(trip).late(), [Value::Null; 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_removed_while_redis_is_away_learns_nothing_more_at_any_node() {
    let mut fleet = fleet().await;
    let mut all = Gathering::at(&fleet).await;
    let trip = all.trip;
    fleet.redis.kill().await;
    let [one, two, three] = nodes(&fleet);
    // The owner needs only the journal.
    let removal = all.remove_ben(one).await;
    let after = all.of_ana.ask(trip, json!({"type": "send_message", "body": "He is gone"})).await.unwrap();
    assert!(after > removal);
    let client = &mut all.of_ben[0];
    client.until("Ben is out at the owner", |client| client.room(trip).has_left()).await;
    for (status, problem) in all.ben_asks(one).await {
        assert_eq!((status, &problem["code"]), (404, &json!("not_found")), "{problem}");
    }
    // The others hear nothing of the room, so they say nothing: no event, no state.
    for node in [two, three] {
        for (status, problem) in all.ben_asks(node).await {
            assert!(matches!(status, 404 | 503), "{status} {problem}");
        }
    }
    for client in &mut all.of_ben[1..] {
        client.until("the room cannot be had", |client| client.has_other("left")).await;
        let left = client.other().iter().find(|frame| frame["t"] == "left").unwrap();
        assert!(matches!(left["code"].as_str().unwrap(), "retry" | "moved" | "room_unavailable"), "{left}");
        assert!(client.room(trip).seq() < removal);
    }
    fleet.redis.restart().await;
    for client in &mut all.of_ben[1..] {
        let refused = |client: &Client| client.other().iter().any(|frame| frame["t"] != "notice" && frame["code"] == "not_found");
        client.until("he is refused", refused).await;
        assert!(client.room(trip).seq() <= removal && client.room(trip).late().is_empty());
    }
    for client in &mut all.of_cleo {
        client.reached(trip, after).await;
    }
    for server in &fleet.servers {
        eventually("a sure answer", LIMIT, || async {
            let answers = all.ben_asks(server).await;
            assert!(answers.iter().all(|(status, _)| matches!(status, 404 | 503)), "{answers:?}");
            answers.iter().all(|(status, _)| *status == 404)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_rules_refuse_is_refused_alike_at_every_node() {
    let fleet = fleet().await;
    let [one, ..] = nodes(&fleet);
    let (ana, ben) = (Account::register(one.address(), "Ana").await, Account::register(one.address(), "Ben").await);
    let trip = ana.trip(one.address(), &[&ben]).await;
    let place = json!({"name": "Louvre", "position": {"lat": 48.86, "lon": 2.34}});
    ana.make(one.address(), &format!("/trips/{trip}/places"), &place).await;
    let pool = ana.make(one.address(), "/pools", &super::seats::pool()).await;
    let pool: Uuid = pool["id"].as_str().unwrap().parse().unwrap();
    // One seat is left.
    let cleo = Account::register(one.address(), "Cleo").await;
    cleo.make(one.address(), &format!("/pools/{pool}/commands"), &json!({"cmd": {"type": "request", "seats": 2}})).await;
    let nobody = Uuid::now_v7();
    let shares = json!([{"user": ana.id, "minor": 100}]);
    let expense = json!({"minor": 101, "currency": "EUR"});
    let refused = [
        ("trips", trip, json!({"type": "set_status", "status": "active"}), "forbidden"),
        ("trips", trip, json!({"type": "remove_member", "user": ana.id}), "forbidden"),
        ("trips", trip, json!({"type": "update_activity", "activity": nobody, "title": "Tram"}), "not_found"),
        ("trips", trip, json!({"type": "add_place", "name": "louvre", "position": place["position"]}), "already_exists"),
        ("trips", trip, json!({"type": "add_expense", "title": "Dinner", "payer": ana.id, "amount": expense, "shares": shares}), "invalid"),
        ("trips", trip, json!({"type": "send_message", "body": "x".repeat(4_001)}), "invalid"),
        ("pools", pool, json!({"type": "request", "seats": 2}), "seats_taken"),
        ("pools", pool, json!({"type": "cancel"}), "forbidden"),
        ("pools", pool, json!({"type": "accept", "claim": nobody}), "not_found"),
    ];
    let mut expected = Vec::new();
    for (index, server) in fleet.servers.iter().enumerate() {
        let mut client = ben.client(server, Codec::MessagePack).await;
        client.join(trip).await;
        client.join(pool).await;
        let before = (client.room(trip).seq(), client.room(pool).seq());
        let mut told = Vec::new();
        for (kind, room, cmd, code) in &refused {
            let mut frame = client.ask(*room, cmd.clone()).await.unwrap_err();
            frame.as_object_mut().unwrap().remove("n");
            let path = format!("/{kind}/{room}/commands");
            let (status, mut problem) = ben.call(server.address(), Method::POST, &path, Some(&json!({"cmd": cmd}))).await;
            problem.as_object_mut().unwrap().remove("request_id");
            assert_eq!((&frame["code"], &problem["code"], &problem["status"]), (&json!(code), &json!(code), &json!(status)));
            told.push((frame, problem));
        }
        if index == 0 {
            expected = told;
        } else {
            assert_eq!(told, expected, "node {index}, which is not the owner");
        }
        assert_eq!((client.room(trip).seq(), client.room(pool).seq()), before, "nothing happened");
    }
    assert_eq!((fleet.owner(trip).await, fleet.owner(pool).await), (Some(0), Some(0)));
}

/// The status of an upgrade, which is given up at once if it succeeds.
async fn handshake(server: &Server, account: &Account) -> u16 {
    let request = reqwest::Client::new().get(server.url("/api/v1/live"));
    let upgrade = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let request = upgrade.into_iter().fold(request, |request, (name, value)| request.header(name, value));
    request.bearer_auth(&account.token).send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_of_a_user_are_counted_over_all_nodes_that_are_alive() {
    let mut fleet = Fleet::start_with(&Plan::of(0), Wiring::Direct, &[("live.sockets_per_user_max", "4")]).await;
    let [one, two, three] = nodes(&fleet);
    let (ana, ben) = (Account::register(one.address(), "Ana").await, Account::register(one.address(), "Ben").await);
    let mut sockets = Vec::new();
    for server in [one, two, one, two] {
        sockets.push(ana.client(server, Codec::Json).await);
    }
    let becomes = async |server: &Server, wanted: u16| {
        eventually(&format!("an upgrade is answered {wanted}"), LIMIT, async || match handshake(server, &ana).await {
            status if status == wanted => Ok(()),
            status => Err(format!("it is answered {status}")),
        })
        .await;
    };
    becomes(three, 429).await;
    assert_eq!(handshake(three, &ben).await, 101);
    // One that is closed makes room everywhere.
    sockets.pop().unwrap().close().await;
    becomes(three, 101).await;
    sockets.push(ana.client(two, Codec::Json).await);
    becomes(three, 429).await;
    // Without Redis each node counts its own.
    fleet.redis.freeze().await;
    becomes(&fleet.servers[2], 101).await;
    fleet.redis.thaw().await;
    becomes(&fleet.servers[2], 429).await;
    // Those of a node that is dead do not count.
    fleet.servers[1].kill().await;
    becomes(&fleet.servers[2], 101).await;
}
