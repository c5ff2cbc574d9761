//! `Idempotency-Key` on every POST about trips: whatever happens to the answer, the deed is done once.

use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use sqlx::Connection as _;
use uuid::Uuid;

use super::operations::{self, Call, Scene};
use super::{Place, World, call};
use crate::harness::{TestDatabase, for_each_backend};
use crate::rest::client::Answer;

for_each_backend!(
    the_first_answer_is_given_again,
    at_once_it_is_done_once,
    a_forgotten_answer_does_not_bring_the_deed_again,
    a_refusal_is_an_answer
);

/// A POST with a key, by somebody who may.
struct Keyed {
    asked: Call,
    place: Place,
    scene: Scene,
    path: String,
    body: Value,
    key: String,
}

impl Keyed {
    /// One for every POST; of the commands, those that are no POSTs of their own.
    async fn all(world: &World) -> Vec<Self> {
        let mut all = Vec::new();
        let posts: Vec<_> = operations::all().into_iter().filter(|asked| asked.operation.method == "POST").collect();
        let is_sent = |asked: &Call| asked.operation.id() == "trips.commands.send";
        let own: Vec<_> = posts.iter().filter(|asked| !is_sent(asked)).map(|asked| asked.command.clone()).collect();
        for asked in posts.into_iter().filter(|asked| !is_sent(asked) || !own.contains(&asked.command)) {
            let place = asked.by();
            let scene = Scene::of(world, &asked, place).await;
            let (path, body) = (scene.path(&asked), scene.body(&asked));
            all.push(Self { asked, place, scene, path, body, key: Uuid::now_v7().to_string() });
        }
        assert!(all.len() > 20);
        all
    }

    fn name(&self) -> String {
        format!("{} {}", self.asked.operation.id(), self.body)
    }

    async fn send(&self, world: &World) -> Answer {
        self.send_other(world, &self.path, &self.body).await
    }

    async fn send_other(&self, world: &World, path: &str, body: &Value) -> Answer {
        call(world.of(self.place), &self.asked.operation.method, path, body, &[("Idempotency-Key", &self.key)]).await
    }

    /// How far the world has come: the trip's newest event and the creator's trips.
    async fn effects(&self, world: &World) -> (Option<Value>, usize) {
        let log = world.ann.api.get(&format!("{}/log?limit=1", self.scene.trip)).await;
        let trips = world.ann.api.get("/api/v1/trips?limit=100").await.ok(200);
        ((log.status == 200).then(|| log.body["items"].clone()), trips["items"].as_array().unwrap().len())
    }
}

/// What a replay has in common with the first answer.
#[derive(Debug, PartialEq)]
struct Essence(u16, HeaderMap, Value);

fn essence(answer: Answer) -> Essence {
    let mut headers = answer.headers;
    // Each request has its own id and time.
    for own in ["x-request-id", "date", "idempotency-replayed"] {
        headers.remove(own);
    }
    Essence(answer.status.as_u16(), headers, answer.body)
}

async fn the_first_answer_is_given_again(database: TestDatabase) {
    let mut world = World::on(&database).await;
    let all = Keyed::all(&world).await;
    let mut first_answers = Vec::new();
    for keyed in &all {
        let name = keyed.name();
        let first = keyed.send(&world).await;
        assert_eq!(
            (first.status.as_u16(), first.header("idempotency-replayed")),
            (keyed.asked.operation.success(), None),
            "{name}: {first:?}"
        );
        let first = essence(first);
        let effects = keyed.effects(&world).await;
        let again = keyed.send(&world).await;
        assert_eq!(again.header("idempotency-replayed"), Some("true"), "{name}");
        assert_eq!(essence(again), first, "{name}");
        // Another request under the key, be it a good one or not.
        let mut other = keyed.body.clone();
        other["more"] = json!(1);
        keyed.send_other(&world, &keyed.path, &other).await.problem("idempotency_key_reused");
        keyed.send_other(&world, &format!("{}?base=1", keyed.path), &keyed.body).await.problem("idempotency_key_reused");
        assert_eq!(keyed.effects(&world).await, effects, "{name}");
        first_answers.push(first);
    }
    let before: Vec<_> = futures_util::future::join_all(all.iter().map(|keyed| keyed.effects(&world))).await;
    world.server.kill().await;
    world.server.restart().await;
    for ((keyed, first), before) in all.iter().zip(first_answers).zip(before) {
        let again = keyed.send(&world).await;
        assert_eq!(again.header("idempotency-replayed"), Some("true"), "{}", keyed.name());
        assert_eq!(essence(again), first, "{}", keyed.name());
        assert_eq!(keyed.effects(&world).await, before, "{}", keyed.name());
    }
}

