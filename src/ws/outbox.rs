//! The sending half of a socket.
//!
//! Whoever has a frame writes it straight to the socket, without waiting; only what would block is queued, and finished by the
//! socket's task once the socket takes more. Promises that a frame that was begun is finished before anything else, and that what
//! waits is bounded: [`Outbox::send`] refuses beyond the budget, [`Outbox::send_always`] ends the session beyond twice the budget.

use super::meters::Meters;
use bytes::Bytes;
use parking_lot::Mutex;
use socket2::SockRef;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::Instant;
use tripsync_actors::Frame;
use tripsync_actors::ports::{Detached, Sent, SessionSink};
use tripsync_actors::session::{Control, Ending};
use tripsync_domain::protocol::Codec;
use tripsync_domain::{ErrorCode, RoomId};

/// Slices in one write.
const SLICES_MAX: usize = 32;

/// The sending half of a socket, shared by its task and the rooms that it is in.
pub(crate) struct Outbox {
    half: OwnedWriteHalf,
    codec: Codec,
    /// Bytes that may wait.
    budget: usize,
    drain_timeout: Duration,
    control: Arc<Control>,
    meters: Arc<Meters>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    /// What waits, in order. Empty unless the socket would have blocked.
    parts: VecDeque<Bytes>,
    /// Their bytes.
    bytes: usize,
    /// Bytes of one delivery that was larger than the budget and was taken because nothing else waited; without that it could
    /// never be sent.
    oversize: usize,
    /// Whether the first part is the rest of a frame of which something is on the wire.
    begun: bool,
    /// When the socket last took something, while something waits.
    progress_at: Option<Instant>,
    /// Since when somebody who was refused waits for the queue to be empty.
    refused_since: Option<Instant>,
    closed: Closed,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Closed {
    #[default]
    Open,
    /// The last frame is in the queue.
    Finishing,
    /// Nothing can be written any more.
    Gone,
}

/// What became of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// It is empty; somebody was refused meanwhile and must be told that there is room again.
    Drained,
    /// It is empty.
    Empty,
    /// The socket takes nothing more now.
    Blocked,
    /// The socket is gone.
    Gone,
}

impl Outbox {
    pub(crate) fn new(
        half: OwnedWriteHalf,
        codec: Codec,
        budget: usize,
        drain_timeout: Duration,
        control: Arc<Control>,
        meters: Arc<Meters>,
    ) -> Self {
        Self { half, codec, budget, drain_timeout, control, meters, queue: Mutex::default() }
    }

    /// Writes a whole control frame (a pong, a ping, the answer to a close). Forgotten when the budget is used up: whoever does not
    /// read needs no pong.
    pub(crate) fn control_frame(&self, frame: Bytes) {
        let mut queue = self.queue.lock();
        if queue.closed == Closed::Open && queue.bytes <= self.budget {
            self.put(&mut queue, [frame].into_iter());
        }
    }

    /// Queues the last frames; whatever comes later is forgotten. With `skip`, everything goes that waits and was not begun.
    pub(crate) fn finish(&self, last: impl Iterator<Item = Bytes>, skip: bool) {
        let mut queue = self.queue.lock();
        if queue.closed != Closed::Open {
            return;
        }
        if skip {
            let keep = usize::from(queue.begun);
            queue.parts.truncate(keep);
            queue.bytes = queue.parts.front().map_or(0, Bytes::len);
        }
        self.put(&mut queue, last);
        if queue.closed == Closed::Open {
            queue.closed = Closed::Finishing;
        }
    }

    /// Waits until the socket takes something, and writes what waits.
    pub(crate) async fn flushed(&self) -> Flushed {
        match self.half.writable().await {
            Ok(()) => self.flush(),
            Err(error) => self.gone(&mut self.queue.lock(), &error),
        }
    }

    fn flush(&self) -> Flushed {
        let mut queue = self.queue.lock();
        let queue = &mut *queue;
        while !queue.parts.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let mut count = 0;
            for (slice, part) in slices.iter_mut().zip(&queue.parts) {
                *slice = IoSlice::new(part);
                count += 1;
            }
            match self.half.try_write_vectored(&slices[..count]) {
                Ok(written) => {
                    self.meters.bytes_out.increment(written as u64);
                    queue.advance(written);
                    queue.progress_at = Some(Instant::now());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Flushed::Blocked,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.gone(queue, &error),
            }
        }
        queue.rest();
        match (queue.closed, queue.refused_since.take()) {
            (Closed::Gone, _) => Flushed::Gone,
            (Closed::Open, Some(_)) => Flushed::Drained,
            (Closed::Open, None) | (Closed::Finishing, _) => Flushed::Empty,
        }
    }

    /// When the socket will have been stuck for too long; `None` while nothing waits.
    pub(crate) fn stuck_at(&self) -> Option<Instant> {
        let queue = self.queue.lock();
        let stuck = queue.progress_at? + self.drain_timeout;
        // Taking a byte now and then is no progress for somebody who waits for the end of the queue.
        Some(queue.refused_since.map_or(stuck, |since| stuck.min(since + 2 * self.drain_timeout)))
    }

