//! A frame, encoded once for everybody who gets it.

use bytes::{BufMut, Bytes, BytesMut};
use std::sync::{Arc, OnceLock};
use tripsync_domain::protocol::{Codec, ServerFrame, to_json};

/// An encoded frame for clients: MessagePack, and JSON derived from it the first time that a JSON session needs it. Clones share.
///
/// Both are kept ready for the wire, behind the header of an unmasked WebSocket message (RFC 6455, 5.2), which is the same for every
/// receiver: so a delivery is one contiguous write, and what cannot be written at once is queued without copying.
#[derive(Clone)]
pub struct Frame(Arc<Encoded>);

struct Encoded {
    packed: Wire,
    json: OnceLock<Wire>,
}

struct Wire {
    bytes: Bytes,
    header_len: u8,
}

/// Opcode of a text message, with the bit that says it is whole.
const TEXT: u8 = 0x81;
/// The same for a binary message.
const BINARY: u8 = 0x82;

impl Wire {
    fn new(opcode: u8, payload: &[u8]) -> Self {
        let mut bytes = BytesMut::with_capacity(payload.len() + 10);
        bytes.put_u8(opcode);
        match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
            (Ok(len @ 0..=125), _) => bytes.put_u8(len),
            (_, Ok(len)) => {
                bytes.put_u8(126);
                bytes.put_u16(len);
            }
            _ => {
                bytes.put_u8(127);
                bytes.put_u64(payload.len() as u64);
            }
        }
        let header_len = if bytes.len() == 2 {
            2
        } else if bytes.len() == 4 {
            4
        } else {
            10
        };
        bytes.put_slice(payload);
        Self { bytes: bytes.freeze(), header_len }
    }

    fn payload(&self) -> &[u8] {
        &self.bytes[usize::from(self.header_len)..]
    }
}

impl Frame {
    /// A frame from its MessagePack bytes.
    #[must_use]
    pub fn new(packed: impl AsRef<[u8]>) -> Self {
        Self(Arc::new(Encoded { packed: Wire::new(BINARY, packed.as_ref()), json: OnceLock::new() }))
    }

    /// The payload in a codec. An empty JSON payload means that the bytes were not the MessagePack that this server writes, which
    /// is a defect and logged as one.
    #[must_use]
    pub fn payload(&self, codec: Codec) -> &[u8] {
        self.encoded(codec).payload()
    }

    /// The whole WebSocket message, header and payload: what is written to a socket.
    #[must_use]
    pub fn wire(&self, codec: Codec) -> &Bytes {
        &self.encoded(codec).bytes
    }

    fn encoded(&self, codec: Codec) -> &Wire {
        match codec {
            Codec::MessagePack => &self.0.packed,
            Codec::Json => self.0.json.get_or_init(|| match to_json(self.0.packed.payload()) {
                Ok(json) => Wire::new(TEXT, &json),
                Err(error) => {
                    tracing::error!(%error, "a frame could not be turned into json");
                    Wire::new(TEXT, &[])
                }
            }),
        }
    }
}

/// Encodes a frame. One that cannot be encoded, which is a defect, is logged and sent as an empty map, which clients ignore.
#[must_use]
pub fn frame_of(frame: &ServerFrame) -> Frame {
    const EMPTY_MAP: &[u8] = &[0x80];
    match frame.encode() {
        Ok(bytes) => Frame::new(bytes),
        Err(error) => {
            tracing::error!(%error, ?frame, "a frame could not be encoded");
            Frame::new(EMPTY_MAP)
        }
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame({} bytes)", self.0.packed.payload().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_have_the_three_lengths_of_the_rfc() {
        let header = |len: usize| {
            let frame = Frame::new(vec![0xc0; len]);
            assert_eq!(frame.payload(Codec::MessagePack).len(), len);
            let wire = frame.wire(Codec::MessagePack);
            wire[..wire.len() - len].to_vec()
        };
        assert_eq!(header(0), [0x82, 0]);
        assert_eq!(header(125), [0x82, 125]);
        assert_eq!(header(126), [0x82, 126, 0, 126]);
        assert_eq!(header(65_535), [0x82, 126, 0xff, 0xff]);
        assert_eq!(header(65_536), [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn json_is_a_text_message() {
        let frame = Frame::new(rmp_serde::to_vec_named(&serde_json::json!({"t": "pong"})).unwrap());
        assert_eq!(frame.wire(Codec::Json)[..], *b"\x81\x0c{\"t\":\"pong\"}");
        assert_eq!(frame.payload(Codec::Json), b"{\"t\":\"pong\"}");
    }
}
