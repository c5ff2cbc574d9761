//! Two results held against each other, with an eye on noise.
//!
//! With several runs on a side, a difference counts when chance hardly explains it (an exact Mann-Whitney test over all runs) *and* the medians
//! are further apart than matters. With single runs nothing is known about noise; then only a large difference counts, and the answer says so.
//! Knows nothing about how results come about.

mod stats;
mod table;
#[cfg(test)]
mod tests;

pub use table::text;

use crate::results::metrics::{Better, better};
use crate::results::{RunResult, Spread, Verdict};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// How often chance may look like a difference, per metric.
const CHANCE_MAX: f64 = 0.05;

/// What `compare` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The result before.
    pub before: PathBuf,
    /// The result after.
    pub after: PathBuf,
    /// Smallest difference of medians that matters, in percent.
    #[arg(long, default_value_t = 5.0)]
    pub matters_percent: f64,
    /// Smallest difference that counts when a side has too few runs to know its noise, in percent.
    #[arg(long, default_value_t = 25.0)]
    pub single_percent: f64,
    /// Every metric, those too that did not change and those that describe the generator.
    #[arg(long)]
    pub all: bool,
    /// JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// The whole comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Whether anything got worse.
    pub worse: bool,
    /// What a reader should know: what differs apart from the figures, and what is not known.
    pub notes: Vec<String>,
    /// Every metric that both sides have.
    pub metrics: Vec<Compared>,
}

/// One metric on both sides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// Its name.
    pub metric: String,
    /// Before.
    pub before: Spread,
    /// After.
    pub after: Spread,
    /// Change of the median, in percent; absent when it was zero.
    pub change_percent: Option<f64>,
    /// How likely chance alone gives such a difference; absent when a side has too few runs to say.
    pub chance: Option<f64>,
    /// What that means.
    pub change: Change,
}

/// What a difference means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Better, beyond noise.
    Better,
    /// Worse, beyond noise.
    Worse,
    /// No difference that could be told from noise, or none that matters.
    Same,
    /// A metric of which no direction is better.
    Unjudged,
}

/// Runs the subcommand: what to print, and whether something got worse.
///
/// # Errors
/// When a result cannot be read.
pub fn run(options: &Options) -> anyhow::Result<(String, bool)> {
    let (before, after) = (RunResult::read(&options.before)?, RunResult::read(&options.after)?);
    let comparison = compare(&before, &after, options.matters_percent / 100.0, options.single_percent / 100.0);
    let shown = if options.json { serde_json::to_string_pretty(&comparison)? + "\n" } else { text(&comparison, options.all) };
    Ok((shown, comparison.worse))
}

/// Holds two results against each other. `matters` and `single` are shares: the smallest difference that matters, and the smallest that counts
/// without knowledge of noise.
#[must_use]
pub fn compare(before: &RunResult, after: &RunResult, matters: f64, single: f64) -> Comparison {
    let (mine, theirs) = (figures(before), figures(after));
    let both = mine.iter().filter_map(|(metric, before)| Some((metric, before, theirs.get(metric)?)));
    let metrics: Vec<Compared> = both.filter_map(|(metric, before, after)| judge(metric, before, after, matters, single)).collect();
    let mut notes = differences(before, after);
    if metrics.iter().any(|compared| compared.chance.is_none()) {
        let percent = single * 100.0;
        notes.push(format!(
            "noise is unknown: a side has fewer runs than a test needs (four each), so only differences above {percent} % count"
        ));
    }
    let got_wrong = verdict_got_worse(before, after);
    if got_wrong {
        notes.push(format!("the verdict got worse: {} before, {} now", before.outcome.exit_code.title(), after.outcome.exit_code.title()));
    }
    for metric in mine.keys().filter(|metric| !theirs.contains_key(*metric) && better(metric) != Better::Neither) {
        notes.push(format!("{metric} was measured before and is not now"));
    }
    let worse = got_wrong || metrics.iter().any(|compared| compared.change == Change::Worse);
    Comparison { worse, notes, metrics }
}

/// Every figure of every run, by metric.
fn figures(result: &RunResult) -> BTreeMap<String, Vec<f64>> {
    let mut all: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let own = [result.metrics()];
    let runs: Vec<_> = if result.runs.is_empty() { own.iter().collect() } else { result.runs.iter().map(|run| &run.metrics).collect() };
    for (metric, figure) in runs.into_iter().flatten().filter(|(_, figure)| figure.is_finite()) {
        all.entry(metric.clone()).or_default().push(*figure);
    }
    all
}

fn judge(metric: &str, before: &[f64], after: &[f64], matters: f64, single: f64) -> Option<Compared> {
    let (mine, theirs) = (Spread::of(before)?, Spread::of(after)?);
    let share = (theirs.median - mine.median) / mine.median.abs();
    let chance = stats::chance(before, after);
    let counts = match chance {
        Some(chance) => chance <= CHANCE_MAX && share.abs() >= matters,
        None => share.abs() >= single,
    };
    // From zero every change is endless, and so counts; from zero to zero there is none.
    let change = match (better(metric), theirs.median.total_cmp(&mine.median)) {
        (Better::Neither, _) => Change::Unjudged,
        (Better::Lower, std::cmp::Ordering::Less) | (Better::Higher, std::cmp::Ordering::Greater) if counts => Change::Better,
        (Better::Lower, std::cmp::Ordering::Greater) | (Better::Higher, std::cmp::Ordering::Less) if counts => Change::Worse,
        _ => Change::Same,
    };
    let change_percent = Some(share * 100.0).filter(|percent| percent.is_finite());
    Some(Compared { metric: metric.to_owned(), before: mine, after: theirs, change_percent, chance, change })
}

/// A run that says nothing, or a wrong one, is worse than any figure.
fn verdict_got_worse(before: &RunResult, after: &RunResult) -> bool {
    let (before, after) = (before.outcome.exit_code, after.outcome.exit_code);
    after != Verdict::Good && after.severity() > before.severity()
}

/// What else differs, so that figures may not be comparable.
fn differences(before: &RunResult, after: &RunResult) -> Vec<String> {
    let same_machine = |result: &RunResult| format!("{} cores, {}", result.machine.cores, result.machine.cpu);
    let server = |result: &RunResult| format!("{:?} {}", result.server.kind, result.server.database);
    [
        ("scenario", before.scenario.name.clone(), after.scenario.name.clone()),
        ("machine", same_machine(before), same_machine(after)),
        ("server", server(before), server(after)),
        ("tool", before.tool_version.clone(), after.tool_version.clone()),
        ("settings of the scenario", before.scenario.toml.clone(), after.scenario.toml.clone()),
    ]
    .into_iter()
    .filter(|(_, before, after)| before != after)
    .map(|(what, before, after)| {
        let shown = !before.contains('\n') && !after.contains('\n');
        if shown { format!("another {what}: {before} before, {after} now") } else { format!("other {what}") }
    })
    .collect()
}
