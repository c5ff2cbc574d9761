use super::sample::{histogram, run};
use super::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../../docs/LOADTEST-RESULT.md");
/// A result as version 0.1.0 wrote it.
const GOLDEN: &str = include_str!("../../golden/result-v1.json");

fn filled() -> Value {
    serde_json::to_value(run(1_000)).unwrap()
}

#[test]
fn a_result_reads_back_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("result.json");
    run(1_000).write(&path).unwrap();
    assert_eq!(RunResult::read(&path).unwrap(), run(1_000));
}

#[test]
fn an_old_result_can_still_be_read() {
    let (old, new) = (RunResult::parse(GOLDEN).unwrap(), run(1_000));
    assert_eq!((old.schema, old.tool_version.as_str(), old.outcome.exit_code), (1, "0.1.0", Verdict::ThresholdMissed));
    assert_eq!(old.metrics(), new.metrics());
    assert_eq!((old.thresholds, old.checks, old.growth, old.series), (new.thresholds, new.checks, new.growth, new.series));
    assert!(old.versus_floor == new.versus_floor && old.runs == new.runs && old.spread == new.spread);
    // The text of a histogram depends on who deflated it; what it says does not.
    for (old, new) in old.phases.iter().zip(&new.phases) {
        for ((_, old), (_, new)) in old.latencies.iter().zip(new.latencies.iter()) {
            assert_eq!(old.histogram().unwrap(), new.histogram().unwrap());
        }
    }
}

