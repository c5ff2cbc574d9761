//! The inbox: what concerns a user, delivered once, kept while away, read on all devices alike.

use reqwest::Method;
use serde_json::{Value, json};
use tripsync::clock::SystemClock;
use tripsync_actors::ports::Clock as _;
use tripsync_domain::protocol::Codec;
use tripsync_domain::{ErrorCode, Inbox, Role, RoomKind as _, Seq, UserId};
use uuid::Uuid;

use super::people::User;
use crate::harness::{Client, Inside, Server, TestDatabase, for_each_backend};

for_each_backend!(
    what_concerns_a_user_is_delivered_once_and_kept,
    those_who_go_the_same_way_are_told,
    who_offers_to_everybody_is_not_told_of_a_group
);

#[tokio::test]
async fn an_inbox_whose_maker_died_before_it_was_opened_is_opened() {
    let server = Inside::start(&[]).await;
    let ana = UserId(server.account("Ana").await.user);
    let (engine, room) = (&server.app.rooms.engine, Inbox::room_of(ana));
    engine.journal().create(room, Inbox::KIND, SystemClock.now()).await.unwrap();
    assert_eq!(engine.read(room, ana).await.unwrap_err().code, ErrorCode::NotFound);
    engine.room_for(room, ana).await.unwrap();
    assert_eq!(engine.read(room, ana).await.unwrap().seq, Seq(1));
    server.stop().await;
}

fn inbox_of(user: &User) -> Uuid {
    Inbox::room_of(UserId(user.id)).0
}

/// The items that a client knows of, oldest first: those of the state it began with, then those of the events.
fn items(client: &Client, inbox: Uuid) -> Vec<Value> {
    let room = client.room(inbox);
    let (seq, first) = room.state().map_or((0, Vec::new()), |(seq, state)| (*seq, state["items"].as_array().unwrap().clone()));
    let later = room.history().iter().filter(|(at, event)| **at > seq && event["ev"]["type"] == "delivered");
    first.into_iter().map(|item| item["item"].clone()).chain(later.map(|(_, event)| event["ev"]["item"].clone())).collect()
}

async fn what_concerns_a_user_is_delivered_once_and_kept(database: TestDatabase) {
    let mut server = Server::on(&database).start().await;
    let (ana, ben) = (User::register(&server, "Ana").await, User::register(&server, "Ben").await);
    let inbox = inbox_of(&ben);
    // It is there when it is asked for first, for nobody else.
    let mut phone = ben.client(&server, Codec::Json).await;
    phone.join(inbox).await;
    let mut stranger = ana.socket(&server, Codec::Json).await;
    stranger.send(&json!({"t": "join", "room": inbox})).await;
    assert_eq!(stranger.expect("error").await["code"], "not_found");

    let trip = ana.trip(&server, &[(&ben, Role::Participant)]).await;
    phone.until("the first item", |client| items(client, inbox).len() == 1).await;
    let item = &items(&phone, inbox)[0];
    assert_eq!((&item["type"], &item["room"], &item["by"]), (&json!("member_added"), &json!(trip), &json!(ana.id)));

    // The server dies right after each promise; each is kept, once, by whichever start comes after it.
    let mut trips = vec![trip];
    for _ in 0..5 {
        trips.push(ana.trip(&server, &[(&ben, Role::Viewer)]).await);
        server.kill().await;
        server.restart().await;
    }
    phone.until("all items", |client| items(client, inbox).len() >= trips.len()).await;
    // What had to be tried again may come after what was not.
    let sorted = |mut rooms: Vec<String>| {
        rooms.sort_unstable();
        rooms
    };
    let rooms = items(&phone, inbox).iter().map(|item| item["room"].as_str().unwrap().to_owned()).collect();
    assert_eq!(sorted(rooms), sorted(trips.iter().map(Uuid::to_string).collect()));

    // What is read is read on every device; what comes after is not.
    let seq = phone.room(inbox).seq();
    phone.ask(inbox, json!({"type": "mark_read", "up_to": seq})).await.unwrap();
    let another = ana.trip(&server, &[(&ben, Role::Viewer)]).await;
    phone.until("one more", |client| items(client, inbox).len() == trips.len() + 1).await;
    let mut laptop = ben.client(&server, Codec::MessagePack).await;
    laptop.join_from_zero(inbox).await;
    let mut tablet = ben.client(&server, Codec::Json).await;
    tablet.join(inbox).await;
    let (_, state) = tablet.room(inbox).state().unwrap();
    assert_eq!((&state["unread"], state["items"].as_array().unwrap().last().unwrap()["item"]["room"].clone()), (&json!(1), json!(another)));
    assert_eq!(items(&laptop, inbox).len(), items(&phone, inbox).len());
    let forged = phone.ask(inbox, json!({"type": "deliver", "id": Uuid::now_v7(), "item": {"type": "prize"}})).await.unwrap_err();
    assert_eq!(forged["code"], "forbidden");
}

