//! Makes the trip as its three people would: the trip over REST, everything in it over their sockets.
//!
//! Item ids are derived from the trip's, and every command has a fixed client and number: doing it again, after whatever interruption, is
//! answered with the first outcome and changes nothing.

use super::DemoError;
use super::account::Account;
use super::api::Api;
use super::content::{
    ACTIVITIES, ActivitySeed, BUDGET_CENTS, CHAT, CURRENCY, DAYS, DESCRIPTION, DESTINATION, PLACES, Person, TITLE, VOTES, ZONE,
};
use super::desk::{Desk, Heard};
use super::link::{Deed, Ended, Link, Mind};
use super::saved::Saved;
use http::StatusCode;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use tokio::time::Duration;
use tokio_util::sync::CancellationToken;
use tripsync_domain::protocol::Codec;
use uuid::Uuid;

/// The order in which people add their activities.
const PASSES: [Person; 3] = [Person::Ines, Person::Tomas, Person::Robin];

/// The id of an activity of the content.
pub(super) fn activity(trip: Uuid, key: &str) -> Uuid {
    Uuid::new_v5(&trip, format!("activity {key}").as_bytes())
}

/// The id of a place of the content.
pub(super) fn place(trip: Uuid, key: &str) -> Uuid {
    Uuid::new_v5(&trip, format!("place {key}").as_bytes())
}

/// The id of a message of the content.
fn message(trip: Uuid, index: usize) -> Uuid {
    Uuid::new_v5(&trip, format!("message {index}").as_bytes())
}

/// A time of a day of the trip; null without one.
pub(super) fn moment(day: Option<usize>, time: &str) -> Value {
    match day.and_then(|day| DAYS.get(day)).filter(|_| !time.is_empty()) {
        Some(date) => json!({"local": format!("{date}T{time}"), "tz": ZONE}),
        None => Value::Null,
    }
}

/// The trip's id: the one that was made before if it is still there, else a new one.
pub(super) async fn trip(api: Api, robin: &Account, saved: &mut Saved, folder: &Path) -> Result<Uuid, DemoError> {
    if let Some(trip) = saved.trip {
        let found = api.get(&format!("/api/v1/trips/{trip}"), robin.token()).await?;
        if found.status != StatusCode::NOT_FOUND {
            found.good("reading the trip")?;
            return Ok(trip);
        }
        saved.forget_trip();
        saved.write(folder)?;
    }
    let (key, authorization) = (saved.trip_key.to_string(), robin.authorization());
    let headers = [("authorization", authorization.as_str()), ("idempotency-key", key.as_str())];
    let wanted = json!({
        "title": TITLE, "description": DESCRIPTION, "destination": DESTINATION, "start_date": DAYS[0], "end_date": DAYS[DAYS.len() - 1],
        "trip_type": "leisure", "budget": {"minor": BUDGET_CENTS, "currency": CURRENCY},
    });
    let made = api.post("/api/v1/trips", &headers, wanted).await?.good("making the trip")?;
    let address = made.location.ok_or(DemoError::Odd { what: "Location" })?;
    let trip = address.rsplit('/').next().and_then(|id| id.parse().ok()).ok_or(DemoError::Odd { what: "Location" })?;
    saved.trip = Some(trip);
    saved.write(folder)?;
    Ok(trip)
}

/// Sends whatever the trip is to hold, and waits until all of it is acknowledged.
pub(super) async fn fill(
    api: Api,
    accounts: BTreeMap<Person, Account>,
    saved: &Saved,
    trip: Uuid,
) -> Result<BTreeMap<Person, Account>, DemoError> {
    let users = accounts.iter().map(|(person, account)| (*person, account.user)).collect();
    let mut accounts = accounts;
    let mut numbered: BTreeMap<Person, u64> = BTreeMap::new();
    for (person, commands) in content(trip, &users) {
        let Some(account) = accounts.remove(&person) else { continue };
        let last_n = numbered.entry(person).or_default();
        let desk = Desk::new(trip.to_string(), *last_n);
        *last_n += commands.len() as u64;
        let mut link = Link::new(api, account, Codec::Json, saved.of(person).client, desk);
        let mut filler = Filler { commands, sent: false, refused: None };
        let ended = link.run(&mut filler, &CancellationToken::new()).await;
        if let Some(code) = filler.refused.or(if let Ended::Out(code) = ended { Some(code) } else { None }) {
            return Err(DemoError::Refused { what: format!("what {} put in", person.name()), status: 0, code, detail: String::new() });
        }
        accounts.insert(person, link.into_account());
    }
    Ok(accounts)
}

/// Sends a list of commands.
struct Filler {
    commands: Vec<Value>,
    sent: bool,
    refused: Option<String>,
}

impl Mind for Filler {
    fn hear(&mut self, heard: &Heard) -> bool {
        if let Heard::Answered { refused: Some(code), n } = heard {
            tracing::warn!(n, code, "the demo's content was refused");
            self.refused = Some(code.clone());
        }
        false
    }