    /// Whether something waits.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.queue.lock().parts.is_empty()
    }

    /// Whether nothing can be written any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.queue.lock().closed == Closed::Gone
    }

    /// Tells the client that nothing more comes.
    pub(crate) fn shutdown(&self, how: Shutdown) {
        // Fails only when the other side was faster.
        let _ = SockRef::from(self.half.as_ref()).shutdown(how);
        let mut queue = self.queue.lock();
        queue.clear();
        queue.closed = Closed::Gone;
    }

    /// Writes what can be written and queues the rest.
    fn put(&self, queue: &mut Queue, mut wires: impl Iterator<Item = Bytes>) {
        while queue.parts.is_empty()
            && queue.closed != Closed::Gone
            && let Some(wire) = wires.next()
        {
            self.write(queue, &[&wire]);
        }
        if queue.closed != Closed::Gone {
            wires.for_each(|wire| queue.push(wire));
        }
    }

    /// Writes through to the socket; nothing may be waiting. What would block is queued, and the socket's task woken.
    fn write(&self, queue: &mut Queue, wires: &[&Bytes]) {
        let (mut index, mut offset) = (0, 0);
        while index < wires.len() {
            let written = if wires.len() - index == 1 {
                self.half.try_write(&wires[index][offset..])
            } else {
                let mut slices = [IoSlice::new(&[]); SLICES_MAX];
                let mut count = 0;
                for (slice, (position, wire)) in slices.iter_mut().zip(wires[index..].iter().enumerate()) {
                    *slice = IoSlice::new(if position == 0 { &wire[offset..] } else { wire });
                    count += 1;
                }
                self.half.try_write_vectored(&slices[..count])
            };
            match written {
                Ok(written) => {
                    self.meters.bytes_out.increment(written as u64);
                    offset += written;
                    while let Some(wire) = wires.get(index)
                        && offset >= wire.len()
                    {
                        offset -= wire.len();
                        index += 1;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    queue.begun = offset > 0;
                    queue.push(wires[index].slice(offset..));
                    for wire in &wires[index + 1..] {
                        queue.push(Bytes::clone(wire));
                    }
                    if queue.bytes > self.budget {
                        queue.oversize = queue.bytes;
                    }
                    self.control.wake();
                    return;
                }
                Err(error) => {
                    self.gone(queue, &error);
                    return;
                }
            }
        }
    }

    /// Takes frames unless more than `limit` would wait.
    fn deliver(&self, frames: &[Frame], limit: usize) -> Sent {
        let mut queue = self.queue.lock();
        if queue.closed != Closed::Open {
            return Sent::Taken;
        }
        if queue.parts.is_empty() {
            match frames {
                [frame] => self.write(&mut queue, &[frame.wire(self.codec)]),
                frames => {
                    let wires: Vec<&Bytes> = frames.iter().map(|frame| frame.wire(self.codec)).collect();
                    self.write(&mut queue, &wires);
                }
            }
        } else {
            let size: usize = frames.iter().map(|frame| frame.wire(self.codec).len()).sum();
            if queue.bytes + size > limit + queue.oversize {
                // Under the lock: the queue that refuses is not empty, so its draining is still to come and will be told.
                queue.refused_since.get_or_insert_with(Instant::now);
                return Sent::Full;
            }
            for frame in frames {
                queue.push(frame.wire(self.codec).clone());
            }
        }
        drop(queue);
        self.meters.frames_out.increment(frames.len() as u64);
        Sent::Taken
    }

    fn gone(&self, queue: &mut Queue, error: &io::Error) -> Flushed {
        tracing::debug!(%error, "a socket could not be written to");
        queue.clear();
        queue.closed = Closed::Gone;
        self.control.wake();
        Flushed::Gone
    }
}

impl SessionSink for Outbox {
    fn send(&self, frames: &[Frame]) -> Sent {
        let sent = self.deliver(frames, self.budget);
        if sent == Sent::Full {
            self.meters.full.increment(1);
        }
        sent
    }

    fn send_always(&self, frames: &[Frame]) {
        if self.deliver(frames, 2 * self.budget) == Sent::Full {
            let slow = "the connection takes less than it gets; connect again and resume";
            self.control.end(Ending::new(ErrorCode::Slow, slow).retry_after_ms(1_000));
        }
    }

    /// Rooms talk to the session's seats, which know to whom it matters.
    fn detached(&self, _: RoomId, _: Detached) {}
}

impl Queue {
    fn push(&mut self, part: Bytes) {
        self.bytes += part.len();
        if self.parts.is_empty() {
            self.progress_at = Some(Instant::now());
        }
        self.parts.push_back(part);
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes -= written;
        while let Some(part) = self.parts.front_mut() {
            if written < part.len() {
                self.begun |= written > 0;
                *part = part.slice(written..);
                return;
            }
            written -= part.len();
            self.begun = false;
            self.parts.pop_front();
        }
    }

    /// Nothing waits: gives the queue's memory back.
    fn rest(&mut self) {
        self.parts = VecDeque::new();
        self.oversize = 0;
        self.begun = false;
        self.progress_at = None;
    }

    fn clear(&mut self) {
        self.bytes = 0;
        self.refused_since = None;
        self.rest();
    }
}

#[cfg(test)]
mod tests;
