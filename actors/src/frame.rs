//! A frame, encoded once for everybody who gets it.

use bytes::{BufMut, Bytes, BytesMut};
use std::sync::{Arc, OnceLock};
use tripsync_domain::protocol::{Codec, ServerFrame, TranscodeError, to_json, to_json_around};

/// An encoded frame for clients: MessagePack, and JSON derived from it the first time that a JSON session needs it. Clones share.
///
/// Both are kept ready for the wire, behind the header of an unmasked WebSocket message (RFC 6455, 5.2), which is the same for every
/// receiver: so a delivery is one contiguous write, and what cannot be written at once is queued without copying.
#[derive(Clone)]
pub struct Frame(Arc<Encoded>);

struct Encoded {
    packed: Wire,
    json: OnceLock<Wire>,
    /// What the payload ends with.
    view: Option<View>,
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
    /// A message whose payload comes in two parts.
    fn new(opcode: u8, head: &[u8], rest: &[u8]) -> Self {
        let len = head.len() + rest.len();
        let mut bytes = BytesMut::with_capacity(len + 10);
        bytes.put_u8(opcode);
        match (u8::try_from(len), u16::try_from(len)) {
            (Ok(len @ 0..=125), _) => bytes.put_u8(len),
            (_, Ok(len)) => {
                bytes.put_u8(126);
                bytes.put_u16(len);
            }
            _ => {
                bytes.put_u8(127);
                bytes.put_u64(len as u64);
            }
        }
        let header_len = if bytes.len() == 2 {
            2
        } else if bytes.len() == 4 {
            4
        } else {
            10
        };
        bytes.put_slice(head);
        bytes.put_slice(rest);
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
        Self(Arc::new(Encoded { packed: Wire::new(BINARY, packed.as_ref(), &[]), json: OnceLock::new(), view: None }))
    }

    /// A frame whose last value is a room's view; `head` is all before that.
    #[must_use]
    pub fn with_view(head: &[u8], view: &View) -> Self {
        Self(Arc::new(Encoded { packed: Wire::new(BINARY, head, view.packed()), json: OnceLock::new(), view: Some(view.clone()) }))
    }

    /// The view that it ends with, and all before that in MessagePack.
    pub(crate) fn parts(&self) -> (&[u8], Option<&View>) {
        let payload = self.0.packed.payload();
        let view = self.0.view.as_ref();
        (&payload[..payload.len() - view.map_or(0, |view| view.packed().len())], view)
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
            Codec::Json => self.0.json.get_or_init(|| {
                let json = match self.parts() {
                    (head, Some(view)) => view.json().and_then(|view| to_json_around(head, view)),
                    (payload, None) => to_json(payload),
                };
                Wire::new(TEXT, &or_empty(json), &[])
            }),
        }
    }
}

/// A room's view, encoded once for everybody who is shown it: MessagePack, and JSON derived from it the first time that somebody needs it.
/// Clones share.
#[derive(Clone)]
pub struct View(Arc<EncodedView>);

struct EncodedView {
    packed: Bytes,
    json: OnceLock<Result<Vec<u8>, TranscodeError>>,
}

impl View {
    /// A view from its MessagePack bytes.
    #[must_use]
    pub fn new(packed: Bytes) -> Self {
        Self(Arc::new(EncodedView { packed, json: OnceLock::new() }))
    }

    /// In MessagePack.
    #[must_use]
    pub fn packed(&self) -> &Bytes {
        &self.0.packed
    }

    /// In JSON.
    ///
    /// # Errors
    /// The bytes were not the MessagePack that this server writes, which is a defect.
    pub fn json(&self) -> Result<&[u8], TranscodeError> {
        self.0.json.get_or_init(|| to_json(&self.0.packed)).as_deref().map_err(Clone::clone)
    }

    /// Whether both are the same one.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "View({} bytes)", self.0.packed.len())
    }
}

fn or_empty(json: Result<Vec<u8>, TranscodeError>) -> Vec<u8> {
    json.unwrap_or_else(|error| {
        tracing::error!(%error, "a frame could not be turned into json");
        Vec::new()
    })
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
    fn a_frame_with_a_view_is_as_one_without_in_both_codecs() {
        let whole = rmp_serde::to_vec_named(&serde_json::json!({"a": [1, {"b": null}], "state": {"title": "\"", "n": 1.5}})).unwrap();
        let packed = rmp_serde::to_vec_named(&serde_json::json!({"title": "\"", "n": 1.5})).unwrap();
        let head = &whole[..whole.len() - packed.len()];
        let view = View::new(packed.into());
        let (one, other, plain) = (Frame::with_view(head, &view), Frame::with_view(head, &view), Frame::new(&whole));
        for codec in [Codec::MessagePack, Codec::Json] {
            assert_eq!(one.wire(codec), plain.wire(codec));
            assert_eq!(other.wire(codec), plain.wire(codec));
        }
        assert!(std::ptr::eq(view.json().unwrap(), one.parts().1.unwrap().json().unwrap()), "made once for all frames");
        assert_eq!((one.parts().0, plain.parts().0), (head, &*whole));
    }

    #[test]
    fn json_is_a_text_message() {
        let frame = Frame::new(rmp_serde::to_vec_named(&serde_json::json!({"t": "pong"})).unwrap());
        assert_eq!(frame.wire(Codec::Json)[..], *b"\x81\x0c{\"t\":\"pong\"}");
        assert_eq!(frame.payload(Codec::Json), b"{\"t\":\"pong\"}");
    }
}
