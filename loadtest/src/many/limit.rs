//! The search for the highest rate at which the thresholds hold.

use super::{On, cut_short, once, several};
use crate::run::{Options, Watch};
use crate::scenario::{Scenario, rate_of, set_rate};
use crate::target::Wanted;
use anyhow::Context;
use tripsync_loadtest::results::{Growth, GrowthPoint, RunResult, Verdict};

/// The search ends when the bounds are this close.
const CLOSE: f64 = 1.1;
/// Rates that are tried at most.
const STEPS_MAX: u32 = 16;

/// What kept the rate from being higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    /// Twice in a row a threshold was missed, while the generator kept its schedule.
    Server,
    /// It could not keep its schedule, so the server may be capable of more.
    Generator,
}

/// So many searches; the result is the one in the middle, with the limits of all.
pub(crate) async fn find_limits(
    scenario: &Scenario,
    wanted: &Wanted,
    options: &Options,
    runs: u32,
    watch: &mut dyn Watch,
) -> anyhow::Result<RunResult> {
    several("search", runs, "limit_per_s", watch, async |watch| find_limit(On::Server, scenario, wanted, options, watch).await).await
}

/// Doubles the rate until the thresholds do not hold, then halves the distance. The result is the best run that was good, with all steps; one
/// that was incorrect ends the search and is the result.
pub(super) async fn find_limit(
    on: On,
    scenario: &Scenario,
    wanted: &Wanted,
    options: &Options,
    watch: &mut dyn Watch,
) -> anyhow::Result<RunResult> {
    anyhow::ensure!(!scenario.thresholds.is_empty(), "--find-limit needs a scenario with thresholds");
    let rate = rate_of(scenario);
    anyhow::ensure!(rate > 0.0, "--find-limit needs a scenario that sends something");
    let step = async |rate: f64| {
        let mut scenario = scenario.clone();
        set_rate(&mut scenario, rate)?;
        watch.step(&format!("trying {rate:.0} per second"));
        let result = once(on, &scenario, wanted, options, &mut *watch).await?;
        watch.step(&format!("{rate:.0} per second: {}", result.outcome.exit_code.title()));
        Ok(result)
    };
    search(rate, step).await
}

async fn search(mut rate: f64, mut step: impl AsyncFnMut(f64) -> anyhow::Result<RunResult>) -> anyhow::Result<RunResult> {
    let mut good: Option<(f64, RunResult)> = None;
    let mut bad: Option<(f64, Bound)> = None;
    let mut points = Vec::new();
    let mut last = None;
    for _ in 0..STEPS_MAX {
        let mut bound = Bound::Server;
        // A miss may be a mood of the machine: it counts when it happens again.
        for again in [false, true] {
            let result = match step(rate).await {
                Ok(result) => result,
                Err(error) => {
                    let Some(mut result) = good.map(|(_, result)| result).or(last) else { return Err(error) };
                    cut_short(&mut result.outcome, Some(format!("{rate:.0} per second could not be tried: {error:#}")));
                    return Ok(told(result, points, format!("The search ended at {rate:.0} per second, which could not be tried.")));
                }
            };
            points.push(GrowthPoint { value: rate, figures: result.metrics() });
            match result.outcome.exit_code {
                Verdict::Good => {
                    good = Some((rate, result));
                    break;
                }
                Verdict::Incorrect | Verdict::Usage => {
                    return Ok(told(
                        result,
                        points,
                        format!("The search ended at {rate:.0} per second, where the server broke a promise."),
                    ));
                }
                Verdict::Saturated => bound = Bound::Generator,
                Verdict::ThresholdMissed => {}
            }
            if again {
                bad = Some((rate, bound));
            }
            last = Some(result);
        }
        rate = match (&good, bad) {
            (Some((good, _)), None) => good * 2.0,
            (None, Some((bad, _))) => bad / 2.0,
            (Some((good, _)), Some((bad, _))) if bad / good > CLOSE => (good * bad).sqrt(),
            _ => break,
        };
    }
    let found = good.as_ref().map(|(rate, _)| *rate);
    let mut result = good.map(|(_, result)| result).or(last).context("no run")?;
    let (by, how) = match bad {
        Some((_, Bound::Server)) => ("server", "above it the server twice missed a threshold"),
        Some((_, Bound::Generator)) => {
            ("generator", "above it the generator could not keep its schedule, so the server may be capable of more")
        }
        None => ("number of steps", "no higher rate was tried"),
    };
    if let Some(measured) = result.phases.iter_mut().rev().find(|phase| phase.measured) {
        measured.figures.extend(found.map(|rate| ("limit_per_s".to_owned(), rate)));
        measured.figures.insert("generator_bound_the_search".into(), f64::from(u8::from(by == "generator")));
    }
    if by == "generator" {
        result.outcome.reasons.push(format!("the search was bounded by the generator, not by the server: {how}"));
    }
    let explanation = match found {
        Some(rate) => format!(
            "The highest rate at which the thresholds hold is {rate:.0} per second, bounded by the {by}: {how}. The figures of the result are those of the best good run."
        ),
        None => format!("The thresholds held at no rate that was tried; bounded by the {by}."),
    };
    Ok(told(result, points, explanation))
}

