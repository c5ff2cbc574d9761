//! What the operations do: things are made, found where `Location` says, changed, listed and removed.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Place, World, call, etag, made};
use crate::harness::{TestDatabase, for_each_backend};
use crate::rest::Api;
use crate::rest::client::{Answer, text};

for_each_backend!(
    a_trip_lives,
    members_come_and_go,
    activities_are_kept_in_order,
    places_are_kept,
    places_near_a_point_are_found,
    expenses_are_kept,
    messages_are_kept,
    the_log_tells_everything,
    overwriting_unseen_values_is_told
);

/// What was made, read again from where the answer says that it is.
async fn located(api: &Api, answer: Answer) -> Value {
    let location = answer.header("location").unwrap().to_owned();
    let tag = etag(&answer);
    let body = answer.ok(201);
    assert!(location.ends_with(&format!("/{}", text(&body["id"]))), "{location} {body}");
    let found = api.get(&location).await;
    assert_eq!(etag(&found), tag, "one's own write is read");
    let found = found.ok(200);
    assert_eq!(found, body["item"]);
    found
}

/// The values of a field over the items of a list.
fn column(list: &Value, field: &str) -> Vec<String> {
    list["items"].as_array().unwrap().iter().map(|item| text(&item[field])).collect()
}

async fn a_trip_lives(database: TestDatabase) {
    let world = World::on(&database).await;
    let ann = &world.ann.api;
    let whole = json!({
        "title": "  Lisbon in May ", "description": "Tiles,\ntrams", "destination": "Lisbon", "start_date": "2027-05-02", "end_date": "2027-05-06",
        "trip_type": "city", "budget": {"minor": 120_000, "currency": "EUR"}, "privacy": "unlisted", "trip_data": {"pets": [1, {"a": null}]}
    });
    let trip = located(ann, ann.post("/api/v1/trips", whole.clone()).await).await;
    for (field, value) in whole.as_object().unwrap() {
        let expected = if field == "title" { json!("Lisbon in May") } else { value.clone() };
        assert_eq!(trip[field], expected, "{field}");
    }
    assert_eq!((&trip["creator"], &trip["role"], &trip["status"]), (&json!(world.ann.id), &json!("organizer"), &json!("planning")));
    assert_eq!((&trip["members"], &trip["activities"], &trip["places"], &trip["seq"]), (&json!(1), &json!(0), &json!(0), &json!(1)));
    let path = format!("/api/v1/trips/{}", text(&trip["id"]));

    // Absent stays, null empties.
    let changed = ann.patch(&path, json!({"title": "Porto", "budget": null, "trip_data": null})).await.ok(200);
    let mut expected = trip.clone();
    (expected["title"], expected["budget"], expected["trip_data"], expected["seq"]) = (json!("Porto"), Value::Null, Value::Null, json!(2));
    assert_eq!(changed["item"], expected);
    assert_eq!(ann.get(&path).await.ok(200), expected);
    let nothing = ann.patch(&path, json!({})).await.ok(200);
    assert_eq!(nothing["item"]["title"], "Porto");

    // The status goes its ways only, alone or with other fields: then all or nothing.
    ann.patch(&path, json!({"status": "completed"})).await.problem("conflict");
    ann.patch(&path, json!({"status": "completed", "title": "Never"})).await.problem("conflict");
    let active = ann.patch(&path, json!({"status": "active", "title": "Braga"})).await.ok(200);
    assert_eq!((&active["item"]["status"], &active["item"]["title"]), (&json!("active"), &json!("Braga")));

    let other = made(ann.post("/api/v1/trips", json!({"title": "Faro"})).await);
    let list = ann.get("/api/v1/trips").await.ok(200);
    assert_eq!(column(&list, "title"), ["Faro", "Braga"], "newest first");
    assert_eq!(column(&ann.get("/api/v1/trips?status=active").await.ok(200), "title"), ["Braga"]);
    assert_eq!(list["items"][1]["seq"], active["seq"]);
    assert_eq!(world.of(Place::Stranger).get("/api/v1/trips").await.ok(200)["items"], json!([]));

    let state = world.state(&path).await;
    assert_eq!((&state["seq"], &state["state"]["details"]["title"]), (&active["seq"], &json!("Braga")));

    let deleted = ann.delete(&path).await.ok(200);
    assert!(deleted["seq"].as_u64() > active["seq"].as_u64());
    for gone in [ann.get(&path).await, ann.delete(&path).await, ann.patch(&path, json!({"title": "x"})).await] {
        gone.problem("not_found");
    }
    assert_eq!(column(&ann.get("/api/v1/trips").await.ok(200), "id"), [other]);
}

