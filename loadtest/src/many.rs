//! Several runs: the same again, or the search for the highest rate.

mod growth;
mod limit;
mod turns;

pub(crate) use limit::find_limits;
pub(crate) use turns::{Against, in_turns};

use crate::run::{Options, Watch};
use crate::scenario::{Changes, Scenario};
use crate::target::{Target, Wanted};
use anyhow::Context;
use tripsync_loadtest::results::{Growth, GrowthPoint, Metrics, Outcome, RunResult, Verdict, together};

/// The figure by which the run in the middle is chosen.
const MIDDLE: &str = "delivery_p99_ms";

/// Settings of a started server, as its environment wants them.
fn settings(scenario: &Scenario) -> Vec<(String, String)> {
    let variable = |key: &str| format!("TRIPSYNC__{}", key.to_uppercase().replace('.', "__"));
    let text = |value: &toml::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    scenario.server.iter().map(|(key, value)| (variable(key), text(value))).collect()
}

/// Which server a run is made against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    /// As wanted.
    Server,
    /// The bare one of the tool.
    Floor,
}

/// One run on a server of its own.
async fn once(on: On, scenario: &Scenario, wanted: &Wanted, options: &Options, watch: &mut dyn Watch) -> anyhow::Result<RunResult> {
    let target = match on {
        On::Server => Target::open(wanted, settings(scenario)).await?,
        On::Floor => Target::floor(scenario.rooms.iter().map(|rooms| rooms.state_bytes).max().unwrap_or_default())?,
    };
    crate::run::run(scenario, &target, options, watch).await
}

/// So many runs, each on a fresh server.
pub(crate) async fn repeat(
    scenario: &Scenario,
    wanted: &Wanted,
    options: &Options,
    runs: u32,
    watch: &mut dyn Watch,
) -> anyhow::Result<RunResult> {
    several("run", runs, MIDDLE, watch, async |watch| once(On::Server, scenario, wanted, options, watch).await).await
}

/// So many of what `one` makes; the result is the one in the middle by a figure. What was made before one that cannot be is kept.
async fn several(
    what: &str,
    runs: u32,
    middle: &str,
    watch: &mut dyn Watch,
    one: impl AsyncFn(&mut dyn Watch) -> anyhow::Result<RunResult>,
) -> anyhow::Result<RunResult> {
    let (mut results, mut failed) = (Vec::new(), None);
    for run in 1..=runs {
        if runs > 1 {
            watch.step(&format!("{what} {run} of {runs}"));
        }
        match one(watch).await {
            Ok(result) => results.push(result),
            Err(error) if results.is_empty() => return Err(error),
            Err(error) => {
                failed = Some(format!("{what} {run} of {runs} could not be made: {error:#}"));
                break;
            }
        }
    }
    let mut result = if runs == 1 { results.pop() } else { together(results, middle) }.context("no run")?;
    cut_short(&mut result.outcome, failed);
    Ok(result)
}

/// What was measured before a run could not be made is kept; that one could not, which is 2, is said with it.
fn cut_short(outcome: &mut Outcome, failed: Option<String>) {
    if let Some(reason) = failed {
        outcome.reasons.push(reason);
        outcome.exit_code = [outcome.exit_code, Verdict::Usage].into_iter().max_by_key(|code| code.severity()).unwrap_or_default();
    }
}

/// What is grown, and the sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grow {
    what: String,
    sizes: Vec<u32>,
}

impl std::str::FromStr for Grow {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let usage = || format!("`{text}`: rooms=1,10,100 (or members, history, state-bytes, payload, per-second)");
        let (what, sizes) = text.split_once('=').ok_or_else(usage)?;
        let sizes: Vec<u32> = sizes.split(',').map(|size| size.trim().parse().map_err(|_| usage())).collect::<Result<_, _>>()?;
        let known = matches!(what, "rooms" | "members" | "history" | "state-bytes" | "payload" | "per-second");
        if known && !sizes.is_empty() { Ok(Self { what: what.to_owned(), sizes }) } else { Err(usage()) }
    }
}

