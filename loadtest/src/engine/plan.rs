//! What a scenario makes due, and when.

use super::clock::micros;
use super::job::Job;
use super::pacer::{Source, Stretch, Timeline, What, exponential, next_random, share};
use crate::scenario::{Pace, Phase};

/// When each phase begins.
pub(crate) fn starts(job: &Job, at_us: u64) -> Vec<u64> {
    let mut start = at_us;
    let mut starts = vec![start];
    for phase in &job.scenario.phases {
        start += micros(phase.length);
        starts.push(start);
    }
    starts
}

pub(super) fn timeline(job: &Job, at_us: u64) -> Timeline {
    let starts = starts(job, at_us);
    let stretch =
        |(start, phase): (&u64, &Phase)| Stretch { start_us: *start, rate: phase.rate, rate_to: phase.rate_to.unwrap_or(phase.rate) };
    let phases = starts.iter().zip(&job.scenario.phases).map(stretch).collect();
    Timeline { phases, end_us: starts.last().copied().unwrap_or(at_us) }
}

/// Everything that will be due.
pub(super) fn sources(job: &Job, divided: &[Vec<u32>], at_us: u64) -> Vec<Source> {
    let starts = starts(job, at_us);
    let mut sources = Vec::new();
    for (shard, mine) in divided.iter().enumerate() {
        for (slot, index) in (0..).zip(mine) {
            let client = &job.clients[*index as usize];
            let persona = &job.scenario.personas[usize::from(client.persona)];
            let mut random = job.run.wrapping_add(u64::from(client.index) << 8);
            let once = Source {
                shard,
                slot,
                what: What::Arrive,
                begins_us: 0,
                wait_us: 0,
                interval_us: None,
                pace: Pace::Even,
                times: 0,
                random: 0,
            };
            let mut begins = at_us;
            if let Some(phase) = job.scenario.phases.iter().position(|phase| phase.name == persona.arrives) {
                let over = micros(persona.arrives_over);
                begins = starts[phase] + over * u64::from(client.place) / u64::from(client.of.max(1));
                sources.push(Source { begins_us: begins, ..once });
            }
            for (act, does) in (0..).zip(&persona.acts) {
                let interval = micros(does.interval(client.of)).max(1);
                let wait_us = match does.pace {
                    Pace::Even => interval.saturating_mul(u64::from(client.place)) / u64::from(client.of.max(1)),
                    Pace::Poisson => exponential(&mut random, interval),
                    Pace::Together => 0,
                };
                let random = next_random(&mut random);
                sources.push(Source {
                    what: What::Act(act),
                    begins_us: begins,
                    wait_us,
                    interval_us: Some(interval),
                    pace: does.pace,
                    times: does.times,
                    random,
                    ..once
                });
            }
            if let Some(churn) = persona.churn {
                let (every, away_us) = (micros(churn.every).max(1), micros(churn.away));
                let wait_us = exponential(&mut random, every);
                let random = next_random(&mut random);
                sources.push(Source {
                    what: What::Drop { away_us },
                    begins_us: begins,
                    wait_us,
                    interval_us: Some(every),
                    pace: Pace::Poisson,
                    random,
                    ..once
                });
            }
            for ((index, phase), start) in (0..).zip(&job.scenario.phases).zip(&starts) {
                if let Some(storm) = phase.storm.as_ref().filter(|storm| storm.hits(persona))
                    && share(&mut random) < storm.share
                    && !client.doomed
                {
                    let away_us = micros(storm.away);
                    sources.push(Source { what: What::Storm { phase: index, away_us }, begins_us: *start, ..once });
                }
            }
        }
    }
    sources
}
