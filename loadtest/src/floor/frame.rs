//! Bytes of frames: what comes is read with serde, what goes is put together by hand, once per command.

use bytes::Bytes;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use std::fmt;
use uuid::Uuid;

/// What a client says.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Said<'a> {
    pub(super) t: &'a str,
    pub(super) room: Option<Id>,
    pub(super) n: Option<u64>,
    #[serde(borrow)]
    pub(super) cmd: Option<Command<'a>>,
}

/// What the event of a command repeats of it.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Command<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: &'a str,
    pub(super) body: Option<&'a str>,
}

/// A UUID, as 16 bytes or as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Id(pub(super) Uuid);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Id;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a UUID")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Id, E> {
                Uuid::try_parse(text).map(Id).map_err(E::custom)
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Id, E> {
                Uuid::from_slice(bytes).map(Id).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// MessagePack, by hand.
#[derive(Default)]
struct Pack(Vec<u8>);

impl Pack {
    /// `length` pairs follow; at most 15.
    fn map(mut self, length: u8) -> Self {
        self.0.push(0x80 | length);
        self
    }

    fn str(mut self, text: &str) -> Self {
        let bytes = text.as_bytes();
        match u8::try_from(bytes.len()) {
            Ok(length @ ..=31) => self.0.push(0xa0 | length),
            Ok(length) => self.0.extend([0xd9, length]),
            Err(_) => self.long(0xda, bytes.len()),
        }
        self.0.extend(bytes);
        self
    }

    /// A length of 16 bits, or of 32 with the next tag.
    fn long(&mut self, tag: u8, length: usize) {
        if let Ok(length) = u16::try_from(length) {
            self.0.push(tag);
            self.0.extend(length.to_be_bytes());
        } else {
            self.0.push(tag + 1);
            self.0.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
        }
    }

    fn uint(mut self, number: u64) -> Self {
        if let Ok(small @ ..=0x7f) = u8::try_from(number) {
            self.0.push(small);
        } else if let Ok(number) = u8::try_from(number) {
            self.0.extend([0xcc, number]);
        } else if let Ok(number) = u16::try_from(number) {
            self.0.push(0xcd);
            self.0.extend(number.to_be_bytes());
        } else if let Ok(number) = u32::try_from(number) {
            self.0.push(0xce);
            self.0.extend(number.to_be_bytes());
        } else {
            self.0.push(0xcf);
            self.0.extend(number.to_be_bytes());
        }
        self
    }

    fn id(mut self, id: Uuid) -> Self {
        self.0.extend([0xc4, 16]);
        self.0.extend(id.as_bytes());
        self
    }

    fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }
}

/// A WebSocket header of the server (RFC 6455, 5.2) for a whole message of this many bytes.
fn header(opcode: u8, length: usize) -> Vec<u8> {
    let mut header = Vec::with_capacity(10);
    header.push(0x80 | opcode);
    if let Ok(length @ ..=125) = u8::try_from(length) {
        header.push(length);
    } else if let Ok(length) = u16::try_from(length) {
        header.push(126);
        header.extend(length.to_be_bytes());
    } else {
        header.push(127);
        header.extend((length as u64).to_be_bytes());
    }
    header
}

/// A control frame.
pub(super) fn control(opcode: u8, payload: &[u8]) -> Bytes {
    let mut wire = header(opcode, payload.len());
    wire.extend(payload);
    wire.into()
}

fn message(pack: &Pack) -> Bytes {
    let mut wire = header(2, pack.0.len());
    wire.extend(&pack.0);
    wire.into()
}

/// The first frame.
pub(super) fn welcome(client: Uuid, at: &str) -> Bytes {
    let limits: [(&str, u64); 5] = [
        ("frame_bytes_max", 65_536),
        ("commands_in_flight_max", 1_000_000),
        ("outbound_bytes_max", super::peer::WAITING_BYTES_MAX as u64),
        ("heartbeat_ms", 3_600_000),
        ("heartbeat_timeout_ms", 7_200_000),
    ];
    let mut pack = Pack::default().map(7).str("t").str("welcome").str("session").id(client).str("user").id(client).str("client").id(client);
    pack = pack.str("server_time").str(at).str("resume").str("epoch_seq").str("limits").map(5);
    for (name, limit) in limits {
        pack = pack.str(name).uint(limit);
    }
    message(&pack)
}

