//! Bad requests about trips: each gets a typed problem that points at the mistake, and nothing changes.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Place, World, made};
use crate::harness::{TestDatabase, for_each_backend};
use crate::rest::client::send;

for_each_backend!(bad_bodies_point_at_the_mistake, bad_addresses_lead_nowhere, bad_heads_are_refused);

/// Where the body goes: the operation, below the trip's path.
const CREATE: (&str, &str) = ("POST", "new");
const UPDATE: (&str, &str) = ("PATCH", "");
const MEMBER: (&str, &str) = ("POST", "/members");
const ROLE: (&str, &str) = ("PATCH", "/members/{user}");
const ACTIVITY: (&str, &str) = ("POST", "/activities");
const CHANGE: (&str, &str) = ("PATCH", "/activities/{activity}");
const MOVE: (&str, &str) = ("POST", "/activities/{activity}/move");
const EXPENSE: (&str, &str) = ("POST", "/expenses");
const PLACE: (&str, &str) = ("POST", "/places");
const MESSAGE: (&str, &str) = ("POST", "/messages");
const EDIT: (&str, &str) = ("PATCH", "/messages/{message}");
const READ: (&str, &str) = ("PUT", "/read_marks");
const COMMAND: (&str, &str) = ("POST", "/commands");

/// Operation, body, code and pointer (`-`: none).
const BODIES: &[((&str, &str), &str, &str, &str)] = &[
    // Not JSON, or not an object.
    (ACTIVITY, "", "malformed", "-"),
    (ACTIVITY, "{", "malformed", "-"),
    (ACTIVITY, "{} {}", "malformed", "-"),
    (ACTIVITY, "{\"title\":\"x\",}", "malformed", "-"),
    (ACTIVITY, "{'title':'x'}", "malformed", "-"),
    (ACTIVITY, "{\"title\":NaN}", "malformed", "-"),
    (ACTIVITY, "{\"title\":\"\\ud800\"}", "malformed", "-"),
    (ACTIVITY, "\u{feff}{\"title\":\"x\"}", "malformed", "-"),
    (ACTIVITY, "[", "malformed", "-"),
    (ACTIVITY, "[]", "invalid", ""),
    (ACTIVITY, "[\"Tower\"]", "invalid", ""),
    (CREATE, "[\"Lisbon\"]", "invalid", ""),
    (UPDATE, "[\"Lisbon\"]", "invalid", ""),
    (COMMAND, "[{\"type\":\"leave\"}]", "invalid", ""),
    (ACTIVITY, "null", "invalid", ""),
    (ACTIVITY, "\"x\"", "invalid", ""),
    (ACTIVITY, "1", "invalid", ""),
    (ACTIVITY, "true", "invalid", ""),
    // Positional arrays inside.
    (UPDATE, "{\"budget\":[800,\"EUR\"]}", "invalid", "/budget"),
    (ACTIVITY, "{\"title\":\"x\",\"cost\":[800,\"EUR\"]}", "invalid", "/cost"),
    (ACTIVITY, "{\"title\":\"x\",\"start\":[\"2027-05-02T09:30\",\"Europe/Lisbon\"]}", "invalid", "/start"),
    (PLACE, "{\"name\":\"x\",\"position\":[38.7,-9.1]}", "invalid", "/position"),
    (MESSAGE, "{\"body\":\"x\",\"anchor\":[\"activity\"]}", "invalid", "/anchor"),
    (COMMAND, "{\"cmd\":[\"leave\"]}", "malformed", "/cmd"),
    (COMMAND, "{\"cmd\":{\"type\":\"add_place\",\"name\":\"x\",\"position\":[1,2]}}", "invalid", "/cmd/position"),
    // Fields that there are not, or that the address says.
    (CREATE, "{\"title\":\"x\",\"titel\":\"y\"}", "unknown_field", "/titel"),
    (CREATE, "{\"title\":\"x\",\"status\":\"active\"}", "unknown_field", "/status"),
    (CREATE, "{\"title\":\"x\",\"type\":\"create\"}", "unknown_field", "/type"),
    (CREATE, "{\"title\":\"x\",\"creator\":\"me\"}", "unknown_field", "/creator"),
    (UPDATE, "{\"type\":\"delete\"}", "unknown_field", "/type"),
    (UPDATE, "{\"budget\":{\"minor\":1,\"currncy\":\"EUR\"}}", "unknown_field", "/budget/currncy"),
    (MEMBER, "{\"user\":\"{newcomer}\",\"role\":\"viewer\",\"name\":\"x\"}", "unknown_field", "/name"),
    (ROLE, "{\"user\":\"{user}\",\"role\":\"viewer\"}", "unknown_field", "/user"),
    (CHANGE, "{\"activity\":\"{activity}\",\"title\":\"x\"}", "unknown_field", "/activity"),
    (CHANGE, "{\"day\":\"2027-05-02\"}", "unknown_field", "/day"),
    (CHANGE, "{\"created_by\":\"{user}\"}", "unknown_field", "/created_by"),
    (PLACE, "{\"name\":\"x\",\"position\":{\"lat\":1,\"lon\":2,\"alt\":3}}", "unknown_field", "/position/alt"),
    (MESSAGE, "{\"body\":\"x\",\"by\":\"{user}\"}", "unknown_field", "/by"),
    (MESSAGE, "{\"body\":\"x\",\"a/b~c\":1}", "unknown_field", "/a~1b~0c"),
    (COMMAND, "{\"cmd\":{\"type\":\"leave\"},\"seq\":1}", "unknown_field", "/seq"),
    (COMMAND, "{\"cmd\":{\"type\":\"leave\",\"by\":\"{user}\"}}", "unknown_field", "/cmd/by"),
    // Missing ones.
    (CREATE, "{}", "invalid", ""),
    (MEMBER, "{\"user\":\"{newcomer}\"}", "invalid", ""),
    (MEMBER, "{\"role\":\"viewer\"}", "invalid", ""),
    (MEMBER, "{\"user\":\"{newcomer}\",\"email\":\"x@example.org\",\"role\":\"viewer\"}", "invalid", ""),
    (COMMAND, "{}", "invalid", ""),
    (COMMAND, "{\"cmd\":{}}", "malformed", "/cmd/type"),
    (COMMAND, "{\"cmd\":{\"type\":\"fly\"}}", "unknown_command", "/cmd/type"),
    (COMMAND, "{\"cmd\":{\"type\":\"leave\"},\"n\":1}", "invalid", "/client"),
    (COMMAND, "{\"cmd\":{\"type\":\"leave\"},\"client\":\"{user}\"}", "invalid", "/n"),
    (COMMAND, "{\"cmd\":{\"type\":\"leave\"},\"client\":\"{user}\",\"n\":0}", "invalid", "/n"),
    (COMMAND, "{\"cmd\":{\"type\":\"leave\"},\"client\":\"x\",\"n\":1}", "invalid", "/client"),
    // Wrong types and values.
    (CREATE, "{\"title\":1}", "invalid", "/title"),
    (CREATE, "{\"title\":null}", "invalid", "/title"),
    (CREATE, "{\"title\":\"  \"}", "invalid", "/title"),
    (CREATE, "{\"title\":\"a\\nb\"}", "invalid", "/title"),
    (CREATE, "{\"title\":\"a\\u0000b\"}", "invalid", "/title"),
    (CREATE, "{\"title\":\"x\",\"start_date\":\"2027-02-30\"}", "invalid", "/start_date"),
    (CREATE, "{\"title\":\"x\",\"start_date\":\"2027-05-02\",\"end_date\":\"2027-05-01\"}", "invalid", "/end_date"),
    (CREATE, "{\"title\":\"x\",\"trip_type\":\"nap\"}", "invalid", "/trip_type"),
    (CREATE, "{\"title\":\"x\",\"budget\":{\"minor\":-1,\"currency\":\"EUR\"}}", "invalid", "/budget/minor"),
    (CREATE, "{\"title\":\"x\",\"budget\":{\"minor\":1.5,\"currency\":\"EUR\"}}", "invalid", "/budget/minor"),
    (CREATE, "{\"title\":\"x\",\"budget\":{\"minor\":1,\"currency\":\"euro\"}}", "invalid", "/budget/currency"),
    (CREATE, "{\"title\":\"x\",\"trip_data\":[]}", "invalid", "/trip_data"),
    (UPDATE, "{\"title\":null}", "invalid", "/title"),
    (UPDATE, "{\"status\":null}", "invalid", "/status"),
    (UPDATE, "{\"status\":\"gone\",\"title\":\"x\"}", "invalid", "/status"),
    (MEMBER, "{\"user\":7,\"role\":\"viewer\"}", "invalid", "/user"),
    (MEMBER, "{\"user\":\"{newcomer}\",\"role\":\"king\"}", "invalid", "/role"),
    (MEMBER, "{\"email\":\"nobody\",\"role\":\"viewer\"}", "invalid", "/email"),
    (MEMBER, "{\"username\":7,\"role\":\"viewer\"}", "invalid", "/username"),
    (ROLE, "{\"role\":null}", "invalid", "/role"),
    (ACTIVITY, "{\"title\":\"x\",\"id\":\"y\"}", "invalid", "/id"),
    (ACTIVITY, "{\"title\":\"x\",\"day\":\"2027-5-2\"}", "invalid", "/day"),
    (ACTIVITY, "{\"title\":\"x\",\"start\":{\"local\":\"2027-05-02T09:30\",\"tz\":\"Europe/Atlantis\"}}", "invalid", "/start/tz"),
    (EXPENSE, "{\"title\":\"x\"}", "invalid", ""),
    (EXPENSE, "{\"title\":\"x\",\"payer\":\"{user}\",\"amount\":{\"minor\":1,\"currency\":\"EUR\"},\"shares\":{}}", "invalid", "/shares"),
    (
        EXPENSE,
        "{\"title\":\"x\",\"payer\":\"{newcomer}\",\"amount\":{\"minor\":1,\"currency\":\"EUR\"},\"shares\":[{\"user\":\"{user}\",\"minor\":1}]}",
        "invalid",
        "/payer",
    ),
    (
        EXPENSE,
        "{\"title\":\"x\",\"payer\":\"{user}\",\"amount\":{\"minor\":1,\"currency\":\"EUR\"},\"shares\":[{\"user\":\"{user}\",\"minor\":2}]}",
        "invalid",
        "/shares",
    ),
    (
        EXPENSE,
        "{\"title\":\"x\",\"payer\":\"{user}\",\"amount\":{\"minor\":1,\"currency\":\"EUR\"},\"shares\":[{\"user\":\"{user}\",\"minor\":0.5}]}",
        "invalid",
        "/shares/0/minor",
    ),
    (ACTIVITY, "{\"title\":\"x\",\"place\":\"{activity}\"}", "not_found", "/place"),
    (ACTIVITY, "{\"title\":\"x\",\"assignees\":\"{user}\"}", "invalid", "/assignees"),
    (ACTIVITY, "{\"title\":\"x\",\"assignees\":[\"{user}\",3]}", "invalid", "/assignees/1"),
    (ACTIVITY, "{\"title\":\"x\",\"assignees\":[\"{newcomer}\"]}", "invalid", "/assignees"),
    (CHANGE, "{\"cost\":{\"minor\":-1,\"currency\":\"EUR\"}}", "invalid", "/cost/minor"),
    (CHANGE, "{\"end\":{\"local\":\"2027-05-02T09:30\",\"tz\":\"Europe/Lisbon\"}}", "invalid", "/end"),
    (MOVE, "{\"day\":7}", "invalid", "/day"),
    (MOVE, "{\"after\":\"{activity}\"}", "invalid", "/after"),
    (PLACE, "{\"name\":\"x\",\"position\":{\"lat\":91,\"lon\":0}}", "invalid", "/position"),
    (PLACE, "{\"name\":\"x\",\"position\":{\"lat\":0,\"lon\":-181}}", "invalid", "/position"),
    (PLACE, "{\"name\":\"x\",\"position\":{\"lat\":\"0\",\"lon\":0}}", "invalid", "/position/lat"),
    (MESSAGE, "{\"body\":\"\"}", "invalid", "/body"),
    (MESSAGE, "{\"body\":\"x\",\"mentions\":[\"{newcomer}\"]}", "invalid", "/mentions"),
    (EDIT, "{\"body\":null}", "invalid", "/body"),
    (READ, "{\"seq\":-1}", "invalid", "/seq"),
    (READ, "{\"seq\":1.5}", "invalid", "/seq"),
    (READ, "{\"seq\":\"1\"}", "invalid", "/seq"),
];

