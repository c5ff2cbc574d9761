//! What one event costs to encode, to decode and to turn into JSON.

use crate::measure::show;
use serde_json::json;
use std::hint::black_box;
use tokio::time::Instant;
use tripsync_domain::protocol::{EventRecord, to_json};
use tripsync_domain::trip::Event;

const ROUNDS: u32 = 400_000;
const REPEATS: u32 = 5;

pub(crate) fn run() {
    let id = |n: u128| uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | n).to_string();
    let record = json!({
        "seq": 4711, "at": "2027-05-02T09:30:00.123Z", "by": id(1), "client": id(2), "n": 812,
        "ev": {"type": "activity_updated", "activity": id(3), "title": "Louvre", "changes": {"title": {"from": "Louvre", "to": "Louvre, west wing"}}},
    });
    let record: EventRecord<Event> = match serde_json::from_value(record) {
        Ok(record) => record,
        Err(error) => return show("the sample event cannot be read", error),
    };
    let Ok(bytes) = record.encode() else { return };
    show("bytes of the event", bytes.len());
    time("encode", || black_box(black_box(&record).encode()).is_ok());
    time("decode", || black_box(EventRecord::<Event>::decode(black_box(&bytes))).is_ok());
    time("MessagePack to JSON", || black_box(to_json(black_box(&bytes))).is_ok());
}

/// The best of several rounds: the one that was disturbed least.
fn time(what: &str, run: impl Fn() -> bool) {
    let best = (0..REPEATS).map(|_| {
        let started = Instant::now();
        for _ in 0..ROUNDS {
            black_box(run());
        }
        started.elapsed() / ROUNDS
    });
    show(what, format!("{} ns", best.min().unwrap_or_default().as_nanos()));
}
