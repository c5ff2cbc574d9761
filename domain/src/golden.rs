//! Golden files: what is stored for ever, held byte by byte. `UPDATE_GOLDEN=1 cargo test` writes them anew, for additions.

use crate::protocol::{EventRecord, to_json};
use crate::{EventMeta, RoomKind};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Holds the events of a kind against `tests/golden/<file>`; `tags` is how many sorts of events there must be among them.
pub(crate) fn events_are_as_stored<K: RoomKind<Event: PartialEq>>(file: &str, journal: &[(EventMeta, K::Event)], tags: usize) {
    let path = format!("{}/../tests/golden/{file}", env!("CARGO_MANIFEST_DIR"));
    let seen: BTreeSet<_> = journal.iter().map(|(_, event)| K::tag(event)).collect();
    assert_eq!(seen.len(), tags, "not every sort of event: {seen:?}");
    let now: Vec<Value> = journal.iter().map(|(meta, event)| golden::<K>(meta, event)).collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(&now).unwrap() + "\n").unwrap();
    }
    let golden: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    for (golden, (meta, event)) in golden.iter().zip(journal) {
        let read = EventRecord::<K::Event>::decode(&unhex(golden["msgpack"].as_str().unwrap())).unwrap();
        assert_eq!((read.seq, &read.ev), (meta.seq, event), "stored bytes are read as something else");
    }
    assert_eq!(golden, now);
}

fn golden<K: RoomKind>(meta: &EventMeta, event: &K::Event) -> Value {
    let record = EventRecord { seq: meta.seq, at: meta.at, by: meta.by, client: None, n: None, ev: event.clone(), conflicts: vec![] };
    let bytes = record.encode().unwrap();
    let json: Value = serde_json::from_slice(&to_json(&bytes).unwrap()).unwrap();
    assert_eq!(json, serde_json::to_value(&record).unwrap(), "JSON that is derived from the bytes says the same");
    json!({"json": json, "msgpack": hex(&bytes)})
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
