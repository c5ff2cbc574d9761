//! REST and sockets write into one order: what a socket hears, what REST shows, and what the journal keeps are the same.

use reqwest::Method;
use serde_json::{Value, json};
use tripsync_domain::protocol::Codec;
use uuid::Uuid;

use super::{Place, World, call, etag};
use crate::harness::{Client, TestDatabase, for_each_backend};
use crate::live::replica::{Replica, difference};
use crate::rest::client::text;

for_each_backend!(writes_of_both_kinds_share_one_order, each_kind_sees_the_other_s_writes, a_command_counts_once_on_both);

fn room(trip: &str) -> Uuid {
    trip.rsplit('/').next().unwrap().parse().unwrap()
}

async fn socket(world: &World, token: &str, trip: &str, codec: Codec) -> Client {
    let mut client = Client::connect(&world.server.live_url(), token, codec).await;
    client.join_from_zero(room(trip)).await;
    client
}

/// Writes of each kind and writer.
const WRITES: usize = 40;

/// What the `n`th write of a writer is, as a request: method, path, body; the same as a command.
fn write(n: usize, who: &str) -> (Method, String, Value, Value) {
    match n % 4 {
        0 => {
            let body = json!({"name": format!("{who} {n}")});
            (Method::POST, "/places".to_owned(), body, json!({"type": "add_place"}))
        }
        1 => {
            let body = json!({"title": format!("{who} {n}"), "day": format!("2027-05-{:02}", 1 + n % 7), "after": null});
            (Method::POST, "/activities".to_owned(), body, json!({"type": "add_activity"}))
        }
        2 => (Method::POST, "/messages".to_owned(), json!({"body": format!("{who} {n}")}), json!({"type": "send_message"})),
        _ => (Method::PATCH, String::new(), json!({"title": format!("{who} {n}")}), json!({"type": "update_details"})),
    }
}

fn command(n: usize, who: &str) -> Value {
    let (_, _, body, mut command) = write(n, who);
    command.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    command
}

async fn writes_of_both_kinds_share_one_order(database: TestDatabase) {
    let mut world = World::on(&database).await;
    let trip = world.trip(&[Place::Organizer, Place::Editor]).await;
    let id = room(&trip);
    let mut text_client = socket(&world, &world.ann.access_token, &trip, Codec::Json).await;
    let mut binary_client = socket(&world, &world.others[1].access_token, &trip, Codec::MessagePack).await;

    let by_rest = async |place: Place| {
        let who = format!("{place:?}");
        for n in 0..WRITES {
            let (method, below, body, _) = write(n, &who);
            let answer = call(world.of(place), &method, &format!("{trip}{below}"), &body, &[]).await;
            assert!(answer.status.is_success(), "{answer:?}");
            // Whatever others did meanwhile: the answer is about this write or later.
            assert!(etag(&answer) >= answer.body["seq"].as_u64().unwrap());
        }
    };
    let by_socket = async |client: &mut Client, who: &str| {
        for n in 0..WRITES {
            client.op(id, command(n, who)).await;
            if n % 8 == 0 {
                client.settled().await;
            }
        }
        client.settled().await;
    };
    tokio::join!(
        by_rest(Place::Creator),
        by_rest(Place::Organizer),
        by_socket(&mut text_client, "text"),
        by_socket(&mut binary_client, "binary")
    );

    let seq = world.seq(&trip).await;
    assert_eq!(seq, (3 + 4 * WRITES) as u64, "every write is one event");
    for client in [&mut text_client, &mut binary_client] {
        client.reached(id, seq).await;
        assert_eq!(client.room(id).seq(), seq);
        assert_eq!(client.room(id).acked_count(), WRITES as u64);
    }
    text_client.room(id).agrees_with(binary_client.room(id));

    // The state that the events make is the one that REST shows, before and after a crash.
    let mut replica = Replica::default();
    replica.catch_up(text_client.room(id));
    for _ in 0..2 {
        let shown = world.state(&trip).await;
        assert_eq!((&shown["seq"], &shown["epoch"].is_u64()), (&json!(seq), &true));
        assert_eq!(difference("", &replica.view(), &shown["state"]), None);
        assert_eq!(log(&world, &trip).await, heard(&text_client, id));
        world.server.kill().await;
        world.server.restart().await;
    }
}

