//! Bytes that are no frame in a codec.

use serde_json::json;
use tripsync_domain::protocol::Codec;
use uuid::Uuid;

/// What they are, and the bytes.
pub(super) fn malformed(codec: Codec, room: Uuid) -> Vec<(String, Vec<u8>)> {
    match codec {
        Codec::Json => json(room),
        Codec::MessagePack => msgpack(room),
    }
}

fn json(room: Uuid) -> Vec<(String, Vec<u8>)> {
    let bomb = |open: &str, close: &str, depth: usize| {
        format!(r#"{{"t":"op","room":"{room}","n":1,"cmd":{}1{}}}"#, open.repeat(depth), close.repeat(depth))
    };
    let texts = [
        ("nothing", String::new()),
        ("blank", "  ".to_owned()),
        ("half a map", r#"{"t":"ping""#.to_owned()),
        ("a list", "[]".to_owned()),
        ("a frame by position", format!(r#"["join","{room}"]"#)),
        ("text", r#""ping""#.to_owned()),
        ("null", "null".to_owned()),
        ("a number", "17".to_owned()),
        ("something after the frame", r#"{"t":"ping","n":1}x"#.to_owned()),
        ("two frames", r#"{"t":"ping","n":1}{"t":"ping","n":2}"#.to_owned()),
        ("a key twice", r#"{"t":"ping","n":1,"n":2}"#.to_owned()),
        ("a key twice, deep", format!(r#"{{"t":"op","room":"{room}","n":1,"cmd":{{"type":"delete","type":"leave"}}}}"#)),
        ("NaN", r#"{"t":"ping","n":NaN}"#.to_owned()),
        ("infinity", r#"{"t":"ping","n":Infinity}"#.to_owned()),
        ("a number too large for a float", r#"{"t":"ping","n":1e999}"#.to_owned()),
        ("half a surrogate", r#"{"t":"auth","token":"\ud800"}"#.to_owned()),
        ("a comment", r#"{"t":"ping",/* hello */"n":1}"#.to_owned()),
        ("lists in lists", bomb("[", "]", 40)),
        ("thousands of lists", bomb("[", "]", 25_000)),
        ("thousands of lists that do not end", bomb("[", "", 50_000)),
        ("maps in maps", bomb(r#"{"a":"#, "}", 40)),
        ("thousands of maps", bomb(r#"{"a":"#, "}", 9_000)),
    ];
    texts.into_iter().map(|(what, text)| (what.to_owned(), text.into_bytes())).collect()
}

fn msgpack(room: Uuid) -> Vec<(String, Vec<u8>)> {
    let good = rmp_serde::to_vec_named(&json!({"t": "ping", "n": 1})).unwrap();
    let op = |cmd: &[u8]| [b"\x84\xa1t\xa2op\xa4room\xc4\x10".as_slice(), room.as_bytes(), b"\xa1n\x01\xa3cmd", cmd].concat();
    let ping = |n: &[u8]| [b"\x82\xa1t\xa4ping\xa1n".as_slice(), n].concat();
    let mut cases = vec![
        ("nothing", Vec::new()),
        ("the byte that is never used", vec![0xc1]),
        ("a list by position", [b"\x92\xa4join\xc4\x10".as_slice(), room.as_bytes()].concat()),
        ("text", b"\xa4ping".to_vec()),
        ("nil", vec![0xc0]),
        ("a number", vec![17]),
        ("something after the frame", [good.as_slice(), &[0xc0]].concat()),
        ("two frames", [good.as_slice(), &good].concat()),
        ("a list that says it is endless", b"\xdd\xff\xff\xff\xff\x01".to_vec()),
        ("a map that says it is endless", b"\xdf\xff\xff\xff\xff\xa1t\xa4ping".to_vec()),
        ("text that says it is endless", b"\x81\xa1t\xdb\xff\xff\xff\xffping".to_vec()),
        ("bytes that say they are endless", b"\x81\xa1t\xc6\xff\xff\xff\xffping".to_vec()),
        ("an extension that says it is endless", b"\x81\xa1t\xc9\xff\xff\xff\xff\x01ping".to_vec()),
        ("an endless list in a command", op(b"\xdd\xff\xff\xff\xff")),
        ("an endless map in a command", op(b"\xdf\xff\xff\xff\xff")),
        ("a map that says it has more", b"\x83\xa1t\xa4ping\xa1n\x01".to_vec()),
        ("a map that has more than it says", b"\x81\xa1t\xa4ping\xa1n\x01".to_vec()),
        ("a key twice", b"\x83\xa1t\xa4ping\xa1n\x01\xa1n\x02".to_vec()),
        ("a key that is no text", b"\x82\xa1t\xa4ping\x01\x01".to_vec()),
        ("text that is no UTF-8", b"\x81\xa1t\xa4\xff\xfe\xfd\xfc".to_vec()),
        ("NaN", ping(&[&[0xcb], f64::NAN.to_be_bytes().as_slice()].concat())),
        ("NaN in 32 bits", ping(&[&[0xca], f32::NAN.to_be_bytes().as_slice()].concat())),
        ("infinity", ping(&[&[0xcb], f64::NEG_INFINITY.to_be_bytes().as_slice()].concat())),
        ("NaN in a command", op(&[b"\x81\xa3lat\xcb".as_slice(), &f64::NAN.to_be_bytes()].concat())),
        ("an extension", ping(b"\xd6\xff\x00\x00\x00\x00")),
        ("lists in lists", op(&[&[0x91].repeat(40), [0xc0].as_slice()].concat())),
        ("thousands of lists", op(&[&[0x91].repeat(60_000), [0xc0].as_slice()].concat())),
        ("thousands of maps", op(&[b"\x81\xa1a".repeat(20_000), vec![0xc0]].concat())),
        ("thousands of lists and nothing else", [0x91].repeat(60_000)),
    ];
    // Every way to stop too early.
    for end in 1..good.len() {
        cases.push(("a frame that ends too early", good[..end].to_vec()));
    }
    cases.into_iter().enumerate().map(|(index, (what, bytes))| (format!("{what} ({index})"), bytes)).collect()
}
