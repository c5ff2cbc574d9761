//! Whether a pool was oversold at any moment, as its history tells it to its owner.

use serde_json::Value;
use std::collections::HashMap;

/// What the history of a pool says.
pub(super) struct Judged {
    /// After how many events it was looked at.
    pub(super) moments: u64,
    /// When there were too few seats.
    pub(super) oversold: Vec<String>,
    /// Whether no seat was free at any moment.
    pub(super) full: bool,
}

/// Goes through the history, oldest first. All riders of the load ride the whole way, so that the seats
/// of all claims add up.
pub(super) fn judge<'a>(history: impl Iterator<Item = (u64, &'a Value)>) -> Judged {
    let mut seats = None;
    let mut claims: HashMap<String, u64> = HashMap::new();
    // Who waits takes no seat before it is offered one.
    let mut asked: HashMap<String, u64> = HashMap::new();
    let (mut moments, mut oversold, mut full) = (0, Vec::new(), false);
    for (seq, event) in history {
        let details = if event["details"].is_null() { &event["to"] } else { &event["details"] };
        seats = details["seats"].as_u64().or(seats);
        match event["type"].as_str().unwrap_or_default() {
            "claimed" | "confirmed" => {
                let claim = &event["claim"];
                let (id, wanted) = (text(&claim["id"]), claim["seats"].as_u64().unwrap_or_default());
                if matches!(claim["stage"]["stage"].as_str(), Some("confirmed" | "held" | "offered")) {
                    claims.insert(id.clone(), wanted);
                }
                asked.insert(id, wanted);
            }
            "offered" => {
                let id = text(&event["claim"]);
                let wanted = asked.get(&id).copied().unwrap_or_default();
                claims.insert(id, wanted);
            }
            "claim_ended" => {
                claims.remove(&text(&event["claim"]));
            }
            _ => {}
        }
        let Some(seats) = seats else { continue };
        moments += 1;
        let taken = event["taken"].as_array().into_iter().flatten().filter_map(Value::as_u64).max().unwrap_or_default();
        let claimed: u64 = claims.values().sum();
        full |= taken.max(claimed) >= seats;
        if taken.max(claimed) > seats {
            oversold.push(format!("after event {seq} {} of {seats} seats are taken", taken.max(claimed)));
        }
    }
    Judged { moments, oversold, full }
}

fn text(id: &Value) -> String {
    id.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claimed(id: &str, stage: &str) -> Value {
        json!({"type": "claimed", "claim": {"id": id, "seats": 1, "stage": {"stage": stage}}})
    }

    fn ended(id: &str) -> Value {
        json!({"type": "claim_ended", "claim": id, "was": "confirmed"})
    }

    /// How often a pool of one seat was oversold.
    fn oversold(events: &[Value]) -> usize {
        let made = json!({"type": "pool_created", "details": {"seats": 1}});
        let judged = judge((1..).zip([&made].into_iter().chain(events)));
        assert_eq!(judged.moments, events.len() as u64 + 1);
        judged.oversold.len()
    }

    #[test]
    fn a_pool_that_was_oversold_for_a_moment_is_noticed() {
        let offered = json!({"type": "offered", "claim": "b"});
        assert_eq!(oversold(&[claimed("a", "confirmed"), claimed("b", "waiting"), ended("a"), offered.clone()]), 0);
        assert_eq!(oversold(&[claimed("a", "confirmed"), claimed("b", "confirmed"), ended("a")]), 1);
        assert_eq!(oversold(&[claimed("a", "confirmed"), claimed("b", "waiting"), offered, ended("a")]), 1);
        assert_eq!(oversold(&[json!({"type": "seats_changed", "taken": [0, 2]}), json!({"type": "seats_changed", "taken": [1, 1]})]), 1);
        let confirmed = json!({"type": "confirmed", "claim": {"id": "b", "seats": 1, "stage": {"stage": "confirmed"}}});
        assert_eq!(oversold(&[claimed("a", "held"), confirmed]), 1);
    }

    #[test]
    fn a_pool_that_never_was_full_is_known() {
        let made = json!({"type": "pool_created", "details": {"seats": 2}});
        let full = |events: &[Value]| judge((1..).zip([&made].into_iter().chain(events))).full;
        assert!(!full(&[claimed("a", "confirmed"), ended("a"), claimed("b", "confirmed"), claimed("c", "waiting")]));
        assert!(full(&[claimed("a", "confirmed"), claimed("b", "held"), ended("a")]));
    }

    #[test]
    fn a_pool_with_more_seats_than_before_may_sell_them() {
        let more = json!({"type": "details_updated", "from": {"seats": 1}, "to": {"seats": 2}});
        assert_eq!(oversold(&[more, claimed("a", "confirmed"), claimed("b", "held")]), 0);
    }
}
