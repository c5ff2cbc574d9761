//! Frames of a client, and the codec that a socket speaks.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use uuid::Uuid;

/// How frames are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Codec {
    #[default]
    Msgpack,
    Json,
}

impl Codec {
    pub(crate) const fn subprotocol(self) -> &'static str {
        match self {
            Self::Msgpack => "tripsync.v1.msgpack",
            Self::Json => "tripsync.v1.json",
        }
    }
}

/// Where a client was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Since {
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
}

/// A frame for the server. Ids are 16 bytes in MessagePack and text in JSON, as real clients write them.
#[derive(Debug, Serialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub(crate) enum Out<'a> {
    Join {
        room: Uuid,
        #[serde(skip_serializing_if = "Option::is_none")]
        since: Option<Since>,
    },
    Op {
        room: Uuid,
        n: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        base: Option<u64>,
        cmd: &'a Value,
    },
    Presence {
        room: Uuid,
        state: &'a Value,
    },
}

/// The frame as a message; a value that cannot be encoded becomes an empty message, which the server refuses loudly.
pub(crate) fn encode(codec: Codec, frame: &Out<'_>) -> Message {
    match codec {
        Codec::Msgpack => Message::Binary(Bytes::from(rmp_serde::to_vec_named(frame).unwrap_or_default())),
        Codec::Json => Message::Text(serde_json::to_string(frame).unwrap_or_default().into()),
    }
}
