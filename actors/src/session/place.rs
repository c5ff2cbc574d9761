//! A session's place in one room.

use crate::engine::{Ready, RoomRef, Turn};
use crate::frame::Frame;
use crate::ports::{Detached, Sent, SessionSink};
use crate::room::Cursor;
use crate::session::control::Control;
use futures_util::future::BoxFuture;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tripsync_domain::presence::PresenceState;
use tripsync_domain::protocol::Position;
use tripsync_domain::{CommandNumber, Rejection, RoomId, Seq};

/// What a room writes to: the session's sink, with a memory of whether this very joining is over.
///
/// One per joining, so that a late word from a room that was left or lost cannot be taken for one about its successor.
pub(crate) struct Seat {
    sink: Arc<dyn SessionSink>,
    control: Arc<Control>,
    detached: AtomicU8,
}

const SEATED: u8 = 0;
const ENDED: u8 = 1;
const LOST: u8 = 2;

impl Seat {
    pub(crate) fn new(sink: Arc<dyn SessionSink>, control: Arc<Control>) -> Arc<Self> {
        Arc::new(Self { sink, control, detached: AtomicU8::new(SEATED) })
    }

    /// What the room said of the end of this joining.
    pub(crate) fn verdict(&self) -> Option<Detached> {
        match self.detached.load(Ordering::Acquire) {
            SEATED => None,
            ENDED => Some(Detached::Ended),
            _ => Some(Detached::Lost),
        }
    }
}

impl SessionSink for Seat {
    fn send(&self, frames: &[Frame]) -> Sent {
        self.sink.send(frames)
    }

    fn send_always(&self, frames: &[Frame]) {
        self.sink.send_always(frames);
    }

    fn detached(&self, _: RoomId, why: Detached) {
        let why = match why {
            Detached::Ended => ENDED,
            Detached::Lost => LOST,
        };
        self.detached.store(why, Ordering::Release);
        self.control.wake();
    }
}

/// Something that a place waits for; at most one thing at a time.
pub(crate) type Work = BoxFuture<'static, Done>;

/// What came of it.
pub(crate) enum Done {
    /// The room was got, with leave to join it, or not.
    Found(Result<(RoomRef, Turn), Rejection>),
    /// What the first waiting command needs.
    Ready(Result<Ready, Rejection>),
}

/// A command that has not reached the room yet.
pub(crate) struct Waiting {
    pub(crate) n: CommandNumber,
    pub(crate) cmd: Value,
    pub(crate) base: Option<Seq>,
    /// Its share of what the session may have unanswered; moves on with the command.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
    /// What it needs, once that is got ready.
    pub(crate) ready: Option<Ready>,
    /// Whether a room was gone when the command came to it.
    pub(crate) tried: bool,
}

/// A session's place in one room.
pub(crate) struct Place {
    pub(crate) room: RoomId,
    /// Set while the session is in the room; `None` while it is on its way in.
    pub(crate) address: Option<RoomRef>,
    pub(crate) seat: Arc<Seat>,
    pub(crate) cursor: Arc<Cursor>,
    /// What the client has, as far as it said or got it.
    pub(crate) since: Option<Position>,
    /// What the place waits for; commands wait behind it.
    pub(crate) work: Option<Work>,
    /// Commands that have not reached the room, in the order in which they came. Bounded by the session's permits.
    pub(crate) waiting: VecDeque<Waiting>,
    /// The newest presence that was not told yet.
    pub(crate) presence: Option<Box<PresenceState>>,
    /// Whether the session was in the room before: a failure to come back is a `left`, not an `error`.
    pub(crate) returning: bool,
    /// How often the room was lost soon after it was entered; joining again takes longer each time.
    pub(crate) losses: u32,
    /// When it was entered last.
    pub(crate) entered_at: Option<Instant>,
}
