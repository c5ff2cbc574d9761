//! What a ride cost, brought into a trip.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Place, World};
use crate::harness::{TestDatabase, for_each_backend};
use crate::rest::client::{Answer, text};

for_each_backend!(
    costs_come_into_a_trip_once,
    costs_survive_a_crash_in_the_middle,
    nobody_can_use_up_the_id_of_costs_to_come,
    only_the_car_brings_costs,
    what_cannot_be_brought_is_said
);

/// A pool of the owner with the rider and the guest in the car, over and done with.
async fn ridden(world: &World, more: Value) -> String {
    let pool = world.pool(more).await;
    world.place(&pool, Place::Rider).await;
    world.guest_claim(&pool, true).await;
    arrive(world, &pool).await;
    pool
}

async fn arrive(world: &World, pool: &str) {
    for step in ["depart", "complete"] {
        world.of(Place::Owner).post(&format!("{pool}/{step}"), Value::Null).await.ok(200);
    }
}

/// A trip of somebody with other members: its id.
async fn trip(world: &World, creator: Place, members: &[(&str, &str)]) -> String {
    let api = world.of(creator);
    let trip = text(&api.post("/api/v1/trips", json!({"title": "Porto"})).await.ok(201)["id"]);
    for (user, role) in members {
        join(world, creator, &trip, user, role).await;
    }
    trip
}

async fn join(world: &World, creator: Place, trip: &str, user: &str, role: &str) {
    world.of(creator).post(&format!("/api/v1/trips/{trip}/members"), json!({"user": user, "role": role})).await.ok(201);
}

async fn bring(world: &World, by: Place, pool: &str, trip: &str) -> Answer {
    world.of(by).post(&format!("{pool}/expense"), json!({"trip": trip})).await
}

/// The expenses of a trip that the owner sees.
async fn expenses(world: &World, trip: &str) -> Vec<Value> {
    world.of(Place::Owner).get(&format!("/api/v1/trips/{trip}/expenses")).await.ok(200)["items"].as_array().unwrap().clone()
}

async fn costs_come_into_a_trip_once(database: TestDatabase) {
    let world = World::on(&database).await;
    let (owner, rider, guest) = (&world.account(Place::Owner).id, &world.account(Place::Rider).id, &world.guest.id);
    let pool = ridden(&world, json!({})).await;
    let into = trip(&world, Place::Owner, &[(rider, "participant")]).await;
    let refused = bring(&world, Place::Rider, &pool, &into).await.problem("conflict");
    assert_eq!(refused["details"], json!({"not_members": [guest]}));
    assert!(text(&refused["detail"]).starts_with("Not in the trip: guest."), "{refused}");
    assert!(expenses(&world, &into).await.is_empty());

    join(&world, Place::Owner, &into, guest, "viewer").await;
    let answers = futures_util::future::join_all((0..6).map(|index| {
        let by = if index % 2 == 0 { Place::Rider } else { Place::Owner };
        bring(&world, by, &pool, &into)
    }))
    .await;
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(made.len(), 1, "{answers:?}");
    assert_eq!(made[0].body["repeated"], false);
    for answer in &answers {
        assert!(answer.status == 201 || (answer.status == 200 && answer.body["repeated"] == true), "{answer:?}");
        assert_eq!(answer.body["expense"], made[0].body["expense"]);
    }
    let found = world.guest.api.get(made[0].header("location").unwrap()).await.ok(200);
    assert_eq!(vec![found.clone()], expenses(&world, &into).await);
    let mut shares = [json!({"user": rider, "minor": 1500}), json!({"user": guest, "minor": 1500})];
    shares.sort_by_key(|share| text(&share["user"]));
    assert_eq!(
        (&found["title"], &found["payer"], &found["amount"], &found["shares"], &found["pool"]),
        (
            &json!("Ride from Lisboa Oriente to Porto Campanhã"),
            &json!(owner),
            &json!({"minor": 3000, "currency": "EUR"}),
            &json!(shares),
            &json!(pool.rsplit('/').next().unwrap())
        )
    );
    let departure = world.state(&pool).await["state"]["details"]["departure"]["local"]["local"].clone();
    assert_eq!(text(&found["date"]), text(&departure)[..10]);
    assert!([owner, rider].contains(&&text(&found["created_by"])));

    // Who looks at the log sees where it came from; what the ride settled stays, and what was removed does not come back.
    let log = world.of(Place::Owner).get(&format!("/api/v1/trips/{into}/log?limit=1")).await.ok(200);
    assert_eq!(log["items"][0]["text"], "brought the expense “Ride from Lisboa Oriente to Porto Campanhã” from a pool");
    let at = format!("/api/v1/trips/{into}/expenses/{}", text(&found["id"]));
    world.of(Place::Rider).patch(&at, json!({"payer": rider})).await.problem("invalid");
    world.of(Place::Rider).patch(&at, json!({"title": "There"})).await.ok(200);
    assert_eq!(bring(&world, Place::Owner, &pool, &into).await.ok(200)["expense"], found["id"]);
    world.of(Place::Rider).delete(&at).await.ok(200);
    bring(&world, Place::Owner, &pool, &into).await.problem("already_exists");
    assert!(expenses(&world, &into).await.is_empty());
}