/// With all steps, in the order of their rates.
fn told(mut result: RunResult, mut points: Vec<GrowthPoint>, explanation: String) -> RunResult {
    points.sort_by(|a, b| a.value.total_cmp(&b.value));
    result.growth.push(Growth { x: "per_second".into(), explanation, points });
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use tripsync_loadtest::results::{Outcome, Phase};

    /// Searches from 100 on; `ends` says how the run at a rate ends, given how often that rate was tried before.
    async fn found(ends: impl Fn(f64, usize) -> Verdict) -> (RunResult, Vec<f64>) {
        let (result, tried) = searched(|rate, before| Ok(ends(rate, before))).await;
        let result = result.unwrap();
        assert_eq!(result.growth[0].points.len(), tried.len(), "every step is in the result");
        (result, tried)
    }

    /// The same where a step may fail.
    async fn searched(ends: impl Fn(f64, usize) -> anyhow::Result<Verdict>) -> (anyhow::Result<RunResult>, Vec<f64>) {
        let mut tried: Vec<f64> = Vec::new();
        let step = async |rate: f64| {
            let before = tried.iter().filter(|tried| (**tried - rate).abs() < 1e-9).count();
            tried.push(rate);
            let measured = Phase { measured: true, ..Phase::default() };
            let outcome = Outcome { exit_code: ends(rate, before)?, reasons: Vec::new() };
            Ok(RunResult { outcome, phases: vec![measured], ..RunResult::default() })
        };
        (search(100.0, step).await, tried)
    }

    fn limit(result: &RunResult) -> f64 {
        result.metrics()["limit_per_s"]
    }

    #[tokio::test]
    async fn the_server_is_the_bound_when_thresholds_are_missed_twice() {
        let (result, tried) = found(|rate, _| if rate > 450.0 { Verdict::ThresholdMissed } else { Verdict::Good }).await;
        assert!((400.0..=450.0).contains(&limit(&result)), "{}", limit(&result));
        assert!(result.growth[0].explanation.contains("bounded by the server"), "{}", result.growth[0].explanation);
        assert_eq!((result.outcome.reasons.len(), result.metrics()["generator_bound_the_search"]), (0, 0.0));
        assert_eq!(tried.iter().filter(|rate| (**rate - 800.0).abs() < 1e-9).count(), 2, "tried again: {tried:?}");
    }

    #[tokio::test]
    async fn one_miss_is_noise() {
        let once = |rate: f64, before: usize| {
            if rate > 1_000.0 || (rate > 300.0 && before == 0) { Verdict::ThresholdMissed } else { Verdict::Good }
        };
        assert!(limit(&found(once).await.0) > 800.0);
    }

    #[tokio::test]
    async fn a_generator_that_is_the_bound_is_named() {
        let (result, _) = found(|rate, _| if rate > 450.0 { Verdict::Saturated } else { Verdict::Good }).await;
        assert_eq!((result.outcome.exit_code, result.metrics()["generator_bound_the_search"]), (Verdict::Good, 1.0));
        assert!(result.outcome.reasons[0].contains("generator") && result.growth[0].explanation.contains("bounded by the generator"));
        let (result, _) = found(|_, _| Verdict::ThresholdMissed).await;
        assert_eq!(result.outcome.exit_code, Verdict::ThresholdMissed);
        assert!(result.growth[0].explanation.contains("at no rate") && !result.metrics().contains_key("limit_per_s"));
    }

    #[tokio::test]
    async fn what_was_found_before_a_step_failed_is_kept() {
        let fails = |at: f64| move |rate: f64, _| if rate >= at { Err(anyhow::anyhow!("no disk")) } else { Ok(Verdict::Good) };
        let result = searched(fails(400.0)).await.0.unwrap();
        assert_eq!((result.outcome.exit_code, result.growth[0].points.len()), (Verdict::Usage, 2));
        assert!(result.outcome.reasons[0].contains("400 per second could not be tried: no disk"), "{:?}", result.outcome.reasons);
        assert_eq!(searched(fails(0.0)).await.0.unwrap_err().to_string(), "no disk");
    }

    #[tokio::test]
    async fn a_broken_promise_ends_the_search_and_keeps_its_steps() {
        let (result, tried) = found(|rate, _| if rate > 300.0 { Verdict::Incorrect } else { Verdict::Good }).await;
        assert_eq!((result.outcome.exit_code, tried.len(), result.growth[0].points.len()), (Verdict::Incorrect, 3, 3));
    }
}
