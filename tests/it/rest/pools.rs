//! Pools over REST: what every operation does, who may, what each sees, and how keys, pages, search and problems behave.

mod contacts;
mod costs;
mod crud;
mod keys;
mod log;
mod operations;
mod pages;
mod privacy;
mod problems;
mod roles;
mod search;
mod sockets;

use serde_json::{Value, json};
use std::time::Duration;
use tripsync_domain::Timestamp;
use uuid::Uuid;

use super::Api;
use super::client::{Account, Answer, text};
use crate::harness::{Launch, Server, TestDatabase};

/// What somebody is to a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Owner,
    /// With a confirmed seat.
    Rider,
    /// Has asked, is not answered.
    Pending,
    /// On the waiting list.
    Waiting,
    /// Holds a seat and has to decide.
    Held,
    /// Was told no.
    Rejected,
    /// Had a seat and gave it back.
    Former,
    /// Of the pool's group, nothing more.
    Stranger,
    /// Of another group.
    Outsider,
    /// Without a token.
    Anonymous,
}

impl Place {
    const ALL: [Self; 10] = [
        Self::Anonymous,
        Self::Outsider,
        Self::Stranger,
        Self::Former,
        Self::Rejected,
        Self::Held,
        Self::Waiting,
        Self::Pending,
        Self::Rider,
        Self::Owner,
    ];

    /// Whether there is a claim.
    const fn claims(self) -> bool {
        matches!(self, Self::Rider | Self::Pending | Self::Waiting | Self::Held)
    }

    const fn rides(self) -> bool {
        matches!(self, Self::Owner | Self::Rider)
    }

    /// Whether there is such a pool for them.
    const fn sees(self) -> bool {
        !matches!(self, Self::Outsider | Self::Anonymous)
    }
}

/// A server and some people, each always in the same place.
struct World {
    server: Server,
    anonymous: Api,
    people: Vec<Account>,
    /// Whom others' requests are about.
    guest: Account,
    /// Who has nothing to do with any pool until invited.
    newcomer: Account,
}

const GROUP: &str = "rowing club";

impl World {
    async fn on(database: &TestDatabase) -> Self {
        Self::with(Server::on(database)).await
    }

    async fn with(launch: Launch) -> Self {
        let server = launch.start().await;
        let anonymous = Api::of(&server);
        let names = ["ann", "bob", "carl", "dora", "eve", "fred", "gina", "hugo", "ida", "guest", "newcomer"];
        let mut people = futures_util::future::join_all(names.map(|name| anonymous.account(name))).await;
        for (index, person) in people.iter().enumerate() {
            let group = if index == Place::Outsider as usize { "chess club" } else { GROUP };
            person.api.patch("/api/v1/me", json!({"group": group, "phone": phone(index)})).await.ok(200);
        }
        let (newcomer, guest) = (people.pop().unwrap(), people.pop().unwrap());
        Self { server, anonymous, people, guest, newcomer }
    }

    fn of(&self, place: Place) -> &Api {
        self.people.get(place as usize).map_or(&self.anonymous, |person| &person.api)
    }

    fn account(&self, place: Place) -> &Account {
        &self.people[place as usize]
    }

    /// A new pool of the owner's: its path.
    async fn pool(&self, more: Value) -> String {
        let mut body = new_pool();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = self.of(Place::Owner).post("/api/v1/pools", body).await.ok(201);
        format!("/api/v1/pools/{}", text(&made["id"]))
    }

    /// Brings somebody into their place in a pool with a free seat; their claim, where they have one.
    async fn place(&self, pool: &str, place: Place) -> Option<String> {
        let (own, owner) = (self.of(place), self.of(Place::Owner));
        let (way, body) = match place {
            Place::Owner | Place::Stranger | Place::Outsider | Place::Anonymous => return None,
            Place::Held => ("holds", json!({})),
            Place::Waiting | Place::Rejected => ("requests", json!({"seats": 4, "wait": true})),
            Place::Rider | Place::Former | Place::Pending => ("requests", json!({"message": format!("please take {place:?}")})),
        };
        let made = own.post(&format!("{pool}/{way}"), body).await.ok(201);
        let claim = text(&made["id"]);
        let at = format!("{pool}/claims/{claim}");
        if matches!(place, Place::Rider | Place::Former) && made["item"]["stage"] != "confirmed" {
            owner.post(&format!("{at}/approve"), Value::Null).await.ok(200);
        }
        if place == Place::Rejected {
            owner.post(&format!("{at}/reject"), json!({"reason": "no room for you"})).await.ok(200);
        }
        if place == Place::Former {
            own.post(&format!("{at}/withdraw"), Value::Null).await.ok(200);
        }
        place.claims().then_some(claim)
    }

    /// The guest's claim in a pool.
    async fn guest_claim(&self, pool: &str, confirmed: bool) -> String {
        let made = self.guest.api.post(&format!("{pool}/requests"), json!({})).await.ok(201);
        let claim = text(&made["id"]);
        if confirmed && made["item"]["stage"] != "confirmed" {
            self.of(Place::Owner).post(&format!("{pool}/claims/{claim}/approve"), Value::Null).await.ok(200);
        }
        claim
    }

    /// The pool as its owner sees it.
    async fn state(&self, pool: &str) -> Value {
        self.of(Place::Owner).get(&format!("{pool}/state")).await.ok(200)
    }
}

fn phone(index: usize) -> String {
    format!("+35121000{index:04}")
}

/// A month from now, as the clocks of a zone without summer time show it.
fn in_a_month() -> Value {
    in_days(30)
}

fn in_days(days: u64) -> Value {
    json!({"local": instant_in_days(days)[..16], "tz": "Etc/UTC"})
}

fn instant_in_days(days: u64) -> String {
    let (seconds, _) = Uuid::now_v7().get_timestamp().unwrap().to_unix();
    Timestamp::from_ms(i64::try_from(seconds * 1_000).unwrap()).plus(Duration::from_hours(24 * days)).to_string()
}

/// From Lisbon over Coimbra to Porto, four seats, for the group.
fn new_pool() -> Value {
    json!({
        "stops": [
            {"name": "Lisboa Oriente", "position": {"lat": 38.7678, "lon": -9.0991}},
            {"name": "Coimbra-B", "position": {"lat": 40.2250, "lon": -8.4400}},
            {"name": "Porto Campanhã", "position": {"lat": 41.1487, "lon": -8.5856}},
        ],
        "departure": in_a_month(), "seats": 4, "price": {"minor": 1500, "currency": "EUR"}, "group": GROUP
    })
}

/// The `ETag` as a number.
#[track_caller]
fn etag(answer: &Answer) -> u64 {
    let tag = answer.header("etag").unwrap_or_else(|| panic!("no ETag: {answer:?}"));
    tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_else(|| panic!("{tag}")).parse().unwrap()
}
