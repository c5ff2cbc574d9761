//! What `/proc` says of processes: CPU and memory, children included.

use anyhow::Context;
use std::collections::HashMap;

/// Kernel clock ticks per second in `/proc`; 100 on every Linux.
const TICKS_PER_S: f64 = 100.0;

/// CPU seconds in user and system mode that a `stat` file tells.
pub(crate) fn cpu_s(path: &str) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(path)?;
    let fields: Vec<&str> = stat.rsplit_once(')').context("no stat")?.1.split_whitespace().collect();
    let field = |index: usize| -> anyhow::Result<f64> { Ok(fields.get(index).context("a short stat")?.parse()?) };
    Ok((field(11)? + field(12)?) / TICKS_PER_S)
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

/// CPU seconds of some processes.
pub(crate) fn cpu_of(pids: &[u32]) -> f64 {
    pids.iter().filter_map(|pid| cpu_s(&format!("/proc/{pid}/stat")).ok()).sum()
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
