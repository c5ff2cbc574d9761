//! The schedule: when each client does what, whatever comes back.
//!
//! A thread of its own, because the timers of tokio are a millisecond coarse, which is more than a delivery takes. Everything that is due by the
//! time that the thread wakes goes to the sockets' threads in one batch each.

use super::clock::Clock;
use crate::scenario::Pace;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;
use tokio::sync::mpsc;

/// Something is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) slot: u32,
    pub(crate) what: What,
    pub(crate) at_us: u64,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    /// The persona's act of this index.
    Act(u8),
    /// Connect for the first time.
    Arrive,
    /// Drop the socket and come back after so long.
    Drop { away_us: u64 },
    /// The same, together with many others, at the beginning of this phase.
    Storm { phase: u16, away_us: u64 },
}

/// Something that happens once or again and again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    pub(crate) shard: usize,
    pub(crate) slot: u32,
    pub(crate) what: What,
    /// From when on it counts.
    pub(crate) begins_us: u64,
    /// How long after that the first one comes, at rate 1: so clients that share an interval out go on sharing it whatever the rate.
    pub(crate) wait_us: u64,
    /// At rate 1; none for what happens once.
    pub(crate) interval_us: Option<u64>,
    pub(crate) pace: Pace,
    /// How often at most; 0: always.
    pub(crate) times: u32,
    pub(crate) random: u64,
}

/// A phase: when it begins, and how fast everything goes at its beginning and, evenly nearing that, at its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    pub(crate) start_us: u64,
    pub(crate) rate: f64,
    pub(crate) rate_to: f64,
}

/// The phases, and when the last one ends.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    pub(crate) phases: Vec<Stretch>,
    pub(crate) end_us: u64,
}

impl Timeline {
    /// When the next one comes that is `interval` behind `at` at rate 1: a share of the interval passes in each phase, as fast as the phase goes.
    fn after(&self, mut at: u64, interval_us: u64) -> Option<u64> {
        #[expect(clippy::cast_precision_loss, reason = "lengths of time are far below 2^52 us")]
        let float = |us: u64| us as f64;
        let mut left = float(interval_us);
        let mut index = self.phases.iter().take_while(|phase| phase.start_us <= at).count().saturating_sub(1);
        loop {
            let Stretch { start_us, rate, rate_to } = *self.phases.get(index)?;
            let until = self.phases.get(index + 1).map_or(self.end_us, |phase| phase.start_us);
            let steepness = (rate_to - rate) / float(until.saturating_sub(start_us)).max(1.0);
            let now = rate + steepness * float(at.saturating_sub(start_us));
            let passes = float(until.saturating_sub(at)) * f64::midpoint(now, rate_to);
            if passes > left {
                // The root of `now * t + steepness * t^2 / 2 = left`, in the form that also does for no steepness.
                let wait = 2.0 * left / (now + (now * now + 2.0 * steepness * left).max(0.0).sqrt());
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and less than the phase's length")]
                return Some(at + wait.round().max(1.0) as u64);
            }
            left -= passes;
            at = until;
            index += 1;
        }
    }
}

/// Numbers that look random; the same seed gives the same ones.
pub(crate) fn next_random(state: &mut u64) -> u64 {
    // splitmix64: every seed will do.
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Between 0 and 1.
pub(crate) fn share(state: &mut u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits")]
    let top = (next_random(state) >> 11) as f64;
    top / 9_007_199_254_740_992.0
}

/// All that is to come, the earliest first.
pub(crate) struct Schedule {
    timeline: Timeline,
    sources: Vec<Source>,
    heap: BinaryHeap<Reverse<(u64, u32)>>,
}

impl Schedule {
    pub(crate) fn new(timeline: Timeline, sources: Vec<Source>) -> Self {
        let first = |source: &Source| match source.wait_us {
            0 => Some(source.begins_us),
            wait => timeline.after(source.begins_us, wait),
        };
        let due = (0..).zip(&sources).filter_map(|(index, source)| Some((first(source).filter(|at| *at < timeline.end_us)?, index)));
        let heap = due.map(Reverse).collect();
        Self { heap, timeline, sources }
    }

    /// When the next is due.
    pub(crate) fn next_us(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes the next one.
    pub(crate) fn pop(&mut self) -> Option<(usize, Due)> {
        let Reverse((at_us, index)) = self.heap.pop()?;
        let source = self.sources.get_mut(index as usize)?;
        if let Some(interval) = source.interval_us {
            let ended = source.times == 1;
            source.times = source.times.saturating_sub(1);
            let interval = match source.pace {
                Pace::Even | Pace::Together => interval,
                Pace::Poisson => exponential(&mut source.random, interval),
            };
            if let Some(next) = self.timeline.after(at_us, interval).filter(|next| !ended && *next < self.timeline.end_us) {
                self.heap.push(Reverse((next, index)));
            }
        }
        Some((source.shard, Due { slot: source.slot, what: source.what, at_us }))
    }
}

/// An interval as it is between events that do not know of each other, with this mean.
pub(crate) fn exponential(random: &mut u64, mean_us: u64) -> u64 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive; at most 40 times the mean"
    )]
    let interval = (mean_us as f64 * -(1.0 - share(random)).ln()) as u64;
    interval.max(1)
}

