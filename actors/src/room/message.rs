//! What one says to a room's actor.

use crate::cluster::Receipt;
use crate::engine::{Ready, Turn};
use crate::frame::{Frame, View};
use crate::lane::Committed;
use crate::ports::{Detached, SessionSink, StoredCommand};
use crate::room::clients::ClientKey;
use bytes::Bytes;
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;
use tripsync_domain::presence::PresenceState;
use tripsync_domain::protocol::{Codec, Position};
use tripsync_domain::{ClientId, CommandNumber, Conflict, Epoch, NodeId, Rejection, Role, RoomId, Seq, SessionId, UserCard};

/// A message to a room.
pub enum RoomMsg {
    /// A session enters. The answer is a `joined` frame, or an `error` frame about the room and [`crate::ports::Detached::Ended`].
    Join(Join),
    /// A session leaves, or its socket is gone (`gone`: its presence is kept for the grace).
    Leave {
        /// Which.
        session: SessionId,
        /// Whether the socket dropped without a goodbye.
        dropped: bool,
    },
    /// A command.
    Op(Op),
    /// The present state, for a surface without a session.
    Read(Read),
    /// What a session does now.
    Presence {
        /// Which.
        session: SessionId,
        /// What.
        state: PresenceState,
    },
    /// A session whose sink was full has nothing waiting any more.
    Drained {
        /// Which.
        session: SessionId,
    },
    /// The room's own affairs.
    #[expect(private_interfaces, reason = "only the room and its lane make these")]
    Own(Own),
}

/// What a room tells itself, directly or through its lane.
pub(crate) enum Own {
    /// An append is decided. The epoch that it was made under tells it from one whose state was given up meanwhile.
    Committed { epoch: Epoch, committed: Committed },
    /// The journal's answer about a client whose commands are parked.
    Looked { inquiry: Inquiry, found: Found },
    /// Presence is due.
    Tick,
    /// Look whether the room can rest.
    Rest,
    /// Look whether the deadline has passed.
    Wake,
    /// A reload is done: a `Loaded` of the room's kind.
    Reloaded(Box<dyn Any + Send>),
    /// A snapshot write ended; `ok` says whether it is kept.
    SnapshotSaved { seq: Seq, ok: bool },
    /// The server goes away: finish, snapshot, stop.
    Drain,
    /// Another node is to own the room: finish, snapshot, hand over.
    PassOn(NodeId),
    /// The lease may have lapsed: make sure that the room is still here.
    Lapsed,
    /// It is time to make sure again.
    Doubt,
    /// What came of making sure.
    Proved(Proof),
    /// A reload found that another node owns the room now, or left it to others.
    Lost,
    /// For a relay: a numbered word of the owner's desk.
    Down { n: u64, down: Bytes },
    /// For a relay: time to show life, and to look for it.
    Beat,
    /// For a relay: its owner's lease has ended.
    OwnerGone,
}

/// What the journal and the lease store say of who owns a room, asked at `at`.
pub(crate) struct Proof {
    pub(crate) at: Instant,
    /// The room's own epoch at that moment.
    pub(crate) under: Epoch,
    /// Whether the room is entered as this node's; `None` when that could not be told.
    pub(crate) ours: Option<bool>,
    /// The room's epoch; `None` when the journal could not answer.
    pub(crate) epoch: Option<Epoch>,
}

/// What the journal was asked for: `round` tells it from a question whose commands were given up meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inquiry {
    pub(crate) key: ClientKey,
    pub(crate) round: u64,
}

/// The journal's answer about a client.
pub(crate) enum Found {
    /// Its highest number.
    Last(Option<CommandNumber>),
    /// The first parked command, if it is stored.
    Command(Option<StoredCommand>),
    /// The journal could not answer.
    Nothing,
}

/// Who a session is.
#[derive(Clone, Debug)]
pub struct SessionInfo {
    /// The socket.
    pub id: SessionId,
    /// The user, with the name that others see.
    pub card: UserCard,
    /// The client id that its commands count under.
    pub client: ClientId,
    /// How its frames are written.
    pub codec: Codec,
}

/// A session's place in a room, written by the room as it sends, read by the session when it must join again.
#[derive(Debug, Default)]
pub struct Cursor {
    epoch: AtomicU64,
    seq: AtomicU64,
}

impl Cursor {
    /// The last position that was sent; `None` before the first `joined`.
    #[must_use]
    pub fn get(&self) -> Option<Position> {
        let epoch = self.epoch.load(Ordering::Acquire);
        (epoch > 0).then(|| Position { epoch: Epoch(epoch), seq: Seq(self.seq.load(Ordering::Acquire)) })
    }

