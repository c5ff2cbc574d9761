//! A frame, encoded once for everybody who gets it.

use bytes::Bytes;
use std::sync::{Arc, OnceLock};
use tripsync_domain::protocol::{Codec, to_json};

/// An encoded frame for clients: MessagePack, and JSON derived from it the first time that a JSON session needs it. Clones share.
#[derive(Clone)]
pub struct Frame(Arc<Encoded>);

struct Encoded {
    packed: Bytes,
    json: OnceLock<Bytes>,
}

impl Frame {
    /// A frame from its MessagePack bytes.
    #[must_use]
    pub fn new(packed: impl Into<Bytes>) -> Self {
        Self(Arc::new(Encoded { packed: packed.into(), json: OnceLock::new() }))
    }

    /// The payload in a codec. An empty JSON payload means that the bytes were not the MessagePack that this server writes, which
    /// is a defect and logged as one.
    #[must_use]
    pub fn payload(&self, codec: Codec) -> &Bytes {
        match codec {
            Codec::MessagePack => &self.0.packed,
            Codec::Json => self.0.json.get_or_init(|| match to_json(&self.0.packed) {
                Ok(json) => Bytes::from(json),
                Err(error) => {
                    tracing::error!(%error, "a frame could not be turned into json");
                    Bytes::new()
                }
            }),
        }
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame({} bytes)", self.0.packed.len())
    }
}
