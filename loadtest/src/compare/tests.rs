use super::*;
use crate::results::{Metrics, Outcome, Repeat, sample};

/// A result with several runs of one metric.
fn runs(metric: &str, figures: &[f64]) -> RunResult {
    let repeat = |figure: &f64| Repeat { metrics: Metrics::from([(metric.to_owned(), *figure)]), ..Repeat::default() };
    RunResult { runs: figures.iter().map(repeat).collect(), ..RunResult::default() }
}

fn change(metric: &str, before: &[f64], after: &[f64]) -> Change {
    let comparison = compare(&runs(metric, before), &runs(metric, after), 0.05, 0.25);
    assert_eq!(comparison.worse, comparison.metrics[0].change == Change::Worse);
    comparison.metrics[0].change
}

#[test]
fn several_runs_tell_a_difference_from_noise() {
    let quiet = [10.0, 10.1, 10.2, 9.9, 9.8];
    let slower = [12.0, 12.1, 12.2, 11.9, 11.8];
    let noisy = [9.0, 14.0, 8.0, 13.0, 12.0];
    let hair = [10.3, 10.31, 10.32, 10.33, 10.34];
    for (metric, before, after, expected) in [
        ("ack_p99_ms", quiet, slower, Change::Worse),
        ("ack_p99_ms", slower, quiet, Change::Better),
        ("arrivals_per_s", quiet, slower, Change::Better),
        ("arrivals_per_s", slower, quiet, Change::Worse),
        ("ack_p99_ms", quiet, noisy, Change::Same),
        ("ack_p99_ms", quiet, hair, Change::Same),
        ("ack_p99_ms", quiet, quiet, Change::Same),
        ("lag_p99_ms", quiet, slower, Change::Unjudged),
    ] {
        assert_eq!(change(metric, &before, &after), expected, "{metric} {before:?} {after:?}");
    }
}

#[test]
fn single_runs_need_a_large_difference_and_say_so() {
    assert_eq!(change("ack_p99_ms", &[10.0], &[12.0]), Change::Same);
    assert_eq!(change("ack_p99_ms", &[10.0], &[13.0]), Change::Worse);
    assert_eq!(change("ack_p99_ms", &[10.0, 10.0, 10.0], &[7.0, 7.0, 7.0]), Change::Better);
    let comparison = compare(&runs("ack_p99_ms", &[10.0]), &runs("ack_p99_ms", &[12.0]), 0.05, 0.25);
    assert!(comparison.notes.iter().any(|note| note.starts_with("noise is unknown")), "{:?}", comparison.notes);
    let comparison = compare(&runs("ack_p99_ms", &[10.0; 4]), &runs("ack_p99_ms", &[12.0; 4]), 0.05, 0.25);
    assert!(!comparison.notes.iter().any(|note| note.starts_with("noise is unknown")));
}

#[test]
fn from_nothing_to_something_counts() {
    assert_eq!(change("rejections_share", &[0.0], &[0.1]), Change::Worse);
    assert_eq!(change("rejections_share", &[0.0], &[0.0]), Change::Same);
    let comparison = compare(&runs("rejections_share", &[0.0]), &runs("rejections_share", &[0.1]), 0.05, 0.25);
    assert_eq!(comparison.metrics[0].change_percent, None);
    assert!(text(&comparison, false).contains("from 0"));
}

#[test]
fn a_worse_verdict_is_worse_whatever_the_figures() {
    let with = |exit_code| RunResult { outcome: Outcome { exit_code, reasons: Vec::new() }, ..runs("ack_p99_ms", &[10.0]) };
    for (before, after, worse) in [
        (Verdict::Good, Verdict::Incorrect, true),
        (Verdict::Good, Verdict::Saturated, true),
        (Verdict::Saturated, Verdict::Incorrect, true),
        (Verdict::Incorrect, Verdict::Good, false),
        (Verdict::ThresholdMissed, Verdict::ThresholdMissed, false),
    ] {
        assert_eq!(compare(&with(before), &with(after), 0.05, 0.25).worse, worse, "{before:?} {after:?}");
    }
}

#[test]
fn other_circumstances_are_named() {
    let (before, mut after) = (sample::run(1_000), sample::run(1_000));
    // Five runs a side are too few for nine metrics at once.
    let few =
        "too few runs to tell a difference in any of 9 metrics from chance: use more --runs; until then only differences above 25 % count";
    assert_eq!(compare(&before, &after, 0.05, 0.25).notes, [few]);
    after.machine.cores = 64;
    after.scenario.toml.push_str("rooms = 3\n");
    for run in &mut after.runs {
        run.metrics.remove("join_p50_ms");
    }
    assert_eq!(
        compare(&before, &after, 0.05, 0.25).notes,
        [
            "another machine: 2 cores, Example CPU <3 GHz> before, 64 cores, Example CPU <3 GHz> now",
            "other settings of the scenario",
            few,
            "join_p50_ms was measured before and is not now",
        ]
    );
}

