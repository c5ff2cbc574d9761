//! Simulated trips.

use super::{Seen, Simulated};
use crate::testing::Random;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tripsync_domain::trip::{State, Trip};
use tripsync_domain::{ItemId, UserId};
use uuid::Uuid;

impl Simulated for Trip {
    const UNSIGNED: Option<&'static str> = None;

    /// About what the client has seen: its author does not know more.
    fn command(random: &mut Random, _: &State, user: UserId, seen: &[Seen]) -> Value {
        let number = random.next() % 1_000;
        let some = |random: &mut Random, kind: &str| {
            let of_kind: Vec<_> = seen.iter().filter(|(other, _)| *other == kind).collect();
            let newest = of_kind.len().saturating_sub(6);
            if of_kind.is_empty() { Value::Null } else { json!(of_kind[newest + random.below(of_kind.len() - newest)].1) }
        };
        let activity = some(random, "activity");
        let day = random.pick(&["2027-05-01", "2027-05-02", "2027-05-03"]);
        match random.below(if activity.is_null() { 9 } else { 20 }) {
            0..3 => json!({"type": "add_activity", "title": format!("Activity {number}"), "day": day}),
            3 => {
                json!({"type": "add_activity", "id": ItemId(Uuid::from_u128(u128::from(random.next()))), "title": format!("Own {number}")})
            }
            4 => json!({"type": "add_place", "name": format!("Place {number}")}),
            5 => json!({"type": "send_message", "body": format!("Message {number}")}),
            6 => json!({"type": "update_details", "title": format!("Trip {number}")}),
            7 => json!({"type": "set_status", "status": random.pick(&["planning", "active", "cancelled"])}),
            8 => json!({"type": "update_details", "destination": format!("Town {number}"), "start_date": day}),
            9..13 => json!({"type": "update_activity", "activity": activity, "title": format!("Title {number}")}),
            13 => json!({"type": "update_activity", "activity": activity, "notes": format!("Notes {number}"), "assignees": [user]}),
            14..17 => json!({"type": "move_activity", "activity": activity, "day": day, "after": some(random, "activity")}),
            17 => json!({"type": "remove_activity", "activity": activity}),
            18 => json!({"type": "vote_place", "place": some(random, "place"), "on": random.one_in(2)}),
            _ => json!({"type": "react", "message": some(random, "message"), "emoji": "👍", "on": true}),
        }
    }

    fn concerned(state: &State) -> BTreeSet<UserId> {
        state.members.keys().copied().collect()
    }
}
