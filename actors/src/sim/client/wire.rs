//! The client's end of a socket.

use crate::frame::Frame;
use crate::ports::{Detached, Sent, SessionSink};
use crate::sim::ward::Ward;
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::VecDeque;
use tokio::sync::Notify;
use tripsync_domain::protocol::Codec;
use tripsync_domain::{RoomId, UserId};

/// The client's end of a socket.
pub(in crate::sim) struct Wire {
    user: UserId,
    ward: Ward,
    budget_bytes: usize,
    state: Mutex<WireState>,
    readable: Notify,
}

#[derive(Default)]
struct WireState {
    queue: VecDeque<Value>,
    bytes: usize,
    stalled: bool,
    full: bool,
    dead: bool,
}

impl Wire {
    pub(super) fn new(user: UserId, ward: Ward, budget_bytes: usize) -> Self {
        Self { user, ward, budget_bytes, state: Mutex::default(), readable: Notify::new() }
    }

    /// Something can be read, or could be.
    pub(super) async fn readable(&self) {
        self.readable.notified().await;
    }

    /// Whether the connection is broken.
    pub(super) fn is_dead(&self) -> bool {
        self.state.lock().dead
    }

    fn push(&self, frames: &[Frame]) {
        for frame in frames {
            let value: Value = serde_json::from_slice(frame.payload(Codec::Json)).unwrap();
            self.ward.leaves(self.user, &value, frame.payload(Codec::MessagePack));
            let mut state = self.state.lock();
            if !state.dead {
                state.bytes += frame.payload(Codec::MessagePack).len();
                state.queue.push_back(value);
            }
        }
        self.readable.notify_one();
    }

    pub(in crate::sim) fn stall(&self, stalled: bool) {
        self.state.lock().stalled = stalled;
        self.readable.notify_one();
    }

    /// The connection is broken: nothing arrives any more.
    pub(super) fn kill(&self) {
        let mut state = self.state.lock();
        state.dead = true;
        state.queue.clear();
    }

    /// What can be read now, and whether that empties a socket that was full.
    pub(super) fn take(&self) -> (Vec<Value>, bool) {
        let mut state = self.state.lock();
        if state.stalled {
            return (Vec::new(), false);
        }
        state.bytes = 0;
        (state.queue.drain(..).collect(), std::mem::take(&mut state.full))
    }
}

impl SessionSink for Wire {
    fn send(&self, frames: &[Frame]) -> Sent {
        {
            let mut state = self.state.lock();
            let more: usize = frames.iter().map(|frame| frame.payload(Codec::MessagePack).len()).sum();
            if !state.dead && state.stalled && !state.queue.is_empty() && state.bytes + more > self.budget_bytes {
                state.full = true;
                return Sent::Full;
            }
        }
        self.push(frames);
        Sent::Taken
    }

    fn send_always(&self, frames: &[Frame]) {
        self.push(frames);
    }

    fn detached(&self, _: RoomId, _: Detached) {}
}
