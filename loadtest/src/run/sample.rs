//! CPU and memory of the server and of the generator, each second and at the edges of the phases.

use crate::engine::Clock;
use crate::proc;

/// How they stood at a moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    pub(super) at_us: u64,
    pub(super) server_cpu_s: Option<f64>,
    pub(super) own_cpu_s: f64,
    pub(super) resident: Option<u64>,
}

pub(super) struct Samples {
    clock: Clock,
    server: Option<u32>,
    own: Vec<u32>,
    /// The moments to come, latest first.
    moments: Vec<u64>,
    pub(super) taken: Vec<Sample>,
    second_us: u64,
    at_us: u64,
    ended: bool,
}

/// Resident bytes of a server and its children.
pub(super) fn resident(pid: Option<u32>) -> Option<u64> {
    pid.map(|pid| proc::resident_of(&proc::family(pid)))
}

impl Samples {
    /// `starts` are the edges of the phases; the first sample is taken now.
    pub(super) fn start(clock: Clock, server: Option<u32>, mut own: Vec<u32>, starts: Vec<u64>) -> Self {
        own.push(std::process::id());
        let at_us = starts.first().copied().unwrap_or_default();
        let mut moments = starts;
        moments.reverse();
        let mut samples = Self { clock, server, own, moments, taken: Vec::new(), second_us: at_us + 1_000_000, at_us, ended: false };
        samples.take();
        samples
    }

    fn take(&mut self) {
        // Children come and go with their work; looked for each time.
        let family = self.server.map(proc::family);
        self.taken.push(Sample {
            at_us: self.clock.now_us(),
            server_cpu_s: family.as_deref().map(proc::cpu_of),
            own_cpu_s: proc::cpu_of(&self.own),
            resident: family.as_deref().map(proc::resident_of),
        });
    }

    /// Takes the next sample when it is due. Nothing is lost when it is given up in between.
    pub(super) async fn next(&mut self) {
        if self.ended {
            return std::future::pending().await;
        }
        let next = self.moments.last().map_or(self.second_us, |edge| self.second_us.min(*edge));
        tokio::time::sleep_until(self.clock.instant(next)).await;
        if next == self.second_us {
            self.second_us += 1_000_000;
        }
        if self.moments.last() == Some(&next) {
            self.moments.pop();
        }
        self.take();
    }

    /// The load is over: the last sample.
    pub(super) fn ended(&mut self) {
        self.take();
        self.ended = true;
    }

    /// The sample nearest to a moment.
    pub(super) fn at(&self, us: u64) -> Sample {
        self.taken.iter().min_by_key(|sample| sample.at_us.abs_diff(us)).copied().unwrap_or_default()
    }

    pub(super) fn last(&self) -> Sample {
        self.taken.last().copied().unwrap_or_default()
    }

    /// The most resident memory between two moments.
    pub(super) fn peak(&self, from_us: u64, to_us: u64) -> Option<u64> {
        let within = self.taken.iter().filter(|sample| (from_us.saturating_sub(100_000)..=to_us + 100_000).contains(&sample.at_us));
        within.filter_map(|sample| sample.resident).max()
    }

    pub(super) const fn began_us(&self) -> u64 {
        self.at_us
    }
}