async fn those_who_go_the_same_way_are_told(database: TestDatabase) {
    let server = Server::on(&database).start().await;
    let spot = |lat: f64| json!({"position": {"lat": lat, "lon": 179.99}});
    let ride = |from: f64, to: f64| json!({"type": "request_ride", "from": spot(from), "to": spot(to)});
    let mut people = Vec::new();
    for name in ["Ana", "Ben", "Cid"] {
        let user = User::register(&server, name).await;
        let mut client = user.client(&server, Codec::Json).await;
        client.join(inbox_of(&user)).await;
        people.push((user, client));
    }
    let [(ana, a), (ben, b), (cid, c)] = people.as_mut_slice() else { unreachable!() };
    // Cid starts too far away from both.
    c.ask(inbox_of(cid), ride(10.2, 11.0)).await.unwrap();
    a.ask(inbox_of(ana), ride(10.0, 11.0)).await.unwrap();
    b.ask(inbox_of(ben), ride(10.01, 11.01)).await.unwrap();
    for (client, user, other) in [(&mut *a, &*ana, &*ben), (&mut *b, &*ben, &*ana)] {
        client.until("a match", |client| !items(client, inbox_of(user)).is_empty()).await;
        let found = items(client, inbox_of(user));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((&found[0]["type"], &found[0]["match"]["user"]), (&json!("match"), &json!(other.id)), "{found:?}");
        let distance = found[0]["match"]["from_m"].as_f64().unwrap();
        assert!((1_000.0..1_300.0).contains(&distance), "{distance}");
    }
    // Another request of the same person matches anew, one that was taken back does not.
    let last = |client: &Client, inbox| items(client, inbox).last().cloned();
    b.ask(inbox_of(ben), ride(10.02, 11.0)).await.unwrap();
    a.until("a second match", |client| items(client, inbox_of(ana)).len() == 2).await;
    // Whose listing it was found by is told first: both are waited for.
    b.until("a second match", |client| items(client, inbox_of(ben)).len() == 2).await;
    let ride_of_ben = last(a, inbox_of(ana)).unwrap()["match"]["ride"].clone();
    b.ask(inbox_of(ben), json!({"type": "cancel_ride", "ride": ride_of_ben})).await.unwrap();
    a.ask(inbox_of(ana), ride(10.0, 11.0)).await.unwrap();
    // Cid comes near: both of what is left match, Ben's is gone.
    c.ask(inbox_of(cid), ride(10.01, 11.0)).await.unwrap();
    c.until("a match", |client| !items(client, inbox_of(cid)).is_empty()).await;
    assert_eq!(last(c, inbox_of(cid)).unwrap()["match"]["user"], json!(ana.id));
    assert_eq!(items(b, inbox_of(ben)).len(), 2, "nobody is told of what is gone");
}

/// A pool for everybody goes the way of a group's request: the group's member is told of the pool, its owner not of the member.
async fn who_offers_to_everybody_is_not_told_of_a_group(database: TestDatabase) {
    let server = Server::on(&database).start().await;
    let spot = |lat: f64| json!({"name": "Here", "position": {"lat": lat, "lon": 20.0}});
    let ride = json!({"type": "request_ride", "from": spot(10.0), "to": spot(11.0)});
    let (ana, dan, eve) =
        (User::register(&server, "Ana").await, User::register(&server, "Dan").await, User::register(&server, "Eve").await);
    let (status, body) = dan.call(&server, Method::PATCH, "/api/v1/me", Some(json!({"group": "TU Delft"}))).await;
    assert_eq!(status, 200, "{body}");
    let mut clients = Vec::new();
    for user in [&ana, &dan, &eve] {
        let mut client = user.client(&server, Codec::Json).await;
        client.join(inbox_of(user)).await;
        clients.push(client);
    }
    let [a, d, e] = clients.as_mut_slice() else { unreachable!() };
    d.ask(inbox_of(&dan), ride.clone()).await.unwrap();
    let leaves = SystemClock.now().plus(std::time::Duration::from_secs(1_800)).to_string();
    let departure = json!({"local": &leaves[..19], "tz": "UTC"});
    let pool = json!({"stops": [spot(10.0), spot(11.0)], "departure": departure, "seats": 2});
    let (status, body) = ana.call(&server, Method::POST, "/api/v1/pools", Some(pool)).await;
    assert_eq!(status, 201, "{body}");
    let of_match = |item: &Value| item["match"]["user"].clone();
    d.until("the pool", |client| !items(client, inbox_of(&dan)).is_empty()).await;
    assert_eq!(of_match(&items(d, inbox_of(&dan))[0]), json!(ana.id));
    // Dan is told after Ana would be; Eve, who is of no group, is somebody whom Ana is told of.
    e.ask(inbox_of(&eve), ride).await.unwrap();
    a.until("Eve", |client| !items(client, inbox_of(&ana)).is_empty()).await;
    assert_eq!(items(a, inbox_of(&ana)).iter().map(of_match).collect::<Vec<_>>(), [json!(eve.id)]);
    assert_eq!(items(d, inbox_of(&dan)).len(), 1, "and Dan of nobody outside of the group but the pool");
}
