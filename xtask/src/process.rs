//! Signals, children and waiting, for processes that were started here.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context;

/// A signal, by the name that `kill -s` knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Go on after [`Signal::Stop`].
    Cont,
    /// Interrupt; a fast shutdown for Postgres.
    Int,
    /// Ends the process at once; cannot be caught.
    Kill,
    /// Quit; an immediate shutdown for Postgres.
    Quit,
    /// Freezes the process; cannot be caught.
    Stop,
    /// Asks the process to end.
    Term,
}

impl Signal {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cont => "CONT",
            Self::Int => "INT",
            Self::Kill => "KILL",
            Self::Quit => "QUIT",
            Self::Stop => "STOP",
            Self::Term => "TERM",
        }
    }
}

/// Sends a signal to processes that this process started (or whose parent it started).
///
/// The shell's own `kill` does it: the program of that name is not installed everywhere, and calling the system directly
/// would need `unsafe` or a further crate.
///
/// # Errors
/// A process is gone or belongs to somebody else; the others got the signal all the same.
pub fn send(signal: Signal, pids: &[u32]) -> anyhow::Result<()> {
    if pids.is_empty() {
        return Ok(());
    }
    let output = Command::new("sh")
        .args(["-c", r#"kill -s "$0" "$@""#, signal.name()])
        .args(pids.iter().map(u32::to_string))
        .stdin(Stdio::null())
        .output()
        .context("cannot start sh to send a signal")?;
    anyhow::ensure!(
        output.status.success(),
        "cannot send {} to {pids:?}: {}",
        signal.name(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// The direct children of a process.
///
/// # Errors
/// The list of processes cannot be read.
pub fn children_of(parent: u32) -> anyhow::Result<Vec<u32>> {
    let all = if has_proc() {
        let mut pids = Vec::new();
        for entry in std::fs::read_dir("/proc").context("cannot read /proc")? {
            pids.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
        }
        pids.into_iter().filter_map(|pid| Some((pid, stat_of(pid)?))).collect()
    } else {
        ps(&["-ax"])?
    };
    Ok(all.into_iter().filter(|(_, stat)| stat.parent == parent).map(|(pid, _)| pid).collect())
}

/// Whether the process has ended; one that nobody has collected yet (a zombie) counts as ended.
#[must_use]
pub fn has_ended(pid: u32) -> bool {
    stat_of(pid).is_none_or(|stat| matches!(stat.state, 'Z' | 'X'))
}

/// Whether the process is frozen by [`Signal::Stop`]; the signal takes effect a little after it was sent.
#[must_use]
pub fn is_stopped(pid: u32) -> bool {
    stat_of(pid).is_some_and(|stat| stat.state == 'T')
}

/// Polls until `condition` gives a value or `limit` has passed (then `None`).
pub fn poll<T>(limit: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    const PAUSE: Duration = Duration::from_millis(10);
    let mut waited = Duration::ZERO;
    loop {
        if let Some(value) = condition() {
            return Some(value);
        }
        if waited >= limit {
            return None;
        }
        std::thread::sleep(PAUSE);
        waited += PAUSE;
    }
}

/// Waits for a child's end; `None` when it still runs after `limit`.
///
/// # Errors
/// The child cannot be waited for.
pub fn wait_for(child: &mut Child, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
    poll(limit, || child.try_wait().transpose()).transpose().context("cannot wait for a child process")
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    /// As in proc(5) and ps(1): `T` is stopped, `Z` ended but not collected.
    state: char,
    parent: u32,
}

/// Linux has it; elsewhere `ps` is asked.
fn has_proc() -> bool {
    std::path::Path::new("/proc/self/stat").exists()
}

/// `None` when there is no such process.
fn stat_of(pid: u32) -> Option<Stat> {
    if has_proc() {
        parse_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    } else {
        ps(&["-p", &pid.to_string()]).ok()?.pop().map(|(_, stat)| stat)
    }
}

/// `pid (name) state parent …`; the name may hold blanks and brackets, so the last bracket counts (proc(5)).
fn parse_stat(line: &str) -> Option<Stat> {
    let (_, rest) = line.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    Some(Stat { state: fields.next()?.chars().next()?, parent: fields.next()?.parse().ok()? })
}

fn ps(which: &[&str]) -> anyhow::Result<Vec<(u32, Stat)>> {
    let output = Command::new("ps").args(which).args(["-o", "pid=,ppid=,stat="]).output().context("cannot start ps")?;
    Ok(parse_ps(&String::from_utf8_lossy(&output.stdout)))
}

fn parse_ps(listing: &str) -> Vec<(u32, Stat)> {
    let parse = |line: &str| {
        let mut fields = line.split_whitespace();
        let (pid, parent) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some((pid, Stat { state: fields.next()?.chars().next()?, parent }))
    };
    listing.lines().filter_map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_stat_line_with_a_nasty_name() {
        assert_eq!(parse_stat("42 (a ) b (c) S 7 42 42 0"), Some(Stat { state: 'S', parent: 7 }));
    }

    #[test]
    fn reads_a_ps_listing() {
        let listing = parse_ps("  1     0 Ss\n 20 7 T+\n");
        assert_eq!(listing, [(1, Stat { state: 'S', parent: 0 }), (20, Stat { state: 'T', parent: 7 })]);
    }

    #[test]
    fn a_child_is_found_signalled_and_seen_to_end() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = child.id();
        assert!(children_of(std::process::id()).unwrap().contains(&pid));
        assert!(!has_ended(pid) && !is_stopped(pid));
        send(Signal::Stop, &[pid]).unwrap();
        assert!(poll(Duration::from_secs(5), || is_stopped(pid).then_some(())).is_some(), "still runs after STOP");
        send(Signal::Kill, &[pid]).unwrap();
        assert!(poll(Duration::from_secs(5), || has_ended(pid).then_some(())).is_some(), "still runs after KILL");
        assert!(wait_for(&mut child, Duration::from_secs(5)).unwrap().is_some());
        assert!(send(Signal::Term, &[pid]).is_err());
    }
}
