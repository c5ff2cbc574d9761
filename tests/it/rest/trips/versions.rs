//! `ETag`, `If-None-Match`, `If-Match`: a trip and everything in it have one version, the room's seq.

use futures_util::{StreamExt as _, stream};
use reqwest::Method;
use serde_json::{Value, json};

use super::operations::{self, Call, Scene};
use super::{Place, World, call, etag};
use crate::harness::{TestDatabase, for_each_backend};

for_each_backend!(what_is_known_is_not_sent_again, a_stale_write_changes_nothing, a_trip_has_one_version, a_repeat_is_never_stale);

/// Calls under way at a time.
const AT_ONCE: usize = 8;

/// Every call on a trip that reads (or writes).
fn calls(is_write: bool) -> Vec<Call> {
    operations::all().into_iter().filter(|asked| asked.is_in_a_trip() && asked.is_write() == is_write).collect()
}

async fn what_is_known_is_not_sent_again(database: TestDatabase) {
    let world = World::on(&database).await;
    for asked in &calls(false) {
        let scene = Scene::of(&world, asked, Place::Viewer).await;
        let path = scene.path(asked);
        let seq = world.seq(&scene.trip).await;
        let viewer = world.of(Place::Viewer);
        let ask = |tags: String| async move { call(viewer, &Method::GET, &path, &Value::Null, &[("If-None-Match", &tags)]).await };

        let known = [format!("\"{seq}\""), format!("W/\"{seq}\""), format!("\"1\", \"{seq}\""), "*".to_owned()];
        for tags in known {
            let answer = ask.clone()(tags).await;
            assert_eq!((answer.status.as_u16(), answer.length, etag(&answer)), (304, 0, seq), "{answer:?}");
        }
        for tags in [format!("\"{}\"", seq - 1), format!("\"{}\"", seq + 1), seq.to_string(), String::new(), "\"".to_owned()] {
            let answer = ask.clone()(tags).await;
            assert_eq!((answer.status.as_u16(), etag(&answer)), (200, seq), "{answer:?}");
        }
        // Who may not read learns nothing by a guess.
        for place in [Place::Stranger, Place::Anonymous] {
            let answer = call(world.of(place), &Method::GET, &scene.path(asked), &Value::Null, &[("If-None-Match", "*")]).await;
            answer.problem(asked.right.refusal(place).unwrap());
        }
        // Any change makes a new version of everything.
        world.ann.api.patch(&scene.trip, json!({"title": "Porto"})).await.ok(200);
        assert_eq!(etag(&ask(format!("\"{seq}\"")).await), seq + 1);
    }
}

async fn a_stale_write_changes_nothing(database: TestDatabase) {
    let world = World::on(&database).await;
    stream::iter(&calls(true)).for_each_concurrent(AT_ONCE, |asked| stale(&world, asked)).await;

    let body = json!({"title": "Never made"});
    let answer = call(&world.ann.api, &Method::POST, "/api/v1/trips", &body, &[("If-Match", "\"1\"")]).await;
    answer.problem("stale");
    assert!(world.ann.api.get("/api/v1/trips").await.ok(200)["items"].as_array().unwrap().iter().all(|trip| trip["title"] != "Never made"));
}

async fn stale(world: &World, asked: &Call) {
    let place = asked.by();
    let scene = Scene::of(world, asked, place).await;
    let (path, body) = (scene.path(asked), scene.body(asked));
    let before = world.state(&scene.trip).await;
    let seq = before["seq"].as_u64().unwrap();
    let ask = |place: Place, tag: String| {
        let (path, body) = (&path, &body);
        async move { call(world.of(place), &asked.operation.method, path, body, &[("If-Match", &tag)]).await }
    };
    let foreign = [format!("\"{}\"", seq - 1), format!("\"{}\"", seq + 1), format!("W/\"{seq}\""), seq.to_string(), "\"x\"".to_owned()];
    for tag in foreign {
        ask(place, tag).await.problem("stale");
    }
    assert_eq!(ask(place, format!("\"{seq}\", \"{seq}\"")).await.problem("invalid")["errors"][0]["pointer"], "If-Match");
    // A stranger is not told whether a guess was right.
    for tag in [format!("\"{seq}\""), "\"0\"".to_owned()] {
        ask(Place::Stranger, tag).await.problem("not_found");
    }
    assert_eq!(world.state(&scene.trip).await, before, "{}", asked.operation.id());

    let answer = ask(place, format!("\"{seq}\"")).await;
    assert_eq!(answer.status, asked.operation.success(), "{}: {answer:?}", asked.operation.id());
    assert!(etag(&answer) > seq);
}

async fn a_trip_has_one_version(database: TestDatabase) {
    let world = World::on(&database).await;
    let trip = world.trip(&[Place::Editor]).await;
    let (ann, bob) = (&world.ann.api, world.of(Place::Editor));
    // Read, change under the version that was read, ten times each, with the other always in between: nobody overwrites blindly.
    let mut lost = 0;
    for round in 0..10 {
        let seen = etag(&ann.get(&trip).await);
        let by_bob = call(bob, &Method::PATCH, &trip, &json!({"destination": format!("b{round}")}), &[("If-Match", "*")]).await;
        assert_eq!(etag(&by_bob), seen + 1);
        let body = json!({"destination": format!("a{round}")});
        call(ann, &Method::PATCH, &trip, &body, &[("If-Match", &format!("\"{seen}\""))]).await.problem("stale");
        lost += 1;
        let answer = call(ann, &Method::PATCH, &trip, &body, &[("If-Match", &format!("\"{}\"", seen + 1))]).await;
        assert_eq!((etag(&answer), answer.ok(200)["item"]["destination"].clone()), (seen + 2, body["destination"].clone()));
    }
    assert_eq!(lost, 10);
    // Of many with the same version, one wins.
    let seen = format!("\"{}\"", etag(&ann.get(&trip).await));
    let headers = [("If-Match", seen.as_str())];
    let bodies: Vec<_> = (0..8).map(|n| json!({"title": format!("t{n}")})).collect();
    let attempts = bodies.iter().map(|body| call(ann, &Method::PATCH, &trip, body, &headers));
    let answers = futures_util::future::join_all(attempts).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    answers.into_iter().filter(|answer| answer.status != 200).for_each(|answer| drop(answer.problem("stale")));
}

/// A numbered command that was applied is not refused because it changed the version itself.
async fn a_repeat_is_never_stale(database: TestDatabase) {
    let world = World::on(&database).await;
    let trip = world.trip(&[]).await;
    let seq = world.seq(&trip).await;
    let body = json!({"cmd": {"type": "send_message", "body": "Hi"}, "client": uuid::Uuid::now_v7(), "n": 1});
    for repeated in [false, true] {
        let path = format!("{trip}/commands");
        let answer = call(&world.ann.api, &Method::POST, &path, &body, &[("If-Match", &format!("\"{seq}\""))]).await.ok(200);
        assert_eq!((answer["seq"].as_u64(), &answer["repeated"]), (Some(seq + 1), &json!(repeated)));
    }
    assert_eq!(world.seq(&trip).await, seq + 1);
}