/// The head of a `joined` frame whose state is `state` bytes long and follows it.
pub(super) fn joined_head(room: Uuid, seq: u64, state: usize) -> Bytes {
    let pack = Pack::default().map(8).str("t").str("joined").str("room").id(room).str("kind").str("trip").str("epoch").uint(1);
    let pack = pack.str("seq").uint(seq).str("role").str("owner").str("presence").byte(0x90).str("state");
    let mut wire = header(2, pack.0.len() + state);
    wire.extend(pack.0);
    wire.into()
}

/// A state of about so many bytes.
pub(super) fn state(bytes: usize) -> Bytes {
    Pack::default().map(2).str("kind").str("trip").str("notes").str(&"x".repeat(bytes)).0.into()
}

/// The answer to a command.
pub(super) fn ack(room: Uuid, n: u64, seq: u64) -> Bytes {
    message(
        &Pack::default().map(5).str("t").str("ack").str("room").id(room).str("n").uint(n).str("seq").uint(seq).str("durable").byte(0xc3),
    )
}

/// The answer to an application ping.
pub(super) fn pong(n: u64, at: &str) -> Bytes {
    message(&Pack::default().map(3).str("t").str("pong").str("n").uint(n).str("server_time").str(at))
}

/// What every member gets of a command, in the shape and size of the real server's frame.
pub(super) fn events(room: Uuid, client: Uuid, seq: u64, n: u64, at: &str, command: &Command<'_>) -> Bytes {
    let pack = Pack::default().map(5).str("t").str("events").str("room").id(room).str("epoch").uint(1).str("from").uint(seq);
    let pack = pack.str("events").byte(0x91).map(6).str("seq").uint(seq).str("at").str(at).str("by").id(client);
    let pack = pack.str("client").id(client).str("n").uint(n).str("ev").map(2).str("type");
    let pack = match command.body {
        Some(body) => pack.str("message_sent").str("message").map(2).str("id").id(room).str("body").str(body),
        None => pack.str(command.kind).str("item").id(room),
    };
    message(&pack)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tripsync_domain::protocol::{EventRecord, ServerFrame, encode_events};
    use tripsync_domain::trip::Event;
    use tripsync_domain::{Epoch, Seq};

    const AT: &str = "2027-05-02T09:30:00.123Z";

    /// What the header says, and the message.
    fn opened(wire: &[u8]) -> &[u8] {
        let skip = match wire[1] {
            126 => 4,
            127 => 10,
            _ => 2,
        };
        let length = match wire[1] {
            126 => usize::from(u16::from_be_bytes([wire[2], wire[3]])),
            127 => usize::try_from(u64::from_be_bytes(wire[2..10].try_into().unwrap())).unwrap(),
            length => usize::from(length),
        };
        assert_eq!((wire[0], wire.len()), (0x82, skip + length));
        &wire[skip..]
    }

    #[test]
    fn frames_are_those_of_the_real_server_byte_for_byte() {
        let (room, client) =
            (Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001), Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0002));
        for (seq, n, length) in [(1, 1, 20), (200, 129, 100), (70_000, 40_000, 3_000)] {
            let body = "x".repeat(length);
            let ev = json!({"type": "message_sent", "message": {"id": room, "body": body}});
            let record = json!({"seq": seq, "at": AT, "by": client, "client": client, "n": n, "ev": ev});
            let record: EventRecord<Event> = serde_json::from_value(record).unwrap();
            let encoded = record.encode().unwrap();
            let real = encode_events(room.into(), Epoch(1), Seq(seq), std::iter::once(encoded.as_slice()));
            let command = Command { kind: "send_message", body: Some(&body) };
            assert_eq!(opened(&events(room, client, seq, n, AT, &command)), real);

            let number = serde_json::from_value(json!(n)).unwrap();
            let real =
                ServerFrame::Ack { room: room.into(), n: number, seq: Seq(seq), durable: true, repeated: false, conflicts: Vec::new() };
            assert_eq!(opened(&ack(room, n, seq)), real.encode().unwrap());
        }
    }

    #[test]
    fn headers_have_the_lengths_of_the_rfc() {
        assert_eq!(header(2, 125), [0x82, 125]);
        assert_eq!(header(2, 126), [0x82, 126, 0, 126]);
        assert_eq!(header(1, 65_536), [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(control(10, b"ab")[..], [0x8a, 2, b'a', b'b']);
    }
}
