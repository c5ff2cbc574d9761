//! What `/proc` says of processes: CPU and memory, children included.

use anyhow::Context;
use std::collections::HashMap;

/// Kernel clock ticks per second in `/proc`; 100 on every Linux.
const TICKS_PER_S: f64 = 100.0;

/// CPU seconds in user and system mode that a `stat` file tells, without children.
pub(crate) fn cpu_s(path: &str) -> anyhow::Result<f64> {
    seconds(&std::fs::read_to_string(path)?, &OWN)
}

/// `utime` and `stime`, counted from the state on.
const OWN: [usize; 2] = [11, 12];
/// And `cutime` and `cstime`: of the children that ended and were waited for.
const WITH_ENDED: [usize; 4] = [11, 12, 13, 14];

/// The sum of some fields of a `stat` file (proc(5)) as seconds.
fn seconds(stat: &str, which: &[usize]) -> anyhow::Result<f64> {
    let fields: Vec<&str> = stat.rsplit_once(')').context("no stat")?.1.split_whitespace().collect();
    let field = |index: &usize| -> anyhow::Result<f64> { Ok(fields.get(*index).context("a short stat")?.parse::<f64>()? / TICKS_PER_S) };
    which.iter().map(field).sum()
}

/// A process and everything below it.
pub(crate) fn family(pid: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        if let Some(parent) = parent {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut all = vec![pid];
    let mut next = 0;
    while let Some(pid) = all.get(next).copied() {
        all.extend(children.remove(&pid).unwrap_or_default());
        next += 1;
    }
    all
}

/// CPU seconds of some processes, and of their children that have ended: what these took does not vanish with them.
pub(crate) fn cpu_of(pids: &[u32]) -> f64 {
    let of = |pid: &u32| seconds(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?, &WITH_ENDED).ok();
    pids.iter().filter_map(of).sum()
}

/// Resident bytes of some processes.
pub(crate) fn resident_of(pids: &[u32]) -> u64 {
    let of = |pid: &u32| -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
    };
    pids.iter().filter_map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_that_ended_are_counted_where_they_should_be() {
        let stat = "71 (a (b) c) S 1 71 71 0 -1 4194560 900 800 7 6 250 50 1000 100 20 0 4 0 12345 1000000 500";
        let close = |which: &[usize], expected: f64| (seconds(stat, which).unwrap() - expected).abs() < 1e-9;
        assert!(close(&OWN, 3.0) && close(&WITH_ENDED, 14.0));
        assert!(seconds("71 (short) S 1", &OWN).is_err() && seconds("", &OWN).is_err());
        assert!(cpu_of(&[std::process::id()]) >= 0.0 && cpu_s("/proc/thread-self/stat").is_ok());
    }
}
