//! Values at the edge of what can be written down: taken or refused, they never break the server, and what was taken is read back
//! as it was sent, also after a crash.

use reqwest::Method;
use serde_json::{Value, json};

use super::{World, call, made};
use crate::harness::{TestDatabase, for_each_backend};

for_each_backend!(the_edge_of_what_can_be_written_down);

/// Free-form data, of which nothing may be lost.
fn data() -> Value {
    json!({
        "": [], "null": null, "max": u64::MAX, "min": i64::MIN, "big": 1e308, "small": 5e-324, "third": 1.0 / 3.0,
        "\u{10ffff}\"\\/~": "\u{202e}\u{200d}\u{1}\n", "deep": [[[[[{"a": true}]]]]]
    })
}

/// Operation below the trip's path, body, and whether it is taken.
fn table(activity: &str) -> Vec<(Method, String, Value, bool)> {
    let (post, patch) = (Method::POST, Method::PATCH);
    let money = |minor: Value| json!({"budget": {"minor": minor, "currency": "JPY"}});
    let at = |lat: f64, lon: f64, name: &str| json!({"name": name, "position": {"lat": lat, "lon": lon}});
    let starts = |local: &str, tz: &str| json!({"start": {"local": local, "tz": tz}});
    let with_id = |id: &str| json!({"id": id, "title": "x"});
    let change = format!("/activities/{activity}");
    let shift = format!("{change}/move");
    let mut rows = vec![
        (patch.clone(), "", json!({"trip_data": data()}), true),
        (patch.clone(), "", money(json!(1_000_000_000_000_u64)), true),
        (patch.clone(), "", money(json!(1_000_000_000_001_u64)), false),
        (patch.clone(), "", money(json!(u64::MAX)), false),
        (patch.clone(), "", money(json!(1e18)), false),
        (patch.clone(), "", json!({"start_date": "1900-01-01", "end_date": "9999-12-31"}), true),
        (patch.clone(), "", json!({"start_date": "0001-01-01"}), false),
        (patch.clone(), "", json!({"end_date": "10000-01-01"}), false),
        (patch.clone(), "", json!({"title": "\u{10ffff}".repeat(200)}), true),
        (patch.clone(), "", json!({"description": "👨‍👩‍👧‍👦".repeat(100)}), true),
        (post.clone(), "/places", at(90.0, 180.0, "north"), true),
        (post.clone(), "/places", at(-90.0, -180.0, "south"), true),
        (post.clone(), "/places", at(90.000_000_1, 0.0, "too far"), false),
        (post.clone(), "/places", at(f64::MAX, 0.0, "far too far"), false),
        (post.clone(), "/activities", with_id("00000000-0000-0000-0000-000000000000"), true),
        (post.clone(), "/activities", with_id("ffffffff-ffff-ffff-ffff-ffffffffffff"), true),
        (post.clone(), "/activities", with_id("01920000-0000-7000-8000-0000000000ff0"), false),
        (post.clone(), "/messages", json!({"body": "🛶".repeat(4_000)}), true),
        (Method::PUT, "/read_marks", json!({"seq": u64::MAX}), false),
    ];
    // In the gap and the overlap of a change of offset, and at the ends of time.
    for (local, tz, taken) in [
        ("2027-03-28T01:30", "Europe/Lisbon", true),
        ("2027-10-31T01:30", "Europe/Lisbon", true),
        ("9999-12-31T23:59:59", "Pacific/Kiritimati", true),
        ("1900-01-01T00:00", "Pacific/Kiritimati", true),
        ("2027-06-30T23:59:60", "Europe/Lisbon", false),
        ("2027-02-29T00:00", "Europe/Lisbon", false),
    ] {
        rows.push((patch.clone(), &change, starts(local, tz), taken));
    }
    rows.push((post.clone(), &shift, json!({"day": "9999-12-31"}), true));
    rows.push((post, &shift, json!({"day": "1900-01-01"}), true));
    rows.into_iter().map(|(method, below, body, taken)| (method, below.to_owned(), body, taken)).collect()
}

async fn the_edge_of_what_can_be_written_down(database: TestDatabase) {
    let mut world = World::on(&database).await;
    let trip = world.trip(&[]).await;
    let lasting =
        json!({"title": "Night", "start": {"local": "2027-05-02T22:00", "tz": "UTC"}, "end": {"local": "2027-05-04T06:00", "tz": "UTC"}});
    let activity = made(world.ann.api.post(&format!("{trip}/activities"), lasting).await);
    let other = made(world.ann.api.post(&format!("{trip}/activities"), json!({"title": "x"})).await);
    let mut wrong = Vec::new();
    for (method, below, body, taken) in table(&other) {
        let answer = call(&world.ann.api, &method, &format!("{trip}{below}"), &body, &[]).await;
        if answer.status.is_success() != taken {
            wrong.push(format!("{method} {below} {body}: {} {}", answer.status, answer.body));
            continue;
        }
        if !taken {
            answer.problem("invalid");
            continue;
        }
        for (field, value) in body.as_object().unwrap().iter().filter(|_| !below.ends_with("/move")) {
            assert_eq!(answer.body["item"][field], *value, "{method} {below}");
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // What lasts beyond the end of time cannot be moved to it.
    let shift = format!("{trip}/activities/{activity}/move");
    world.ann.api.post(&shift, json!({"day": "9999-12-31"})).await.problem("invalid");

    // Numbers of versions and commands.
    let message = json!({"type": "send_message", "body": "x"});
    for (base, n, code) in [(u64::MAX, 1, None), (1 << 63, 2, None), (0, 1 << 53, Some("invalid")), (0, u64::MAX, Some("invalid"))] {
        let sent = json!({"cmd": message, "base": base, "client": "00000000-0000-0000-0000-000000000000", "n": n});
        let answer = world.ann.api.post(&format!("{trip}/commands"), sent).await;
        match code {
            Some(code) => drop(answer.problem(code)),
            None => drop(answer.ok(200)),
        }
    }
    let before = world.state(&trip).await;
    assert_eq!(before["state"]["details"]["trip_data"], data());
    world.server.kill().await;
    world.server.restart().await;
    let after = world.state(&trip).await;
    assert_eq!((&after["seq"], &after["state"]), (&before["seq"], &before["state"]));
}
