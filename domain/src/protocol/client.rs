//! Frames from clients.

use super::Codec;
use super::value::{from_json, from_msgpack};
use crate::command::parse_fields;
use crate::presence::PresenceState;
use crate::sequence::COMMAND_NUMBER_MAX;
use crate::{CommandNumber, Epoch, ErrorCode, Rejection, RoomId, Seq};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A place in a room's history that a client has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The epoch of the last frame that the client applied.
    pub epoch: Epoch,
    /// The last seq that the client applied.
    pub seq: Seq,
}

/// A frame from a client.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientFrame {
    /// Enter a room; with `since`, resume.
    Join {
        /// The room.
        room: RoomId,
        /// What the client has already.
        since: Option<Position>,
    },
    /// Leave a room.
    Leave {
        /// The room.
        room: RoomId,
    },
    /// A command.
    Op {
        /// The room.
        room: RoomId,
        /// The client's number for it.
        n: CommandNumber,
        /// The command, not yet read: its rules depend on the room's kind.
        cmd: Value,
        /// The seq that the author had seen.
        base: Option<Seq>,
    },
    /// What this session does now; replaces what it said before.
    Presence {
        /// The room.
        room: RoomId,
        /// The state.
        state: PresenceState,
    },
    /// A fresh access token for this socket.
    Auth {
        /// The token.
        token: String,
    },
    /// An application ping.
    Ping {
        /// Echoed in the answer.
        n: u64,
    },
}

/// A frame that could not be understood; the connection can go on.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameError {
    /// What was wrong.
    pub rejection: Rejection,
    /// The room and number that the frame was about, as far as they could be read, so that a client can settle its queue.
    pub about: Option<(RoomId, CommandNumber)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Join {
    room: RoomId,
    #[serde(default)]
    since: Option<Position>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Leave {
    room: RoomId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Op {
    room: RoomId,
    n: u64,
    cmd: Value,
    #[serde(default)]
    base: Option<Seq>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Presence {
    room: RoomId,
    state: PresenceState,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Auth {
    token: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ping {
    n: u64,
}

impl ClientFrame {
    /// Reads one frame.
    ///
    /// # Errors
    /// `malformed` for bytes that are not one map in this codec (nesting beyond 32, trailing bytes, numbers that are not finite, keys
    /// that repeat, structs by position), `invalid`, `unknown_field` or `unknown_command` for what is in it.
    pub fn decode(codec: Codec, bytes: &[u8]) -> Result<Self, FrameError> {
        let value = match codec {
            Codec::MessagePack => from_msgpack(bytes),
            Codec::Json => from_json(bytes),
        };
        let value = value.map_err(|text| FrameError { rejection: Rejection::new(ErrorCode::Malformed, text), about: None })?;
        let about = about(&value);
        Self::from_value(value).map_err(|rejection| FrameError { rejection, about })
    }

    fn from_value(mut value: Value) -> Result<Self, Rejection> {
        let Value::Object(fields) = &mut value else {
            return Err(Rejection::new(ErrorCode::Malformed, "a frame is a map with a `t`"));
        };
        let Some(Value::String(tag)) = fields.remove("t") else {
            return Err(Rejection::new(ErrorCode::Malformed, "a frame needs its `t` as a string"));
        };
        match tag.as_str() {
            "join" => parse_fields::<Join>(&value).map(|Join { room, since }| Self::Join { room, since }),
            "leave" => parse_fields::<Leave>(&value).map(|Leave { room }| Self::Leave { room }),
            "op" => parse_fields::<Op>(&value).and_then(Op::check),
            "presence" => parse_fields::<Presence>(&value).and_then(|Presence { room, state }| {
                state.check()?;
                Ok(Self::Presence { room, state })
            }),
            "auth" => parse_fields::<Auth>(&value).map(|Auth { token }| Self::Auth { token }),
            "ping" => parse_fields::<Ping>(&value).map(|Ping { n }| Self::Ping { n }),
            _ => Err(Rejection {
                pointer: Some("/t".into()),
                ..Rejection::new(ErrorCode::UnknownCommand, "`t` is one of join, leave, op, presence, auth, ping")
            }),
        }
    }
}

impl Op {
    fn check(self) -> Result<ClientFrame, Rejection> {
        if self.n == 0 || self.n > COMMAND_NUMBER_MAX {
            return Err(Rejection::invalid("/n", "`n` is between 1 and 2^53 - 1"));
        }
        Ok(ClientFrame::Op { room: self.room, n: CommandNumber(self.n), cmd: self.cmd, base: self.base })
    }
}

/// The room and number of an `op`, read leniently.
fn about(value: &Value) -> Option<(RoomId, CommandNumber)> {
    let room = value.get("room")?.as_str()?.parse().ok()?;
    let n = value.get("n")?.as_u64()?;
    Some((room, CommandNumber(n)))
}

#[cfg(test)]
mod tests;