async fn members_come_and_go(database: TestDatabase) {
    let world = World::on(&database).await;
    let (ann, guest, newcomer) = (&world.ann.api, world.guest(), world.newcomer());
    let trip = world.trip(&[]).await;
    let members = format!("{trip}/members");
    ann.post(&members, json!({"user": guest.id, "role": "participant"})).await.ok(201);
    let found = located(ann, ann.post(&members, json!({"email": newcomer.email.to_uppercase(), "role": "viewer"})).await).await;
    assert_eq!((&found["user"], &found["role"], &found["name"]), (&json!(newcomer.id), &json!("viewer"), &json!("gina")));
    assert_eq!(column(&ann.get(&members).await.ok(200), "user"), [&world.ann.id, &guest.id, &newcomer.id].map(String::clone));

    let problem = ann.post(&members, json!({"user": guest.id, "role": "viewer"})).await.problem("already_exists");
    assert_eq!(problem["errors"][0]["pointer"], "/user");
    for (way, value) in
        [("user", Uuid::now_v7().to_string()), ("username", "nobody".to_owned()), ("email", "nobody@example.org".to_owned())]
    {
        let problem = ann.post(&members, json!({way: value, "role": "viewer"})).await.problem("not_found");
        assert_eq!(problem["errors"][0]["pointer"], format!("/{way}"));
    }
    // Who may not add people cannot find out who has an account.
    guest.api.post(&members, json!({"email": "nobody@example.org", "role": "viewer"})).await.problem("forbidden");
    guest.api.post(&members, json!({"email": newcomer.email, "role": "viewer"})).await.problem("forbidden");

    let of_guest = format!("{members}/{}", guest.id);
    let joined_at = ann.get(&of_guest).await.ok(200)["joined_at"].clone();
    let promoted = ann.patch(&of_guest, json!({"role": "organizer"})).await.ok(200);
    assert_eq!((&promoted["item"]["role"], &promoted["item"]["joined_at"]), (&json!("organizer"), &joined_at));
    assert_eq!(guest.api.get(&trip).await.ok(200)["role"], "organizer");
    // The creator is out of reach, also for organizers.
    let creator = format!("{members}/{}", world.ann.id);
    guest.api.patch(&creator, json!({"role": "viewer"})).await.problem("forbidden");
    guest.api.delete(&creator).await.problem("forbidden");
    ann.post(&format!("{trip}/leave"), Value::Null).await.problem("forbidden");

    // Who goes takes assignments and votes along.
    let activity = made(ann.post(&format!("{trip}/activities"), json!({"title": "Tower", "assignees": [guest.id]})).await);
    let place = made(ann.post(&format!("{trip}/places"), json!({"name": "Louvre"})).await);
    guest.api.put(&format!("{trip}/places/{place}/vote"), Value::Null).await.ok(200);
    guest.api.post(&format!("{trip}/leave"), Value::Null).await.ok(200);
    guest.api.get(&trip).await.problem("not_found");
    assert_eq!(ann.get(&format!("{trip}/activities/{activity}")).await.ok(200)["assignees"], json!([]));
    assert_eq!(ann.get(&format!("{trip}/places/{place}")).await.ok(200)["votes"], json!([]));
    ann.get(&of_guest).await.problem("not_found");
    ann.patch(&of_guest, json!({"role": "viewer"})).await.problem("not_found");
    ann.delete(&of_guest).await.problem("not_found");

    ann.delete(&format!("{members}/{}", newcomer.id)).await.ok(200);
    assert_eq!(column(&ann.get(&members).await.ok(200), "user"), std::slice::from_ref(&world.ann.id));
    // And may come back.
    ann.post(&members, json!({"user": guest.id, "role": "viewer"})).await.ok(201);
    assert_eq!(guest.api.get(&trip).await.ok(200)["role"], "viewer");
}

