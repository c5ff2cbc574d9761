//! Who may do what: every operation and every command, by everybody.

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::operations::{self, Call, Scene};
use super::{Place, World, call, etag};
use crate::harness::{TestDatabase, for_each_backend};
use crate::rest::client::Answer;

for_each_backend!(everybody_may_what_the_role_says, whoever_is_out_is_a_stranger);

/// Calls under way at a time.
const AT_ONCE: usize = 8;

async fn everybody_may_what_the_role_says(database: TestDatabase) {
    let world = World::on(&database).await;
    let calls = operations::all();
    let cells = calls.iter().flat_map(|call| Place::ALL.map(|place| (call, place)));
    stream::iter(cells).for_each_concurrent(AT_ONCE, |(call, place)| cell(&world, call, place)).await;
}

/// One call by one person, in a trip of its own.
async fn cell(world: &World, asked: &Call, place: Place) {
    let Call { operation, right, .. } = asked;
    let (name, scene) = (format!("{} by {place:?}", operation.id()), Scene::of(world, asked, place).await);
    let before = world.state(&scene.trip).await;
    let answer = call(world.of(place), &operation.method, &scene.path(asked), &scene.body(asked), &[]).await;
    if let Some(code) = right.refusal(place) {
        let problem = answer.problem(code);
        if code == "not_found" {
            let elsewhere = scene.elsewhere();
            let missing = call(world.of(place), &operation.method, &elsewhere.path(asked), &elsewhere.body(asked), &[]).await;
            let missing = missing.problem("not_found");
            assert_eq!(without_id(problem), without_id(missing), "{name}: a stranger can tell whether the trip exists");
        }
        assert_eq!(world.state(&scene.trip).await, before, "{name}: refused, but something changed");
        return;
    }
    assert_eq!(answer.status, operation.success(), "{name}: {answer:?}");
    if asked.is_in_a_trip() && asked.is_write() {
        check_write(world, &scene, &name, &before, &answer).await;
    } else {
        assert_eq!(world.state(&scene.trip).await, before, "{name}: a read changed something");
    }
}

async fn check_write(world: &World, scene: &Scene, name: &str, before: &Value, answer: &Answer) {
    let seq = answer.body["seq"].as_u64().unwrap();
    assert!(seq > before["seq"].as_u64().unwrap(), "{name}: {answer:?}");
    assert_eq!(etag(answer), seq, "{name}");
    assert_eq!(answer.body["repeated"], false, "{name}");
    assert_eq!(answer.body["conflicts"], json!([]), "{name}");
    let now = world.ann.api.get(&scene.trip).await;
    // Only a deleted trip is gone for its creator.
    if now.status == 404 {
        assert!(name.starts_with("trips.delete") || name.starts_with("trips.commands.send"), "{name}: the trip is gone");
    } else {
        assert_eq!(etag(&now), seq, "{name}");
    }
}

fn without_id(mut problem: Value) -> Value {
    problem.as_object_mut().unwrap().remove("request_id");
    problem
}

/// Removed, gone, and after the end of the trip: the same as if there had never been one.
async fn whoever_is_out_is_a_stranger(database: TestDatabase) {
    let world = World::on(&database).await;
    for asked in operations::all().iter().filter(|asked| asked.is_in_a_trip()) {
        let scene = Scene::of(&world, asked, Place::Editor).await;
        let (path, body) = (scene.path(asked), scene.body(asked));
        let (ann, bob) = (&world.ann.api, world.of(Place::Editor));
        if asked.body.is_null() {
            ann.delete(&format!("{}/members/{}", scene.trip, world.id(Place::Editor))).await.ok(200);
        } else {
            bob.post(&format!("{}/leave", scene.trip), Value::Null).await.ok(200);
        }
        call(bob, &asked.operation.method, &path, &body, &[]).await.problem("not_found");
        ann.delete(&scene.trip).await.ok(200);
        for api in [ann, bob, world.of(Place::Stranger)] {
            call(api, &asked.operation.method, &path, &body, &[]).await.problem("not_found");
        }
    }
}
