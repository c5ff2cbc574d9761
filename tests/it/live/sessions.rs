//! What ends or changes somebody's place in a room, as the others and they themselves see it.

use reqwest::Method;
use serde_json::{Value, json};
use tripsync_domain::Role;
use tripsync_domain::protocol::Codec;
use uuid::Uuid;

use super::people::User;
use super::socket::Socket;
use crate::harness::{Backend, Client, Server, TestDatabase, for_each_backend};

for_each_backend!(who_is_removed_is_out_at_once, a_logout_closes_the_sockets_of_its_login);

async fn who_is_removed_is_out_at_once(database: TestDatabase) {
    let server = Server::on(&database).start().await;
    let (ana, ben) = (User::register(&server, "Ana").await, User::register(&server, "Ben").await);
    let trip = ana.trip(&server, &[(&ben, Role::Participant)]).await;
    let mut watching = ana.client(&server, Codec::Json).await;
    watching.join(trip).await;
    let mut inside = [ben.joined(&server, Codec::Json, trip).await, ben.joined(&server, Codec::MessagePack, trip).await];
    let mut elsewhere = ben.socket(&server, Codec::Json).await;

    let path = format!("/api/v1/trips/{trip}/members/{}", ben.id);
    let (status, receipt) = ana.call(&server, Method::DELETE, &path, None).await;
    assert_eq!(status, 200, "{receipt}");
    let after = watching.ask(trip, message("he is gone")).await.unwrap();
    assert_eq!(receipt["seq"], after - 1);

    for socket in &mut inside {
        // The event of the removal, and nothing after it: the message is stored by now, and who is in has it.
        let mut frames = Vec::new();
        while frames.last().is_none_or(|frame: &Value| frame["t"] != "left") {
            frames.push(socket.frame().await);
        }
        assert_eq!(frames.last().unwrap()["code"], "removed", "{frames:?}");
        frames.extend(socket.until_now().await);
        let seen: Vec<_> = frames.iter().filter_map(|frame| frame["events"].as_array()).flatten().collect();
        assert_eq!(seen.len(), 1, "{frames:?}");
        assert_eq!((&seen[0]["seq"], &seen[0]["ev"]["type"]), (&receipt["seq"], &json!("member_removed")));
        assert!(frames.iter().all(|frame| frame["t"] != "presence" || frame["gone"].is_null()), "{frames:?}");

        socket.send(&op(trip, 1, message("let me in"))).await;
        assert_eq!(socket.expect("rejected").await["code"], "not_joined");
        socket.send(&json!({"t": "join", "room": trip, "since": {"epoch": 1, "seq": 1}})).await;
        assert_eq!(socket.expect("error").await["code"], "not_found");
    }
    assert_eq!(elsewhere.expect("notice").await["notice"]["type"], "member_removed");
    assert_eq!(ben.call(&server, Method::GET, &format!("/api/v1/trips/{trip}"), None).await.0, 404);
    watching.until("he is not shown any more", |client| !client.room(trip).present().contains_key(&ben.id)).await;
}

async fn a_logout_closes_the_sockets_of_its_login(database: TestDatabase) {
    let server = Server::on(&database).start().await;
    let phone = User::register(&server, "Ana").await;
    let laptop = phone.login(&server).await;
    let trip = phone.trip(&server, &[]).await;
    let mut on_phone = phone.joined(&server, Codec::MessagePack, trip).await;
    let mut on_laptop = [laptop.joined(&server, Codec::Json, trip).await, laptop.socket(&server, Codec::MessagePack).await];

    assert_eq!(laptop.call(&server, Method::POST, "/api/v1/auth/logout", None).await.0, 204);
    for socket in &mut on_laptop {
        revoked(socket).await;
    }
    assert_eq!(Socket::open(&laptop.opening(&server, Codec::Json)).await.unwrap_err(), "401");
    on_phone.send(&op(trip, 1, message("still here"))).await;
    on_phone.expect("ack").await;

    let tablet = phone.login(&server).await;
    let mut on_tablet = tablet.joined(&server, Codec::Json, trip).await;
    let (status, ended) = tablet.call(&server, Method::POST, "/api/v1/auth/logout-all", None).await;
    assert_eq!((status, &ended["sessions_ended"]), (200, &json!(2)));
    revoked(&mut on_phone).await;
    revoked(&mut on_tablet).await;
    assert_eq!(Socket::open(&phone.opening(&server, Codec::Json)).await.unwrap_err(), "401");
}

