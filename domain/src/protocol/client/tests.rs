use super::*;
use serde_json::json;
use uuid::Uuid;

fn pack(value: &Value) -> Vec<u8> {
    rmp_serde::to_vec_named(value).unwrap()
}

fn code(codec: Codec, bytes: &[u8]) -> ErrorCode {
    ClientFrame::decode(codec, bytes).unwrap_err().rejection.code
}

#[test]
fn every_frame_reads_the_same_in_both_codecs() {
    let room = RoomId(Uuid::from_u128(7));
    let frames = [
        (json!({"t": "join", "room": room}), ClientFrame::Join { room, since: None }),
        (
            json!({"t": "join", "room": room, "since": {"epoch": 2, "seq": 9}}),
            ClientFrame::Join { room, since: Some(Position { epoch: Epoch(2), seq: Seq(9) }) },
        ),
        (json!({"t": "leave", "room": room}), ClientFrame::Leave { room }),
        (
            json!({"t": "op", "room": room, "n": 3, "cmd": {"type": "x"}, "base": 8}),
            ClientFrame::Op { room, n: CommandNumber(3), cmd: json!({"type": "x"}), base: Some(Seq(8)) },
        ),
        (json!({"t": "auth", "token": "a"}), ClientFrame::Auth { token: "a".into() }),
        (json!({"t": "ping", "n": 1}), ClientFrame::Ping { n: 1 }),
    ];
    for (value, expected) in frames {
        assert_eq!(ClientFrame::decode(Codec::Json, value.to_string().as_bytes()).unwrap(), expected);
        assert_eq!(ClientFrame::decode(Codec::MessagePack, &pack(&value)).unwrap(), expected);
    }
}

#[test]
fn ids_may_be_bytes_in_messagepack() {
    #[derive(Serialize)]
    struct Leave {
        t: &'static str,
        room: RoomId,
    }
    let room = RoomId(Uuid::from_u128(7));
    let bytes = rmp_serde::to_vec_named(&Leave { t: "leave", room }).unwrap();
    assert_eq!(ClientFrame::decode(Codec::MessagePack, &bytes).unwrap(), ClientFrame::Leave { room });
}

#[test]
fn hostile_bytes_are_refused_with_a_type() {
    let bomb = vec![0x91; 60_000];
    assert_eq!(code(Codec::MessagePack, &bomb), ErrorCode::Malformed);
    let lying = [0xdd, 0xff, 0xff, 0xff, 0xff, 0x01];
    assert_eq!(code(Codec::MessagePack, &lying), ErrorCode::Malformed);
    let mut trailing = pack(&json!({"t": "ping", "n": 1}));
    trailing.push(0xc0);
    assert_eq!(code(Codec::MessagePack, &trailing), ErrorCode::Malformed);
    assert_eq!(code(Codec::MessagePack, &pack(&json!(["ping", 1]))), ErrorCode::Malformed);
    let nan = [0x82, 0xa1, b't', 0xa4, b'p', b'i', b'n', b'g', 0xa1, b'n', 0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0];
    assert_eq!(code(Codec::MessagePack, &nan), ErrorCode::Malformed);
    assert_eq!(code(Codec::Json, "[".repeat(60_000).as_bytes()), ErrorCode::Malformed);
    let deep = format!("{{\"t\":\"ping\",\"n\":{}1{}}}", "[".repeat(40), "]".repeat(40));
    assert_eq!(code(Codec::Json, deep.as_bytes()), ErrorCode::Malformed);
    assert_eq!(code(Codec::Json, br#"{"t":"ping","n":1} x"#), ErrorCode::Malformed);
    assert_eq!(code(Codec::Json, br#"{"t":"ping","t":"ping","n":1}"#), ErrorCode::Malformed);
    assert_eq!(code(Codec::Json, br#"{"t":"ping","n":1,"by":"me"}"#), ErrorCode::UnknownField);
    assert_eq!(code(Codec::Json, br#"{"t":"fly"}"#), ErrorCode::UnknownCommand);
    let room = RoomId(Uuid::from_u128(7));
    let positional = json!({"t": "join", "room": room, "since": [2, 9]});
    assert_eq!(code(Codec::Json, positional.to_string().as_bytes()), ErrorCode::Invalid);
    for n in [json!(0), json!(-1), json!(1u64 << 53)] {
        let op = json!({"t": "op", "room": room, "n": n, "cmd": {}});
        assert_eq!(code(Codec::Json, op.to_string().as_bytes()), ErrorCode::Invalid);
    }
}

#[test]
fn a_bad_op_says_which_one_it_was() {
    let room = RoomId(Uuid::from_u128(7));
    let op = json!({"t": "op", "room": room, "n": 5, "cmd": {}, "seq": 1});
    let error = ClientFrame::decode(Codec::Json, op.to_string().as_bytes()).unwrap_err();
    assert_eq!(error.about, Some((room, CommandNumber(5))));
    assert_eq!(error.rejection.pointer.as_deref(), Some("/seq"));
}

#[test]
fn integral_floats_are_integers() {
    let mut bytes = vec![0x82, 0xa1, b't', 0xa4, b'p', b'i', b'n', b'g', 0xa1, b'n', 0xcb];
    bytes.extend_from_slice(&5_000_000_000.0_f64.to_be_bytes());
    assert_eq!(ClientFrame::decode(Codec::MessagePack, &bytes).unwrap(), ClientFrame::Ping { n: 5_000_000_000 });
}
