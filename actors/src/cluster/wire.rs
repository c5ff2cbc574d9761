//! What nodes say to each other: MessagePack maps, so that fields can be added, one after the other in a message of the bus.
//!
//! Every relay has a number of its own, and each direction counts its messages from 1; number 0 is for words that may be lost. So whoever listens
//! knows what is new, doubled or missing.

use crate::frame::Frame;
use crate::room::{Outcome, Recent};
use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tripsync_domain::presence::PresenceState;
use tripsync_domain::protocol::{Codec, Position};
use tripsync_domain::{
    Audience, ClientId, CommandNumber, Conflict, Epoch, NodeId, Rejection, Role, RoomId, Seq, SessionId, UserCard, UserId,
};
use uuid::Uuid;

/// The version of all this; a message of another one is passed over, so that nodes of two versions do without relays between them.
const VERSION: u8 = 4;

/// One relay, for as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct RelayId(pub(crate) Uuid);

/// One message between nodes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Word {
    /// From a relay to the owner's desk.
    Up { relay: RelayId, room: RoomId, n: u64, up: Box<Up> },
    /// From the owner's desk to a relay: an encoded [`Down`], which several relays may get.
    Down { relay: RelayId, n: u64, down: Bytes },
    /// For a user's sockets on every node.
    Notice { user: UserId, frame: Bytes },
    /// How many sockets users have at the node; whom it says nothing of has few or as many as before.
    Sockets { counts: Vec<(UserId, u32)> },
    /// The node lives.
    Alive,
    /// Share the rooms out evenly.
    Rebalance,
    /// How many rooms the node owns, for that.
    Load { rooms: u64 },
    /// The receiver owns the room now.
    Take { room: RoomId },
}

/// From a relay to the room's owner.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Up {
    /// A session enters, or starts over.
    Join {
        session: SessionId,
        joining: u32,
        card: UserCard,
        client: ClientId,
        since: Option<Position>,
    },
    Leave {
        session: SessionId,
        dropped: bool,
    },
    Op(Op),
    Read {
        call: u64,
        who: UserCard,
    },
    Presence {
        session: SessionId,
        state: PresenceState,
    },
    /// The relay lives, and has sent messages up to this number.
    Beat {
        sent: u64,
    },
    /// The relay ends.
    Bye,
}

/// A command on its way to the owner, with what was got ready for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Op {
    /// Names the command on this relay, for [`Down::Settled`] and [`Down::Answer`].
    pub(crate) call: u64,
    pub(crate) from: Sender,
    pub(crate) id: Option<(ClientId, CommandNumber)>,
    pub(crate) cmd: Value,
    pub(crate) base: Option<Seq>,
    pub(crate) if_match: Option<Seq>,
    pub(crate) origin: Option<RoomId>,
    pub(crate) users: Vec<UserCard>,
    pub(crate) reserved: bool,
    pub(crate) reservation: Option<Uuid>,
}

/// Who sends a command.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Sender {
    Session(SessionId),
    Caller(UserCard),
}

/// From the owner to a relay.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Down {
    /// Frames for one session.
    To { session: SessionId, frames: Vec<Bytes> },
    /// A session's `joined`, but for the view that it ends with, if any; from here on it gets every event.
    Start { session: SessionId, joining: u32, role: Role, at: Position, frame: Bytes, view: Shown },
    /// Durable records for every session.
    Fan { epoch: Epoch, records: Vec<Record> },
    /// Presence for every session with at least this role.
    Presence { least: Role, frame: Bytes },
    /// A session's role has changed.
    Role { session: SessionId, joining: u32, role: Role },
    /// A session is out of the room for good; these are the last frames from there.
    Ended { session: SessionId, joining: u32, last: Vec<Bytes> },
    /// The room is gone from its owner.
    Lost,
    /// A session's command is answered.
    Settled { call: u64 },
    /// The answer to a caller's command.
    Answer { call: u64, answer: Result<Applied, Rejection> },
    /// The answer to a reader.
    View { call: u64, view: Result<View, Rejection> },
    /// The desk lives, and has sent messages up to this number.
    Beat { sent: u64 },
    /// There is no desk for this relay (any more). A rejection is for whoever waits; without one they look for the room again.
    Gone { rejection: Option<Rejection> },
}