/// Waits for the end of a socket whose login was ended.
pub(super) async fn revoked(socket: &mut Socket) {
    let (frames, close) = socket.closed().await;
    assert_eq!(close, Some(4503), "{frames:?}");
    let bye = frames.last().unwrap();
    assert_eq!((&bye["t"], &bye["code"]), (&json!("bye"), &json!("session_revoked")), "{frames:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_change_without_joining_again() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let server = Server::on(&database).start().await;
    let (ana, ben) = (User::register(&server, "Ana").await, User::register(&server, "Ben").await);
    let trip = ana.trip(&server, &[(&ben, Role::Viewer)]).await;
    let mut client = ben.client(&server, Codec::Json).await;
    client.join(trip).await;
    let edit = json!({"type": "add_activity", "title": "Tram 28"});
    let path = format!("/api/v1/trips/{trip}/members/{}", ben.id);
    for (role, may) in [("participant", true), ("viewer", false), ("organizer", true)] {
        let (status, body) = ana.call(&server, Method::PATCH, &path, Some(json!({"role": role}))).await;
        assert_eq!(status, 200, "{body}");
        match client.ask(trip, edit.clone()).await {
            Ok(_) => assert!(may, "a {role} may edit"),
            Err(frame) => assert!(!may && frame["code"] == "forbidden", "a {role}: {frame}"),
        }
    }
    assert_eq!(client.room(trip).joins(), 1);
    // As an organizer he may manage others, but not the creator.
    let refused = client.ask(trip, json!({"type": "remove_member", "user": ana.id})).await.unwrap_err();
    assert_eq!(refused["code"], "forbidden");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_rooms_on_one_socket_do_not_mix() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let server = Server::on(&database).start().await;
    let (ana, ben) = (User::register(&server, "Ana").await, User::register(&server, "Ben").await);
    let trips = [ana.trip(&server, &[(&ben, Role::Participant)]).await, ana.trip(&server, &[(&ben, Role::Participant)]).await];
    let (mut a, mut b) = (ana.client(&server, Codec::Json).await, ben.client(&server, Codec::MessagePack).await);
    for trip in trips {
        a.join(trip).await;
        b.join(trip).await;
    }
    // One client's numbers run over both rooms.
    for turn in 0..20 {
        a.op(trips[turn % 2], message(&format!("Ana {turn}"))).await;
        b.op(trips[(turn / 2) % 2], message(&format!("Ben {turn}"))).await;
    }
    a.settled().await;
    b.settled().await;
    for trip in trips {
        let last = a.room(trip).acks().into_values().chain(b.room(trip).acks().into_values()).max().unwrap();
        a.reached(trip, last).await;
        b.reached(trip, last).await;
        a.room(trip).agrees_with(b.room(trip));
        assert_eq!((a.room(trip).acks().len(), b.room(trip).acks().len()), (10, 10));
        let said: Vec<_> = a.room(trip).history().values().filter(|event| event["ev"]["type"] == "message_sent").collect();
        assert_eq!(said.len(), 20, "{said:?}");
    }
    // Leaving one of them leaves the other alone.
    a.until("he is shown in both", |client| trips.iter().all(|trip| !is_away(client, *trip, ben.id))).await;
    let left = b.room(trips[0]).seq();
    b.leave(trips[0]).await;
    a.until("he is gone from the one", |client| is_away(client, trips[0], ben.id)).await;
    a.ask(trips[0], message("only for me")).await.unwrap();
    let seq = a.ask(trips[1], message("for both")).await.unwrap();
    b.reached(trips[1], seq).await;
    assert_eq!(b.room(trips[0]).seq(), left);
    assert!(!is_away(&a, trips[1], ben.id));
}

fn is_away(client: &Client, trip: Uuid, user: Uuid) -> bool {
    !client.room(trip).present().contains_key(&user)
}

fn op(room: Uuid, n: u64, cmd: Value) -> Value {
    json!({"t": "op", "room": room, "n": n, "cmd": cmd})
}

fn message(body: &str) -> Value {
    json!({"type": "send_message", "body": body})
}