/// The whole log over REST, oldest first: seq, author and event.
async fn log(world: &World, trip: &str) -> Vec<(u64, String, Value)> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.ann.api.get(&format!("{trip}/log?limit=100{cursor}")).await.ok(200);
        for item in page["items"].as_array().unwrap() {
            all.push((item["seq"].as_u64().unwrap(), text(&item["by"]), item["event"].clone()));
        }
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    all.reverse();
    all
}

/// The same as a socket heard it.
fn heard(client: &Client, room: Uuid) -> Vec<(u64, String, Value)> {
    let history = client.room(room).history();
    history.iter().map(|(seq, record)| (*seq, text(&record["by"]), record["ev"].clone())).collect()
}

async fn each_kind_sees_the_other_s_writes(database: TestDatabase) {
    let world = World::on(&database).await;
    let trip = world.trip(&[Place::Editor]).await;
    let (id, bob) = (room(&trip), world.of(Place::Editor));
    let mut ann = socket(&world, &world.ann.access_token, &trip, Codec::Json).await;
    for round in 0..10 {
        // An acknowledged command is in the very next read, whoever reads.
        let title = format!("by socket {round}");
        let seq = ann.ask(id, json!({"type": "update_details", "title": title})).await.unwrap();
        let read = bob.get(&trip).await;
        assert_eq!((etag(&read), read.ok(200)["title"].clone()), (seq, json!(title)));

        // An answered request reaches the socket, with the same seq; under the version that the command made, and told of the command.
        let (overwritten, title) = (title, format!("by REST {round}"));
        let (path, tag) = (format!("{trip}?base={}", seq - 1), format!("\"{seq}\""));
        let written = call(bob, &Method::PATCH, &path, &json!({"title": title}), &[("If-Match", &tag)]).await;
        assert_eq!(etag(&written), seq + 1);
        assert_eq!(written.ok(200)["conflicts"][0]["theirs"], overwritten);
        ann.reached(id, seq + 1).await;
        assert_eq!(ann.room(id).history()[&(seq + 1)]["ev"]["changes"]["title"]["to"], title);
    }
    // A trip that is deleted over REST is gone for sockets.
    world.ann.api.delete(&trip).await.ok(200);
    ann.until("the room is gone", |client| client.has_other("left")).await;
    assert_eq!(ann.take_other().into_iter().find(|frame| frame["t"] == "left").unwrap()["code"], "room_deleted");
}

async fn a_command_counts_once_on_both(database: TestDatabase) {
    let world = World::on(&database).await;
    let trip = world.trip(&[]).await;
    let id = room(&trip);
    let mut ann = socket(&world, &world.ann.access_token, &trip, Codec::Json).await;
    let cmd = json!({"type": "send_message", "body": "Once"});
    let n = ann.op(id, cmd.clone()).await;
    ann.settled().await;
    let seq = ann.room(id).acked(n);
    let commands = format!("{trip}/commands");
    let repeat = json!({"cmd": cmd, "client": ann.id(), "n": n});
    let again = world.ann.api.post(&commands, repeat).await.ok(200);
    assert_eq!((&again["seq"], &again["repeated"]), (&json!(seq), &json!(true)));
    let other = json!({"cmd": {"type": "send_message", "body": "Twice"}, "client": ann.id(), "n": n});
    world.ann.api.post(&commands, other).await.problem("command_id_reused");
    assert_eq!(world.seq(&trip).await, seq);
    // The other way round: the socket's next number was used over REST.
    let next = json!({"cmd": {"type": "send_message", "body": "Over REST"}, "client": ann.id(), "n": n + 1});
    let written = world.ann.api.post(&commands, next).await.ok(200);
    assert_eq!((&written["seq"], &written["repeated"]), (&json!(seq + 1), &json!(false)));
    assert_eq!(ann.ask(id, json!({"type": "send_message", "body": "Over REST"})).await, Ok(seq + 1));
    assert_eq!(world.seq(&trip).await, seq + 1);
}