/// The view that a `joined` ends with. One is forgotten on both sides with the next [`Down::Fan`], or the next [`Down::Beat`] that finds nothing sent
/// since.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Shown {
    /// None: it brings events.
    Nothing,
    New(Bytes),
    /// The one before again.
    Same,
}

/// A durable record and who may see it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) seq: Seq,
    pub(crate) to: To,
    pub(crate) bytes: Bytes,
}

/// An [`Audience`] on the wire.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum To {
    Everyone,
    AtLeast(Role),
    Users(Vec<UserId>),
}

/// A stored command, as [`Outcome`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Applied {
    seq: Seq,
    repeated: bool,
    conflicts: Vec<Conflict>,
}

/// A room as a user sees it, as [`crate::room::RoomView`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct View {
    pub(crate) epoch: Epoch,
    pub(crate) seq: Seq,
    pub(crate) role: Role,
    pub(crate) state: Bytes,
}

impl Record {
    pub(crate) fn of(recent: &Recent) -> Self {
        Self { seq: recent.seq, to: To::from(&recent.audience), bytes: recent.bytes.clone() }
    }
}

impl From<Outcome> for Applied {
    fn from(Outcome { seq, repeated, conflicts }: Outcome) -> Self {
        Self { seq, repeated, conflicts }
    }
}

impl From<Applied> for Outcome {
    fn from(Applied { seq, repeated, conflicts }: Applied) -> Self {
        Self { seq, repeated, conflicts }
    }
}

impl From<&Audience> for To {
    fn from(audience: &Audience) -> Self {
        match audience {
            Audience::Everyone => Self::Everyone,
            Audience::AtLeast(least) => Self::AtLeast(*least),
            Audience::Users(users) => Self::Users(users.iter().copied().collect()),
        }
    }
}

impl From<To> for Audience {
    fn from(to: To) -> Self {
        match to {
            To::Everyone => Self::Everyone,
            To::AtLeast(least) => Self::AtLeast(least),
            To::Users(users) => Self::Users(users.into_iter().collect()),
        }
    }
}

impl Down {
    pub(crate) fn to(session: SessionId, frames: &[Frame]) -> Self {
        Self::To { session, frames: frames.iter().map(packed).collect() }
    }

    /// What it is called in the metrics.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::To { .. } => "to",
            Self::Start { view: Shown::New(_), .. } => "start_with_view",
            Self::Start { .. } => "start",
            Self::Fan { .. } => "fan",
            Self::Presence { .. } => "presence",
            Self::Role { .. } => "role",
            Self::Ended { .. } => "ended",
            Self::Lost => "lost",
            Self::Settled { .. } => "settled",
            Self::Answer { .. } => "answer",
            Self::View { .. } => "view",
            Self::Beat { .. } => "beat",
            Self::Gone { .. } => "gone",
        }
    }

    pub(crate) fn ended(session: SessionId, joining: u32, last: &[Frame]) -> Self {
        Self::Ended { session, joining, last: last.iter().map(packed).collect() }
    }

    /// As a [`Word::Down`] carries it. One that cannot be encoded, which is a defect, is logged; the relay misses it and gives up.
    pub(crate) fn encode(&self) -> Bytes {
        encode(self)
    }

    /// Reads what [`Self::encode`] wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        rmp_serde::from_slice(bytes).ok()
    }
}

/// A frame as it travels between nodes.
pub(crate) fn packed(frame: &Frame) -> Bytes {
    Bytes::copy_from_slice(frame.payload(Codec::MessagePack))
}

impl Word {
    /// The word alone; [`Batch`] puts several together.
    pub(crate) fn encode(&self) -> Bytes {
        encode(self)
    }
}

fn encode(value: &impl Serialize) -> Bytes {
    match rmp_serde::to_vec_named(value) {
        Ok(bytes) => bytes.into(),
        Err(error) => {
            tracing::error!(%error, "a message between nodes could not be encoded");
            Bytes::new()
        }
    }
}

