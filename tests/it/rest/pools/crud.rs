//! What is written is what is read.

use serde_json::{Value, json};

use super::{GROUP, Place, World, etag, in_days, new_pool};
use crate::harness::{TestDatabase, for_each_backend};
use crate::rest::client::{send, text};

for_each_backend!(a_pool_is_what_was_made_of_it, a_claim_goes_its_way, the_list_is_of_ones_own, the_ride_is_reviewed, versions_are_held);

async fn a_pool_is_what_was_made_of_it(database: TestDatabase) {
    let world = World::on(&database).await;
    let owner = world.of(Place::Owner);
    let answer = owner.post("/api/v1/pools", new_pool()).await;
    let location = answer.header("location").unwrap().to_owned();
    let made = answer.ok(201);
    assert_eq!(location, format!("/api/v1/pools/{}", text(&made["id"])));
    let pool = owner.get(&location).await.ok(200);
    assert_eq!(made["item"], pool);
    let mut expected = json!({
        "id": made["id"], "seq": 1, "role": "organizer", "relation": "owner", "owner": world.account(Place::Owner).id, "owner_name": "ann",
        "status": "open", "phase": "scheduled", "seats": 4, "price": {"minor": 1500, "currency": "EUR"}, "car": null, "preferences": [],
        "notes": null, "group": GROUP, "booking": "approval", "hold_seconds": 600, "offer_seconds": 600, "taken": [0, 0], "seats_left": 4,
        "waiting": 0, "claim": null, "riders": [], "shares": []
    });
    for made_up in ["phase_at", "stops", "departure"] {
        expected[made_up] = pool[made_up].clone();
    }
    assert_eq!(pool, expected);
    let names: Vec<_> = pool["stops"].as_array().unwrap().iter().map(|stop| stop["name"].clone()).collect();
    assert_eq!(names, ["Lisboa Oriente", "Coimbra-B", "Porto Campanhã"]);
    assert_eq!(pool["departure"]["local"], new_pool()["departure"]);

    // Absent stays, null empties.
    let all = json!({"seats": 2, "car": "a red Renault", "preferences": ["no smoking"], "notes": "Be early", "hold_seconds": 60});
    let changed = owner.patch(&location, all.clone()).await.ok(200);
    for (field, value) in all.as_object().unwrap() {
        assert_eq!(changed["item"][field], *value, "{field}");
    }
    let changed = owner.patch(&location, json!({"car": null, "price": null, "departure": in_days(20)})).await.ok(200);
    assert_eq!(
        (&changed["item"]["car"], &changed["item"]["price"], &changed["item"]["notes"]),
        (&Value::Null, &Value::Null, &json!("Be early"))
    );
    assert_eq!(changed["item"]["departure"]["local"], in_days(20));
    assert_eq!(owner.get(&location).await.ok(200), changed["item"]);
}