async fn activities_are_kept_in_order(database: TestDatabase) {
    let world = World::on(&database).await;
    let ann = &world.ann.api;
    let trip = world.trip(&[]).await;
    let list = format!("{trip}/activities");
    let place = made(ann.post(&format!("{trip}/places"), json!({"name": "Belém"})).await);
    let id = Uuid::now_v7();
    let whole = json!({
        "id": id, "title": "Tower", "kind": "sightseeing", "status": "booked", "start": {"local": "2027-05-02T09:30", "tz": "Europe/Lisbon"},
        "end": {"local": "2027-05-02T11:00", "tz": "Europe/Lisbon"}, "place": place, "cost": {"minor": 800, "currency": "EUR"},
        "assignees": [world.ann.id], "notes": "Tickets!"
    });
    let found = located(ann, ann.post(&list, whole.clone()).await).await;
    for (field, value) in whole.as_object().unwrap() {
        assert_eq!(found[field], *value, "{field}");
    }
    assert_eq!((&found["day"], &found["created_by"]), (&json!("2027-05-02"), &json!(world.ann.id)));
    let problem = ann.post(&list, json!({"id": id, "title": "Again"})).await.problem("already_exists");
    assert_eq!(problem["errors"][0]["pointer"], "/id");

    let tower = format!("{list}/{id}");
    let changed = ann.patch(&tower, json!({"notes": null, "title": "Belém Tower"})).await.ok(200);
    assert_eq!(
        (&changed["item"]["notes"], &changed["item"]["title"], &changed["item"]["cost"]),
        (&Value::Null, &json!("Belém Tower"), &found["cost"])
    );

    for title in ["A", "B", "C"] {
        ann.post(&list, json!({"title": title, "day": "2027-05-03"})).await.ok(201);
    }
    ann.post(&list, json!({"title": "Sometime"})).await.ok(201);
    let order = || async { column(&ann.get(&list).await.ok(200), "title") };
    assert_eq!(order().await, ["Belém Tower", "A", "B", "C", "Sometime"]);
    let ids = column(&ann.get(&list).await.ok(200), "id");
    let shift = async |who: usize, body: Value| ann.post(&format!("{list}/{}/move", ids[who]), body).await;
    shift(3, json!({"after": null})).await.ok(200);
    assert_eq!(order().await, ["Belém Tower", "C", "A", "B", "Sometime"]);
    shift(1, json!({"after": ids[2]})).await.ok(200);
    assert_eq!(order().await, ["Belém Tower", "C", "B", "A", "Sometime"]);
    // To another day, its times along.
    let moved = shift(0, json!({"day": "2027-05-03", "after": ids[3]})).await.ok(200);
    assert_eq!(moved["item"]["start"]["local"], "2027-05-03T09:30");
    assert_eq!(order().await, ["C", "Belém Tower", "B", "A", "Sometime"]);
    shift(2, json!({"day": null})).await.ok(200);
    assert_eq!(order().await, ["C", "Belém Tower", "A", "Sometime", "B"]);
    assert_eq!(column(&ann.get(&format!("{list}?day=2027-05-03")).await.ok(200), "title"), ["C", "Belém Tower", "A"]);
    assert_eq!(column(&ann.get(&format!("{list}?day=unscheduled")).await.ok(200), "title"), ["Sometime", "B"]);
    assert_eq!(ann.get(&format!("{list}?day=2030-01-01")).await.ok(200)["items"], json!([]));

    ann.delete(&tower).await.ok(200);
    ann.get(&tower).await.problem("not_found");
    for answer in [ann.patch(&tower, json!({"title": "x"})).await, shift(0, json!({})).await, ann.delete(&tower).await] {
        assert!(text(&answer.problem("not_found")["detail"]).contains("removed by ann"));
    }
    assert_eq!(order().await, ["C", "A", "Sometime", "B"]);
}