/// Encoded words on their way in one message of the bus.
pub(crate) struct Batch(BytesMut);

impl Batch {
    /// A message from a node, without words yet.
    pub(crate) fn new(from: NodeId) -> Self {
        let mut bytes = BytesMut::with_capacity(256);
        bytes.put_u8(VERSION);
        bytes.put_slice(from.0.as_bytes());
        Self(bytes)
    }

    pub(crate) fn push(&mut self, word: &[u8]) {
        self.0.put_slice(word);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn finish(self) -> Bytes {
        self.0.freeze()
    }
}

/// The words of a message, and who sent it. What cannot be read ends it: the receivers of what is lost find out by their numbers.
pub(crate) fn read(message: &[u8]) -> Option<(NodeId, Vec<Word>)> {
    let (head, mut rest) = message.split_at_checked(17)?;
    let from = NodeId(Uuid::from_slice(&head[1..]).ok()?);
    if head[0] != VERSION {
        metrics::counter!("tripsync_cluster_messages_dropped_total", "reason" => "version").increment(1);
        return None;
    }
    let mut words = Vec::new();
    while !rest.is_empty() {
        match rmp_serde::from_read::<_, Word>(&mut rest) {
            Ok(word) => words.push(word),
            Err(error) => {
                metrics::counter!("tripsync_cluster_messages_dropped_total", "reason" => "unreadable").increment(1);
                tracing::warn!(%error, node = %from, "a message of another node cannot be read");
                break;
            }
        }
    }
    Some((from, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_words_travel_in_one_message() {
        let relay = RelayId(Uuid::from_u128(7));
        let down = Down::Fan {
            epoch: Epoch(3),
            records: vec![Record { seq: Seq(9), to: To::AtLeast(Role::Participant), bytes: Bytes::from_static(b"\x80") }],
        };
        let mut batch = Batch::new(NodeId(Uuid::from_u128(1)));
        batch.push(&Word::Down { relay, n: 1, down: down.encode() }.encode());
        let cmd = serde_json::json!({"type": "x", "amount": 1.0, "count": 7, "nested": {"none": null}});
        let op = Op {
            call: 1,
            from: Sender::Session(SessionId(Uuid::from_u128(2))),
            id: Some((ClientId(Uuid::from_u128(3)), CommandNumber(4))),
            cmd: cmd.clone(),
            base: Some(Seq(8)),
            if_match: None,
            origin: None,
            users: Vec::new(),
            reserved: true,
            reservation: None,
        };
        batch.push(&Word::Up { relay, room: RoomId(Uuid::from_u128(5)), n: 2, up: Box::new(Up::Op(op)) }.encode());
        let (from, words) = read(&batch.finish()).unwrap();
        assert_eq!((from, words.len()), (NodeId(Uuid::from_u128(1)), 2));
        let Word::Down { n: 1, down, .. } = &words[0] else { panic!("{words:?}") };
        let Some(Down::Fan { epoch: Epoch(3), records }) = Down::decode(down) else { panic!("{down:?}") };
        assert_eq!(Audience::from(records[0].to.clone()), Audience::AtLeast(Role::Participant));
        let Word::Up { up, .. } = &words[1] else { panic!("{words:?}") };
        let Up::Op(op) = &**up else { panic!("{up:?}") };
        assert_eq!(op.cmd, cmd, "the fingerprint of a command does not depend on the node that it came through");
    }

    #[test]
    fn what_is_of_another_version_or_cut_off_is_passed_over() {
        assert!(read(&[]).is_none());
        assert!(read(&[VERSION; 16]).is_none());
        let mut batch = Batch::new(NodeId(Uuid::nil()));
        batch.push(&Word::Notice { user: UserId(Uuid::nil()), frame: Bytes::from_static(b"frame") }.encode());
        let message = batch.finish();
        assert_eq!(read(&message).unwrap().1.len(), 1);
        assert!(read(&message[..message.len() - 1]).unwrap().1.is_empty());
        let mut other = message.to_vec();
        other[0] = VERSION + 1;
        assert!(read(&other).is_none());
    }
}
