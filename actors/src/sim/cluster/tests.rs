//! The suite. `TRIPSYNC_CLUSTER_SEEDS=5000` runs more seeds, `TRIPSYNC_CLUSTER_SEED=7` one, `TRIPSYNC_CLUSTER_PLAN=file` a saved plan; `cargo
//! xtask sim` sets them.

use super::plan::{Plan, Step};
use super::world;
use crate::sim::suite::{Script, notices, notices_rules, repeats_itself, run_seeds};
use crate::testing::Sabotage;
use crate::testing::checker::Violation;
use tripsync_domain::pool::sabotage;

/// Steps of one plan.
const LENGTH: usize = 80;
const SEEDS: u64 = 1_000;

impl Script for Plan {
    type Step = Step;
    const NAME: &'static str = "cluster";
    const VARIABLE: &'static str = "TRIPSYNC_CLUSTER";

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
fn random_clusters_agree_with_the_journal() {
    run_seeds::<Plan>(SEEDS);
}

#[test]
fn one_plan_is_one_trace() {
    repeats_itself::<Plan>(20);
}

#[test]
fn the_checkers_notice_every_sabotage() {
    notices::<Plan>(Sabotage::ALL);
}

#[test]
fn broken_rules_of_pools_are_noticed() {
    use sabotage::Sabotage::{ExpiryKeeps, LastComeFirstServed, TakesTwice};
    for how in [TakesTwice, ExpiryKeeps, LastComeFirstServed] {
        assert!(notices_rules::<Plan>(move || sabotage::sabotage(how)), "{how:?} was not noticed");
    }
}
