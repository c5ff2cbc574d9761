//! Who may be on the way into a room: so many at once on this node, in the order in which they asked.
//!
//! When a node dies, thousands of sockets come back together. What members do stands in the same mailboxes, and the same queue for the database, as
//! their joins; so only [`crate::config::EngineConfig::joins_at_once`] of these are on their way, and the others wait where nobody stands behind them.
//!
//! A [`Turn`] is taken before the room is looked for and given back when the session has its `joined`, was refused or is gone. It bounds work, not waiting: a
//! join that waits for a reload or a proof gives it back there and then, and one that is not done after [`TURN_MAX`] has lost it. So rooms that
//! hang cannot keep everybody out of those that do not.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

/// How long a turn counts. Most joins take a few milliseconds; one that takes longer waits for the journal or another node, where it stands in
/// nobody's way.
pub(crate) const TURN_MAX: Duration = Duration::from_millis(250);

/// See the module documentation.
pub(crate) struct Admission(Arc<Semaphore>);

/// Leave to be on the way into a room; dropped, it is given back.
#[derive(Debug)]
pub struct Turn {
    _held: oneshot::Sender<Infallible>,
}

/// Counts who waits, however the waiting ends.
struct Waiting;

impl Waiting {
    fn new() -> Self {
        metrics::gauge!("tripsync_joins_waiting").increment(1);
        Self
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        metrics::gauge!("tripsync_joins_waiting").decrement(1);
    }
}

impl Admission {
    pub(crate) fn new(at_once: usize) -> Self {
        Self(Arc::new(Semaphore::new(at_once.clamp(1, Semaphore::MAX_PERMITS))))
    }

    /// Waits for a turn. Dropped before it is done, it leaves the queue.
    pub(crate) async fn turn(&self) -> Turn {
        let permit = match Arc::clone(&self.0).try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => {
                let _waiting = Waiting::new();
                // Never closed.
                Arc::clone(&self.0).acquire_owned().await.ok()
            }
        };
        let (held, given_back) = oneshot::channel();
        tokio::spawn(async move {
            let _ = timeout(TURN_MAX, given_back).await;
            drop(permit);
        });
        Turn { _held: held }
    }

    /// How many turns are free.
    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        self.0.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test(start_paused = true)]
    async fn turns_are_taken_in_order_and_come_back_by_themselves() {
        let admission = Arc::new(Admission::new(1));
        let first = admission.turn().await;
        assert!(admission.turn().now_or_never().is_none(), "whoever stops waiting leaves the queue");
        let next = [(); 2].map(|()| {
            let admission = Arc::clone(&admission);
            tokio::spawn(async move { admission.turn().await })
        });
        tokio::task::yield_now().await;
        drop(first);
        let [second, third] = next;
        let (asked, _second) = (tokio::time::Instant::now(), second.await.unwrap());
        assert_eq!((asked.elapsed(), third.is_finished()), (Duration::ZERO, false));
        // One that is kept too long does not count any more.
        let third = third.await.unwrap();
        assert_eq!(asked.elapsed(), TURN_MAX);
        drop(third);
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(admission.free(), 1);
    }
}
