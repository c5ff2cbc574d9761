//! Lists page by page.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use super::{Place, World, call, made};
use crate::harness::{TestDatabase, for_each_backend};
use crate::rest::Api;
use crate::rest::client::text;

for_each_backend!(
    others_may_write_meanwhile,
    what_a_page_ended_with_may_be_gone,
    the_filter_goes_with_the_cursor,
    skip_and_limit_are_taken,
    bad_pages_are_refused
);

/// A list, below a trip's path or beside it.
#[derive(Clone, Copy, Debug)]
struct List {
    below: &'static str,
    /// What tells items apart.
    key: &'static str,
    skips: bool,
}

const TRIPS: List = List { below: "", key: "id", skips: true };
const MEMBERS: List = List { below: "/members", key: "user", skips: true };
const ACTIVITIES: List = List { below: "/activities", key: "id", skips: true };
const PLACES: List = List { below: "/places", key: "id", skips: true };
const EXPENSES: List = List { below: "/expenses", key: "id", skips: true };
const MESSAGES: List = List { below: "/messages", key: "id", skips: false };
const LOG: List = List { below: "/log", key: "seq", skips: false };
const ALL: [List; 7] = [TRIPS, MEMBERS, ACTIVITIES, PLACES, EXPENSES, MESSAGES, LOG];

impl List {
    fn path(self, trip: &str) -> String {
        if self.below.is_empty() { "/api/v1/trips".to_owned() } else { format!("{trip}{}", self.below) }
    }

    fn keys(self, page: &Value) -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|item| item[self.key].to_string()).collect()
    }

    /// Adds something to it, or changes something in it where adding is dear.
    async fn write(self, world: &World, trip: &str, n: usize) {
        let (method, path, body) = match self.below {
            "" | "/log" => (Method::POST, "/api/v1/trips".to_owned(), json!({"title": format!("t{n}")})),
            "/members" => {
                let role = if n.is_multiple_of(2) { "viewer" } else { "participant" };
                (Method::PATCH, format!("{trip}/members/{}", world.id(Place::Viewer)), json!({"role": role}))
            }
            "/activities" => {
                (Method::POST, self.path(trip), json!({"title": "a", "day": format!("2027-05-{:02}", 1 + n % 28), "after": null}))
            }
            "/places" => (Method::POST, self.path(trip), json!({"name": format!("p{n}")})),
            "/expenses" => {
                let shares = json!([{"user": world.ann.id, "minor": 1 + n}]);
                let amount = json!({"minor": 1 + n, "currency": "EUR"});
                (Method::POST, self.path(trip), json!({"title": "e", "payer": world.ann.id, "amount": amount, "shares": shares}))
            }
            _ => (Method::POST, self.path(trip), json!({"body": "m"})),
        };
        let answer = call(&world.ann.api, &method, &path, &body, &[]).await;
        assert!(answer.status.is_success(), "{answer:?}");
        if self.below == "/log" {
            world.ann.api.patch(trip, json!({"title": format!("l{n}")})).await.ok(200);
        }
    }
}

/// Goes through a list; the keys of each page.
async fn walk(api: &Api, list: List, trip: &str, limit: usize) -> Vec<Vec<String>> {
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("{}?limit={limit}{cursor}", list.path(trip))).await.ok(200);
        pages.push(list.keys(&page));
        assert!(pages.last().unwrap().len() <= limit, "{list:?}");
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return pages,
        }
        assert!(pages.len() < 10_000, "{list:?} has no end");
    }
}

/// A trip with at least 13 of everything, but members: of those there are 5.
async fn full_trip(world: &World) -> String {
    let trip = world.trip(&[Place::Organizer, Place::Editor, Place::Viewer]).await;
    world.ann.api.post(&format!("{trip}/members"), json!({"user": world.guest().id, "role": "viewer"})).await.ok(201);
    for n in 0..13 {
        for list in [ACTIVITIES, PLACES, EXPENSES, MESSAGES, TRIPS] {
            list.write(world, &trip, n).await;
        }
    }
    world.ann.api.post(&ACTIVITIES.path(&trip), json!({"title": "unscheduled"})).await.ok(201);
    trip
}