async fn a_claim_goes_its_way(database: TestDatabase) {
    let world = World::on(&database).await;
    let (owner, bob, carl) = (world.of(Place::Owner), world.of(Place::Rider), world.of(Place::Pending));
    let pool = world.pool(json!({"seats": 1})).await;
    let stops = owner.get(&pool).await.ok(200)["stops"].clone();
    let body = json!({"from": stops[0]["id"], "to": stops[1]["id"], "message": "One bag"});
    let answer = bob.post(&format!("{pool}/requests"), body).await;
    let location = answer.header("location").unwrap().to_owned();
    let made = answer.ok(201);
    assert_eq!(location, format!("{pool}/claims/{}", text(&made["id"])));
    let mut claim = json!({
        "id": made["id"], "user": world.account(Place::Rider).id, "name": "bob", "seats": 1, "from": stops[0]["id"], "to": stops[1]["id"],
        "message": "One bag", "asked_at": made["item"]["asked_at"], "stage": "pending", "approved": null, "until": null, "place": null,
        "boarded": null
    });
    assert_eq!(made["item"], claim);
    for api in [owner, bob] {
        assert_eq!(api.get(&location).await.ok(200), claim);
        assert_eq!(api.get(&format!("{pool}/claims")).await.ok(200), json!({"items": [claim], "next": null}));
    }
    assert_eq!(carl.get(&format!("{pool}/claims")).await.ok(200), json!({"items": [], "next": null}));

    claim["stage"] = json!("confirmed");
    let approved = owner.post(&format!("{location}/approve"), Value::Null).await;
    assert_eq!(etag(&approved), approved.body["seq"].as_u64().unwrap());
    assert_eq!(approved.ok(200)["item"], claim);
    let seen = bob.get(&pool).await.ok(200);
    assert_eq!(
        (&seen["relation"], &seen["claim"], &seen["taken"], &seen["seats_left"]),
        (&json!("rider"), &claim, &json!([1, 0]), &json!(0))
    );
    assert_eq!(seen["riders"][0]["name"], "bob");

    // What does not fit says what is left; whoever waits knows the place, and moves up.
    let refused = carl.post(&format!("{pool}/requests"), json!({})).await.problem("seats_taken");
    assert_eq!(refused["details"], json!({"seats_left": 0}));
    let waits = carl.post(&format!("{pool}/requests"), json!({"wait": true})).await.ok(201)["item"].clone();
    assert_eq!((&waits["stage"], &waits["approved"], &waits["place"]), (&json!("waiting"), &json!(false), &json!(1)));
    let at = format!("{pool}/claims/{}", text(&waits["id"]));
    let approved = owner.post(&format!("{at}/approve"), Value::Null).await.ok(200)["item"].clone();
    assert_eq!((&approved["stage"], &approved["approved"]), (&json!("waiting"), &json!(true)));
    bob.post(&format!("{location}/withdraw"), Value::Null).await.ok(200);
    bob.get(&location).await.problem("not_found");
    let offered = carl.get(&at).await.ok(200);
    assert_eq!((&offered["stage"], &offered["place"], offered["until"].is_string()), (&json!("offered"), &Value::Null, true));
    assert_eq!(carl.post(&format!("{at}/accept"), Value::Null).await.ok(200)["item"]["stage"], "confirmed");
    let removed = owner.post(&format!("{at}/remove"), json!({"reason": "The car is full of books"})).await;
    assert_eq!(etag(&removed), removed.ok(200)["seq"].as_u64().unwrap());
    assert_eq!(carl.get(&pool).await.ok(200)["claim"], Value::Null);
}

async fn the_list_is_of_ones_own(database: TestDatabase) {
    let world = World::on(&database).await;
    let pool = world.pool(json!({"booking": "approval"})).await;
    world.guest_claim(&pool, true).await;
    for place in [Place::Rider, Place::Waiting, Place::Pending, Place::Rejected, Place::Former] {
        world.place(&pool, place).await;
    }
    let shown = world.of(Place::Owner).get(&pool).await.ok(200);
    let relations = [
        (Place::Owner, Some("owner")),
        (Place::Rider, Some("rider")),
        (Place::Waiting, Some("claimant")),
        (Place::Pending, Some("claimant")),
        (Place::Rejected, None),
        (Place::Former, None),
        (Place::Stranger, None),
        (Place::Outsider, None),
    ];
    for (place, relation) in relations {
        let list = world.of(place).get("/api/v1/pools").await.ok(200);
        let items = list["items"].as_array().unwrap();
        assert_eq!(items.first().map(|item| item["relation"].as_str().unwrap()), relation, "{place:?}");
        for item in items {
            for field in
                ["id", "seq", "owner", "owner_name", "stops", "departure", "seats", "seats_left", "price", "booking", "group", "status"]
            {
                assert_eq!(item[field], shown[field], "{field}");
            }
            assert_eq!(item["title"], "Lisboa Oriente → Porto Campanhã");
        }
        let status = world.of(place).get("/api/v1/pools?status=departed").await.ok(200);
        assert_eq!(status["items"], json!([]));
    }
    // Whoever leaves the group keeps what they have a part in, and nothing else.
    for place in [Place::Waiting, Place::Former] {
        world.of(place).patch("/api/v1/me", json!({"group": null})).await.ok(200);
    }
    assert_eq!(world.of(Place::Waiting).get("/api/v1/pools").await.ok(200)["items"].as_array().unwrap().len(), 1);
    world.of(Place::Waiting).get(&pool).await.ok(200);
    assert_eq!(world.of(Place::Former).get("/api/v1/pools").await.ok(200)["items"], json!([]));
    world.of(Place::Former).get(&pool).await.problem("not_found");
}

