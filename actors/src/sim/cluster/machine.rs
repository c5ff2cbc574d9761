//! A machine: a runtime on virtual time that can stand still and die.

use std::cell::Cell;
use std::time::Duration;
use tokio::runtime::{Builder, EnterGuard, Handle, Runtime};
use tokio::time::Instant;

/// Machines are moved on in turn by at most this much.
pub(super) const STEP_MAX: Duration = Duration::from_millis(10);

thread_local! {
    /// The world's time when the machine that runs now began its step, and the machine's own clock at that moment; no machine: `None`.
    static STEP: Cell<(Duration, Option<Instant>)> = const { Cell::new((Duration::ZERO, None)) };
    static RUNNING: Cell<&'static str> = const { Cell::new("world") };
}

/// The world's time, as exactly as whoever asks can know it.
pub(super) fn world_time() -> Duration {
    let (begun, here) = STEP.get();
    begun + here.map_or(Duration::ZERO, |here| here.elapsed())
}

/// For the log.
pub(in crate::sim) fn place_and_time() -> String {
    format!("{:>7} {}", world_time().as_millis(), RUNNING.get())
}

/// See the module documentation. Dropped, everything that runs on it is gone.
pub(super) struct Machine {
    name: &'static str,
    runtime: Runtime,
    /// The world's time when it was switched on.
    since: Duration,
    /// How long it has been on by its own clock, which gains so many thousandths.
    local: Duration,
    gains: i32,
}

impl Machine {
    /// Switches one on.
    pub(super) fn new(name: &'static str, now: Duration, gains: i32) -> Self {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        Self { name, runtime, since: now, local: Duration::ZERO, gains }
    }

    pub(super) fn handle(&self) -> &Handle {
        self.runtime.handle()
    }

    pub(super) fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }

    /// Lets its tasks run from now until then. If it stood still before, its clock jumps first, and all of its tasks learn that only
    /// afterwards.
    pub(super) fn run(&mut self, now: Duration, until: Duration) {
        let (from, to) = (self.local_at(now), self.local_at(until));
        let (jump, by) = (from.saturating_sub(self.local), to.saturating_sub(from.max(self.local)));
        self.local = self.local.max(to);
        RUNNING.set(self.name);
        self.runtime.block_on(async {
            if !jump.is_zero() {
                tokio::time::advance(jump).await;
            }
            STEP.set((now, Some(Instant::now())));
            if by.is_zero() {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(by).await;
            }
        });
        STEP.set((until, None));
        RUNNING.set("world");
    }

    /// Lets its tasks have so many turns, while no time passes.
    pub(super) fn turns(&mut self, now: Duration, turns: usize) {
        self.run(now, now);
        RUNNING.set(self.name);
        self.runtime.block_on(async {
            STEP.set((now, Some(Instant::now())));
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
        });
        STEP.set((now, None));
        RUNNING.set("world");
    }

    /// Its own time, in whole milliseconds as its timers count.
    fn local_at(&self, now: Duration) -> Duration {
        let on = i64::try_from((now - self.since).as_millis()).unwrap_or(i64::MAX);
        let local = on + on * i64::from(self.gains) / 1_000;
        Duration::from_millis(u64::try_from(local).unwrap_or(0))
    }
}
