//! What has arrived and was not taken yet: bounded, because the reader of the socket cannot wait.

use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;
use tokio::sync::Notify;

/// What a message costs beside its bytes, roughly: its place in the queue and the allocation's own.
const OVERHEAD: usize = 64;

/// A message as it came.
pub(super) struct Arrived {
    pub(super) channel: Bytes,
    pub(super) sealed: Bytes,
}

/// Oldest first. What does not fit is dropped: the newest, so that what is left has no gap but at its end.
pub(super) struct Inbox {
    queue: Mutex<Queue>,
    arrived: Notify,
    messages_max: usize,
    bytes_max: usize,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Arrived>,
    bytes: usize,
}

impl Inbox {
    pub(super) fn new(messages_max: usize, bytes_max: usize) -> Self {
        Self { queue: Mutex::default(), arrived: Notify::new(), messages_max, bytes_max }
    }

    /// `false`: there was no room. A message larger than the whole bound still fits when nothing else waits.
    pub(super) fn push(&self, message: Arrived) -> bool {
        let mut queue = self.queue.lock();
        let bytes = queue.bytes + cost(&message);
        if !queue.waiting.is_empty() && (queue.waiting.len() >= self.messages_max || bytes > self.bytes_max) {
            return false;
        }
        queue.bytes = bytes;
        queue.waiting.push_back(message);
        drop(queue);
        self.arrived.notify_one();
        true
    }

    /// The oldest, once there is one. May be dropped while it waits. For one taker.
    pub(super) async fn take(&self) -> Arrived {
        loop {
            if let Some(message) = self.take_now() {
                return message;
            }
            self.arrived.notified().await;
        }
    }

    fn take_now(&self) -> Option<Arrived> {
        let mut queue = self.queue.lock();
        let message = queue.waiting.pop_front()?;
        queue.bytes -= cost(&message);
        Some(message)
    }
}

fn cost(message: &Arrived) -> usize {
    message.sealed.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(len: usize) -> Arrived {
        Arrived { channel: Bytes::new(), sealed: Bytes::from(vec![0; len]) }
    }

    #[tokio::test]
    async fn the_number_is_bounded_and_the_newest_goes() {
        let inbox = Inbox::new(3, usize::MAX);
        let kept: Vec<bool> = (1..=5).map(|len| inbox.push(message(len))).collect();
        assert_eq!(kept, [true, true, true, false, false]);
        assert_eq!(inbox.take().await.sealed.len(), 1);
        assert!(inbox.push(message(6)));
        for len in [2, 3, 6] {
            assert_eq!(inbox.take().await.sealed.len(), len);
        }
        assert!(inbox.take_now().is_none());
    }

    #[tokio::test]
    async fn the_bytes_are_bounded_and_come_free_again() {
        let inbox = Inbox::new(usize::MAX, 1_000);
        assert!(inbox.push(message(400)));
        for _ in 0..3 {
            assert!(inbox.push(message(400)));
            assert!(!inbox.push(message(100)));
            inbox.take().await;
        }
        inbox.take().await;
        assert!(inbox.push(message(5_000)), "alone it fits, or it never would");
        assert!(!inbox.push(message(1)));
    }

    #[tokio::test]
    async fn who_waits_is_told() {
        let inbox = std::sync::Arc::new(Inbox::new(10, 1_000));
        let taker = std::sync::Arc::clone(&inbox);
        let taking = tokio::spawn(async move { taker.take().await.sealed.len() });
        tokio::task::yield_now().await;
        inbox.push(message(4));
        let taken = tokio::time::timeout(std::time::Duration::from_secs(10), taking).await;
        assert_eq!(taken.expect("it is told").unwrap(), 4);
    }
}