async fn the_ride_is_reviewed(database: TestDatabase) {
    let world = World::on(&database).await;
    let (owner, bob) = (world.of(Place::Owner), world.of(Place::Rider));
    let pool = world.pool(json!({})).await;
    let claim = world.place(&pool, Place::Rider).await.unwrap();
    let departed = owner.post(&format!("{pool}/depart"), Value::Null).await.ok(200);
    assert_eq!((&departed["item"]["status"], &departed["item"]["phase"]), (&json!("departed"), &json!("departed")));
    let boarded = owner.post(&format!("{pool}/claims/{claim}/board"), json!({"boarded": true})).await.ok(200);
    assert_eq!(boarded["item"]["boarded"], true);
    let of = &world.account(Place::Owner).id;
    bob.post(&format!("{pool}/reviews"), json!({"of": of, "stars": 5})).await.problem("conflict");
    let completed = owner.post(&format!("{pool}/complete"), Value::Null).await.ok(200);
    assert_eq!(completed["item"]["shares"], json!([{"user": world.account(Place::Rider).id, "seats": 1, "minor": 1500}]));
    assert_eq!(world.of(Place::Stranger).get(&pool).await.ok(200)["shares"], Value::Null);
    let answer = bob.post(&format!("{pool}/reviews"), json!({"of": of, "stars": 4, "text": "Calm"})).await;
    assert_eq!(answer.header("location"), Some(format!("{pool}/reviews").as_str()));
    let written = answer.ok(201);
    let at = written["item"]["at"].clone();
    let review = json!({"by": world.account(Place::Rider).id, "of": of, "stars": 4, "text": "Calm", "at": at});
    assert_eq!((&written["id"], &written["item"]), (&json!(of), &review));
    bob.post(&format!("{pool}/reviews"), json!({"of": of, "stars": 1})).await.problem("already_exists");
    assert_eq!(world.of(Place::Stranger).get(&format!("{pool}/reviews")).await.ok(200), json!({"items": [review], "next": null}));
    owner.post(&format!("{pool}/cancel"), json!({"reason": "too late"})).await.problem("conflict");
}

async fn versions_are_held(database: TestDatabase) {
    let world = World::on(&database).await;
    let owner = world.of(Place::Owner);
    let pool = world.pool(json!({})).await;
    let patch = |tag: &str, seats: u8| owner.request(reqwest::Method::PATCH, &pool).header("If-Match", tag).json(&json!({"seats": seats}));
    assert_eq!(etag(&send(patch("\"1\"", 5)).await), 2);
    send(patch("\"1\"", 6)).await.problem("stale");
    assert_eq!(owner.get(&pool).await.ok(200)["seats"], 5);
    for below in ["", "/state", "/claims", "/messages", "/reviews", "/log"] {
        let path = format!("{pool}{below}");
        let asked = |tag: &str| send(owner.request(reqwest::Method::GET, &path).header("If-None-Match", tag));
        assert_eq!(asked("\"2\"").await.status, 304, "{below}");
        assert_eq!(asked("\"1\"").await.status, 200, "{below}");
        // Also for whom there is nothing, there is nothing to compare with.
        let outsider = world.of(Place::Outsider).request(reqwest::Method::GET, &path).header("If-None-Match", "*");
        send(outsider).await.problem("not_found");
    }
    // Contacts follow the accounts, not the room.
    let contacts = owner.request(reqwest::Method::GET, &format!("{pool}/contacts")).header("If-None-Match", "*");
    assert_eq!(send(contacts).await.status, 200);
}