async fn places_are_kept(database: TestDatabase) {
    let world = World::on(&database).await;
    let (ann, bob) = (&world.ann.api, world.of(Place::Editor));
    let trip = world.trip(&[Place::Editor]).await;
    let list = format!("{trip}/places");
    let whole = json!({
        "name": "Jerónimos", "kind": "poi", "position": {"lat": 38.6979, "lon": -9.2068}, "address": "Praça do Império", "notes": "Closed on Mondays"
    });
    let found = located(ann, ann.post(&list, whole.clone()).await).await;
    for (field, value) in whole.as_object().unwrap() {
        assert_eq!(found[field], *value, "{field}");
    }
    ann.post(&list, whole).await.problem("already_exists");
    let place = format!("{list}/{}", text(&found["id"]));
    let changed = bob.patch(&place, json!({"position": null, "kind": "restaurant"})).await.ok(200);
    assert_eq!((&changed["item"]["position"], &changed["item"]["updated_by"]), (&Value::Null, &json!(world.id(Place::Editor))));
    ann.post(&list, json!({"name": "Airport", "kind": "airport"})).await.ok(201);
    assert_eq!(column(&ann.get(&list).await.ok(200), "name"), ["Jerónimos", "Airport"]);
    assert_eq!(column(&ann.get(&format!("{list}?kind=airport")).await.ok(200), "name"), ["Airport"]);

    let vote = format!("{place}/vote");
    for _ in 0..2 {
        assert_eq!(bob.put(&vote, Value::Null).await.ok(200)["item"]["votes"], json!([world.id(Place::Editor)]));
    }
    assert_eq!(bob.delete(&vote).await.ok(200)["item"]["votes"], json!([]));

    let activity = made(ann.post(&format!("{trip}/activities"), json!({"title": "Visit", "place": found["id"]})).await);
    ann.delete(&place).await.ok(200);
    ann.get(&place).await.problem("not_found");
    assert_eq!(ann.get(&format!("{trip}/activities/{activity}")).await.ok(200)["place"], Value::Null);
}

async fn places_near_a_point_are_found(database: TestDatabase) {
    let world = World::on(&database).await;
    let (ann, trip) = (&world.ann.api, world.trip(&[]).await);
    let list = format!("{trip}/places");
    // Belém, Lisbon's castle, its airport, Porto, and one that is nowhere.
    for (name, lat, lon) in
        [("Tower", 38.6916, -9.2160), ("Castle", 38.7139, -9.1334), ("Airport", 38.7742, -9.1342), ("Porto", 41.1579, -8.6291)]
    {
        ann.post(
            &list,
            json!({"name": name, "kind": if name == "Airport" { "airport" } else { "poi" }, "position": {"lat": lat, "lon": lon}}),
        )
        .await
        .ok(201);
    }
    ann.post(&list, json!({"name": "Somewhere"})).await.ok(201);
    let near = |more: &str| format!("{list}?near=38.7107,-9.1366{more}");
    let found = ann.get(&near("")).await.ok(200);
    assert_eq!(column(&found, "name"), ["Castle"]);
    let metres = found["items"][0]["distance_m"].as_u64().unwrap();
    assert!((400..500).contains(&metres), "{metres} m");
    assert_eq!(column(&ann.get(&near("&within_m=8000")).await.ok(200), "name"), ["Castle", "Airport", "Tower"]);
    assert_eq!(column(&ann.get(&near("&within_m=8000&kind=poi")).await.ok(200), "name"), ["Castle", "Tower"]);
    assert!(ann.get(&list).await.ok(200)["items"][0].get("distance_m").is_none());

    // Page by page; the cursor knows where and how far.
    let mut page = ann.get(&near("&within_m=1000000&limit=2")).await.ok(200);
    let mut names = column(&page, "name");
    while let Some(next) = page["next"].as_str().map(str::to_owned) {
        page = ann.get(&format!("{list}?limit=2&cursor={next}")).await.ok(200);
        names.extend(column(&page, "name"));
    }
    assert_eq!(names, ["Castle", "Airport", "Tower", "Porto"]);
    for wrong in ["near=91,0", "near=1", "near=x,y", "near=NaN,0", "within_m=5", "near=1,1&within_m=0", "near=1,1&within_m=20100001"] {
        ann.get(&format!("{list}?{wrong}")).await.problem("invalid");
    }
}

