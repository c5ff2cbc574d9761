//! Who sees what: every secret of everybody in a pool, looked for in every answer that anybody gets.

use serde_json::{Value, json};

use super::{Place, World, phone};
use crate::harness::{TestDatabase, for_each_backend};
use crate::rest::client::text;

for_each_backend!(nobody_sees_more_than_the_table_says);

/// What is read of a pool.
const SURFACES: &[&str] =
    &["", "/state", "/claims", "/claims?limit=100", "/messages", "/reviews", "/log?limit=100", "/log?limit=1", "/contacts", "/pickup"];

/// Something that not everybody may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secret {
    Email(Place),
    Phone(Place),
    /// The name of the exact place.
    Pickup(Place),
    /// That somebody has, or had, something to do with the pool: the account's id.
    Part(Place),
    /// What somebody wrote to the owner.
    Message(Place),
    /// Why the owner said no.
    Reason,
    /// What was written when only owner, rider and former were in the car.
    OldTalk,
    /// What was written when the former had left.
    NewTalk,
}

impl Secret {
    pub(super) fn all() -> Vec<Self> {
        let claimants = [Place::Rider, Place::Pending, Place::Waiting, Place::Rejected, Place::Former];
        let of = |place| [Self::Email(place), Self::Phone(place), Self::Pickup(place), Self::Part(place), Self::Message(place)];
        let mut all: Vec<_> = claimants.into_iter().flat_map(of).collect();
        all.extend([Self::Email(Place::Owner), Self::Phone(Place::Owner), Self::Reason, Self::OldTalk, Self::NewTalk]);
        all
    }

    pub(super) fn text(self, world: &World) -> String {
        match self {
            Self::Email(place) => world.account(place).email.clone(),
            Self::Phone(place) => phone(place as usize),
            Self::Pickup(place) => format!("the door of {place:?}"),
            Self::Part(place) => world.account(place).id.clone(),
            Self::Message(place) => format!("please take {place:?}"),
            Self::Reason => "no room for you".into(),
            Self::OldTalk => "said before".into(),
            Self::NewTalk => "said after".into(),
        }
    }

    /// Whether it is what the contacts are for.
    pub(super) const fn is_contact(self) -> bool {
        matches!(self, Self::Email(_) | Self::Phone(_) | Self::Pickup(_))
    }

    /// Whether somebody sees it anywhere but in the contacts and the own pick-up point.
    pub(super) fn is_seen_by(self, viewer: Place) -> bool {
        match self {
            Self::Email(_) | Self::Phone(_) | Self::Pickup(_) => false,
            // Who is in the car knows who else is, or was.
            Self::Part(of) => {
                viewer == Place::Owner
                    || viewer == of
                    || (matches!(of, Place::Rider | Place::Former) && matches!(viewer, Place::Rider | Place::Former))
            }
            Self::Message(of) => viewer == Place::Owner || viewer == of,
            Self::Reason => matches!(viewer, Place::Owner | Place::Rejected),
            Self::OldTalk => matches!(viewer, Place::Owner | Place::Rider | Place::Former),
            Self::NewTalk => viewer.rides(),
        }
    }

    fn is_in_contacts_of(self, viewer: Place) -> bool {
        match (viewer, self) {
            (Place::Owner, Self::Email(of) | Self::Phone(of) | Self::Pickup(of) | Self::Part(of)) => of == Place::Rider,
            (Place::Rider, Self::Email(of) | Self::Phone(of)) => of == Place::Owner,
            _ => false,
        }
    }
}