async fn at_once_it_is_done_once(database: TestDatabase) {
    let world = World::on(&database).await;
    for keyed in &Keyed::all(&world).await {
        let name = keyed.name();
        let answers = futures_util::future::join_all((0..5).map(|_| keyed.send(&world))).await;
        let effects = keyed.effects(&world).await;
        let mut done = Vec::new();
        for answer in answers {
            if answer.status.is_success() {
                done.push(answer);
            } else {
                answer.problem("idempotency_key_in_use");
            }
        }
        let firsts = done.iter().filter(|answer| answer.header("idempotency-replayed").is_none()).count();
        assert_eq!(firsts, 1, "{name}");
        let mut done: Vec<_> = done.into_iter().map(essence).collect();
        done.push(essence(keyed.send(&world).await));
        assert!(done.windows(2).all(|two| two[0] == two[1]), "{name}: {done:?}");
        // The newest event is the one of the answer: nothing came after it.
        if keyed.asked.is_in_a_trip()
            && let Some(newest) = &effects.0
        {
            assert_eq!(newest[0]["seq"], done[0].2["seq"], "{name}");
        }
        assert_eq!(keyed.effects(&world).await, effects, "{name}");
    }
}

/// The answer is kept for a day, the identity of the command for ever: here the answers are lost, and the server dies.
async fn a_forgotten_answer_does_not_bring_the_deed_again(database: TestDatabase) {
    let mut world = World::on(&database).await;
    let all = Keyed::all(&world).await;
    let mut first_answers = Vec::new();
    for keyed in &all {
        let first = keyed.send(&world).await;
        first_answers.push((first.ok(keyed.asked.operation.success()), keyed.effects(&world).await));
    }
    let trips = world.ann.api.get("/api/v1/trips?limit=100").await.ok(200)["items"].as_array().unwrap().len();
    world.server.kill().await;
    forget_answers(&database).await;
    world.server.restart().await;
    for (keyed, (first, (newest, _))) in all.iter().zip(first_answers) {
        let name = keyed.name();
        let again = keyed.send(&world).await;
        assert_eq!(again.header("idempotency-replayed"), None, "{name}");
        let again = again.ok(keyed.asked.operation.success());
        assert_eq!((&again["id"], &again["seq"]), (&first["id"], &first["seq"]), "{name}");
        assert_eq!(again["repeated"], true, "{name}: {again}");
        assert_eq!(keyed.effects(&world).await, (newest, trips), "{name}");
    }
    forget_answers(&database).await;
    for keyed in all.iter().filter(|keyed| keyed.body["title"].is_string()) {
        let mut other = keyed.body.clone();
        other["title"] = json!("Another");
        keyed.send_other(&world, &keyed.path, &other).await.problem("command_id_reused");
    }
}

async fn forget_answers(database: &TestDatabase) {
    let forget = "DELETE FROM idempotency";
    let gone = if database.url().starts_with("sqlite") {
        let mut connection = sqlx::SqliteConnection::connect(database.url()).await.unwrap();
        sqlx::query(forget).execute(&mut connection).await.unwrap().rows_affected()
    } else {
        let mut connection = sqlx::PgConnection::connect(database.url()).await.unwrap();
        sqlx::query(forget).execute(&mut connection).await.unwrap().rows_affected()
    };
    assert!(gone > 5);
}

async fn a_refusal_is_an_answer(database: TestDatabase) {
    let world = World::on(&database).await;
    let trip = world.trip(&[Place::Viewer]).await;
    let places = format!("{trip}/places");
    let viewer = world.of(Place::Viewer);
    let send = |key: &'static str, body: Value| {
        let path = places.clone();
        async move { call(viewer, &reqwest::Method::POST, &path, &body, &[("Idempotency-Key", key)]).await }
    };
    let body = json!({"name": "Louvre"});
    let refused = essence(send("k1", body.clone()).await);
    assert_eq!(refused.2["code"], "forbidden");
    let member = format!("{trip}/members/{}", world.id(Place::Viewer));
    world.ann.api.patch(&member, json!({"role": "participant"})).await.ok(200);
    assert_eq!(essence(send("k1", body.clone()).await), refused, "judged once");
    send("k2", body.clone()).await.ok(201);
    send("k3", body.clone()).await.problem("already_exists");
    send("k4", json!({"nmae": "Louvre"})).await.problem("unknown_field");
    // The same key for another trip, or under another condition, is another request.
    let path = format!("{trip}/places");
    for tag in ["\"1\"", "*"] {
        let headers = [("Idempotency-Key", "k2"), ("If-Match", tag)];
        call(viewer, &reqwest::Method::POST, &path, &body, &headers).await.problem("idempotency_key_reused");
    }
    let other = world.trip(&[]).await;
    let answer = call(viewer, &reqwest::Method::POST, &format!("{other}/places"), &body, &[("Idempotency-Key", "k2")]).await;
    answer.problem("idempotency_key_reused");
}