async fn expenses_are_kept(database: TestDatabase) {
    let world = World::on(&database).await;
    let (ann, bob) = (&world.ann.api, world.of(Place::Editor));
    let (a, b) = (&world.ann.id, world.id(Place::Editor));
    let trip = world.trip(&[Place::Editor]).await;
    let list = format!("{trip}/expenses");
    let share = |user: &str, minor: i64| json!({"user": user, "minor": minor});
    let mut shares = [share(a, 301), share(b, 299)];
    shares.sort_by_key(|share| text(&share["user"]));
    let whole = json!({
        "title": "Tram", "payer": a, "amount": {"minor": 600, "currency": "EUR"}, "shares": shares, "date": "2027-05-03", "pool": null
    });
    let mut asked = whole.clone();
    asked.as_object_mut().unwrap().remove("pool");
    let found = located(ann, ann.post(&list, asked.clone()).await).await;
    for (field, value) in whole.as_object().unwrap() {
        assert_eq!(found[field], *value, "{field}");
    }
    ann.post(&list, whole).await.problem("unknown_field");
    asked["shares"] = json!([share(a, 600), share(b, 1)]);
    let refused = ann.post(&list, asked).await.problem("invalid");
    assert_eq!(refused["errors"][0]["pointer"], "/shares", "{refused}");

    let tram = format!("{list}/{}", text(&found["id"]));
    let changed = bob.patch(&tram, json!({"title": "Tram 28", "date": null})).await.ok(200);
    assert_eq!((&changed["item"]["date"], &changed["item"]["updated_by"]), (&Value::Null, &json!(b)));
    bob.patch(&tram, json!({"amount": {"minor": 601, "currency": "EUR"}})).await.problem("invalid");
    assert_eq!(ann.get(&trip).await.ok(200)["expenses"], 1);
    // It survives the room, and the one who left.
    bob.post(&format!("{trip}/leave"), Value::Null).await.ok(200);
    assert_eq!(ann.get(&tram).await.ok(200)["shares"], json!(shares));
    let removed = ann.delete(&tram).await.ok(200);
    assert_eq!(removed["conflicts"], json!([]));
    ann.get(&tram).await.problem("not_found");
}

async fn messages_are_kept(database: TestDatabase) {
    let world = World::on(&database).await;
    let (ann, viewer) = (&world.ann.api, world.of(Place::Viewer));
    let trip = world.trip(&[Place::Viewer]).await;
    let list = format!("{trip}/messages");
    let first = located(ann, ann.post(&list, json!({"body": "Who books the tram?"})).await).await;
    let reply = json!({"body": "I do", "reply_to": first["id"], "mentions": [world.ann.id]});
    let second = located(viewer, viewer.post(&list, reply.clone()).await).await;
    for (field, value) in reply.as_object().unwrap() {
        assert_eq!(second[field], *value, "{field}");
    }
    assert_eq!((&second["by"], &second["edited_at"]), (&json!(world.id(Place::Viewer)), &Value::Null));
    assert_eq!(column(&ann.get(&list).await.ok(200), "body"), ["I do", "Who books the tram?"], "newest first");

    let of_second = format!("{list}/{}", text(&second["id"]));
    let edited = viewer.patch(&of_second, json!({"body": "You do"})).await.ok(200);
    assert!(
        edited["item"]["edited_at"].is_string() && edited["item"]["body"] == "You do" && edited["item"]["seq"] == second["seq"],
        "{edited}"
    );
    ann.patch(&of_second, json!({"body": "Never"})).await.problem("forbidden");

    // One person's reaction counts once; it is taken back by who gave it.
    let thumb = format!("{of_second}/reactions/{}", "%F0%9F%91%8D");
    for _ in 0..2 {
        assert_eq!(ann.put(&thumb, Value::Null).await.ok(200)["item"]["reactions"], json!({"👍": [world.ann.id]}));
    }
    viewer.delete(&thumb).await.ok(200);
    assert_eq!(ann.delete(&thumb).await.ok(200)["item"]["reactions"], json!({}));

    let marks = format!("{trip}/read_marks");
    let seq = second["seq"].as_u64().unwrap();
    viewer.put(&marks, json!({"seq": seq})).await.ok(200);
    viewer.put(&marks, json!({"seq": 1})).await.ok(200);
    let of_viewer = json!({"user": world.id(Place::Viewer), "seq": seq});
    assert!(ann.get(&marks).await.ok(200)["items"].as_array().unwrap().contains(&of_viewer));

    // A deleted message keeps its place; an organizer may delete anybody's.
    ann.delete(&of_second).await.ok(200);
    let gone = ann.get(&of_second).await.ok(200);
    assert_eq!((&gone["body"], &gone["seq"]), (&Value::Null, &second["seq"]));
    viewer.delete(&format!("{list}/{}", text(&first["id"]))).await.problem("forbidden");
    viewer.get(&format!("{list}/{}", Uuid::now_v7())).await.problem("not_found");
}

