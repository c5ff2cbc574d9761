//! The figures of `docs/BENCHMARKS.md`, one command after the other, so that anybody can measure them again on a machine of their own.

mod nodes;

use crate::postgres::{self, Instance, URL_VARIABLE};
use anyhow::{Context, ensure};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// One line of the campaign.
struct Figure {
    name: &'static str,
    /// What the load test is told, without where the result goes.
    arguments: &'static str,
    way: Way,
    /// Lines of its summary that are shown: those that begin so.
    shown: &'static [&'static str],
}

/// How a figure is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The load test repeats and takes medians itself (`--runs`).
    RepeatsItself,
    /// It is started so many times.
    Single,
    /// Likewise, in turns with everybody at one of two nodes and at both.
    Nodes,
}

const fn scenario(name: &'static str, arguments: &'static str, shown: &'static [&'static str]) -> Figure {
    Figure { name, arguments, way: Way::RepeatsItself, shown }
}

const fn single(name: &'static str, arguments: &'static str) -> Figure {
    Figure { name, arguments, way: Way::Single, shown: &[""] }
}

const fn nodes(name: &'static str, arguments: &'static str, shown: &'static [&'static str]) -> Figure {
    Figure { name, arguments, way: Way::Nodes, shown }
}

const FLOOR: &[&str] = &["server_cpu_s_per_million_deliveries", "delivery_p50_ms", "delivery_p99_ms"];
const HOT: &[&str] = &["deliveries_per_s", "arrivals_per_s", "delivery_p99_ms"];
const LIMIT: &[&str] = &["run ", "limit_per_s", "arrivals_per_s", "delivery_p99_ms", "lag_p99_ms", "generator_b", "server_cpu_cores"];
const ACKS: &[&str] = &["run ", "ack_p50_ms", "ack_p99_ms"];
const SLOW: &[&str] = &["delivery_p50_ms", "delivery_p99_ms", "server_resident_peak_bytes", "close", "resyncs", "resumes_per_s"];
const SPREAD: &[&str] = &["deliveries_per_s", "delivery_p50_ms", "delivery_p99_ms"];
const MEMORY: &[&str] = &["resident_bytes_per", "server_cpu_cores"];

/// In the order of how much they matter, should the time run out.
const FIGURES: &[Figure] = &[
    single("ack", "ack --commands 1500"),
    scenario("rooms-of-10", "fan-out --rooms 100 --members 10 --per-second 1000 --seconds 8 --versus-floor", FLOOR),
    scenario("rooms-of-10-memory", "fan-out --rooms 100 --members 10 --per-second 1000 --seconds 8 --versus-floor --journal memory", FLOOR),
    scenario("room-of-1000", "fan-out --rooms 1 --members 1000 --per-second 10 --seconds 8 --versus-floor", FLOOR),
    scenario("join-storm", "join-storm --seconds 5 --versus-floor", &["came_in_per_s", "current_after_ms", "join_p99_ms"]),
    scenario("durable-1000", "durable --phase 1000-per-second --seconds 10", ACKS),
    scenario("durable-1000-postgres", "durable --phase 1000-per-second --seconds 10 --database postgres", ACKS),
    // 19 minutes; nobody who is slow reads for 105 seconds of each run.
    scenario("slow-readers", "slow-readers --seconds 100 --versus-all-read", SLOW),
    scenario("limit-rooms-of-10", "fan-out --rooms 100 --members 10 --per-second 4000 --seconds 5 --find-limit --versus-floor", LIMIT),
    scenario("limit-room-of-1000", "fan-out --rooms 1 --members 1000 --per-second 400 --seconds 5 --find-limit", LIMIT),
    scenario("durable", "durable --seconds 5", &["ack_p50_ms", "ack_p99_ms"]),
    single("throughput", "throughput --seconds 4"),
    scenario(
        "reconnect-storm",
        "reconnect-storm --seconds 8",
        &["current_after_ms", "stayed_", "server_resident_peak_bytes", "resume_p99_ms"],
    ),
    scenario("idle", "idle --seconds 10", MEMORY),
    scenario("hot-room", "hot-room --seconds 10", HOT),
    single("hydrate", "hydrate"),
    single("encode", "encode"),
    single("ack-postgres", "--database postgres ack --commands 1500"),
    single("throughput-postgres", "--database postgres throughput --seconds 4"),
    scenario("durable-postgres", "durable --seconds 5 --database postgres", &["ack_p50_ms", "ack_p99_ms"]),
    scenario("sockets-19000", "idle --rooms 1900 --members 10 --seconds 20 --workers 2", MEMORY),
    scenario("by-rooms", "fan-out --grow rooms=1,10,100,1000,5000 --members 2 --per-second 500 --seconds 5", FLOOR),
    scenario("by-rooms-asleep", "idle --grow rooms=1,10,100,1000,5000,15000 --members 1 --seconds 5", MEMORY),
    scenario("by-members", "fan-out --rooms 1 --grow members=2,10,100,1000,2500 --per-second 10 --seconds 5", FLOOR),
    scenario(
        "by-journal",
        "fan-out --rooms 1 --members 10 --grow history=0,1000,10000,100000 --per-second 50 --seconds 5",
        &["ack_p50_ms"],
    ),
    single("search", "search"),
    single("search-postgres", "--database postgres search"),
    nodes("nodes-rooms-of-10", "fan-out --rooms 100 --members 10 --per-second 1000 --seconds 8 --no-thresholds", SPREAD),
    nodes("nodes-room-of-1000", "fan-out --rooms 1 --members 1000 --per-second 100 --seconds 8 --no-thresholds", SPREAD),
    nodes("nodes-limit-rooms-of-10", "fan-out --rooms 100 --members 10 --per-second 2000 --seconds 5 --find-limit", &["limit_per_s"]),
    nodes("nodes-limit-room-of-1000", "fan-out --rooms 1 --members 1000 --per-second 200 --seconds 5 --find-limit", &["limit_per_s"]),
    scenario("soak", "soak --seconds 1800", &["ack_p99_ms", "delivery_p99_ms", "server_resident_peak_bytes"]),
];

