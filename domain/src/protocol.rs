//! The live protocol: frames, their bytes, and the limits that clients are told.
//!
//! Every frame is a map with a `t` tag. A frame for clients is encoded once, in MessagePack; the JSON form is derived from those bytes
//! ([`to_json`]) only when a JSON session needs it. Names and meanings: `docs/PROTOCOL.md`.

mod client;
mod record;
mod server;
mod transcode;
mod value;

pub use client::{ClientFrame, FrameError, Position};
pub use record::{EventRecord, encode_bare, encode_events};
pub use server::{About, JoinedHead, Limits, PresenceDelta, PresenceEntry, ServerFrame, joined_until_state, joined_with_events};
pub use transcode::{TranscodeError, to_json, to_json_around};
pub use value::from_json;

/// How frames are written on one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// MessagePack in binary messages: `tripsync.v1.msgpack`.
    MessagePack,
    /// JSON in text messages, readable in a browser console: `tripsync.v1.json`.
    Json,
}

impl Codec {
    /// The WebSocket subprotocol that selects it.
    #[must_use]
    pub const fn subprotocol(self) -> &'static str {
        match self {
            Self::MessagePack => "tripsync.v1.msgpack",
            Self::Json => "tripsync.v1.json",
        }
    }

    /// The codec that a subprotocol selects.
    #[must_use]
    pub fn from_subprotocol(name: &str) -> Option<Self> {
        [Self::MessagePack, Self::Json].into_iter().find(|codec| codec.subprotocol() == name)
    }
}
