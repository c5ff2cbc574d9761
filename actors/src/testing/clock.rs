//! A clock that stands still, or follows tokio's.

use crate::ports::Clock;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tripsync_domain::Timestamp;

/// A [`Clock`] for tests; clones show the same time.
#[derive(Clone, Debug)]
pub struct TestClock(Arc<Mutex<Time>>);

#[derive(Debug)]
struct Time {
    base: Timestamp,
    /// The runtime's instant at which the clock showed `base`; `None` for a clock that stands still.
    running_since: Option<Instant>,
}

impl TestClock {
    /// A clock that moves only when told.
    #[must_use]
    pub fn standing(at: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Time { base: at, running_since: None })))
    }

    /// A clock that moves with the runtime's time, so also when paused time is advanced.
    #[must_use]
    pub fn running(from: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Time { base: from, running_since: Some(Instant::now()) })))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let mut time = self.0.lock();
        time.base = time.base.plus(by);
    }

    /// Lets the clock step, backwards too.
    pub fn set(&self, at: Timestamp) {
        let mut time = self.0.lock();
        time.base = at;
        time.running_since = time.running_since.map(|_| Instant::now());
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let time = self.0.lock();
        time.base.plus(time.running_since.map_or(Duration::ZERO, |since| since.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn stands_or_runs() {
        let start = Timestamp::from_ms(1_000);
        let (standing, running) = (TestClock::standing(start), TestClock::running(start));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!((standing.now().as_ms(), running.now().as_ms()), (1_000, 3_000));
        standing.advance(Duration::from_millis(5));
        running.set(Timestamp::from_ms(10));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!((standing.now().as_ms(), running.now().as_ms()), (1_005, 11));
    }
}
