//! Two results held against each other, with an eye on noise.
//!
//! With several runs on a side, a difference counts when chance hardly explains it (an exact Mann-Whitney test over all runs) *and* the medians
//! are further apart than matters. Of many metrics one looks different by chance sooner or later; so only a few are judged (the headlines, and
//! what the scenario demands), with Holm's correction for their number, and the others are shown for information. With single runs nothing is known about noise; then only a large difference counts, and the answer says so.
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

/// How often chance may look like a difference in any of the judged metrics.
const CHANCE_MAX: f64 = 0.05;
/// What is judged in every scenario that has it, beside the metrics of its thresholds. Each more makes all others harder to tell from noise.
const JUDGED: [&str; 13] = [
    "ack_p50_ms",
    "ack_p99_ms",
    "delivery_p99_ms",
    "stayed_delivery_p99_ms",
    "join_p99_ms",
    "resume_p99_ms",
    "arrivals_per_s",
    "limit_per_s",
    "rejections_share",
    "server_cpu_s_per_million_deliveries",
    "server_resident_peak_bytes",
    "resident_bytes_per_socket",
    "resident_bytes_per_room",
];

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
    /// The same for any of the judged metrics (Holm's correction); absent for those that are not judged.
    pub corrected: Option<f64>,
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
    /// A metric that does not count, whatever it did: what counts is decided before looking.
    Information,
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
    let mut metrics: Vec<Compared> = both.filter_map(|(metric, before, after)| hold(metric, before, after)).collect();
    let judged = |compared: &Compared| {
        let demanded = before.thresholds.iter().chain(&after.thresholds).any(|threshold| threshold.metric == compared.metric);
        better(&compared.metric) != Better::Neither && (demanded || JUDGED.contains(&compared.metric.as_str()))
    };
    // Where every run of both sides has the same figure, chance had no say.
    let tested = metrics.iter().enumerate().filter(|(_, compared)| judged(compared) && compared.varies());
    let (family, chances): (Vec<usize>, Vec<f64>) = tested.filter_map(|(at, compared)| Some((at, compared.chance?))).unzip();
    for (at, corrected) in family.into_iter().zip(stats::holm(&chances)) {
        metrics[at].corrected = Some(corrected);
    }
    let runs = (runs(before), runs(after));
    let least = stats::least(runs.0, runs.1);
    let weak = (least * stats::number(chances.len()) > CHANCE_MAX).then_some(least);
    for compared in &mut metrics {
        compared.change = if judged(compared) {
            compared.judge(matters, single, weak)
        } else if better(&compared.metric) == Better::Neither {
            Change::Unjudged
        } else {
            Change::Information
        };
    }
    let mut notes = differences(before, after);
    if metrics.iter().any(|compared| compared.chance.is_none()) {
        let percent = single * 100.0;
        notes.push(format!(
            "noise is unknown: a side has fewer runs than a test needs (four each), so only differences above {percent} % count"
        ));
    }
    if weak.is_some() && !chances.is_empty() {
        let (judged, percent) = (chances.len(), single * 100.0);
        notes.push(format!(
            "too few runs to tell a difference in any of {judged} metrics from chance: use more --runs; until then only differences above {percent} % count"
        ));
    }
    for (when, result) in [("before", before), ("now", after)] {
        if result.outcome.exit_code == Verdict::Saturated {
            notes.push(format!("the figures {when} say little: the generator was saturated"));
        }
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

const fn runs(result: &RunResult) -> usize {
    if result.runs.is_empty() { 1 } else { result.runs.len() }
}

fn hold(metric: &str, before: &[f64], after: &[f64]) -> Option<Compared> {
    let chance = stats::chance(before, after);
    let (before, after) = (Spread::of(before)?, Spread::of(after)?);
    let change_percent = Some((after.median - before.median) / before.median.abs() * 100.0).filter(|percent| percent.is_finite());
    Some(Compared { metric: metric.to_owned(), before, after, change_percent, chance, corrected: None, change: Change::Unjudged })
}

impl Compared {
    fn varies(&self) -> bool {
        self.before.min.min(self.after.min) < self.before.max.max(self.after.max)
    }

    /// `weak`: the smallest chance that there is, when there are too few runs for any difference to pass the correction. Then only a big one
    /// counts in which no run of one side reaches any of the other.
    fn judge(&self, matters: f64, single: f64, weak: Option<f64>) -> Change {
        // From zero every change is endless, and so counts; from zero to zero there is none.
        let share = (self.after.median - self.before.median) / self.before.median.abs();
        let counts = match (self.chance, self.corrected) {
            (None, _) => share.abs() >= single,
            (Some(_), Some(corrected)) if corrected <= CHANCE_MAX => share.abs() >= matters,
            (Some(chance), _) => weak.is_some_and(|least| chance <= least * 1.000_001) && share.abs() >= single,
        };
        match (better(&self.metric), self.after.median.total_cmp(&self.before.median)) {
            (Better::Lower, std::cmp::Ordering::Less) | (Better::Higher, std::cmp::Ordering::Greater) if counts => Change::Better,
            (Better::Lower, std::cmp::Ordering::Greater) | (Better::Higher, std::cmp::Ordering::Less) if counts => Change::Worse,
            _ => Change::Same,
        }
    }
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
