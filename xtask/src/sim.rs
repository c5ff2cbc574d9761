//! The simulator of clusters, optimised, over many seeds.

use anyhow::{Context, ensure};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The test that runs the seeds.
const TEST: &str = "sim::cluster::tests::random_clusters_agree_with_the_journal";

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Seeds {
    /// How many; one when only the first is named.
    pub count: Option<u64>,
    /// The first one (default 0).
    pub first: Option<u64>,
    /// A saved plan instead.
    pub plan: Option<PathBuf>,
}

/// Seeds that are run when nothing is said.
const COUNT: u64 = 20_000;

/// Runs the simulator. Gives back whether nothing was violated; what was is printed by the test, with the plan that shows it.
///
/// # Errors
/// There is no such plan, or cargo cannot be started.
pub fn run(seeds: &Seeds) -> anyhow::Result<bool> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args(["test", "--profile", "sim", "--package", "tripsync-actors", "--lib", "--", "--exact", TEST]);
    for (name, value) in variables(seeds)? {
        command.env(name, value);
    }
    Ok(command.status().context("cannot start cargo")?.success())
}

fn variables(seeds: &Seeds) -> anyhow::Result<Vec<(&'static str, OsString)>> {
    if let Some(plan) = &seeds.plan {
        // The test runs in another folder.
        let plan = std::path::absolute(plan).context("cannot tell where the plan is")?;
        ensure!(Path::is_file(&plan), "there is no plan {}", plan.display());
        return Ok(vec![("TRIPSYNC_CLUSTER_PLAN", plan.into_os_string())]);
    }
    let count = seeds.count.or_else(|| if seeds.first.is_some() { None } else { Some(COUNT) });
    let variable = |name, value: Option<u64>| value.map(|value| (name, OsString::from(value.to_string())));
    let all = [variable("TRIPSYNC_CLUSTER_SEED", seeds.first), variable("TRIPSYNC_CLUSTER_SEEDS", count)];
    Ok(all.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(count: Option<u64>, first: Option<u64>) -> Vec<(&'static str, OsString)> {
        variables(&Seeds { count, first, plan: None }).unwrap()
    }

    #[test]
    fn one_seed_many_or_a_plan() {
        assert_eq!(told(None, None), [("TRIPSYNC_CLUSTER_SEEDS", "20000".into())]);
        assert_eq!(told(None, Some(7)), [("TRIPSYNC_CLUSTER_SEED", "7".into())]);
        assert_eq!(told(Some(5), Some(7)), [("TRIPSYNC_CLUSTER_SEED", "7".into()), ("TRIPSYNC_CLUSTER_SEEDS", "5".into())]);
        let missing = Seeds { count: None, first: None, plan: Some("no/such/plan.json".into()) };
        assert!(variables(&missing).unwrap_err().to_string().contains("there is no plan"));
    }
}
