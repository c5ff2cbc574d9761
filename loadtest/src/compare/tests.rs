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
        ("deliveries_per_s", quiet, slower, Change::Better),
        ("deliveries_per_s", slower, quiet, Change::Worse),
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
    assert_eq!(compare(&before, &after, 0.05, 0.25).notes, [] as [&str; 0]);
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
            "join_p50_ms was measured before and is not now",
        ]
    );
}

#[test]
fn the_table_shows_what_changed_and_all_on_request() {
    let (before, mut after) = (sample::run(1_000), sample::run(1_000));
    for run in &mut after.runs {
        *run.metrics.get_mut("ack_p99_ms").unwrap() *= 2.0;
        *run.metrics.get_mut("deliveries_per_s").unwrap() *= 3.0;
    }
    let comparison = compare(&before, &after, 0.05, 0.25);
    let short = text(&comparison, false);
    let lines: Vec<&str> = short.lines().collect();
    assert!(lines[0].starts_with("metric"), "{short}");
    assert!(lines[1].starts_with("ack_p99_ms (ms)") && lines[1].ends_with("+100.0 %   0.008  WORSE"), "{short}");
    assert!(lines[2].starts_with("deliveries_per_s (per s)") && lines[2].ends_with("+200.0 %   0.008  better"), "{short}");
    assert!(lines.last().unwrap().starts_with("worse: 1 worse, 1 better, "), "{short}");
    assert_eq!(lines.len(), 5, "{short}");
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