/// A trip with an activity, a message and a member; fills `{names}` in.
struct Target {
    trip: String,
    names: Vec<(&'static str, String)>,
}

impl Target {
    async fn of(world: &World) -> Self {
        let (ann, trip) = (&world.ann.api, world.trip(&[Place::Editor]).await);
        let activity = made(ann.post(&format!("{trip}/activities"), json!({"title": "Tower", "day": "2027-05-02"})).await);
        let message = made(ann.post(&format!("{trip}/messages"), json!({"body": "Hi"})).await);
        let names = vec![
            ("{activity}", activity),
            ("{message}", message),
            ("{user}", world.id(Place::Editor).to_owned()),
            ("{newcomer}", world.newcomer().id.clone()),
        ];
        Self { trip, names }
    }

    fn fill(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    fn path(&self, below: &str) -> String {
        if below == "new" { "/api/v1/trips".to_owned() } else { format!("{}{}", self.trip, self.fill(below)) }
    }
}

async fn bad_bodies_point_at_the_mistake(database: TestDatabase) {
    let world = World::on(&database).await;
    let target = Target::of(&world).await;
    let before = (world.state(&target.trip).await, world.ann.api.get("/api/v1/trips").await.ok(200));
    let long = |chars: usize| "é".repeat(chars);
    let deep = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    let made_up = [
        (CREATE, format!("{{\"title\":\"{}\"}}", long(201)), "invalid", "/title"),
        (CREATE, format!("{{\"title\":\"x\",\"trip_data\":{}}}", deep(9)), "invalid", "/trip_data"),
        (CREATE, format!("{{\"title\":\"x\",\"trip_data\":{{\"a\":\"{}\"}}}}", "x".repeat(8_192)), "invalid", "/trip_data"),
        (UPDATE, format!("{{\"trip_data\":{}}}", deep(5_000)), "malformed", "-"),
        (MESSAGE, format!("{{\"body\":\"{}\"}}", long(4_001)), "invalid", "/body"),
        (MESSAGE, format!("{{\"body\":\"{}\"}}", "x".repeat(1 << 20)), "too_large", "-"),
        (ACTIVITY, format!("{{\"title\":\"x\",\"notes\":\"{}\"}}", long(4_001)), "invalid", "/notes"),
        (MEMBER, format!("{{\"username\":\"{}\",\"role\":\"viewer\"}}", long(255)), "invalid", "/username"),
    ];
    let mut wrong = Vec::new();
    let table = BODIES.iter().map(|(place, body, code, pointer)| (*place, target.fill(body), *code, *pointer));
    for ((method, below), body, code, pointer) in table.chain(made_up) {
        let request = world.ann.api.request(method.parse().unwrap(), &target.path(below)).header("Content-Type", "application/json");
        let answer = send(request.body(body.clone())).await;
        let first = &answer.body["errors"][0];
        let pointed = first["pointer"].as_str().unwrap_or("-");
        if answer.body["code"] != code || pointed != pointer || (pointed != "-" && first["code"] != code) {
            let shown: String = body.chars().take(100).collect();
            wrong.push(format!("{method} {below} {shown}: wanted {code} at {pointer:?}, got {}", answer.body));
            continue;
        }
        answer.problem(code);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!((world.state(&target.trip).await, world.ann.api.get("/api/v1/trips").await.ok(200)), before, "something changed");
}

async fn bad_addresses_lead_nowhere(database: TestDatabase) {
    let world = World::on(&database).await;
    let target = Target::of(&world).await;
    let ann = &world.ann.api;
    let body = json!({"title": "x"});
    for id in ["nonsense", "0", "%00", "%FF", "..%2F..", &Uuid::now_v7().to_string(), &"1".repeat(2_000)] {
        for path in [format!("/api/v1/trips/{id}"), format!("{}/activities/{id}", target.trip)] {
            ann.get(&path).await.problem("not_found");
            ann.patch(&path, body.clone()).await.problem("not_found");
            ann.delete(&path).await.problem("not_found");
        }
        for below in ["members", "places", "messages"] {
            ann.get(&format!("{}/{below}/{id}", target.trip)).await.problem("not_found");
            ann.delete(&format!("{}/{below}/{id}", target.trip)).await.problem("not_found");
        }
        ann.put(&format!("{}/places/{id}/vote", target.trip), Value::Null).await.problem("not_found");
        ann.get(&format!("/api/v1/trips/{id}/log")).await.problem("not_found");
    }
    // What is one thing is not another.
    let message = target.fill("{message}");
    ann.get(&format!("{}/activities/{message}", target.trip)).await.problem("not_found");
    // Nor is it in another trip.
    let other = world.trip(&[]).await;
    for below in ["activities/{activity}", "messages/{message}", "members/{user}"] {
        ann.get(&format!("{other}/{}", target.fill(below))).await.problem("not_found");
        ann.delete(&format!("{other}/{}", target.fill(below))).await.problem("not_found");
    }
    for (emoji, code) in [("x".repeat(17), "invalid"), ("%20".to_owned(), "invalid"), ("a%00".to_owned(), "invalid")] {
        let problem = ann.put(&format!("{}/messages/{message}/reactions/{emoji}", target.trip), Value::Null).await.problem(code);
        assert_eq!(problem["errors"][0]["pointer"], "{emoji}");
    }
    for below in ["/nothing", "/activities/", "//activities"] {
        ann.get(&format!("{}{below}", target.trip)).await.problem("not_found");
    }
}

async fn bad_heads_are_refused(database: TestDatabase) {
    let world = World::on(&database).await;
    let target = Target::of(&world).await;
    let ann = &world.ann.api;
    let before = world.state(&target.trip).await;
    let body = r#"{"title":"Porto"}"#;
    let patch = |media: &str| ann.request(Method::PATCH, &target.trip).header("Content-Type", media).body(body);
    for media in ["text/plain", "application/x-www-form-urlencoded", "application/xml", "application/jsonx", "json", ""] {
        send(patch(media)).await.problem("unsupported_media_type");
    }
    send(ann.request(Method::PATCH, &target.trip).body(body)).await.problem("unsupported_media_type");
    for (query, code, pointer) in [
        ("base=x", "invalid", "?base"),
        ("base=-1", "invalid", "?base"),
        ("base=", "invalid", "?base"),
        ("bse=1", "unknown_field", "?bse"),
        ("base=1&base=2", "invalid", "?base"),
    ] {
        let request = ann.request(Method::PATCH, &format!("{}?{query}", target.trip)).header("Content-Type", "application/json");
        assert_eq!(send(request.body(body)).await.problem(code)["errors"][0]["pointer"], pointer, "{query}");
    }
    // Without a token nothing else is looked at.
    let nobody = world.anonymous.request(Method::PATCH, &target.trip).header("Content-Type", "text/plain");
    send(nobody.body("x".repeat(100))).await.problem("unauthorized");
    // A stranger learns of a mistake, not of the trip.
    for trip in [target.trip.clone(), format!("/api/v1/trips/{}", Uuid::now_v7())] {
        let stranger = world.of(Place::Stranger);
        stranger.patch(&trip, json!({"titel": "x"})).await.problem("unknown_field");
        stranger.patch(&trip, json!({"title": "x"})).await.problem("not_found");
        stranger.get(&format!("{trip}/log?limit=0")).await.problem("invalid");
    }
    assert_eq!(world.state(&target.trip).await, before, "something changed");

    for media in ["application/json; charset=utf-8", "APPLICATION/JSON", "application/merge-patch+json"] {
        send(patch(media)).await.ok(200);
    }
}