#[test]
fn what_is_not_known_is_ignored_and_what_is_absent_has_a_default() {
    let mut later = filled();
    later["weather"] = json!("fine");
    later["phases"][0]["counters"]["whispers"] = json!(3);
    later["phases"][1]["latencies"]["thought"] = json!({"p50_ms": 1});
    assert_eq!(RunResult::parse(&later.to_string()).unwrap(), run(1_000));
    assert_eq!(
        RunResult::parse(r#"{"schema": 1}"#).unwrap(),
        RunResult { tool_version: env!("CARGO_PKG_VERSION").into(), ..RunResult::default() }
    );
}

#[test]
fn what_is_no_result_is_refused_with_the_reason() {
    for (text, reason) in [
        ("[]", "it is no result of tripsync-load"),
        ("{}", "it is no result of tripsync-load"),
        (r#"{"schema": 2}"#, "it has schema 2, and this version reads up to 1: use a newer tripsync-load"),
        (r#"{"schema": 1, "phases": 3}"#, "it does not have the shape of docs/LOADTEST-RESULT.md"),
        (r#"{"schema": 1, "outcome": {"exit_code": 9}}"#, "it does not have the shape of docs/LOADTEST-RESULT.md"),
    ] {
        let error = RunResult::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(reason), "{text}: {error}");
    }
}

/// The rows of the page's section on a type.
fn documented(section: &str) -> BTreeSet<String> {
    let (_, rest) = PAGE.split_once(&format!("\n## {section}\n")).unwrap_or_else(|| panic!("the page has no section {section}"));
    let table = rest.split("\n## ").next().unwrap();
    let name = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    table.lines().filter_map(name).collect()
}

#[test]
fn the_page_names_every_field_and_no_other() {
    let all = filled();
    let steady = &all["phases"][1];
    // Two checks together have every field of one.
    let mut check = all["checks"][0].clone();
    check["skipped"] = all["checks"][1]["skipped"].clone();
    for (section, value) in [
        ("RunResult", &all),
        ("Scenario", &all["scenario"]),
        ("Machine", &all["machine"]),
        ("Server", &all["server"]),
        ("Outcome", &all["outcome"]),
        ("Phase", steady),
        ("Counters", &steady["counters"]),
        ("Latencies", &steady["latencies"]),
        ("Latency", &steady["latencies"]["ack"]),
        ("Second", &all["series"][0]),
        ("Threshold", &all["thresholds"][0]),
        ("Check", &check),
        ("Growth", &all["growth"][0]),
        ("GrowthPoint", &all["growth"][0]["points"][0]),
        ("Repeat", &all["runs"][0]),
        ("Spread", &all["spread"]["ack_p50_ms"]),
        ("VersusFloor", &all["versus_floor"]),
        ("Side", &all["versus_floor"]["real"]),
    ] {
        let fields: BTreeSet<String> = value.as_object().unwrap().keys().cloned().collect();
        assert_eq!(documented(section), fields, "docs/LOADTEST-RESULT.md, section {section}");
    }
}

#[test]
fn the_page_names_every_metric() {
    let (_, rest) = PAGE.split_once("\n## Metrics\n").unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let latencies = ["ack_", "delivery_", "join_", "resume_", "lag_", "history_"];
    for metric in run(1_000).metrics().keys().filter(|name| *name != "all_current_s") {
        assert!(metrics::is_known(metric) || metric.starts_with("history_"), "a threshold cannot name {metric}");
        let end = latencies.iter().find_map(|kind| metric.strip_prefix(kind)).filter(|_| metric.ends_with("_ms"));
        let wanted = end.map_or_else(|| format!("`{metric}`"), |end| format!("_{}`", end.trim_start_matches("from_send_")));
        assert!(section.contains(&wanted), "docs/LOADTEST-RESULT.md lacks the metric {metric}");
    }
}

#[test]
fn a_histogram_survives_the_file_and_merges() {
    let (fast, slow) = (Latency::of(&histogram(100)).unwrap(), Latency::of(&histogram(10_000)).unwrap());
    assert_eq!(fast.histogram().unwrap(), histogram(100));
    let both = fast.merged(&slow);
    let mut whole = histogram(100);
    whole.add(histogram(10_000)).unwrap();
    assert_eq!((both.count, both.histogram().unwrap()), (4_000, whole));
    assert_eq!((both.p50_ms < 5.0, both.max_ms), (true, slow.max_ms));
    assert_eq!(Latency::of(&empty_histogram()), None);
    assert!(Latency { histogram: "?".into(), ..fast }.histogram().is_err());
}

#[test]
fn metrics_are_those_of_the_measured_phases() {
    let mut run = run(1_000);
    run.phases[0].counters.deliveries = 1_000_000;
    let metrics = run.metrics();
    assert_eq!(metrics["deliveries_per_s"], 1_990.0);
    assert!((metrics["server_cpu_s_per_million_deliveries"] - 4.2 / 19_900.0 * 1e6).abs() < 1e-9);
    assert_eq!((metrics["ack_p50_ms"], metrics["all_current_s"]), (run.phases[1].latencies.ack.as_ref().unwrap().p50_ms, 0.4));
    run.phases[0].measured = true;
    assert_eq!(run.metrics()["deliveries_per_s"], (1_000_000.0 + 19_900.0) / 20.0, "two measured phases count together");
    run.phases = vec![Phase::default()];
    assert_eq!(run.metrics(), Metrics::new(), "what cannot be calculated is absent");
}

#[test]
fn a_name_tells_unit_and_direction() {
    use metrics::{Better, better, unit};
    for (metric, expected, shown) in [
        ("ack_p99_ms", Better::Lower, "ms"),
        ("deliveries_per_s", Better::Higher, "per s"),
        ("server_cpu_s_per_million_deliveries", Better::Lower, "CPU-s per M"),
        ("server_resident_bytes_per_socket", Better::Lower, "B per socket"),
        ("rejections_share", Better::Lower, "of all"),
        ("lag_p99_ms", Better::Neither, "ms"),
        ("generator_cpu_cores", Better::Neither, "cores"),
        ("rooms", Better::Neither, ""),
    ] {
        assert_eq!((better(metric), unit(metric)), (expected, shown), "{metric}");
    }
}

#[test]
fn thresholds_hold_up_to_the_limit_and_need_a_value() {
    let metrics: Metrics = [("ack_p99_ms".to_owned(), 5.0)].into();
    for (metric, demand, limit, met) in [
        ("ack_p99_ms", Demand::AtMost, 5.0, true),
        ("ack_p99_ms", Demand::AtMost, 4.9, false),
        ("ack_p99_ms", Demand::AtLeast, 5.0, true),
        ("ack_p99_ms", Demand::AtLeast, 5.1, false),
        ("join_p99_ms", Demand::AtMost, 5.0, false),
    ] {
        assert_eq!(Threshold::judge(metric, demand, limit, &metrics).met, met, "{metric} {demand:?} {limit}");
    }
}

#[test]
fn of_several_runs_the_middle_is_shown_with_the_worst_outcome() {
    let mut runs: Vec<RunResult> = [3_000, 1_000, 2_000].map(run).into();
    for run in &mut runs {
        run.outcome = Outcome::default();
    }
    runs[0].outcome = Outcome { exit_code: Verdict::Incorrect, reasons: vec!["a gap".into()] };
    runs[1].outcome = Outcome { exit_code: Verdict::Saturated, reasons: vec!["late".into()] };
    let whole = together(runs, "ack_p50_ms").unwrap();
    assert_eq!(whole.metrics(), run(2_000).metrics());
    assert_eq!(whole.outcome.exit_code, Verdict::Incorrect, "a broken promise outweighs everything");
    assert_eq!(whole.outcome.reasons, ["run 1: a gap", "run 2: late"]);
    assert_eq!((whole.runs.len(), whole.checks[0].checked, whole.checks[0].violations), (3, 60_000, 6));
    let spread = whole.spread["ack_p50_ms"];
    assert_eq!((spread.count, spread.median), (3, run(2_000).metrics()["ack_p50_ms"]));
    assert!(spread.min < spread.median && spread.median < spread.max);
    assert_eq!(together(Vec::new(), "ack_p50_ms"), None);
}

#[test]
fn ratios_are_of_pairs() {
    let side =
        |figures: [f64; 3]| figures.map(|figure| Repeat { metrics: [("x_ms".to_owned(), figure)].into(), ..Repeat::default() }).to_vec();
    let versus = VersusFloor::of("floor", side([9.0, 3.0, 4.0]), side([2.0, 1.0, 100.0]));
    let spread = versus.spread["x_ms"];
    assert_eq!((versus.ratios["x_ms"], spread.min, spread.max, spread.count), (3.0, 0.04, 4.5, 3));
    assert!(VersusFloor::of("floor", side([1.0; 3]), side([0.0; 3])).ratios.is_empty());
}

#[test]
fn a_later_phase_hides_no_worse_one() {
    let phase = |after, rate| Phase {
        seconds: 1.0,
        figures: [("current_after_ms".to_owned(), after), ("came_in_per_s".to_owned(), rate)].into(),
        ..Phase::default()
    };
    let mut whole = phase(900.0, 10.0);
    whole.add(&phase(100.0, 90.0));
    assert_eq!(whole.figures, phase(900.0, 10.0).figures);
}

#[test]
fn what_any_run_looked_at_is_not_skipped() {
    let mut runs = [run(1_000), run(1_000)];
    runs[0].checks[0].skipped = Some("nothing of the sort happened".into());
    runs[1].checks[0].left_out = "3 gave up".into();
    let whole = together(runs.into(), "ack_p50_ms").unwrap();
    assert_eq!(
        (whole.checks[0].skipped.as_deref(), whole.checks[0].left_out.as_str()),
        (None, "2 gave up because they were sent a snapshot; 3 gave up")
    );
}

#[test]
fn a_median_of_an_even_number_lies_between() {
    assert_eq!([&[] as &[f64], &[2.0], &[4.0, 1.0], &[5.0, 1.0, 3.0]].map(median), [None, Some(2.0), Some(2.5), Some(3.0)]);
}

#[test]
fn exit_codes_are_those_of_the_page() {
    for code in 0..=4_u8 {
        let verdict = Verdict::try_from(code).unwrap();
        assert_eq!(u8::from(verdict), code);
        let row = format!("\n| {code} | ");
        assert!(PAGE.contains(&row), "docs/LOADTEST-RESULT.md lacks exit code {code}");
    }
    assert!(Verdict::try_from(5).is_err());
}
