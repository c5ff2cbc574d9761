//! The campaigns of faults on real processes: optimised servers, a throwaway Postgres and Redis for each fault, one table in the end.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use crate::test_run::Services;

/// A fault: its name here, the test that runs it, and the rounds that it gets when nothing is said.
const FAULTS: [(&str, &str, u32); 7] = [
    ("kill", "cluster::chaos::kill", 100),
    ("stop", "cluster::chaos::stop", 100),
    ("term", "cluster::chaos::term", 50),
    ("redis", "cluster::chaos::redis", 12),
    ("postgres", "cluster::chaos::postgres", 10),
    ("partition", "cluster::chaos::partition", 20),
    ("seats", "cluster::seats::seats", 50),
];

/// What is run.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// Rounds of each fault, instead of its own number.
    pub rounds: Option<u32>,
    /// No round of a fault begins later than this.
    pub seconds: u32,
    /// Some faults, by name; all when empty.
    pub only: Vec<String>,
    /// Rooms.
    pub rooms: u32,
    /// Commands per second, over all rooms.
    pub commands: u32,
    /// People who race for seats.
    pub claims: u32,
}

/// Runs it. Gives back whether every promise was kept; the rows are told as the tests end, and again in one table.
///
/// # Errors
/// A fault has another name, or something cannot be built or started.
pub fn run(campaign: &Campaign) -> anyhow::Result<bool> {
    let faults = chosen(&campaign.only)?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let built = Command::new(&cargo).args(["build", "--release", "--workspace", "--bins"]).status().context("cannot start cargo")?;
    ensure!(built.success(), "the release build failed");
    let program = std::path::absolute(target().join("release/tripsync")).context("cannot tell where the server is")?;
    let services = Services::start()?;
    let (mut rows, mut good) = (Vec::new(), true);
    for (_, test, rounds) in faults {
        let plan = plan(campaign, rounds);
        let mut child = services
            .command(cargo.clone())
            .args(["test", "--workspace", "--test", "it", "--quiet", "--", "--exact", test, "--nocapture"])
            .env("TRIPSYNC_CHAOS", plan)
            .env("TRIPSYNC_CHAOS_PROGRAM", &program)
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start cargo")?;
        let errors = child.stderr.take().context("cargo's error output is missing")?;
        for line in BufReader::new(errors).lines() {
            let line = line?;
            writeln!(std::io::stderr(), "{line}")?;
            if line.starts_with('|') && !rows.contains(&line) {
                rows.push(line);
            }
        }
        good &= child.wait().context("cannot wait for cargo")?.success();
    }
    let mut out = std::io::stdout().lock();
    writeln!(out)?;
    for row in rows {
        writeln!(out, "{row}")?;
    }
    Ok(good)
}

/// The folder with what cargo builds.
pub(crate) fn target() -> std::path::PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| Path::new("target").to_owned(), Into::into)
}

fn plan(campaign: &Campaign, rounds: u32) -> String {
    let Campaign { seconds, rooms, commands, claims, .. } = campaign;
    format!("rounds={},rooms={rooms},commands={commands},claims={claims},seconds={seconds}", campaign.rounds.unwrap_or(rounds))
}

fn chosen(only: &[String]) -> anyhow::Result<Vec<(&'static str, &'static str, u32)>> {
    if let Some(wrong) = only.iter().find(|name| FAULTS.iter().all(|(known, ..)| known != name)) {
        bail!("there is no fault `{wrong}`; there are: {}", FAULTS.map(|(name, ..)| name).join(", "));
    }
    Ok(FAULTS.into_iter().filter(|(name, ..)| only.is_empty() || only.iter().any(|wanted| wanted == name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(only: &[&str]) -> anyhow::Result<Vec<&'static str>> {
        let only: Vec<_> = only.iter().map(|name| (*name).to_owned()).collect();
        Ok(chosen(&only)?.into_iter().map(|(name, ..)| name).collect())
    }

    #[test]
    fn faults_are_chosen_by_name() {
        assert_eq!(names(&[]).unwrap().len(), FAULTS.len());
        assert_eq!(names(&["seats", "kill"]).unwrap(), ["kill", "seats"]);
        assert!(names(&["fire"]).unwrap_err().to_string().contains("kill, stop, term"));
    }

    #[test]
    fn a_fault_has_its_own_number_of_rounds_unless_one_is_given() {
        let campaign = Campaign { rounds: None, seconds: 60, only: Vec::new(), rooms: 50, commands: 500, claims: 1_000 };
        assert_eq!(plan(&campaign, 100), "rounds=100,rooms=50,commands=500,claims=1000,seconds=60");
        assert!(plan(&Campaign { rounds: Some(3), ..campaign }, 100).starts_with("rounds=3,"));
    }
}
