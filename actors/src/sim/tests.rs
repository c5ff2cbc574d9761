//! The suite. `TRIPSYNC_SEEDS=5000` runs more seeds, `TRIPSYNC_SEED=7` one, `TRIPSYNC_PLAN=file` a saved plan.

use super::plan::{Plan, Step};
use super::suite::{Script, notices, repeats_itself, run_seeds};
use super::world;
use crate::testing::Sabotage;
use crate::testing::checker::Violation;

/// Steps of one plan.
const LENGTH: usize = 90;
const SEEDS: u64 = 500;

impl Script for Plan {
    type Step = Step;
    const NAME: &'static str = "rooms";
    const VARIABLE: &'static str = "TRIPSYNC";

    fn of_seed(seed: u64) -> Self {
        Self::new(seed, LENGTH)
    }

    fn seed(&self) -> u64 {
        self.seed
    }

    fn steps(&self) -> &[Step] {
        &self.steps
    }

    fn steps_mut(&mut self) -> &mut Vec<Step> {
        &mut self.steps
    }

    fn run(&self, sabotage: Sabotage) -> (Vec<Violation>, u64) {
        world::run(self, sabotage)
    }
}

#[test]
fn random_rooms_agree_with_the_journal() {
    run_seeds::<Plan>(SEEDS);
}

#[test]
fn one_plan_is_one_trace() {
    repeats_itself::<Plan>(20);
}

#[test]
fn the_checkers_notice_every_sabotage() {
    let of_one_node: Vec<_> = Sabotage::ALL.iter().copied().filter(|sabotage| !Sabotage::OF_CLUSTERS.contains(sabotage)).collect();
    notices::<Plan>(&of_one_node);
}
