//! Microseconds since 1970, for every thread and process of a run.
//!
//! Anchored once and counted monotonically from there, so that a step of the machine's clock does not tear latencies. The numbers of commands
//! are such times, which is how every receiver, in any process, knows when an event was due.

use std::time::Duration;
use tokio::time::Instant;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    anchor: Instant,
    unix_us: u64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        #[expect(clippy::disallowed_methods, reason = "one look at the real clock, which the processes of a run share")]
        let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self { anchor: Instant::now(), unix_us: micros(unix) }
    }

    pub(crate) fn now_us(&self) -> u64 {
        self.unix_us + micros(self.anchor.elapsed())
    }

    /// That moment as tokio's timers take it.
    pub(crate) fn instant(&self, at_us: u64) -> Instant {
        self.anchor + Duration::from_micros(at_us.saturating_sub(self.unix_us))
    }
}

/// Whole microseconds.
pub(crate) fn micros(length: Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX)
}
