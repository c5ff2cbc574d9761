//! Several runs as one result, and two servers held against each other.

use super::{Metrics, Outcome, RunResult};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One of several runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Repeat {
    /// When it began.
    pub started_at: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Its figures.
    pub metrics: Metrics,
}

/// A metric over several runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spread {
    /// In how many runs it was measured.
    pub count: u64,
    /// The one in the middle.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

/// The same load in turns: on the bare server, or without slow readers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VersusFloor {
    /// What the real server is held against: `floor`, or `all read`.
    pub against: String,
    /// Metric to the median of the ratios of pairs: each of a run and the one held against it right after.
    pub ratios: Metrics,
    /// Median and range of these ratios.
    pub spread: BTreeMap<String, Spread>,
    /// The real server.
    pub real: Side,
    /// What it is held against.
    pub floor: Side,
}

/// One of the two servers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Side {
    /// Every run.
    pub runs: Vec<Repeat>,
    /// Each metric over the runs.
    pub spread: BTreeMap<String, Spread>,
}

impl Spread {
    /// Of some figures; `None` without any.
    #[must_use]
    pub fn of(figures: &[f64]) -> Option<Self> {
        let median = median(figures)?;
        let (min, max) = figures.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), &figure| (min.min(figure), max.max(figure)));
        Some(Self { count: figures.len() as u64, median, min, max })
    }
}

impl Side {
    /// Of some runs.
    #[must_use]
    pub fn of(runs: Vec<Repeat>) -> Self {
        let spread = spread(&runs);
        Self { runs, spread }
    }
}

impl VersusFloor {
    /// Holds each run against the one after it, so that both met the same mood of the machine; for every metric that both have and that is
    /// not zero in the second.
    #[must_use]
    pub fn of(against: &str, real: Vec<Repeat>, floor: Vec<Repeat>) -> Self {
        let mut ratios: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for (mine, theirs) in real.iter().zip(&floor) {
            for (name, figure) in &mine.metrics {
                let ratio = theirs.metrics.get(name).map(|theirs| figure / theirs);
                if let Some(ratio) = ratio.filter(|ratio| ratio.is_finite()) {
                    ratios.entry(name.clone()).or_default().push(ratio);
                }
            }
        }
        let spread: BTreeMap<_, _> = ratios.into_iter().filter_map(|(name, ratios)| Some((name, Spread::of(&ratios)?))).collect();
        let ratios = spread.iter().map(|(name, spread)| (name.clone(), spread.median)).collect();
        Self { against: against.to_owned(), ratios, spread, real: Side::of(real), floor: Side::of(floor) }
    }
}

impl From<&RunResult> for Repeat {
    fn from(run: &RunResult) -> Self {
        Self { started_at: run.started_at.clone(), outcome: run.outcome.clone(), metrics: run.metrics() }
    }
}

/// The middle of some figures (of an even number: the mean of the two in the middle); `None` without any.
#[must_use]
pub fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// Several runs of one scenario as one result: the run whose `metric` is in the middle, with every run's figures, the worst outcome, and
/// every violation that any of them found. `None` without any run.
#[must_use]
pub fn together(mut runs: Vec<RunResult>, metric: &str) -> Option<RunResult> {
    let repeats: Vec<Repeat> = runs.iter().map(Repeat::from).collect();
    let mut order: Vec<usize> = (0..runs.len()).collect();
    let figure = |index: &usize| repeats[*index].metrics.get(metric).copied().unwrap_or(f64::INFINITY);
    order.sort_by(|a, b| figure(a).total_cmp(&figure(b)));
    let &chosen = order.get(runs.len().saturating_sub(1) / 2)?;
    let mut whole = runs.swap_remove(chosen);
    for other in &runs {
        for check in &other.checks {
            match whole.checks.iter_mut().find(|mine| mine.name == check.name) {
                Some(mine) => mine.add(check),
                None => whole.checks.push(check.clone()),
            }
        }
    }
    whole.outcome = worst(&repeats);
    whole.spread = spread(&repeats);
    whole.runs = repeats;
    Some(whole)
}

/// The worst outcome, with the reasons of all.
fn worst(runs: &[Repeat]) -> Outcome {
    let exit_code = runs.iter().map(|run| run.outcome.exit_code).max_by_key(|code| code.severity()).unwrap_or_default();
    let reasons = (1..).zip(runs).flat_map(|(n, run)| run.outcome.reasons.iter().map(move |reason| format!("run {n}: {reason}")));
    Outcome { exit_code, reasons: reasons.collect() }
}

fn spread(runs: &[Repeat]) -> BTreeMap<String, Spread> {
    let mut figures: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (name, figure) in runs.iter().flat_map(|run| &run.metrics) {
        figures.entry(name).or_default().push(*figure);
    }
    figures.into_iter().filter_map(|(name, figures)| Some((name.to_owned(), Spread::of(&figures)?))).collect()
}