async fn the_log_tells_everything(database: TestDatabase) {
    let world = World::on(&database).await;
    let (ann, bob) = (&world.ann.api, world.of(Place::Editor));
    let trip = world.trip(&[Place::Editor]).await;
    let place = made(bob.post(&format!("{trip}/places"), json!({"name": "Louvre"})).await);
    let client = Uuid::now_v7();
    let command = json!({"cmd": {"type": "update_place", "place": place, "notes": "Free on Sundays"}, "client": client, "n": 7});
    bob.post(&format!("{trip}/commands"), command).await.ok(200);
    ann.delete(&format!("{trip}/places/{place}")).await.ok(200);

    let log = format!("{trip}/log");
    let all = ann.get(&log).await;
    assert_eq!(etag(&all), 5);
    let all = all.ok(200);
    assert_eq!(column(&all, "type"), ["place_removed", "place_updated", "place_added", "member_added", "trip_created"]);
    let seqs: Vec<_> = all["items"].as_array().unwrap().iter().map(|item| item["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, [5, 4, 3, 2, 1]);
    let update = &all["items"][1];
    assert_eq!((&update["by_name"], &update["entity"], &update["n"]), (&json!("carl"), &json!(place), &json!(7)));
    assert_eq!((&update["client"], &update["event"]["changes"]["notes"]["to"]), (&json!(client), &json!("Free on Sundays")));
    for (query, types) in [
        (format!("author={}", world.ann.id), vec!["place_removed", "member_added", "trip_created"]),
        ("type=place_added".to_owned(), vec!["place_added"]),
        (format!("entity={place}"), vec!["place_removed", "place_updated", "place_added"]),
        (format!("entity={place}&author={}", world.ann.id), vec!["place_removed"]),
        ("type=nothing".to_owned(), vec![]),
    ] {
        assert_eq!(column(&ann.get(&format!("{log}?{query}")).await.ok(200), "type"), types, "{query}");
    }
}

async fn overwriting_unseen_values_is_told(database: TestDatabase) {
    let world = World::on(&database).await;
    let (ann, bob) = (&world.ann.api, world.of(Place::Editor));
    let trip = world.trip(&[Place::Editor]).await;
    let base = world.seq(&trip).await;
    bob.patch(&trip, json!({"title": "Porto", "destination": "Porto"})).await.ok(200);
    let body = json!({"title": "Faro", "description": "Beaches"});
    let written = call(ann, &Method::PATCH, &format!("{trip}?base={base}"), &body, &[]).await.ok(200);
    let conflicts = written["conflicts"].as_array().unwrap();
    assert_eq!(conflicts.len(), 1, "{written}");
    let conflict = &conflicts[0];
    assert_eq!((&conflict["path"], &conflict["by"]), (&json!("/details/title"), &json!(world.id(Place::Editor))));
    assert_eq!((&conflict["theirs"], &conflict["yours"]), (&json!("Porto"), &json!("Faro")));
    assert_eq!(conflict["seq"], base + 1);
    let now = ann.get(&trip).await.ok(200);
    assert_eq!((&now["title"], &now["destination"]), (&json!("Faro"), &json!("Porto")), "different fields both stay");
    // Who says nothing of what was seen is told nothing.
    assert_eq!(bob.patch(&trip, json!({"title": "Braga"})).await.ok(200)["conflicts"], json!([]));
}