    /// Notes what was sent.
    pub fn set(&self, at: Position) {
        self.seq.store(at.seq.0, Ordering::Release);
        self.epoch.store(at.epoch.0, Ordering::Release);
    }
}

/// A session that enters.
pub struct Join {
    /// Who.
    pub session: Arc<SessionInfo>,
    /// Where its frames go.
    pub(crate) link: Link,
    /// Its place in the room, kept up to date by the room.
    pub cursor: Arc<Cursor>,
    /// What the client has already.
    pub since: Option<Position>,
}

impl Join {
    /// A session that enters a room.
    #[must_use]
    pub fn new(room: RoomId, session: Arc<SessionInfo>, sink: Arc<dyn SessionSink>, cursor: Arc<Cursor>, since: Option<Position>) -> Self {
        let link = Link { room, session: session.id, sink, turn: None, told: false };
        Self { session, link, cursor, since }
    }

    /// The same, with leave to be on its way, which it gives back when it has come in or cannot.
    #[must_use]
    pub fn with(mut self, turn: Turn) -> Self {
        self.link.turn = Some(turn);
        self
    }
}

/// The way to a session that is in a room or on its way in. Dropped, it tells the session that the room is gone, however that
/// happens: also when the actor panics, and also for a join that nobody will read any more.
pub(crate) struct Link {
    room: RoomId,
    pub(crate) session: SessionId,
    pub(crate) sink: Arc<dyn SessionSink>,
    /// While it is on its way in. Set by [`Join::with`]; given back when its `joined` is written, when it must wait for something, and with the link.
    turn: Option<Turn>,
    told: bool,
}

impl Link {
    /// The session is out for good; the last frames tell it why.
    pub(crate) fn end(mut self, last: &[Frame]) {
        self.told = true;
        self.sink.ended(self.room, last);
    }

    /// Others may be on their way: the session is in, or waits for what is not its turn to bring.
    pub(crate) fn give_turn_back(&mut self) {
        self.turn = None;
    }

    /// The session went by itself.
    pub(crate) fn forget(mut self) {
        self.told = true;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if !self.told {
            self.sink.detached(self.room, Detached::Lost);
        }
    }
}

/// A command, parsed for the room's kind by [`crate::engine::RoomRef::parse`].
pub struct Op {
    /// Whose it is, and where the answer goes.
    pub from: From,
    /// The identity under which it is applied once; absent only for a caller that will not send it again.
    pub id: Option<(ClientId, CommandNumber)>,
    /// The command.
    pub command: Parsed,
    /// The seq that the author had seen.
    pub base: Option<Seq>,
    /// Refuse with `stale` unless the room is at exactly this seq.
    pub if_match: Option<Seq>,
    /// The room that the server made it from; none for what clients send.
    pub origin: Option<RoomId>,
    /// What the command needed of the world.
    pub ready: Ready,
    /// Held until the command is answered: the session's and the room's bounds on what is in flight.
    pub permits: Vec<OwnedSemaphorePermit>,
    /// Of a session on another node: tells it when the command is answered.
    pub(crate) receipt: Option<Receipt>,
}

/// Where a command comes from.
pub enum From {
    /// A session; the answer is an `ack` or `rejected` frame.
    Session {
        /// Which.
        id: SessionId,
        /// Where the answer goes, also when the session is not in the room (any more).
        sink: Arc<dyn SessionSink>,
    },
    /// A surface without a session (REST).
    Caller {
        /// The author.
        author: UserCard,
        /// The answer, after the command is durable.
        reply: oneshot::Sender<Result<Outcome, Rejection>>,
    },
}

/// A command of the room's kind.
pub struct Parsed {
    /// The kind's `Command`.
    pub(crate) command: Box<dyn Any + Send>,
    /// [`tripsync_domain::command::fingerprint`] of its wire form.
    pub(crate) fingerprint: u64,
}

/// A stored command.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The seq of its last event.
    pub seq: Seq,
    /// Whether an earlier sending had been applied already.
    pub repeated: bool,
    /// What it overwrote without its author having seen it.
    pub conflicts: Vec<Conflict>,
}

/// A question for the present state.
pub struct Read {
    /// Who asks.
    pub who: UserCard,
    /// The answer: durable state only. `not_found` for who may not know of the room.
    pub reply: oneshot::Sender<Result<RoomView, Rejection>>,
    /// Held until it is answered: the room's bound on what waits for it.
    pub permit: OwnedSemaphorePermit,
}

/// The durable state as one user sees it.
#[derive(Clone, Debug)]
pub struct RoomView {
    /// The kind's tag.
    pub kind: &'static str,
    /// The owner's epoch.
    pub epoch: Epoch,
    /// The seq that it is at.
    pub seq: Seq,
    /// The user's role.
    pub role: Role,
    /// The view (the `state` of a `joined` frame).
    pub state: View,
}
