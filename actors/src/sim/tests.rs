//! The suite. `TRIPSYNC_SEEDS=5000` runs more seeds, `TRIPSYNC_SEED=7` one, `TRIPSYNC_PLAN=file` a saved plan.

use super::plan::Plan;
use super::world::run;
use crate::testing::Sabotage;
use crate::testing::checker::Violation;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

/// Steps of one plan.
const LENGTH: usize = 90;
const SEEDS: u64 = 500;
/// Within so many seeds every sabotage is noticed.
const SABOTAGE_SEEDS: u64 = 200;

thread_local! {
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Runs a plan; a panic anywhere in the engine counts, though an actor's panic is caught.
fn violations(plan: &Plan, sabotage: Sabotage) -> Vec<Violation> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.with_borrow_mut(|panics| panics.push(info.to_string()));
            before(info);
        }));
    });
    PANICS.with_borrow_mut(Vec::clear);
    let ran = catch_unwind(AssertUnwindSafe(|| run(plan, sabotage).0)).unwrap_or_default();
    let panics = PANICS.with_borrow_mut(std::mem::take);
    ran.into_iter().chain(panics.into_iter().map(|panic| format!("panic: {panic}"))).collect()
}

/// Leaves steps out as long as the plan fails.
fn shrink(mut plan: Plan, sabotage: Sabotage) -> Plan {
    let mut chunk = plan.steps.len() / 2;
    while chunk > 0 {
        let mut from = 0;
        while from < plan.steps.len() {
            let mut shorter = plan.clone();
            shorter.steps.drain(from..(from + chunk).min(plan.steps.len()));
            if violations(&shorter, sabotage).is_empty() {
                from += chunk;
            } else {
                plan = shorter;
            }
        }
        chunk /= 2;
    }
    plan
}

fn fail(plan: Plan, found: &[Violation]) -> ! {
    let short = shrink(plan.clone(), Sabotage::Nothing);
    let dir = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/failed-plans"));
    std::fs::create_dir_all(&dir).unwrap();
    let paths = [("", &plan), ("-short", &short)].map(|(suffix, plan)| {
        let path = dir.join(format!("{}{suffix}.json", plan.seed));
        std::fs::write(&path, serde_json::to_vec_pretty(plan).unwrap()).unwrap();
        path
    });
    let again = violations(&short, Sabotage::Nothing);
    panic!(
        "seed {}: {found:#?}\nin short ({} steps): {:?} {:#?}\n{again:#?}\nreplay with TRIPSYNC_PLAN={}",
        plan.seed,
        short.steps.len(),
        short.tuning,
        short.steps,
        paths[1].display()
    );
}

#[test]
fn random_rooms_agree_with_the_journal() {
    let from_env = |name| std::env::var(name).ok();
    if let Some(path) = from_env("TRIPSYNC_PLAN") {
        let plan: Plan = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let found = violations(&plan, Sabotage::Nothing);
        assert!(found.is_empty(), "{found:#?}");
        return;
    }
    let seeds = match from_env("TRIPSYNC_SEED") {
        Some(seed) => {
            let seed = seed.parse().unwrap();
            seed..seed + 1
        }
        None => 0..from_env("TRIPSYNC_SEEDS").map_or(SEEDS, |count| count.parse().unwrap()),
    };
    let (next, failed) = (AtomicU64::new(seeds.start), AtomicU64::new(u64::MAX));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || failed.load(Ordering::Relaxed) < u64::MAX {
                        return;
                    }
                    if !violations(&Plan::new(seed, LENGTH), Sabotage::Nothing).is_empty() {
                        failed.fetch_min(seed, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner();
    if failed < u64::MAX {
        let plan = Plan::new(failed, LENGTH);
        let found = violations(&plan, Sabotage::Nothing);
        fail(plan, &found);
    }
}

#[test]
fn one_plan_is_one_trace() {
    for seed in 0..20 {
        let plan = Plan::new(seed, LENGTH);
        assert_eq!(run(&plan, Sabotage::Nothing), run(&plan, Sabotage::Nothing), "seed {seed}");
        let stored = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&stored).unwrap(), plan);
    }
}

#[test]
fn the_checkers_notice_every_sabotage() {
    let missed: Vec<_> = Sabotage::ALL
        .iter()
        .filter(|sabotage| (0..SABOTAGE_SEEDS).all(|seed| violations(&Plan::new(seed, LENGTH), **sabotage).is_empty()))
        .collect();
    assert!(missed.is_empty(), "unnoticed: {missed:?}");
}
