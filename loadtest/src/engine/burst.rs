//! How busy a thread is while everybody comes at once.
//!
//! Over a whole phase a thread that is the bottleneck of a storm of one second looks idle. So its CPU is noted every few milliseconds, and
//! afterwards looked up between the storm's beginning and the moment at which the last of the thread's clients was current.

use super::clock::Clock;
use super::job::Job;
use super::plan::starts;
use super::process::thread_cpu_s;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

const EVERY: Duration = Duration::from_millis(20);
/// Notes of one phase: a minute of them.
const NOTES_MAX: usize = 3_000;
/// The kernel counts CPU in steps of 10 ms, which says nothing about a shorter burst.
const LEAST_US: u64 = 200_000;

/// A moment in microseconds, and a thread's CPU seconds then.
type Note = (u64, f64);

/// How busy a thread was, at some moments of each phase in which a burst begins.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes(Rc<RefCell<BTreeMap<usize, Vec<Note>>>>);

impl Notes {
    /// Notes until the last phase with a burst is over.
    pub(super) async fn take(self, job: &Job, clock: Clock, at_us: u64) {
        let starts = starts(job, at_us);
        for (index, phase) in job.scenario.phases.iter().enumerate() {
            let bursts = phase.storm.is_some() || job.scenario.personas.iter().any(|persona| persona.arrives == phase.name);
            if !bursts {
                continue;
            }
            sleep_until(clock.instant(starts[index])).await;
            let end = clock.instant(starts[index + 1]);
            for _ in 0..NOTES_MAX {
                self.0.borrow_mut().entry(index).or_default().push((clock.now_us(), thread_cpu_s()));
                if Instant::now() >= end {
                    break;
                }
                sleep(EVERY).await;
            }
        }
    }

    /// The share of a core, by phase, until everybody was current.
    pub(super) fn shares(&self, current_after_us: &BTreeMap<usize, u64>) -> BTreeMap<usize, f64> {
        let notes = self.0.borrow();
        let of = |(phase, after): (&usize, &u64)| Some((*phase, share(notes.get(phase)?, *after)?));
        current_after_us.iter().filter_map(of).collect()
    }
}

/// CPU by time from the first note to the one that is `after_us` later; the last one, if the burst outlived them.
fn share(notes: &[Note], after_us: u64) -> Option<f64> {
    let (from_us, from_s) = *notes.first()?;
    let (to_us, to_s) = *notes.iter().find(|(at, _)| *at >= from_us + after_us).or(notes.last())?;
    let took_us = to_us - from_us;
    (took_us >= LEAST_US).then(|| (to_s - from_s) / Duration::from_micros(took_us).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_burst_does_not_thin_it_out() {
        // Busy for half a second, then idle.
        let notes: Vec<Note> = (0..=100_u32).map(|n| (u64::from(n) * 20_000 + 7, f64::from(n.min(25)) * 0.02)).collect();
        let near = |after_us, expected: f64| share(&notes, after_us).is_some_and(|share| (share - expected).abs() < 1e-9);
        assert!(near(500_000, 1.0) && near(1_000_000, 0.5), "{:?} {:?}", share(&notes, 500_000), share(&notes, 1_000_000));
        assert!(near(60_000_000, 0.25), "as far as it was noted: {:?}", share(&notes, 60_000_000));
        assert_eq!(share(&notes, 100_000), None, "too short to say");
        assert_eq!(share(&[], 500_000), None);
    }
}
