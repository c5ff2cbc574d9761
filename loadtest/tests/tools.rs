//! The program's subcommands that measure nothing, as a user runs them.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use tripsync_loadtest::floor::Process;
use tripsync_loadtest::results::{Outcome, RunResult, Verdict};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tripsync-load");
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/result-v1.json");

fn run(arguments: &[&str], folder: &Path) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } =
        Command::new(PROGRAM).args(arguments).current_dir(folder).output().expect("it runs, and writes text");
    (
        status.code(),
        String::from_utf8(stdout).expect("it runs, and writes text"),
        String::from_utf8(stderr).expect("it runs, and writes text"),
    )
}

#[test]
fn a_report_is_written_where_it_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(&["report", GOLDEN, "-o", "out.html"], folder.path()), (Some(0), String::new(), String::new()));
    let page = std::fs::read_to_string(folder.path().join("out.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("threshold missed"));
}

#[test]
fn a_comparison_exits_with_1_when_something_got_worse() {
    let folder = tempfile::tempdir().unwrap();
    let mut worse = RunResult::read(Path::new(GOLDEN)).unwrap();
    for run in &mut worse.runs {
        *run.metrics.get_mut("ack_p99_ms").unwrap() *= 2.0;
    }
    worse.write(&folder.path().join("worse.json")).unwrap();
    let (code, text, _) = run(&["compare", GOLDEN, "worse.json"], folder.path());
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("WORSE") && text.contains("ack_p99_ms"), "{text}");
    let (code, text, _) = run(&["compare", "worse.json", GOLDEN], folder.path());
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("better"), "{text}");
    let (code, text, _) = run(&["compare", GOLDEN, GOLDEN, "--json"], folder.path());
    assert_eq!((code, serde_json::from_str::<serde_json::Value>(&text).unwrap()["worse"].as_bool()), (Some(0), Some(false)));
}

#[test]
fn what_cannot_be_compared_is_neither_worse_nor_good() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, error) = run(&["compare", GOLDEN, "absent.json"], folder.path());
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("cannot read absent.json"), "{error}");
    let mut broken = RunResult::read(Path::new(GOLDEN)).unwrap();
    broken.outcome = Outcome { exit_code: Verdict::Incorrect, reasons: vec!["a gap".into()] };
    broken.write(&folder.path().join("broken.json")).unwrap();
    assert_eq!(run(&["compare", GOLDEN, "broken.json"], folder.path()).0, Some(1));
}

#[test]
fn the_floor_serves_until_it_is_dropped() {
    let floor = Process::start_program(Path::new(PROGRAM), 100).unwrap();
    let address = floor.address.clone();
    assert!(std::net::TcpStream::connect(&address).is_ok());
    drop(floor);
    assert!(std::net::TcpStream::connect(&address).is_err());
}

#[test]
fn the_floor_ends_with_who_started_it() {
    let mut child =
        Command::new(PROGRAM).args(["floor", "--until-input-ends"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}