/// Measures what is not in the folder yet: a text and, for scenarios, a result as JSON for each. Prints the text of all as it comes.
/// Gives back whether everything ran.
///
/// # Errors
/// The build fails, the folder cannot be written, or Postgres cannot be had.
pub fn run(folder: &Path, only: &[String], runs: u32) -> anyhow::Result<bool> {
    let unknown = only.iter().find(|name| !FIGURES.iter().any(|figure| figure.name == **name));
    ensure!(unknown.is_none(), "there is no figure `{}`; there are: {}", unknown.map_or("", String::as_str), names());
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo).args(["build", "--release", "--workspace", "--bins"]).status().context("cannot start cargo")?;
    ensure!(built.success(), "the release build failed");
    let mut database: Option<Instance> = None;
    let mut complete = true;
    for figure in FIGURES.iter().filter(|figure| only.is_empty() || only.iter().any(|name| name == figure.name)) {
        let place = folder.join(format!("{}.txt", figure.name));
        if place.exists() {
            continue;
        }
        if figure.arguments.contains("postgres") && database.is_none() {
            database = Some(postgres::start()?);
        }
        let (text, good) = match figure.way {
            Way::Nodes => nodes::measure(figure, runs)?,
            Way::RepeatsItself | Way::Single => measure(figure, folder, runs, database.as_ref())?,
        };
        complete &= good;
        print(&format!("{text}\n"))?;
        if good {
            fs::write(&place, text).with_context(|| format!("cannot write {}", place.display()))?;
        }
    }
    Ok(complete)
}

/// What there is, by name.
#[must_use]
pub fn names() -> String {
    FIGURES.iter().map(|figure| figure.name).collect::<Vec<_>>().join(", ")
}

/// The shown lines of a figure's runs, and whether it could be run; a missed threshold is a figure too.
fn measure(figure: &Figure, folder: &Path, runs: u32, database: Option<&Instance>) -> anyhow::Result<(String, bool)> {
    let mut text = format!("## {}: `{}`\n", figure.name, figure.arguments);
    let mut good = true;
    for run in 0..if figure.way == Way::RepeatsItself { 1 } else { runs } {
        let mut command = Command::new("target/release/tripsync-load");
        command.args(figure.arguments.split(' ')).args(["--program", "target/release/tripsync"]).stderr(Stdio::inherit());
        if figure.way == Way::RepeatsItself {
            let json = folder.join(format!("{}.json", figure.name));
            command.arg("--json").arg(json).args(["--runs", &runs.to_string()]);
        }
        if let Some(database) = database {
            // The micro benchmarks make the same accounts each time.
            let name = format!("{}_{run}", figure.name.replace('-', "_"));
            database.create(&name)?;
            command.env(URL_VARIABLE, database.url(&name));
        }
        good &= note(figure, command, &mut text)?;
    }
    Ok((text, good))
}

/// Runs the load test once; adds what is shown of it, and says whether it could be run.
fn note(figure: &Figure, mut command: Command, text: &mut String) -> anyhow::Result<bool> {
    let output = command.output().context("cannot start the load test")?;
    for line in String::from_utf8_lossy(&output.stdout).lines().filter(|line| is_shown(figure, line)) {
        writeln!(text, "{line}")?;
    }
    let code = output.status.code();
    if code != Some(0) {
        writeln!(text, "exit code {code:?}")?;
    }
    Ok(matches!(code, Some(0 | 1)))
}

fn is_shown(figure: &Figure, line: &str) -> bool {
    // Reasons of a verdict that is not good are indented.
    let always = ["verdict", "    "];
    figure.shown.iter().chain(&always).any(|start| line.starts_with(start))
}

fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn figures_have_names_of_their_own_and_unknown_ones_are_refused() {
        assert_eq!(FIGURES.iter().map(|figure| figure.name).collect::<HashSet<_>>().len(), FIGURES.len());
        let error = run(Path::new("/nonexistent"), &["no-such".to_owned()], 1).unwrap_err().to_string();
        assert!(error.contains("no-such") && error.contains("hot-room"), "{error}");
    }

    #[test]
    fn what_is_asked_for_is_shown() {
        let figure = &FIGURES[1];
        assert!(is_shown(figure, "delivery_p99_ms   2.1  (median 2.0, 1.9 to 2.3)"));
        assert!(is_shown(figure, "server_cpu_s_per_million_deliveries / floor  3.1") && !is_shown(figure, "lag_p99_ms / floor  1"));
    }
}
