//! Contact data over the life of a claim: there between the yes and the end, for those two alone.

use serde_json::{Value, json};

use super::{Place, World, phone};
use crate::harness::{TestDatabase, for_each_backend};
use crate::rest::client::{Account, text};

for_each_backend!(they_come_with_the_yes_and_go_with_the_end, a_pickup_belongs_to_its_claim, bad_pickups_are_refused);

fn door() -> Value {
    json!({"name": "Rua Augusta 12", "position": {"lat": 38.7103, "lon": -9.1366}, "note": "the green door"})
}

async fn they_come_with_the_yes_and_go_with_the_end(database: TestDatabase) {
    let world = World::on(&database).await;
    let (owner, bob) = (world.of(Place::Owner), world.of(Place::Rider));
    let pool = world.pool(json!({})).await;
    let contacts = format!("{pool}/contacts");
    let nobody = json!({"items": [], "next": null});
    let made = bob.post(&format!("{pool}/requests"), json!({})).await.ok(201);
    let claim = text(&made["id"]);
    bob.put(&format!("{pool}/pickup"), door()).await.ok(200);
    bob.get(&contacts).await.problem("forbidden");
    assert_eq!(owner.get(&contacts).await.ok(200), nobody);

    owner.post(&format!("{pool}/claims/{claim}/approve"), Value::Null).await.ok(200);
    let of = |place: Place, pickup: Value| {
        let Account { id, email, .. } = world.account(place);
        let name = if place == Place::Owner { "ann" } else { "bob" };
        json!({"items": [{
            "user": id, "name": name, "claim": claim, "email": email, "phone": phone(place as usize), "pickup": pickup
        }], "next": null})
    };
    assert_eq!(owner.get(&contacts).await.ok(200), of(Place::Rider, door()));
    assert_eq!(bob.get(&contacts).await.ok(200), of(Place::Owner, Value::Null));
    // What the account says now, whatever the room's version.
    bob.patch("/api/v1/me", json!({"phone": null})).await.ok(200);
    assert_eq!(owner.get(&contacts).await.ok(200)["items"][0]["phone"], Value::Null);

    for end in ["cancel", "withdraw", "remove", "complete"] {
        let pool = world.pool(json!({})).await;
        let contacts = format!("{pool}/contacts");
        let claim = world.place(&pool, Place::Rider).await.unwrap();
        assert_eq!(owner.get(&contacts).await.ok(200)["items"][0]["email"], json!(world.account(Place::Rider).email), "{end}");
        let at = format!("{pool}/claims/{claim}");
        match end {
            "withdraw" => drop(bob.post(&format!("{at}/withdraw"), Value::Null).await.ok(200)),
            "remove" => drop(owner.post(&format!("{at}/remove"), Value::Null).await.ok(200)),
            "complete" => {
                owner.post(&format!("{pool}/depart"), Value::Null).await.ok(200);
                owner.post(&format!("{pool}/complete"), Value::Null).await.ok(200);
            }
            _ => drop(owner.post(&format!("{pool}/cancel"), Value::Null).await.ok(200)),
        }
        if end == "complete" {
            // The ride has been; the seat was theirs.
            assert_eq!(owner.get(&contacts).await.ok(200)["items"].as_array().unwrap().len(), 1);
            bob.get(&contacts).await.ok(200);
        } else {
            assert_eq!(owner.get(&contacts).await.ok(200), nobody, "{end}");
            bob.get(&contacts).await.problem("forbidden");
        }
    }
}

async fn a_pickup_belongs_to_its_claim(database: TestDatabase) {
    let world = World::on(&database).await;
    let (owner, bob) = (world.of(Place::Owner), world.of(Place::Rider));
    let pool = world.pool(json!({"booking": "instant"})).await;
    let (pickup, contacts) = (format!("{pool}/pickup"), format!("{pool}/contacts"));
    let first = world.place(&pool, Place::Rider).await.unwrap();
    bob.get(&pickup).await.problem("not_found");
    assert_eq!(bob.put(&pickup, door()).await.ok(200), door());
    assert_eq!(bob.get(&pickup).await.ok(200), door());
    bob.post(&format!("{pool}/claims/{first}/withdraw"), Value::Null).await.ok(200);
    bob.get(&pickup).await.problem("forbidden");
    // The same rider with another claim has to say it again.
    world.place(&pool, Place::Rider).await.unwrap();
    bob.get(&pickup).await.problem("not_found");
    assert_eq!(owner.get(&contacts).await.ok(200)["items"][0]["pickup"], Value::Null);
    let other = json!({"name": "Rossio", "position": {"lat": 38.714, "lon": -9.1394}, "note": null});
    bob.put(&pickup, other.clone()).await.ok(200);
    assert_eq!(owner.get(&contacts).await.ok(200)["items"][0]["pickup"], other);
    assert_eq!(bob.delete(&pickup).await.ok(204), Value::Null);
    bob.delete(&pickup).await.ok(204);
    assert_eq!(owner.get(&contacts).await.ok(200)["items"][0]["pickup"], Value::Null);
}

async fn bad_pickups_are_refused(database: TestDatabase) {
    let world = World::on(&database).await;
    let pool = world.pool(json!({})).await;
    world.place(&pool, Place::Rider).await.unwrap();
    for (body, code, pointer) in [
        (json!({"name": "x"}), "invalid", ""),
        (json!({"name": "", "position": {"lat": 1, "lon": 2}}), "invalid", "/name"),
        (json!({"name": "x".repeat(201), "position": {"lat": 1, "lon": 2}}), "invalid", "/name"),
        (json!({"name": "x", "position": {"lat": 91, "lon": 2}}), "invalid", "/position"),
        (json!({"name": "x", "position": {"lat": 1, "lon": 2}, "note": "x".repeat(1_001)}), "invalid", "/note"),
        (json!({"name": "x", "position": {"lat": 1, "lon": 2}, "claim": "x"}), "unknown_field", "/claim"),
    ] {
        let problem = world.of(Place::Rider).put(&format!("{pool}/pickup"), body.clone()).await.problem(code);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}");
    }
}