    fn act(&mut self) -> Vec<Deed> {
        self.sent = true;
        std::mem::take(&mut self.commands).into_iter().map(Deed::Command).collect()
    }

    fn pause(&self) -> Duration {
        if self.sent { Duration::from_secs(1) } else { Duration::ZERO }
    }

    fn is_done(&self, unanswered: usize) -> bool {
        self.refused.is_some() || (self.sent && unanswered == 0)
    }
}

/// All commands, in runs of one author each.
fn content(trip: Uuid, users: &BTreeMap<Person, Uuid>) -> Vec<(Person, Vec<Value>)> {
    let mut runs = Vec::new();
    let members = users.iter().filter(|(person, _)| **person != Person::Robin);
    runs.push((Person::Robin, members.map(|(_, user)| json!({"type": "add_member", "user": user, "role": "participant"})).collect()));
    let places = PLACES.iter().map(|seed| {
        json!({
            "type": "add_place", "id": place(trip, seed.key), "name": seed.name, "kind": seed.kind,
            "position": {"lat": seed.lat, "lon": seed.lon}, "notes": seed.notes,
        })
    });
    runs.push((Person::Ines, places.collect()));
    for (pass, person) in PASSES.into_iter().enumerate() {
        let mine = ACTIVITIES.iter().enumerate().filter(|(_, seed)| seed.by == person);
        let mut commands: Vec<Value> = mine.map(|(index, seed)| add(trip, users, index, seed, &PASSES[..=pass])).collect();
        let votes = VOTES.iter().filter(|(by, _)| *by == person);
        commands.extend(votes.map(|(_, key)| json!({"type": "vote_place", "place": place(trip, key), "on": true})));
        runs.push((person, commands));
    }
    for (index, (person, body, about)) in CHAT.iter().enumerate() {
        let mut command = json!({"type": "send_message", "id": message(trip, index), "body": body});
        if !about.is_empty() {
            command["anchor"] = json!({"activity": activity(trip, about)});
        }
        runs.push((*person, vec![command]));
    }
    runs
}

/// The command that adds an activity behind the last one before it that is there already: of the same day, by one of `there`.
fn add(trip: Uuid, users: &BTreeMap<Person, Uuid>, index: usize, seed: &ActivitySeed, there: &[Person]) -> Value {
    let before = ACTIVITIES[..index].iter().rev().find(|other| other.day == seed.day && there.contains(&other.by));
    let mut command = json!({
        "type": "add_activity", "id": activity(trip, seed.key), "title": seed.title, "kind": seed.kind,
        "status": seed.status, "after": before.map(|other| activity(trip, other.key)),
    });
    let mut set = |name: &str, value: Value| {
        if !value.is_null() {
            command[name] = value;
        }
    };
    set("day", seed.day.and_then(|day| DAYS.get(day)).map_or(Value::Null, |day| json!(day)));
    set("start", moment(seed.day, seed.start));
    set("end", moment(seed.day, seed.end));
    if !seed.place.is_empty() {
        set("place", json!(place(trip, seed.place)));
    }
    if seed.cents > 0 {
        set("cost", json!({"minor": seed.cents, "currency": CURRENCY}));
    }
    set("assignees", users.get(&seed.by).map_or(Value::Null, |user| json!([user])));
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use tripsync_domain::trip::Command;

    fn users() -> BTreeMap<Person, Uuid> {
        Person::ALL.into_iter().map(|person| (person, Uuid::now_v7())).collect()
    }

    #[test]
    fn all_of_it_is_made_of_commands_that_a_trip_knows() {
        let runs = content(Uuid::now_v7(), &users());
        for command in runs.iter().flat_map(|(_, commands)| commands) {
            tripsync_domain::command::parse::<Command>(command).unwrap_or_else(|refused| panic!("{refused:?}: {command}"));
        }
        let ids: Vec<_> = runs.iter().flat_map(|(_, commands)| commands).filter_map(|command| command["id"].as_str()).collect();
        assert!(ids.len() > 70);
        assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), ids.len(), "an id is used twice");
    }

    #[test]
    fn the_order_of_each_day_is_that_of_the_content() {
        let trip = Uuid::now_v7();
        let mut days: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (_, commands) in content(trip, &users()) {
            for command in commands.iter().filter(|command| command["type"] == "add_activity") {
                let list = days.entry(command["day"].to_string()).or_default();
                let at = match command["after"].as_str() {
                    Some(after) => list.iter().position(|id| id == after).unwrap() + 1,
                    None => 0,
                };
                list.insert(at, command["id"].as_str().unwrap().to_owned());
            }
        }
        let wanted: Vec<_> =
            ACTIVITIES.iter().filter(|seed| seed.day == Some(1)).map(|seed| activity(trip, seed.key).to_string()).collect();
        assert_eq!(days[&format!("{:?}", DAYS[1])], wanted);
    }

    #[test]
    fn the_same_trip_gets_the_same_commands() {
        let (trip, users) = (Uuid::now_v7(), users());
        assert_eq!(content(trip, &users), content(trip, &users));
    }
}
