//! The server, and what it is held against, in turns: both meet the same moods of the machine.

use super::limit::find_limit;
use super::{MIDDLE, On, cut_short, once};
use crate::run::{Options, Watch};
use crate::scenario::Scenario;
use crate::target::Wanted;
use anyhow::Context;
use tripsync_loadtest::results::{Outcome, Repeat, RunResult, Verdict, VersusFloor, together};

/// What the server is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Against {
    /// The bare server of the tool.
    Floor,
    /// Itself, when those who never read do.
    AllRead,
}

impl Against {
    const fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::AllRead => "all read",
        }
    }
}

/// So many pairs of runs, or of searches for the highest rate.
pub(crate) async fn in_turns(
    against: Against,
    scenario: &Scenario,
    wanted: &Wanted,
    options: &Options,
    (runs, limits): (u32, bool),
    watch: &mut dyn Watch,
) -> anyhow::Result<RunResult> {
    let mut other = scenario.clone();
    if against == Against::AllRead {
        anyhow::ensure!(scenario.personas.iter().any(|persona| !persona.reads), "--versus-all-read needs a persona that never reads");
        other.personas.iter_mut().for_each(|persona| persona.reads = true);
    }
    let on = if against == Against::Floor { On::Floor } else { On::Server };
    let (mut real, mut held, mut failed) = (Vec::new(), Vec::new(), None);
    'runs: for run in 1..=runs {
        for (name, on, scenario, done) in [("", On::Server, scenario, &mut real), (against.name(), on, &other, &mut held)] {
            watch.step(&format!("run {run} of {runs}: {}", if name.is_empty() { "the server" } else { name }));
            let ran = if limits {
                find_limit(on, scenario, wanted, options, &mut *watch).await
            } else {
                once(on, scenario, wanted, options, &mut *watch).await
            };
            match ran {
                Ok(result) => done.push(result),
                Err(error) if name.is_empty() && done.is_empty() => return Err(error),
                Err(error) => {
                    let whose = if name.is_empty() { String::new() } else { format!("{name}: ") };
                    failed = Some(format!("{whose}run {run} of {runs} could not be made: {error:#}"));
                    break 'runs;
                }
            }
        }
    }
    let repeats = |runs: &[RunResult]| runs.iter().map(Repeat::from).collect();
    let versus = VersusFloor::of(against.name(), repeats(&real), repeats(&held));
    let mut result = together(real, if limits { "limit_per_s" } else { MIDDLE }).context("no run")?;
    add_other(&mut result.outcome, against, &versus.floor.runs);
    cut_short(&mut result.outcome, failed);
    result.versus_floor = Some(versus);
    Ok(result)
}

/// A floor that was held up by the generator, or was no server at all, is no measure, however good the server's own runs were.
fn add_other(outcome: &mut Outcome, against: Against, runs: &[Repeat]) {
    for (run, of) in (1..).zip(runs) {
        if matches!(of.outcome.exit_code, Verdict::Saturated | Verdict::Incorrect | Verdict::Usage) {
            outcome.reasons.extend(of.outcome.reasons.iter().map(|reason| format!("{}: run {run}: {reason}", against.name())));
            // What the floor does is not the server's fault, so no worse than figures that say nothing.
            let code = if against == Against::Floor { Verdict::Saturated } else { of.outcome.exit_code };
            outcome.exit_code = [outcome.exit_code, code].into_iter().max_by_key(|code| code.severity()).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_that_says_nothing_is_said_with_the_verdict() {
        let ended = |exit_code, reason: &str| Outcome { exit_code, reasons: vec![reason.to_owned()] };
        let runs = |outcome: Outcome| vec![Repeat::default(), Repeat { outcome, ..Repeat::default() }];
        let together = |mine: Outcome, floor: Outcome| {
            let mut outcome = mine;
            add_other(&mut outcome, Against::Floor, &runs(floor));
            outcome
        };
        let busy = || ended(Verdict::Saturated, "a thread was busy");
        let expected = Outcome { exit_code: Verdict::Saturated, reasons: vec!["floor: run 2: a thread was busy".into()] };
        assert_eq!(together(Outcome::default(), busy()), expected);
        assert_eq!(together(Outcome::default(), ended(Verdict::Incorrect, "a gap")).exit_code, Verdict::Saturated);
        let mine = together(ended(Verdict::Incorrect, "an ack was lost"), busy());
        assert_eq!((mine.exit_code, mine.reasons.len()), (Verdict::Incorrect, 2));
        assert_eq!(together(Outcome::default(), ended(Verdict::ThresholdMissed, "slow")), Outcome::default());
    }

    #[test]
    fn with_everybody_reading_it_is_the_same_server() {
        let broken = Outcome { exit_code: Verdict::Incorrect, reasons: vec!["a gap".into()] };
        let mut outcome = Outcome::default();
        add_other(&mut outcome, Against::AllRead, &[Repeat { outcome: broken, ..Repeat::default() }]);
        assert_eq!((outcome.exit_code, outcome.reasons), (Verdict::Incorrect, vec!["all read: run 1: a gap".to_owned()]));
    }
}
