use super::*;
use serde_json::json;
use tripsync_domain::protocol::{EventRecord, JoinedHead, encode_events, joined_until_state, joined_with_events};
use tripsync_domain::{ClientId, CommandNumber, Epoch, Role, RoomId, Seq};

fn record(seq: u64, client: Uuid, n: u64) -> Vec<u8> {
    let record = EventRecord {
        seq: Seq(seq),
        at: tripsync_domain::Timestamp::from_ms(1_809_250_200_123),
        by: Uuid::from_u128(7).to_string().parse().unwrap(),
        client: Some(ClientId(client)),
        n: Some(CommandNumber(n)),
        ev: json!({"type": "activity_moved", "from": {"day": null, "list": [1, -2, 3.5, true, "x".repeat(300)]}}),
        conflicts: Vec::new(),
    };
    record.encode().unwrap()
}

#[test]
fn the_servers_own_frames_are_read() {
    let room = RoomId(Uuid::from_u128(1));
    let author = client_id(0x1234_5678_9abc_def0, 4_711);
    let records = [record(41, author, 1_790_000_000_000_000), record(42, author, 3)];
    let slices: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
    let bytes = encode_events(room, Epoch(3), Seq(41), slices.iter().copied());
    let Some(Frame::Events { epoch: 3, from: 41, events }) = Frame::read(&bytes) else { panic!("{:?}", Frame::read(&bytes)) };
    let read: Vec<_> = events.iter().collect();
    assert_eq!(read.iter().map(|record| record.seq).collect::<Vec<_>>(), [41, 42]);
    assert_eq!(read[0].client.map(client_index), Some(4_711));
    assert_eq!((read[0].n, read[0].whole, read[0].bytes), (Some(1_790_000_000_000_000), true, slices[0]));
    assert_ne!(read[0].hash(), read[1].hash());

    let head = JoinedHead { room, kind: "trip", epoch: Epoch(3), seq: Seq(42), role: Role::Viewer };
    let bytes = joined_with_events(&head, &[], &slices).unwrap();
    let Some(Frame::Joined { epoch: 3, seq: 42, body: Body::Events(events), .. }) = Frame::read(&bytes) else { panic!() };
    assert_eq!(events.len(), 2);
    let bytes = [joined_until_state(&head, &[]).unwrap(), vec![0x81, 0xa1, b'x', 0xc0]].concat();
    let Some(Frame::Joined { body: Body::State(state), .. }) = Frame::read(&bytes) else { panic!() };
    assert_eq!(state, [0x81, 0xa1, b'x', 0xc0]);
}

#[test]
fn answers_are_read() {
    let bytes =
        rmp_serde::to_vec_named(&json!({"t": "ack", "room": "x", "n": 70_000, "seq": 300, "durable": true, "repeated": true})).unwrap();
    assert_eq!(Frame::read(&bytes), Some(Frame::Ack { n: 70_000, seq: 300, repeated: true }));
    let bytes = rmp_serde::to_vec_named(&json!({"t": "rejected", "n": 7, "code": "overloaded", "retry_after_ms": 50})).unwrap();
    assert_eq!(Frame::read(&bytes), Some(Frame::Rejected { n: 7, code: "overloaded", retry_after_ms: Some(50) }));
}

#[test]
fn every_value_is_passed_over_and_no_cut_is() {
    let value =
        json!({"a": [null, true, 1, -1, 200, -200, 70_000, -70_000, u64::MAX, i64::MIN, 1.5], "b": "x".repeat(70_000), "c": {"d": {}}});
    let bytes = rmp_serde::to_vec_named(&value).unwrap();
    let mut scan = Scan::new(&bytes);
    assert_eq!(scan.value().map(<[u8]>::len), Some(bytes.len()));
    for cut in (0..200).chain([bytes.len() - 1]) {
        assert_eq!(Scan::new(&bytes[..cut]).skip(), None, "{cut}");
    }
    let deep = vec![0x91; 10_000];
    assert_eq!(Scan::new(&deep).skip(), None);
}