#[test]
fn the_table_shows_what_changed_and_all_on_request() {
    let (before, mut after) = (sample::run(1_000), sample::run(1_000));
    for run in &mut after.runs {
        *run.metrics.get_mut("ack_p99_ms").unwrap() *= 2.0;
        *run.metrics.get_mut("arrivals_per_s").unwrap() *= 3.0;
    }
    let comparison = compare(&before, &after, 0.05, 0.25);
    let short = text(&comparison, false);
    let lines: Vec<&str> = short.lines().collect();
    assert!(lines[0].starts_with("metric"), "{short}");
    assert!(lines[1].starts_with("ack_p99_ms (ms)") && lines[1].ends_with("+100.0 %   0.008      0.071  WORSE"), "{short}");
    assert!(lines[2].starts_with("arrivals_per_s (per s)") && lines[2].ends_with("+200.0 %   0.008      0.071  better"), "{short}");
    assert!(lines.last().unwrap().starts_with("worse: 1 worse, 1 better, "), "{short}");
    assert_eq!(lines.len(), 6, "{short}");
    assert!(text(&comparison, true).contains("lag_p99_ms"));
}

#[test]
fn the_subcommand_reads_files_and_writes_json() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    sample::run(1_000).write(&path("a")).unwrap();
    sample::run(9_000).write(&path("b")).unwrap();
    let options = |before, after, json| Options {
        before: path(before),
        after: path(after),
        matters_percent: 5.0,
        single_percent: 25.0,
        all: false,
        json,
    };
    assert!(!run(&options("a", "a", false)).unwrap().1);
    let (shown, worse) = run(&options("a", "b", true)).unwrap();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert!(worse && shown["worse"] == true && shown["metrics"].as_array().unwrap().len() > 20);
    let missing = run(&options("a", "c", false)).unwrap_err().to_string();
    assert!(missing.starts_with("cannot read"), "{missing}");
}

/// Two results of one distribution: 20 metrics that all are demanded, six runs a side, noise of a fifth.
fn alike(random: &mut u64) -> (RunResult, RunResult) {
    let mut figure = || {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        10.0 + f64::from(u32::try_from(*random >> 32).unwrap()) / f64::from(u32::MAX) * 4.0
    };
    let names: Vec<String> = (0..20).map(|n| format!("figure{n}_ms")).collect();
    let mut side = || {
        let mut repeat = || Repeat { metrics: names.iter().map(|name| (name.clone(), figure())).collect(), ..Repeat::default() };
        let runs = (0..6).map(|_| repeat()).collect();
        let demand = |name: &String| crate::results::Threshold { metric: name.clone(), ..Default::default() };
        RunResult { runs, thresholds: names.iter().map(demand).collect(), ..RunResult::default() }
    };
    (side(), side())
}

#[test]
fn where_nothing_changed_something_is_worse_in_few_of_a_hundred() {
    let mut random = 0x9e37_79b9_7f4a_7c15;
    let (mut worse, mut uncorrected) = (0, 0);
    for _ in 0..400 {
        let (before, after) = alike(&mut random);
        let comparison = compare(&before, &after, 0.05, 0.25);
        worse += u32::from(comparison.worse);
        let by_chance = |row: &Compared| row.chance <= Some(0.05) && row.change_percent >= Some(5.0);
        uncorrected += u32::from(comparison.metrics.iter().any(by_chance));
    }
    assert!(worse <= 20, "{worse} of 400");
    assert!(uncorrected > 60, "without the correction {uncorrected} of 400");
}

#[test]
fn what_is_no_headline_and_not_demanded_is_for_information() {
    assert_eq!(change("ack_max_ms", &[1.0], &[90.0]), Change::Information);
    let demands = |figure| {
        let demand = crate::results::Threshold { metric: "ack_max_ms".into(), ..Default::default() };
        RunResult { thresholds: vec![demand], ..runs("ack_max_ms", &[figure]) }
    };
    assert_eq!(compare(&demands(1.0), &demands(90.0), 0.05, 0.25).metrics[0].change, Change::Worse);
}

#[test]
fn figures_of_a_saturated_generator_are_named() {
    let saturated = RunResult { outcome: Outcome { exit_code: Verdict::Saturated, reasons: Vec::new() }, ..runs("ack_p99_ms", &[10.0]) };
    let notes = compare(&saturated, &runs("ack_p99_ms", &[10.0]), 0.05, 0.25).notes;
    assert!(notes.iter().any(|note| note == "the figures before say little: the generator was saturated"), "{notes:?}");
}
