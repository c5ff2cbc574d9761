//! The output gate: what may leave only after what it was decided upon is durable.

use crate::cluster::Receipt;
use crate::engine::Reserved;
use crate::frame::View;
use crate::room::members::Ticket;
use crate::room::message::{From, Link, Outcome, Read, RoomView};
use std::collections::VecDeque;
use tokio::sync::OwnedSemaphorePermit;
use tripsync_domain::protocol::Position;
use tripsync_domain::{ClientId, CommandNumber, Rejection, Seq, SessionId, UserId};

/// Where a command's answer goes, and how the command can be found again.
pub(crate) struct Asker {
    pub(crate) user: UserId,
    pub(crate) from: From,
    pub(crate) id: Option<(ClientId, CommandNumber)>,
    /// What was reserved for the command; given back when it is answered.
    pub(crate) kept: Option<Reserved>,
    /// Given back when the command is answered.
    pub(crate) permits: Vec<OwnedSemaphorePermit>,
    /// Likewise, for a session on another node.
    pub(crate) receipt: Option<Receipt>,
}

/// Something that waits for durability.
pub(crate) enum Output {
    /// The command is applied.
    Applied(Asker, Outcome),
    /// The command was refused, on a state that may not be durable yet.
    Refused(Asker, Rejection),
    /// A session's `joined`.
    Joined {
        session: SessionId,
        /// Which joining of the session it belongs to; it is void if the session left or joined anew meanwhile.
        ticket: Ticket,
        since: Option<Position>,
        /// The encoded view, when the session gets the state; otherwise it gets the events since `since`.
        state: Option<View>,
    },
    /// A session that may not know of the room.
    Denied(Link),
    /// A reader's answer.
    View { read: Read, view: Box<Result<RoomView, Rejection>> },
    /// A snapshot to keep.
    Snapshot(bytes::Bytes),
}

/// Outputs in the order in which they were made, each with the seq that must be durable first.
#[derive(Default)]
pub(crate) struct Gate(VecDeque<(Seq, Output)>);

impl Gate {
    /// Adds an output. `at` never falls.
    pub(crate) fn push(&mut self, at: Seq, output: Output) {
        debug_assert!(self.0.back().is_none_or(|(last, _)| *last <= at), "the gate's seqs rise");
        self.0.push_back((at, output));
    }

    /// Gives back the memory of outputs that have left.
    pub(crate) fn slim(&mut self) {
        self.0.shrink_to_fit();
    }

    /// The next output, if `durable` suffices for it.
    pub(crate) fn pop(&mut self, durable: Seq) -> Option<(Seq, Output)> {
        if self.0.front().is_some_and(|(at, _)| *at <= durable) { self.0.pop_front() } else { None }
    }

    /// The seqs at which a `joined` waits, in order.
    pub(crate) fn joins(&self) -> impl Iterator<Item = Seq> {
        self.0.iter().filter(|(_, output)| matches!(output, Output::Joined { .. })).map(|(at, _)| *at)
    }

    /// Drops what a session that goes, or starts over, has waiting of its coming in: it is void, and would pile up otherwise.
    pub(crate) fn withdraw(&mut self, id: SessionId) {
        let is_its = |output: &Output| match output {
            Output::Joined { session, .. } => *session == id,
            Output::Denied(link) => link.session == id,
            Output::Applied(..) | Output::Refused(..) | Output::View { .. } | Output::Snapshot(_) => false,
        };
        if !self.0.iter().any(|(_, output)| is_its(output)) {
            return;
        }
        let void: VecDeque<_>;
        (void, self.0) = self.take().into_iter().partition(|(_, output)| is_its(output));
        for (_, output) in void {
            if let Output::Denied(link) = output {
                link.forget();
            }
        }
    }

    /// Everything that waits, for when the state it was made from is lost.
    pub(crate) fn take(&mut self) -> VecDeque<(Seq, Output)> {
        std::mem::take(&mut self.0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
