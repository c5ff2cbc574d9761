//! The bytes of every frame, held against `tests/golden/frames.v1.json`: a change of shape is noticed.
//!
//! `TRIPSYNC_GOLDEN=write cargo test --workspace golden` writes the file anew; frames may only gain fields within version 1.

use super::*;
use crate::ItemId;
use crate::presence::{Editing, MapView};
use crate::protocol::{EventRecord, encode_bare, encode_events, to_json};
use serde_json::json;
use std::fmt::Write as _;
use uuid::Uuid;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/frames.v1.json");

const fn id(n: u128) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | n)
}

fn frames() -> Vec<(&'static str, Vec<u8>)> {
    let room = RoomId(id(1));
    let user = UserId(id(2));
    let client = ClientId(id(3));
    let n = CommandNumber(7);
    let at = Timestamp::from_ms(1_809_336_600_123);
    let conflict = Conflict { path: "/details/title".into(), by: user, at, seq: Seq(41), theirs: json!("Lisbon"), yours: json!("Porto") };
    let state = PresenceState {
        looking_at: Some(ItemId(id(4))),
        editing: Some(Editing { item: None, field: "title".into() }),
        typing: true,
        map: Some(MapView { lat: 38.7, lon: -9.1, zoom: 12.5 }),
        idle: false,
        fix: None,
    };
    let entry = PresenceEntry { user, state, devices: 2, since: at };
    let limits = Limits {
        frame_bytes_max: 65_536,
        commands_per_s: 50,
        commands_burst: 100,
        commands_in_flight_max: 256,
        presence_per_s: 30,
        rooms_per_socket_max: 32,
        sockets_per_user_max: 20,
        outbound_bytes_max: 1_048_576,
        heartbeat_ms: 25_000,
        heartbeat_timeout_ms: 60_000,
    };
    let rejection = Rejection::invalid("/title", "a title has 1 to 200 characters").retry_after_ms(250);
    let record = EventRecord {
        seq: Seq(42),
        at,
        by: user,
        client: Some(client),
        n: Some(n),
        ev: json!({"type": "read_marked", "from": 3, "to": 42}),
        conflicts: vec![conflict.clone()],
    };
    let record = record.encode().unwrap();
    let bare = encode_bare(Seq(43));
    let head = JoinedHead { room, kind: "trip", epoch: Epoch(3), seq: Seq(43), role: Role::Participant };
    let view = rmp_serde::to_vec_named(&json!({"kind": "trip"})).unwrap();
    let simple = [
        ("welcome", ServerFrame::Welcome { session: SessionId(id(5)), user, client, server_time: at, limits, resume: "epoch_seq" }),
        ("ack", ServerFrame::Ack { room, n, seq: Seq(42), durable: true, repeated: false, conflicts: vec![] }),
        ("ack repeated", ServerFrame::Ack { room, n, seq: Seq(42), durable: true, repeated: true, conflicts: vec![conflict] }),
        ("rejected", ServerFrame::Rejected { room, n, rejection: rejection.clone() }),
        ("presence", ServerFrame::Presence { room, delta: PresenceDelta { set: vec![entry.clone()], gone: vec![UserId(id(6))] } }),
        ("left", ServerFrame::Left { room, code: ErrorCode::Removed, message: "removed".into(), retry_after_ms: None }),
        ("notice", ServerFrame::Notice { notice: json!({"type": "member_added", "room": room}) }),
        ("pong", ServerFrame::Pong { n: 1, server_time: at }),
        ("auth_ok", ServerFrame::AuthOk { expires_at: at }),
        ("bye", ServerFrame::Bye { code: ErrorCode::Restarting, message: "restarting".into(), retry_after_ms: Some(700) }),
        ("error", ServerFrame::Error { rejection, about: Some(About { room, n: Some(n) }) }),
    ];
    let mut frames: Vec<_> = simple.into_iter().map(|(name, frame)| (name, frame.encode().unwrap())).collect();
    frames.push(("joined with state", [joined_until_state(&head, std::slice::from_ref(&entry)).unwrap(), view].concat()));
    frames.push(("joined with events", joined_with_events(&head, &[], &[&record, &bare]).unwrap()));
    frames.push(("events", encode_events(room, Epoch(3), Seq(42), [record.as_slice(), bare.as_slice()].into_iter())));
    frames
}

#[test]
fn frames_are_golden() {
    let frames: serde_json::Map<_, _> = frames()
        .into_iter()
        .map(|(name, bytes)| {
            let json: Value = serde_json::from_slice(&to_json(&bytes).unwrap()).unwrap();
            let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
                write!(hex, "{byte:02x}").unwrap();
                hex
            });
            (name.to_owned(), json!({"json": json, "msgpack": hex}))
        })
        .collect();
    let written = format!("{}\n", serde_json::to_string_pretty(&frames).unwrap());
    if std::env::var_os("TRIPSYNC_GOLDEN").is_some() {
        std::fs::write(FILE, &written).unwrap();
    }
    let golden = std::fs::read_to_string(FILE).unwrap();
    assert!(golden == written, "a frame's bytes differ from {FILE}");
}
