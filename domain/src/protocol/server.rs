//! Frames for clients.

use super::record::{Out, packed};
use crate::presence::PresenceState;
use crate::{ClientId, CommandNumber, Conflict, Epoch, ErrorCode, Rejection, Role, RoomId, Seq, SessionId, Timestamp, UserId};
use serde::Serialize;
use serde_json::Value;

/// What a client may do, in numbers; sent in `welcome`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Largest frame that a client may send, in bytes.
    pub frame_bytes_max: u32,
    /// Commands per second and session, sustained.
    pub commands_per_s: u32,
    /// Commands that may come at once.
    pub commands_burst: u32,
    /// Commands that may be unanswered at once per session.
    pub commands_in_flight_max: u32,
    /// Presence updates per second and session.
    pub presence_per_s: u32,
    /// Rooms per socket.
    pub rooms_per_socket_max: u32,
    /// Sockets per user.
    pub sockets_per_user_max: u32,
    /// Bytes waiting for a slow reader before a resync.
    pub outbound_bytes_max: u32,
    /// Milliseconds between the server's pings.
    pub heartbeat_ms: u32,
    /// Milliseconds of silence after which the server closes.
    pub heartbeat_timeout_ms: u32,
}

/// A frame for a client, other than `events` and `joined`, which carry bytes that are encoded already.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum ServerFrame {
    /// The first frame.
    Welcome {
        /// This socket.
        session: SessionId,
        /// Whose it is.
        user: UserId,
        /// The client id that commands of this socket count under.
        client: ClientId,
        /// The server's clock.
        server_time: Timestamp,
        /// The server's limits.
        limits: Limits,
        /// How resuming works here: `epoch_seq`, send `since` with `join`.
        resume: &'static str,
    },
    /// The command is stored.
    Ack {
        /// The room.
        room: RoomId,
        /// The client's number.
        n: CommandNumber,
        /// The seq of the command's last event.
        seq: Seq,
        /// Always true: an acknowledgement happens only after the event is in the journal.
        durable: bool,
        /// Whether an earlier sending of the same command had been applied already.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        repeated: bool,
        /// Values that the command overwrote without its author having seen them.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        conflicts: Vec<Conflict>,
    },
    /// The command was refused; the room is unchanged.
    Rejected {
        /// The room.
        room: RoomId,
        /// The client's number.
        n: CommandNumber,
        /// Why.
        #[serde(flatten)]
        rejection: Rejection,
    },
    /// Who does what; changes since the last such frame.
    Presence {
        /// The room.
        room: RoomId,
        /// The changes.
        #[serde(flatten)]
        delta: PresenceDelta,
    },
    /// The session is not in the room any more.
    Left {
        /// The room.
        room: RoomId,
        /// Why.
        code: ErrorCode,
        /// What to do.
        message: String,
        /// When joining again may help.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
    /// Something for the user, whatever room it comes from.
    Notice {
        /// A JSON object with a `type`.
        notice: Value,
    },
    /// The answer to a ping.
    Pong {
        /// The ping's number.
        n: u64,
        /// The server's clock.
        server_time: Timestamp,
    },
    /// A fresh token was accepted.
    AuthOk {
        /// When it runs out.
        expires_at: Timestamp,
    },
    /// The socket closes now.
    Bye {
        /// Why.
        code: ErrorCode,
        /// What to do.
        message: String,
        /// When to come back; spread over clients, to avoid a herd.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
    /// A frame that could not be understood.
    Error {
        /// Why.
        #[serde(flatten)]
        rejection: Rejection,
        /// What it was about, as far as it could be read.
        #[serde(skip_serializing_if = "Option::is_none")]
        about: Option<About>,
    },
}

/// What a refused frame was about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct About {
    /// The room.
    pub room: RoomId,
    /// The client's number, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<CommandNumber>,
}

/// One user in a room, all devices folded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PresenceEntry {
    /// Who.
    pub user: UserId,
    /// The state of the device that changed last, preferring one that is not idle.
    pub state: PresenceState,
    /// How many sockets of the user are in the room; 0 while the user's last one is missing but within its grace.
    pub devices: u32,
    /// Since when the user is here.
    pub since: Timestamp,
}

/// Changes of presence.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PresenceDelta {
    /// Users who came or changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<PresenceEntry>,
    /// Users who went.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<UserId>,
}

impl ServerFrame {
    /// The frame in MessagePack.
    ///
    /// # Errors
    /// Never for frames made of this crate's types; the encoder's error otherwise.
    pub fn encode(&self) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        packed(self)
    }
}

/// What stands at the head of a `joined` frame.
#[derive(Clone, Copy, Debug)]
pub struct JoinedHead<'a> {
    /// The room.
    pub room: RoomId,
    /// Its kind.
    pub kind: &'a str,
    /// The present owner's epoch.
    pub epoch: Epoch,
    /// The seq that the client is at after applying this frame.
    pub seq: Seq,
    /// The user's role.
    pub role: Role,
}

/// The frame `joined {room, kind, epoch, seq, role, presence, events}` with exactly the events after the client's position, encoded records.
///
/// # Errors
/// Never for presence made of this crate's types; the encoder's error otherwise.
pub fn joined_with_events(
    head: &JoinedHead<'_>,
    presence: &[PresenceEntry],
    records: &[&[u8]],
) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    let mut out = joined_until_body(head, presence, records.iter().map(|record| record.len()).sum())?;
    out.key("events").array(records.len());
    for record in records {
        out.raw(record);
    }
    Ok(out.into_vec())
}

/// The frame `joined {room, kind, epoch, seq, role, presence, state}` without its last bytes: those are the encoded state, which many may share.
///
/// # Errors
/// As [`joined_with_events`].
pub fn joined_until_state(head: &JoinedHead<'_>, presence: &[PresenceEntry]) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    let mut out = joined_until_body(head, presence, 0)?;
    out.key("state");
    Ok(out.into_vec())
}

fn joined_until_body(head: &JoinedHead<'_>, presence: &[PresenceEntry], body: usize) -> Result<Out, rmp_serde::encode::Error> {
    let presence = rmp_serde::to_vec_named(presence)?;
    let mut out = Out::with_capacity(presence.len() + body + 160);
    out.map(8);
    out.key("t").str("joined");
    out.key("room").id(head.room.as_bytes());
    out.key("kind").str(head.kind);
    out.key("epoch").uint(head.epoch.0);
    out.key("seq").uint(head.seq.0);
    out.key("role").str(head.role.as_str());
    out.key("presence").raw(&presence);
    Ok(out)
}

#[cfg(test)]
mod tests;