/// A pool with everybody in their places, each with a pick-up point and a phone.
pub(super) async fn full_pool(world: &World) -> String {
    let (owner, pool) = (world.of(Place::Owner), world.pool(json!({"seats": 4})).await);
    let claim = |claim: Option<String>| claim.unwrap();
    let ask = async |place: Place, seats: u8| {
        let body = json!({"seats": seats, "wait": true, "message": format!("please take {place:?}")});
        let made = world.of(place).post(&format!("{pool}/requests"), body).await.ok(201);
        let door = json!({"name": format!("the door of {place:?}"), "position": {"lat": 38.7103, "lon": -9.1366}});
        world.of(place).put(&format!("{pool}/pickup"), door).await.ok(200);
        Some(text(&made["id"]))
    };
    let answer = async |claim: &str, word: &str, body: Value| {
        owner.post(&format!("{pool}/claims/{claim}/{word}"), body).await.ok(200);
    };
    for place in [Place::Rider, Place::Former] {
        answer(&claim(ask(place, 1).await), "approve", Value::Null).await;
    }
    owner.post(&format!("{pool}/messages"), json!({"body": "said before"})).await.ok(201);
    let own = text(&world.of(Place::Former).get(&pool).await.ok(200)["claim"]["id"]);
    world.of(Place::Former).post(&format!("{pool}/claims/{own}/withdraw"), Value::Null).await.ok(200);
    world.of(Place::Rider).post(&format!("{pool}/messages"), json!({"body": "said after"})).await.ok(201);
    let rejected = claim(ask(Place::Rejected, 1).await);
    answer(&rejected, "reject", json!({"reason": "no room for you"})).await;
    ask(Place::Pending, 1).await;
    ask(Place::Waiting, 4).await;
    pool
}

async fn nobody_sees_more_than_the_table_says(database: TestDatabase) {
    let world = World::on(&database).await;
    let pool = full_pool(&world).await;
    let places = Place::ALL.into_iter().filter(|place| *place != Place::Held);
    let mut wrong = Vec::new();
    for viewer in places {
        let mut seen = String::new();
        for surface in SURFACES {
            let answer = world.of(viewer).get(&format!("{pool}{surface}")).await;
            let allowed = match *surface {
                "/contacts" if !viewer.rides() => 403,
                "/pickup" if !viewer.claims() => 403,
                _ => 200,
            };
            let allowed = if viewer.sees() { allowed } else { 404 };
            let allowed = if viewer == Place::Anonymous { 401 } else { allowed };
            assert_eq!(answer.status, allowed, "{viewer:?} {surface}: {answer:?}");
            let body = answer.body.to_string();
            for secret in Secret::all() {
                let shown = body.contains(&secret.text(&world));
                let may = match *surface {
                    "/contacts" => secret.is_in_contacts_of(viewer),
                    "/pickup" => secret == Secret::Pickup(viewer) && viewer.claims(),
                    _ if shown => secret.is_seen_by(viewer),
                    _ => false,
                };
                if shown != may {
                    wrong.push(format!("{viewer:?} {surface}: {secret:?} shown {shown}, though it may be {may}"));
                }
            }
            if !matches!(*surface, "/contacts" | "/pickup") {
                seen += &body;
            }
        }
        // Lists and searches show no more.
        for list in ["/api/v1/pools", "/api/v1/pools/search?from=38.7678,-9.0991", "/api/v1/me"] {
            let body = world.of(viewer).get(list).await.body.to_string();
            for secret in Secret::all() {
                let own =
                    list.ends_with("/me") && matches!(secret, Secret::Email(of) | Secret::Phone(of) | Secret::Part(of) if of == viewer);
                if body.contains(&secret.text(&world)) != own {
                    wrong.push(format!("{viewer:?} {list}: {secret:?}, own {own}"));
                }
            }
        }
        // What somebody may see is somewhere.
        for secret in Secret::all().into_iter().filter(|secret| viewer.sees() && secret.is_seen_by(viewer)) {
            if !seen.contains(&secret.text(&world)) {
                wrong.push(format!("{viewer:?} sees nothing of {secret:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for secret in Secret::all().into_iter().filter(|secret| secret.is_contact()) {
        assert!(!world.server.log().contains(&secret.text(&world)), "{secret:?} is in the server's log");
    }
}