/// Hands out what is due until nothing is left. Blocks its thread.
pub(crate) fn run(mut schedule: Schedule, clock: Clock, shards: &[mpsc::Sender<Vec<Due>>]) {
    let mut batches: Vec<Vec<Due>> = vec![Vec::new(); shards.len()];
    while let Some(next) = schedule.next_us() {
        let now = clock.now_us();
        if next > now {
            std::thread::sleep(Duration::from_micros(next - now));
            continue;
        }
        while schedule.next_us().is_some_and(|next| next <= now)
            && let Some((shard, due)) = schedule.pop()
        {
            batches[shard].push(due);
        }
        for (batch, shard) in batches.iter_mut().zip(shards) {
            if !batch.is_empty() && shard.blocking_send(std::mem::take(batch)).is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(timeline: Timeline, source: Source) -> Vec<u64> {
        let mut schedule = Schedule::new(timeline, vec![source]);
        std::iter::from_fn(|| schedule.pop()).map(|(_, due)| due.at_us).collect()
    }

    fn steady(phases: &[(u64, f64)]) -> Vec<Stretch> {
        phases.iter().map(|(start_us, rate)| Stretch { start_us: *start_us, rate: *rate, rate_to: *rate }).collect()
    }

    #[test]
    fn a_rate_rises_and_falls_evenly() {
        let up = Stretch { start_us: 0, rate: 0.0, rate_to: 2.0 };
        let down = Stretch { start_us: 10_000, rate: 2.0, rate_to: 0.0 };
        let timeline = Timeline { phases: vec![up, down], end_us: 20_000 };
        let due = times(timeline, Source { begins_us: 0, wait_us: 100, ..SOURCE });
        // As many as at rate 1: one where the rate reaches each hundred, t^2 / 10,000 of them after t.
        assert!((198..=200).contains(&due.len()), "{}", due.len());
        assert_eq!(due[0], 1_000);
        for (count, at) in (1..=100).zip(&due) {
            let expected = (f64::from(count) * 1_000_000.0).sqrt();
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let at = *at as f64;
            assert!((at - expected).abs() < 60.0, "{count}: {at} instead of {expected}");
        }
        let (first, last) = (due[1] - due[0], due[due.len() - 1] - due[due.len() - 2]);
        assert!(due[100] - due[99] < 60 && first > 300 && last > 300, "{first}, {last}");
    }

    const SOURCE: Source = Source {
        shard: 0,
        slot: 0,
        what: What::Act(0),
        begins_us: 1_000,
        wait_us: 0,
        interval_us: Some(100),
        pace: Pace::Even,
        times: 0,
        random: 1,
    };

    #[test]
    fn phases_change_the_rate_and_nothing_comes_after_the_end() {
        let timeline = Timeline { phases: steady(&[(1_000, 1.0), (1_250, 0.0), (2_000, 2.0)]), end_us: 2_150 };
        assert_eq!(times(timeline.clone(), SOURCE), [1_000, 1_100, 1_200, 2_025, 2_075, 2_125]);
        assert_eq!(times(timeline.clone(), Source { times: 2, ..SOURCE }), [1_000, 1_100]);
        assert_eq!(times(timeline.clone(), Source { interval_us: None, ..SOURCE }), [1_000]);
        assert_eq!(times(timeline, Source { begins_us: 2_150, ..SOURCE }), [0_u64; 0]);
    }

    #[test]
    fn clients_that_share_an_interval_out_share_it_at_every_rate() {
        let timeline = Timeline { phases: steady(&[(0, 0.0), (1_000, 0.1), (3_050, 1.0)]), end_us: 3_200 };
        let second = Source { begins_us: 0, wait_us: 50, ..SOURCE };
        assert_eq!(times(timeline.clone(), Source { wait_us: 0, begins_us: 1_000, ..SOURCE }), [1_000, 2_000, 3_000, 3_145]);
        assert_eq!(times(timeline, second), [1_500, 2_500, 3_095, 3_195]);
    }

    #[test]
    fn poisson_has_the_rate_that_was_asked_for() {
        let timeline = Timeline { phases: steady(&[(1_000, 1.0)]), end_us: 1_001_000 };
        let count = times(timeline, Source { pace: Pace::Poisson, ..SOURCE }).len();
        assert!((9_600..10_400).contains(&count), "{count}");
    }
}
