//! A token bucket that is two instants small.

use std::time::Duration;
use tokio::time::Instant;

/// A token bucket, kept as the instant at which it would be full again (the generic cell rate algorithm).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// One token comes back in this time.
    every: Duration,
    /// How far ahead of now [`Self::full_at`] may be: one less than the burst, in time.
    tolerance: Duration,
    full_at: Instant,
}

impl Bucket {
    /// A full bucket that holds `burst` tokens, `count` of which come back in `period`.
    pub(crate) fn new(count: u32, period: Duration, burst: u32, now: Instant) -> Self {
        let every = period / count.max(1);
        Self { every, tolerance: every * burst.max(1).saturating_sub(1), full_at: now }
    }

    /// Takes a token, or says when there will be one.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Instant> {
        let ready = self.ready_at();
        if ready > now {
            return Err(ready);
        }
        self.full_at = self.full_at.max(now) + self.every;
        Ok(())
    }

    /// When there is a token; in the past when there is one now.
    pub(crate) fn ready_at(&self) -> Instant {
        self.full_at.checked_sub(self.tolerance).unwrap_or(self.full_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_then_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(50, Duration::from_secs(1), 100, start);
        for _ in 0..100 {
            bucket.take(start).unwrap();
        }
        let ready = bucket.take(start).unwrap_err();
        assert_eq!(ready - start, Duration::from_millis(20));
        bucket.take(ready).unwrap();
        bucket.take(ready).unwrap_err();

        // After two seconds of rest it is full again, and not fuller.
        let later = ready + Duration::from_secs(20);
        for _ in 0..100 {
            bucket.take(later).unwrap();
        }
        bucket.take(later).unwrap_err();
    }
}
