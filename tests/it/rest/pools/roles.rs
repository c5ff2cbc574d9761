//! Who may do what: every operation and every command, by everybody.

use futures_util::{StreamExt as _, stream};
use reqwest::Method;
use serde_json::{Value, json};

use super::operations::{self, Call, Scene};
use super::{Place, World, etag};
use crate::harness::{TestDatabase, for_each_backend};
use crate::rest::client::{Answer, send, text};

for_each_backend!(everybody_may_what_the_table_says, a_room_of_another_kind_is_no_pool);

/// Calls under way at a time; less than one may have requests pending.
const AT_ONCE: usize = 4;

async fn everybody_may_what_the_table_says(database: TestDatabase) {
    let world = World::on(&database).await;
    let calls = operations::all();
    let cells = calls.iter().flat_map(|call| Place::ALL.map(|place| (call, place)));
    stream::iter(cells).for_each_concurrent(AT_ONCE, |(call, place)| cell(&world, call, place)).await;
}

async fn call(world: &World, asked: &Call, place: Place, scene: &Scene) -> Answer {
    let request = world.of(place).request(asked.operation.method.clone(), &scene.path(asked));
    let body = scene.body(asked);
    send(if body.is_null() { request } else { request.json(&body) }).await
}

/// One call by one person, in a pool of its own.
async fn cell(world: &World, asked: &Call, place: Place) {
    let Call { operation, right, .. } = asked;
    let (name, scene) = (format!("{} {} by {place:?}", operation.id(), asked.body), Scene::of(world, asked, place).await);
    let before = world.state(&scene.pool).await;
    let answer = call(world, asked, place, &scene).await;
    if let Some(code) = right.refusal(place) {
        assert_eq!(answer.body["code"], code, "{name}: {answer:?}");
        let problem = answer.problem(code);
        if place == Place::Outsider {
            let missing = call(world, asked, place, &scene.elsewhere()).await.problem("not_found");
            assert_eq!(without_id(problem), without_id(missing), "{name}: an outsider can tell whether the pool exists");
        }
        assert_eq!(world.state(&scene.pool).await, before, "{name}: refused, but something changed");
    } else {
        assert_eq!(answer.status, operation.success(), "{name}: {answer:?}");
        if asked.is_command() {
            let seq = answer.body["seq"].as_u64().unwrap();
            assert!(seq > before["seq"].as_u64().unwrap(), "{name}: {answer:?}");
            assert_eq!((etag(&answer), &answer.body["repeated"], &answer.body["conflicts"]), (seq, &json!(false), &json!([])), "{name}");
            assert_eq!(etag(&world.of(Place::Owner).get(&scene.pool).await), seq, "{name}");
        } else {
            assert_eq!(world.state(&scene.pool).await, before, "{name}: what is no command changed something");
        }
    }
    scene.end(world).await;
}

fn without_id(mut problem: Value) -> Value {
    problem.as_object_mut().unwrap().remove("request_id");
    problem
}

/// Trips and inboxes are not reached by the addresses of pools, nor pools by those of trips, though each is a room of the caller's.
async fn a_room_of_another_kind_is_no_pool(database: TestDatabase) {
    let world = World::on(&database).await;
    let owner = world.of(Place::Owner);
    let trip = text(&owner.post("/api/v1/trips", json!({"title": "Lisbon"})).await.ok(201)["id"]);
    let before = owner.get(&format!("/api/v1/trips/{trip}/state")).await.ok(200);
    for asked in operations::all().iter().filter(|asked| asked.is_in_a_pool()) {
        let scene = Scene::of(&world, asked, Place::Owner).await;
        call(&world, asked, Place::Owner, &scene.in_room(&trip)).await.problem("not_found");
        scene.end(&world).await;
    }
    assert_eq!(owner.get(&format!("/api/v1/trips/{trip}/state")).await.ok(200), before);
    let pool = world.pool(json!({})).await;
    let as_trip = pool.replace("pools", "trips");
    let before = world.state(&pool).await;
    for (method, below, body) in [
        (Method::GET, "", Value::Null),
        (Method::GET, "/state", Value::Null),
        (Method::GET, "/members", Value::Null),
        (Method::GET, "/messages", Value::Null),
        (Method::GET, "/log", Value::Null),
        (Method::POST, "/messages", json!({"body": "Hi"})),
        (Method::POST, "/commands", json!({"cmd": {"type": "send_message", "body": "Hi"}})),
    ] {
        let request = owner.request(method, &format!("{as_trip}{below}"));
        send(if body.is_null() { request } else { request.json(&body) }).await.problem("not_found");
    }
    assert_eq!(world.state(&pool).await, before);
}