/// The server dies while costs are on their way into many trips; whoever does not know asks again.
async fn costs_survive_a_crash_in_the_middle(database: TestDatabase) {
    let mut world = World::on(&database).await;
    let pool = ridden(&world, json!({})).await;
    let mut trips = Vec::new();
    for _ in 0..8 {
        let members = [(&*world.account(Place::Rider).id, "participant"), (&*world.guest.id, "viewer")];
        trips.push(trip(&world, Place::Owner, &members).await);
    }
    let url = world.server.url(&format!("{pool}/expense"));
    let (client, token) = (reqwest::Client::new(), world.account(Place::Owner).access_token.clone());
    let sent: Vec<_> = trips
        .iter()
        .map(|trip| {
            let request = client.post(&url).bearer_auth(&token).json(&json!({"trip": trip}));
            tokio::spawn(async move { request.send().await.is_ok() })
        })
        .collect();
    let mut sent = sent.into_iter();
    // One is through, the others are anywhere.
    sent.next().unwrap().await.unwrap();
    world.server.kill().await;
    for request in sent {
        request.await.unwrap();
    }
    world.server.restart().await;
    for trip in &trips {
        let (one, other) = tokio::join!(bring(&world, Place::Owner, &pool, trip), bring(&world, Place::Rider, &pool, trip));
        assert!(one.status.is_success() && other.status.is_success(), "{one:?} {other:?}");
        let found = expenses(&world, trip).await;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((&one.body["expense"], &other.body["expense"]), (&found[0]["id"], &found[0]["id"]));
    }
    assert_eq!(bring(&world, Place::Owner, &pool, &trips[0]).await.ok(200)["repeated"], true);
}

/// Members choose the ids of their expenses. What all of them know, the pool and the trip, does not give away the one of the costs.
async fn nobody_can_use_up_the_id_of_costs_to_come(database: TestDatabase) {
    let world = World::on(&database).await;
    let (rider, guest) = (&world.account(Place::Rider).id, &world.guest.id);
    let pool = ridden(&world, json!({})).await;
    let into = trip(&world, Place::Owner, &[(rider, "participant"), (guest, "participant")]).await;
    let (pool_id, trip_id): (Uuid, Uuid) = (pool.rsplit('/').next().unwrap().parse().unwrap(), into.parse().unwrap());
    let guesses = [
        Uuid::new_v5(&pool_id, trip_id.as_bytes()),
        Uuid::new_v5(&trip_id, pool_id.as_bytes()),
        Uuid::new_v5(&pool_id, into.as_bytes()),
        pool_id,
        trip_id,
    ];
    for (index, id) in guesses.iter().enumerate() {
        let expense = json!({
            "id": id, "title": "Mine", "payer": guest, "amount": {"minor": 1, "currency": "EUR"}, "shares": [{"user": guest, "minor": 1}]
        });
        let answer = world.guest.api.post(&format!("/api/v1/trips/{into}/expenses"), expense).await;
        // The trip's own id is in use.
        if answer.status != 201 {
            answer.problem("already_exists");
            continue;
        }
        if index % 2 == 0 {
            world.guest.api.delete(&format!("/api/v1/trips/{into}/expenses/{id}")).await.ok(200);
        }
    }
    let brought = bring(&world, Place::Rider, &pool, &into).await.ok(201);
    assert!(!guesses.iter().any(|guess| brought["expense"] == json!(guess)), "{brought}");
    assert_eq!(bring(&world, Place::Owner, &pool, &into).await.ok(200)["expense"], brought["expense"]);
    // Nor does the id of one trip tell that of another.
    let another = trip(&world, Place::Owner, &[(rider, "participant"), (guest, "participant")]).await;
    assert_ne!(bring(&world, Place::Rider, &pool, &another).await.ok(201)["expense"], brought["expense"]);
}

