//! How time goes on in a cluster: everybody in turn, a little at a time.

use super::{DRAIN, NODES, Process, STEP_MAX, World};
use crate::testing::checker::Violation;
use std::time::Duration;

/// What nodes are called in the log.
const NAMES: [&str; NODES] = ["node 0", "node 1", "node 2"];

impl World {
    /// Lets time go on: in steps of a millisecond at first, so that what was said a moment ago is answered as quickly as it can be, then in
    /// longer ones.
    pub(super) fn sleep(&mut self, how_long: Duration) {
        let (from, until) = (self.now, self.now + how_long);
        if how_long.is_zero() {
            self.turns(1);
        }
        while self.now < until {
            let by = step_after(self.now - from);
            self.pass(by.min(until - self.now));
        }
    }

    /// Lets time go on until something holds.
    ///
    /// # Errors
    /// It took too long.
    pub(super) fn until(&mut self, what: &str, limit: Duration, holds: impl Fn(&Self) -> bool) -> Result<(), Violation> {
        let from = self.now;
        while !holds(self) {
            if self.now > from + limit || !self.ward.violations.all().is_empty() {
                return Err(format!("{what}: not within {limit:?}"));
            }
            self.pass(step_after(self.now - from));
        }
        Ok(())
    }

    /// Lets everybody do something, while no time passes.
    pub(super) fn turns(&mut self, turns: usize) {
        for who in self.order() {
            match who.checked_sub(1) {
                None => self.services.turns(self.now, turns),
                Some(node) => {
                    if let Some(process) = self.places[node].process.as_mut().filter(|process| process.paused_until.is_none()) {
                        process.machine.turns(self.now, turns);
                    }
                }
            }
        }
    }

    /// One step of everybody who does not stand still.
    fn pass(&mut self, by: Duration) {
        let (now, until) = (self.now, self.now + by);
        for who in self.order() {
            match who.checked_sub(1) {
                None => self.services.run(now, until),
                Some(node) => {
                    if let Some(process) = self.places[node].process.as_mut().filter(|process| process.paused_until.is_none()) {
                        process.machine.run(now, until);
                    }
                }
            }
        }
        self.now = until;
        self.after_step();
    }

    /// Who runs in which order: 0 is the services, the others are nodes.
    fn order(&mut self) -> [usize; NODES + 1] {
        let mut order: [usize; NODES + 1] = std::array::from_fn(|index| index);
        for index in (1..order.len()).rev() {
            order.swap(index, self.random.below(index + 1));
        }
        order
    }

    fn after_step(&mut self) {
        let now = self.now;
        if now >= self.vague_until {
            self.ward.known.set_vague(false);
        }
        let mut changed = false;
        for (node, name) in NAMES.into_iter().enumerate() {
            let gains = self.ground.times.gains[node];
            let place = &mut self.places[node];
            if let Some(process) = &mut place.process {
                process.paused_until = process.paused_until.filter(|until| *until > now);
            }
            let is_last = place.down_until == Duration::MAX;
            if let Some(process) = place.process.take_if(|process| process.drained().is_some() && !is_last) {
                Process::die(process);
                place.down_until = now;
            }
            if place.process.is_none() && place.down_until <= now {
                place.process = Some(Process::start(&self.ground, self.services.handle(), name, now, gains));
                changed = true;
            }
        }
        if changed {
            self.connect_nodes();
        }
    }
}

/// How long the next step is, so long after something happened.
fn step_after(quiet: Duration) -> Duration {
    debug_assert!(STEP_MAX < DRAIN);
    Duration::from_millis(u64::try_from(quiet.as_millis() / 8).unwrap_or(u64::MAX)).clamp(Duration::from_millis(1), STEP_MAX)
}
