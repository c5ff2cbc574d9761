//! When an end of a relay says how much it has sent.

use std::time::Duration;

/// So often the same count is said before silence: the first may be lost like what it counts.
const SAID: u32 = 2;
/// After that it is said so much more rarely, in case the other end is gone without a word.
const RARELY: u32 = 20;

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    counted: u64,
    said: u32,
}

impl Pulse {
    /// It is time, and so many messages have been sent: how long until the next time. The count is to be said each time.
    pub(super) const fn beat(&mut self, sent: u64, every: Duration) -> Duration {
        if self.counted != sent {
            (self.counted, self.said) = (sent, 0);
        }
        self.said = self.said.saturating_add(1);
        self.rest(every)
    }

    /// Whether the count that is said next differs from the last one, so that it should be said soon.
    pub(super) const fn is_due(&self, sent: u64) -> bool {
        self.counted != sent && self.is_calm()
    }

    /// Whether the next time is long from now.
    pub(super) const fn is_calm(&self) -> bool {
        self.said >= SAID
    }

    const fn rest(&self, every: Duration) -> Duration {
        if !self.is_calm() { every } else { every.saturating_mul(RARELY) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_said_twice_and_what_is_old_rarely() {
        let every = Duration::from_millis(250);
        let mut pulse = Pulse::default();
        assert_eq!(pulse.beat(3, every), every);
        assert!(!pulse.is_due(4), "the next time is soon anyway");
        assert_eq!(pulse.beat(3, every), every * RARELY);
        assert!(pulse.is_due(4) && !pulse.is_due(3));
        assert_eq!(pulse.beat(4, every), every);
    }
}