async fn only_the_car_brings_costs(database: TestDatabase) {
    let world = World::on(&database).await;
    let pool = world.pool(json!({})).await;
    world.guest_claim(&pool, true).await;
    for place in [Place::Rider, Place::Rejected, Place::Former, Place::Pending] {
        world.place(&pool, place).await;
    }
    arrive(&world, &pool).await;
    let (rider, guest) = (&world.account(Place::Rider).id, &world.guest.id);
    let open = trip(&world, Place::Owner, &[(rider, "participant"), (guest, "viewer")]).await;
    for place in Place::ALL.into_iter().filter(|place| *place != Place::Anonymous && !place.rides()) {
        join(&world, Place::Owner, &open, &world.account(place).id, "organizer").await;
    }
    for place in Place::ALL {
        let answer = bring(&world, place, &pool, &open).await;
        let wanted = match place {
            Place::Anonymous => "unauthorized",
            Place::Outsider => "not_found",
            Place::Owner | Place::Rider => {
                assert!(answer.status.is_success(), "{place:?}: {answer:?}");
                continue;
            }
            Place::Pending | Place::Waiting | Place::Held | Place::Rejected | Place::Former | Place::Stranger => "forbidden",
        };
        let problem = answer.problem(wanted);
        assert!(!problem.to_string().contains(rider.as_str()), "{place:?} learns who rode: {problem}");
    }
    // Who rode and only looks on in the trip.
    world.guest.api.post(&format!("{pool}/expense"), json!({"trip": open})).await.problem("forbidden");
    assert_eq!(expenses(&world, &open).await.len(), 1);
}

async fn what_cannot_be_brought_is_said(database: TestDatabase) {
    let world = World::on(&database).await;
    let (rider, guest) = (&world.account(Place::Rider).id, &world.guest.id);
    let into = trip(&world, Place::Owner, &[(rider, "participant"), (guest, "viewer")]).await;
    let says = |problem: Value, text: &str| assert!(problem["detail"].as_str().unwrap().contains(text), "{problem}");

    let going = world.pool(json!({})).await;
    world.guest_claim(&going, true).await;
    says(bring(&world, Place::Owner, &going, &into).await.problem("conflict"), "scheduled");
    world.of(Place::Owner).post(&format!("{going}/depart"), Value::Null).await.ok(200);
    says(bring(&world, Place::Owner, &going, &into).await.problem("conflict"), "departed");
    world.of(Place::Owner).post(&format!("{going}/cancel"), Value::Null).await.ok(200);
    says(bring(&world, Place::Owner, &going, &into).await.problem("conflict"), "cancelled");

    for more in [json!({"price": null}), json!({"price": {"minor": 0, "currency": "EUR"}})] {
        let free = ridden(&world, more).await;
        says(bring(&world, Place::Owner, &free, &into).await.problem("conflict"), "nobody anything");
    }

    let pool = ridden(&world, json!({})).await;
    let theirs = trip(&world, Place::Stranger, &[]).await;
    for elsewhere in [theirs.as_str(), &Uuid::now_v7().to_string(), pool.rsplit('/').next().unwrap()] {
        let refused = bring(&world, Place::Owner, &pool, elsewhere).await.problem("not_found");
        assert_eq!(refused["errors"][0]["pointer"], "/trip", "{refused}");
    }
    let no_pool = format!("/api/v1/pools/{into}");
    bring(&world, Place::Owner, &no_pool, &into).await.problem("not_found");
    for (body, pointer) in [(json!({}), ""), (json!({"trip": 7}), "/trip"), (json!({"trip": into, "payer": rider}), "/payer")] {
        let refused = world.of(Place::Owner).post(&format!("{pool}/expense"), body).await;
        assert_eq!((refused.status.as_u16(), refused.body["errors"][0]["pointer"].as_str()), (422, Some(pointer)), "{refused:?}");
    }
    assert!(expenses(&world, &into).await.is_empty());
}
