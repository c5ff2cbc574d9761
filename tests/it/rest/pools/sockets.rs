//! The same secrets on sockets: in the state, the events from the first on, presence, the own inbox; and in the server's log, with
//! everything logged that can be.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tripsync_domain::protocol::Codec;
use tripsync_domain::{Inbox, UserId};
use uuid::Uuid;

use super::privacy::{Secret, full_pool};
use super::{Place, World, etag};
use crate::harness::{Client, Server, TestDatabase, for_each_backend};
use crate::rest::client::text;

for_each_backend!(nor_do_sockets_show_more, what_is_told_to_all_does_not_say_who);

fn room(pool: &str) -> Uuid {
    pool.rsplit('/').next().unwrap().parse().unwrap()
}

async fn socket(world: &World, place: Place, codec: Codec) -> Client {
    Client::connect(&world.server.live_url(), &world.account(place).access_token, codec).await
}

/// All that a user's sockets are told of a room: who comes anew and who comes back with the first seq.
async fn told(world: &World, place: Place, room: Uuid, codec: Codec) -> String {
    let mut anew = socket(world, place, codec).await;
    anew.join(room).await;
    let mut back = socket(world, place, codec).await;
    back.join_from_zero(room).await;
    back.reached(room, anew.room(room).seq()).await;
    let mut told = String::new();
    for heard in [anew.room(room), back.room(room)] {
        write!(told, "{:?} {:?} {:?}", heard.state(), heard.history(), heard.present()).unwrap();
    }
    told
}

async fn nor_do_sockets_show_more(database: TestDatabase) {
    let world = World::with(Server::on(&database).set("log.filter", "trace")).await;
    let pool = full_pool(&world).await;
    let mut wrong = Vec::new();
    for (index, viewer) in Place::ALL.into_iter().filter(|place| *place != Place::Anonymous && *place != Place::Held).enumerate() {
        let codec = if index.is_multiple_of(2) { Codec::Json } else { Codec::MessagePack };
        if viewer.sees() {
            let told = told(&world, viewer, room(&pool), codec).await;
            for secret in Secret::all() {
                let (shown, may) = (told.contains(&secret.text(&world)), secret.is_seen_by(viewer));
                if shown != may {
                    wrong.push(format!("{viewer:?}: {secret:?} shown {shown}, though it may be {may}"));
                }
            }
        } else {
            let mut outside = socket(&world, viewer, codec).await;
            outside.send(&json!({"t": "join", "room": room(&pool)})).await;
            outside.until("refused", |client| client.other().iter().any(|frame| frame["code"] == "not_found")).await;
        }
        // What is kept for them for ever.
        world.of(viewer).get("/api/v1/me/inbox").await.ok(200);
        let inbox = Inbox::room_of(UserId(world.account(viewer).id.parse().unwrap())).0;
        let mut kept = told(&world, viewer, inbox, codec).await;
        for list in ["/api/v1/me/inbox", "/api/v1/me/inbox/items?limit=100"] {
            kept += &world.of(viewer).get(list).await.ok(200).to_string();
        }
        for secret in Secret::all().into_iter().filter(|secret| kept.contains(&secret.text(&world))) {
            let may = match secret {
                Secret::Part(of) => viewer == Place::Owner || viewer == of,
                Secret::Reason => viewer == Place::Rejected,
                Secret::Email(_) | Secret::Phone(_) | Secret::Pickup(_) | Secret::Message(_) | Secret::OldTalk | Secret::NewTalk => false,
            };
            if !may {
                wrong.push(format!("{viewer:?}'s inbox has {secret:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let log = world.server.log();
    assert!(log.contains("TRACE"), "the log has everything");
    for secret in Secret::all().into_iter().filter(|secret| secret.is_contact()) {
        let text = secret.text(&world);
        let line = log.lines().find(|line| line.contains(&text));
        assert_eq!(line, None, "{secret:?} is in the server's log");
    }
}

async fn what_is_told_to_all_does_not_say_who(database: TestDatabase) {
    let world = World::on(&database).await;
    let pool = world.pool(json!({"booking": "instant"})).await;
    let mut watching = socket(&world, Place::Stranger, Codec::Json).await;
    watching.join(room(&pool)).await;
    let mut riding = socket(&world, Place::Rider, Codec::Json).await;
    riding.join(room(&pool)).await;
    let claim = Uuid::now_v7();
    for command in
        [json!({"type": "hold", "id": claim}), json!({"type": "accept", "claim": claim}), json!({"type": "withdraw", "claim": claim})]
    {
        riding.ask(room(&pool), command).await.unwrap();
    }
    let last = etag(&world.of(Place::Owner).get(&pool).await);
    watching.reached(room(&pool), last).await;
    let heard = watching.room(room(&pool)).history();
    let changes: Vec<&Value> = heard.values().filter(|event| event["ev"]["type"] == "seats_changed").collect();
    assert_eq!(changes.len(), 2, "{heard:?}");
    for secret in [world.account(Place::Rider).id.clone(), text(&json!(claim))] {
        assert!(!json!(heard).to_string().contains(&secret), "{secret} in {heard:?}");
    }
    assert!(
        changes.iter().all(|event| event["by"] == json!(Uuid::nil()) && event["client"].is_null() && event["n"].is_null()),
        "{changes:?}"
    );
}