async fn others_may_write_meanwhile(database: TestDatabase) {
    let world = World::on(&database).await;
    let trip = full_trip(&world).await;
    for list in ALL {
        let before = walk(&world.ann.api, list, &trip, 100).await.concat();
        assert!(before.len() >= 5, "{list:?}");
        let walked = AtomicBool::new(false);
        let writing = async {
            let mut n = 100;
            while !walked.load(Ordering::Relaxed) {
                list.write(&world, &trip, n).await;
                n += 1;
            }
        };
        let walking = async {
            let pages = walk(&world.ann.api, list, &trip, 2).await;
            walked.store(true, Ordering::Relaxed);
            pages
        };
        let ((), pages) = tokio::join!(writing, walking);
        assert!(pages.len() > 2, "{list:?}");
        let seen = pages.concat();
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len(), "{list:?} has something twice: {seen:?}");
        let of_before: Vec<_> = seen.into_iter().filter(|key| before.contains(key)).collect();
        assert_eq!(of_before, before, "{list:?}: not all, or not in order");
    }
}

async fn what_a_page_ended_with_may_be_gone(database: TestDatabase) {
    let world = World::on(&database).await;
    let ann = &world.ann.api;
    let trip = full_trip(&world).await;
    for list in [MEMBERS, ACTIVITIES, PLACES, EXPENSES, MESSAGES, TRIPS] {
        let before = walk(ann, list, &trip, 100).await.concat();
        let path = list.path(&trip);
        let first = ann.get(&format!("{path}?limit=3")).await.ok(200);
        assert_eq!(list.keys(&first), before[..3]);
        ann.delete(&format!("{path}/{}", text(&first["items"][2][list.key]))).await.ok(200);
        let rest = ann.get(&format!("{path}?limit=100&cursor={}", text(&first["next"]))).await.ok(200);
        assert_eq!((list.keys(&rest).as_slice(), &rest["next"]), (&before[3..], &Value::Null), "{list:?}");
    }
}

async fn the_filter_goes_with_the_cursor(database: TestDatabase) {
    let world = World::on(&database).await;
    let ann = &world.ann.api;
    let trip = full_trip(&world).await;
    for n in 0..5 {
        ann.post(&ACTIVITIES.path(&trip), json!({"title": "u"})).await.ok(201);
        ann.post(&ACTIVITIES.path(&trip), json!({"title": "d", "day": "2027-05-03"})).await.ok(201);
        ann.post(&PLACES.path(&trip), json!({"name": format!("a{n}"), "kind": "airport"})).await.ok(201);
        let other = made(ann.post("/api/v1/trips", json!({"title": "c"})).await);
        ann.patch(&format!("/api/v1/trips/{other}"), json!({"status": "cancelled"})).await.ok(200);
    }
    let of_ann = format!("author={}", world.ann.id);
    for (list, filter, other) in [
        (ACTIVITIES, "day=unscheduled", "day=2027-05-03"),
        (ACTIVITIES, "day=2027-05-03", "day=unscheduled"),
        (PLACES, "kind=airport", "kind=poi"),
        (TRIPS, "status=cancelled", "status=planning"),
        (LOG, "type=place_added", "type=activity_added"),
        (LOG, &of_ann, "type=place_added"),
    ] {
        let path = list.path(&trip);
        let all = list.keys(&ann.get(&format!("{path}?limit=100&{filter}")).await.ok(200));
        assert!(all.len() >= 5, "{list:?} {filter}");
        let first = ann.get(&format!("{path}?limit=2&{filter}")).await.ok(200);
        let cursor = text(&first["next"]);
        for again in [String::new(), format!("&{filter}")] {
            let rest = ann.get(&format!("{path}?limit=100&cursor={cursor}{again}")).await.ok(200);
            assert_eq!([list.keys(&first), list.keys(&rest)].concat(), all, "{list:?} {filter}");
        }
        let problem = ann.get(&format!("{path}?cursor={cursor}&{other}")).await.problem("invalid");
        assert_eq!(problem["errors"][0]["pointer"], "?cursor");
    }
}

