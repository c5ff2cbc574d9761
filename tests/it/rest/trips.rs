//! Trips over REST: what every operation does, who may, and how conditions, keys, pages and problems behave.

mod crud;
mod document;
mod extremes;
mod keys;
mod operations;
mod order;
mod outage;
mod pages;
mod problems;
mod roles;
mod versions;

use reqwest::Method;
use serde_json::{Value, json};

use super::Api;
use super::client::{Account, Answer, send, text};
use crate::harness::{Server, TestDatabase};

/// A place in a trip, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The organizer who made it.
    Creator,
    /// Another organizer.
    Organizer,
    /// A participant.
    Editor,
    Viewer,
    /// With an account, but no member.
    Stranger,
    /// Without a token.
    Anonymous,
}

impl Place {
    const ALL: [Self; 6] = [Self::Anonymous, Self::Stranger, Self::Viewer, Self::Editor, Self::Organizer, Self::Creator];

    /// The role to add such a member with.
    const fn role(self) -> Option<&'static str> {
        match self {
            Self::Organizer => Some("organizer"),
            Self::Editor => Some("participant"),
            Self::Viewer => Some("viewer"),
            Self::Creator | Self::Stranger | Self::Anonymous => None,
        }
    }
}

/// A server and some people.
struct World {
    server: Server,
    anonymous: Api,
    ann: Account,
    others: Vec<Account>,
}

impl World {
    async fn on(database: &TestDatabase) -> Self {
        let server = Server::on(database).start().await;
        let anonymous = Api::of(&server);
        let ann = anonymous.account("ann").await;
        let names = ["bob", "carl", "dora", "eve", "fred", "gina"];
        let others = futures_util::future::join_all(names.map(|name| anonymous.account(name))).await;
        Self { server, anonymous, ann, others }
    }

    /// Calls in the name of whoever has this place in trips.
    fn of(&self, place: Place) -> &Api {
        match place {
            Place::Creator => &self.ann.api,
            Place::Organizer => &self.others[0].api,
            Place::Editor => &self.others[1].api,
            Place::Viewer => &self.others[2].api,
            Place::Stranger => &self.others[3].api,
            Place::Anonymous => &self.anonymous,
        }
    }

    fn id(&self, place: Place) -> &str {
        match place {
            Place::Creator => &self.ann.id,
            Place::Organizer => &self.others[0].id,
            Place::Editor => &self.others[1].id,
            Place::Viewer => &self.others[2].id,
            Place::Stranger => &self.others[3].id,
            Place::Anonymous => panic!("nobody"),
        }
    }

    /// A member of trips whom others' requests are about.
    fn guest(&self) -> &Account {
        &self.others[4]
    }

    /// Somebody who can be added to trips.
    fn newcomer(&self) -> &Account {
        &self.others[5]
    }

    /// A new trip of Ann's: its path.
    async fn trip(&self, members: &[Place]) -> String {
        let made = self.ann.api.post("/api/v1/trips", json!({"title": "Lisbon"})).await.ok(201);
        let trip = format!("/api/v1/trips/{}", text(&made["id"]));
        for member in members.iter().filter(|member| member.role().is_some()) {
            let body = json!({"user": self.id(*member), "role": member.role()});
            self.ann.api.post(&format!("{trip}/members"), body).await.ok(201);
        }
        trip
    }

    /// The trip's version, as its creator sees it.
    async fn seq(&self, trip: &str) -> u64 {
        let answer = self.ann.api.get(trip).await;
        let (tag, body) = (etag(&answer), answer.ok(200));
        assert_eq!(body["seq"], tag);
        tag
    }

    /// The whole trip.
    async fn state(&self, trip: &str) -> Value {
        self.ann.api.get(&format!("{trip}/state")).await.ok(200)
    }
}

/// The `ETag` as a number.
#[track_caller]
fn etag(answer: &Answer) -> u64 {
    let tag = answer.header("etag").unwrap_or_else(|| panic!("no ETag: {answer:?}"));
    tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_else(|| panic!("{tag}")).parse().unwrap()
}

/// A request with headers. A null body is none.
async fn call(api: &Api, method: &Method, path: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
    let request = headers.iter().fold(api.request(method.clone(), path), |request, (name, value)| request.header(*name, *value));
    send(if body.is_null() { request } else { request.json(body) }).await
}

/// The id that an answer to a POST gives.
#[track_caller]
fn made(answer: Answer) -> String {
    text(&answer.ok(201)["id"])
}
