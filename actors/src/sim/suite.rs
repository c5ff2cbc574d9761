//! Runs plans from many seeds, keeps and shrinks the first that fails, and shows that broken engines are noticed.

use super::log::logged;
use crate::testing::Sabotage;
use crate::testing::checker::Violation;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

/// Within so many seeds every sabotage is noticed.
const SABOTAGE_SEEDS: u64 = 200;

/// A plan of some simulation.
pub(super) trait Script: Clone + Debug + PartialEq + Serialize + DeserializeOwned {
    type Step: Debug;
    /// Begins the names of saved plans, and of the variables that choose seeds: `…_SEEDS` (how many), `…_SEED` (which, or the first),
    /// `…_PLAN` (a saved one).
    const NAME: &'static str;
    const VARIABLE: &'static str;

    fn of_seed(seed: u64) -> Self;
    fn seed(&self) -> u64;
    fn steps(&self) -> &[Self::Step];
    fn steps_mut(&mut self) -> &mut Vec<Self::Step>;
    /// What was violated, and the trace of everything that left.
    fn run(&self, sabotage: Sabotage) -> (Vec<Violation>, u64);
}

thread_local! {
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Runs a plan; a panic anywhere in the engine counts, though an actor's panic is caught.
pub(super) fn violations<S: Script>(plan: &S, sabotage: Sabotage) -> Vec<Violation> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.with_borrow_mut(|panics| panics.push(info.to_string()));
            before(info);
        }));
    });
    PANICS.with_borrow_mut(Vec::clear);
    let ran = catch_unwind(AssertUnwindSafe(|| logged(|| plan.run(sabotage).0))).unwrap_or_default();
    let panics = PANICS.with_borrow_mut(std::mem::take);
    ran.into_iter().chain(panics.into_iter().map(|panic| format!("panic: {panic}"))).collect()
}

/// Leaves steps out as long as the plan fails.
fn shrink<S: Script>(mut plan: S, sabotage: Sabotage) -> S {
    let mut chunk = plan.steps().len() / 2;
    while chunk > 0 {
        let mut from = 0;
        while from < plan.steps().len() {
            let mut shorter = plan.clone();
            shorter.steps_mut().drain(from..(from + chunk).min(plan.steps().len()));
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

fn fail<S: Script>(plan: S, found: &[Violation]) -> ! {
    let dir = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/failed-plans"));
    std::fs::create_dir_all(&dir).unwrap();
    let save = |suffix, plan: &S| {
        let path = dir.join(format!("{}-{}{suffix}.json", S::NAME, plan.seed()));
        std::fs::write(&path, serde_json::to_vec_pretty(plan).unwrap()).unwrap();
        path
    };
    // Kept first: shrinking may take long, or fail itself.
    save("", &plan);
    let short = shrink(plan.clone(), Sabotage::Nothing);
    let path = save("-short", &short);
    let again = violations(&short, Sabotage::Nothing);
    panic!(
        "seed {}: {found:#?}\nin short ({} steps): {short:#?}\n{again:#?}\nreplay with {}_PLAN={}",
        plan.seed(),
        short.steps().len(),
        S::VARIABLE,
        path.display()
    );
}

/// Runs the seeds that the environment asks for, or so many; panics with the first that fails.
pub(super) fn run_seeds<S: Script>(count: u64) {
    let from_env = |name| std::env::var(format!("{}_{name}", S::VARIABLE)).ok();
    if let Some(path) = from_env("PLAN") {
        let plan: S = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let found = violations(&plan, Sabotage::Nothing);
        assert!(found.is_empty(), "{found:#?}");
        return;
    }
    let number = |name| from_env(name).map(|value| value.parse::<u64>().unwrap());
    let seeds = match (number("SEED"), number("SEEDS")) {
        (Some(first), count) => first..first + count.unwrap_or(1),
        (None, asked) => 0..asked.unwrap_or(count),
    };
    let (next, failed) = (AtomicU64::new(seeds.start), AtomicU64::new(u64::MAX));
    on_all_cores(|| {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end || failed.load(Ordering::Relaxed) < u64::MAX {
                return;
            }
            if !violations(&S::of_seed(seed), Sabotage::Nothing).is_empty() {
                failed.fetch_min(seed, Ordering::Relaxed);
            }
        }
    });
    let failed = failed.into_inner();
    if failed < u64::MAX {
        let plan = S::of_seed(failed);
        let found = violations(&plan, Sabotage::Nothing);
        fail(plan, &found);
    }
}

fn on_all_cores(work: impl Fn() + Sync) {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(&work);
        }
    });
}

/// Two runs of one plan leave the same trace, and a plan survives being saved.
pub(super) fn repeats_itself<S: Script>(seeds: u64) {
    for seed in 0..seeds {
        let plan = S::of_seed(seed);
        assert_eq!(plan.run(Sabotage::Nothing), plan.run(Sabotage::Nothing), "seed {seed}");
        let stored = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<S>(&stored).unwrap(), plan);
    }
}

/// Whether a broken engine is noticed soon enough.
fn is_noticed<S: Script>(sabotage: Sabotage) -> bool {
    (0..SABOTAGE_SEEDS).any(|seed| !violations(&S::of_seed(seed), sabotage).is_empty())
}

/// Whether rules that are broken on purpose are noticed as well: in the thread that `break_them` is called in.
pub(super) fn notices_rules<S: Script>(break_them: impl FnOnce() + Send + 'static) -> bool {
    let noticed = std::thread::spawn(|| {
        break_them();
        is_noticed::<S>(Sabotage::Nothing)
    });
    noticed.join().unwrap()
}

/// Each of these ways to break the engine is noticed.
pub(super) fn notices<S: Script>(sabotages: &[Sabotage]) {
    let next = AtomicU64::new(0);
    let missed = parking_lot::Mutex::new(Vec::new());
    on_all_cores(|| {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(sabotage) = usize::try_from(index).ok().and_then(|index| sabotages.get(index)) else { return };
            if !is_noticed::<S>(*sabotage) {
                missed.lock().push(*sabotage);
            }
        }
    });
    let missed = missed.into_inner();
    assert!(missed.is_empty(), "unnoticed: {missed:?}");
}
