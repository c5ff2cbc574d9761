//! What sessions and callers here have asked the owner and have no answer to yet.

use crate::engine::{Reserved, Shared};
use crate::ports::SessionSink;
use crate::room::{Outcome, Read, RoomView};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tripsync_domain::{ErrorCode, Rejection, SessionId};

/// Something that the owner has not answered.
pub(super) enum Call {
    Session { session: SessionId, sink: Arc<dyn SessionSink>, held: Held },
    Caller { reply: oneshot::Sender<Result<Outcome, Rejection>>, numbered: bool, held: Held },
    Read(Read),
}

/// What a command holds until it is answered.
pub(super) struct Held {
    pub(super) _permits: Vec<OwnedSemaphorePermit>,
    pub(super) kept: Option<Reserved>,
}

/// By a number of its own each. Bounded by the permits that they hold.
#[derive(Default)]
pub(super) struct Calls {
    unanswered: BTreeMap<u64, Call>,
    last: u64,
}

impl Held {
    /// The owner has taken over what was reserved, or gives it back itself.
    fn settled(&mut self) {
        if let Some(kept) = self.kept.as_mut() {
            kept.settled();
        }
    }
}

impl Calls {
    pub(super) fn is_empty(&self) -> bool {
        self.unanswered.is_empty()
    }

    /// Keeps a question; its number.
    pub(super) fn ask(&mut self, call: Call) -> u64 {
        self.last += 1;
        self.unanswered.insert(self.last, call);
        self.last
    }

    /// A session's command is answered; the answer itself goes another way.
    pub(super) fn settled(&mut self, call: u64) {
        if let Some(Call::Session { mut held, .. }) = self.unanswered.remove(&call) {
            held.settled();
        }
    }

    /// The answer to a caller's command.
    pub(super) fn answer(&mut self, call: u64, answer: Result<Outcome, Rejection>) {
        if let Some(Call::Caller { reply, mut held, .. }) = self.unanswered.remove(&call) {
            held.settled();
            // The caller may have given up waiting.
            let _ = reply.send(answer);
        }
    }

    /// The answer to a reader.
    pub(super) fn show(&mut self, call: u64, view: Result<RoomView, Rejection>) {
        if let Some(Call::Read(read)) = self.unanswered.remove(&call) {
            let _ = read.reply.send(view);
        }
    }

    /// The way to a session that has left and has an answer coming.
    pub(super) fn sink(&self, session: SessionId) -> Option<&Arc<dyn SessionSink>> {
        self.unanswered.values().find_map(|call| match call {
            Call::Session { session: of, sink, .. } if *of == session => Some(sink),
            Call::Session { .. } | Call::Caller { .. } | Call::Read(_) => None,
        })
    }

    /// Leaves what was reserved to the owner, which is there and may be about to store a command; what it refuses it gives back itself.
    pub(super) fn leave_reservations(&mut self) {
        for call in self.unanswered.values_mut() {
            match call {
                Call::Session { held, .. } | Call::Caller { held, .. } => held.settled(),
                Call::Read(_) => {}
            }
        }
    }

    /// Tells everybody who waits that the way to the owner has ended: `why`, if there is a reason, otherwise that the room has moved.
    pub(super) fn end(&mut self, why: Option<&Rejection>, shared: &Shared) {
        let told = || why.cloned().unwrap_or_else(super::moved);
        for call in std::mem::take(&mut self.unanswered).into_values() {
            match call {
                // Its session joins again and sends again.
                Call::Session { .. } => {}
                Call::Caller { reply, numbered, .. } => {
                    // Without a number it must not be tried again: it may be stored, whatever became of the room.
                    let told = if numbered { told() } else { unknown() };
                    let _ = reply.send(Err(shared.spread(told)));
                }
                Call::Read(read) => {
                    let _ = read.reply.send(Err(shared.spread(told())));
                }
            }
        }
    }
}

fn unknown() -> Rejection {
    Rejection::new(ErrorCode::Retry, "the room's node did not answer; the outcome is not known").retry_after_ms(500)
}