async fn skip_and_limit_are_taken(database: TestDatabase) {
    let world = World::on(&database).await;
    let ann = &world.ann.api;
    let trip = full_trip(&world).await;
    for list in ALL {
        let path = list.path(&trip);
        let all = walk(ann, list, &trip, 100).await.concat();
        // In pages of any size it is the same list; without a limit, too.
        for limit in [1, 4, 5] {
            assert_eq!(walk(ann, list, &trip, limit).await.concat(), all, "{list:?} by {limit}");
        }
        assert_eq!(list.keys(&ann.get(&path).await.ok(200)), all[..all.len().min(50)]);
        if !list.skips {
            assert_eq!(ann.get(&format!("{path}?skip=1")).await.problem("unknown_field")["errors"][0]["pointer"], "?skip");
            continue;
        }
        let mut skipped = Vec::new();
        for skip in (0..=all.len()).step_by(4) {
            let page = ann.get(&format!("{path}?skip={skip}&limit=4")).await.ok(200);
            skipped.extend(list.keys(&page));
        }
        assert_eq!(skipped, all, "{list:?}");
        assert_eq!(ann.get(&format!("{path}?skip=10000")).await.ok(200), json!({"items": [], "next": null}));
    }
}

async fn bad_pages_are_refused(database: TestDatabase) {
    let world = World::on(&database).await;
    let (ann, bob) = (&world.ann.api, world.of(Place::Organizer));
    let (trip, other) = (full_trip(&world).await, full_trip(&world).await);
    for list in ALL {
        let path = list.path(&trip);
        let refused = async |api: &Api, query: &str, code: &str, pointer: &str| {
            let problem = api.get(&format!("{path}?{query}")).await.problem(code);
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{query}: {problem}");
        };
        for limit in ["0", "101", "-1", "x", "1.5", "", "4294967297", "1e1", "%31%00"] {
            refused(ann, &format!("limit={limit}"), "invalid", "?limit").await;
        }
        refused(ann, "limit=1&limit=2", "invalid", "?limit").await;
        refused(ann, "limt=1", "unknown_field", "?limt").await;
        let next = text(&ann.get(&format!("{path}?limit=1")).await.ok(200)["next"]);
        if list.skips {
            for skip in ["-1", "10001", "x"] {
                refused(ann, &format!("skip={skip}"), "invalid", "?skip").await;
            }
            refused(ann, &format!("skip=1&cursor={next}"), "invalid", "?skip").await;
        }
        let mut changed = next.clone().into_bytes();
        changed[4] = if changed[4] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        for cursor in ["", "x", "%00", "1", "AAAAAAAAAAAAAAAAAAAAAAAA", &changed, &next[1..], &format!("{next}A"), &"A".repeat(5_000)] {
            refused(ann, &format!("cursor={cursor}"), "invalid", "?cursor").await;
        }
        // A cursor is good for its user, its trip and its list only.
        if list.below.is_empty() {
            bob.get("/api/v1/trips?limit=1").await.ok(200);
        } else {
            let elsewhere = text(&ann.get(&format!("{}?limit=1", list.path(&other))).await.ok(200)["next"]);
            refused(ann, &format!("cursor={elsewhere}"), "invalid", "?cursor").await;
        }
        refused(bob, &format!("cursor={next}"), "invalid", "?cursor").await;
        for foreign in ALL.into_iter().filter(|foreign| foreign.below != list.below) {
            let cursor = text(&ann.get(&format!("{}?limit=1", foreign.path(&trip))).await.ok(200)["next"]);
            refused(ann, &format!("cursor={cursor}"), "invalid", "?cursor").await;
        }
    }
}