/// So many runs at each size. The result is the last one, with the figures of all: medians, when there are several runs.
pub(crate) async fn grow(
    scenario: &Scenario,
    wanted: &Wanted,
    options: &Options,
    grow: &Grow,
    runs: u32,
    watch: &mut dyn Watch,
) -> anyhow::Result<RunResult> {
    let mut points = Vec::new();
    let mut repeats = Vec::new();
    let (mut last, mut failed) = (None, None);
    for size in &grow.sizes {
        let mut scenario = scenario.clone();
        let mut changes = Changes::default();
        match grow.what.as_str() {
            "rooms" => changes.rooms = Some(*size),
            "members" => changes.members = Some(*size),
            "history" => changes.history = Some(*size),
            "state-bytes" => changes.state_bytes = Some(*size),
            "payload" => changes.payload = Some(*size),
            _ => changes.per_second = Some(f64::from(*size)),
        }
        changes.apply(&mut scenario)?;
        watch.step(&format!("{} = {size}", grow.what));
        let result = match repeat(&scenario, wanted, options, runs, watch).await {
            Ok(result) => result,
            Err(error) if last.is_none() => return Err(error),
            Err(error) => {
                failed = Some(format!("{} = {size} could not be run: {error:#}", grow.what));
                break;
            }
        };
        points.push(GrowthPoint { value: f64::from(*size), figures: medians(&result) });
        repeats.push(result.outcome.clone());
        last = Some(result);
    }
    let mut result = last.context("no run")?;
    points.sort_by(|a, b| a.value.total_cmp(&b.value));
    result.growth.push(Growth { x: grow.what.clone(), explanation: growth::explain(&grow.what, &points, runs), points });
    // The worst of all, with the reasons of all.
    let reasons = grow
        .sizes
        .iter()
        .zip(&repeats)
        .flat_map(|(size, outcome)| outcome.reasons.iter().map(move |reason| format!("{} = {size}: {reason}", grow.what)));
    result.outcome.reasons = reasons.collect();
    result.outcome.exit_code = repeats.iter().map(|outcome| outcome.exit_code).max_by_key(|code| code.severity()).unwrap_or_default();
    cut_short(&mut result.outcome, failed);
    Ok(result)
}

/// Each figure over the runs of a result.
fn medians(result: &RunResult) -> Metrics {
    if result.runs.is_empty() {
        return result.metrics();
    }
    result.spread.iter().map(|(name, spread)| (name.clone(), spread.median)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_grown_is_read() {
        assert_eq!("rooms=1,10, 100".parse(), Ok(Grow { what: "rooms".into(), sizes: vec![1, 10, 100] }));
        for wrong in ["rooms", "rooms=", "rooms=x", "cats=1"] {
            assert!(wrong.parse::<Grow>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_run_that_could_not_be_made_is_2_beside_what_was_measured() {
        let ended = |exit_code, failed: Option<&str>| {
            let mut outcome = Outcome { exit_code, reasons: Vec::new() };
            cut_short(&mut outcome, failed.map(str::to_owned));
            (outcome.exit_code, outcome.reasons.len())
        };
        assert_eq!(ended(Verdict::Good, None), (Verdict::Good, 0));
        assert_eq!(ended(Verdict::Saturated, Some("no disk")), (Verdict::Usage, 1));
        assert_eq!(ended(Verdict::Incorrect, Some("no disk")), (Verdict::Incorrect, 1));
    }

    #[test]
    fn settings_become_variables_of_the_environment() {
        let mut scenario = crate::scenario::builtin("idle").unwrap();
        scenario.server.insert("http.connections_max".into(), toml::Value::Integer(7));
        let expected = [("TRIPSYNC__HTTP__CONNECTIONS_MAX", "7"), ("TRIPSYNC__LIVE__IDLE_AFTER", "1h")];
        assert_eq!(settings(&scenario), expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }
}
