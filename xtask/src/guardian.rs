//! A guardian ends a process and removes its directory when the owner is gone, however the owner ended.
//!
//! Destructors do not run after Ctrl-C or `kill -9`. So a small shell beside the owner reads from a pipe: the owner tells
//! it which process to watch, and the end of the pipe means that the owner is no more. The guardian stands in a process
//! group of its own, so that Ctrl-C in the terminal does not reach it.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context;

/// `$1` the signal to begin with, `$2` a directory to remove or nothing. Ten seconds of grace, then KILL.
const SCRIPT: &str = r#"
pid=
while read -r line; do pid=$line; done
[ "$pid" = released ] && exit 0
if [ -n "$pid" ] && [ "$pid" != none ]; then
  kill -s "$1" "$pid"
  kill -s CONT "$pid"
  left=100
  while [ $left -gt 0 ] && kill -s 0 "$pid"; do sleep 0.1; left=$((left - 1)); done
  kill -s KILL "$pid"
fi
[ -n "$2" ] && rm -rf -- "$2"
"#;

/// Watches over one process at a time; see the module's text.
#[derive(Debug)]
pub struct Guardian {
    shell: Child,
}

impl Guardian {
    /// Starts a guardian that will send `signal` (and KILL after ten seconds), then remove `directory`.
    ///
    /// # Errors
    /// `sh` cannot be started.
    pub fn start(signal: crate::process::Signal, directory: Option<&Path>) -> anyhow::Result<Self> {
        let shell = Command::new("sh")
            .args(["-c", SCRIPT, "guardian", signal.name()])
            .arg(directory.unwrap_or(Path::new("")))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot start sh as a guardian")?;
        Ok(Self { shell })
    }

    /// From now on `pid` is the process to end.
    ///
    /// # Errors
    /// The guardian is gone.
    pub fn watch(&mut self, pid: u32) -> anyhow::Result<()> {
        self.tell(&pid.to_string())
    }

    /// The process has ended and was collected, so its number may belong to somebody else: there is nothing to end.
    ///
    /// # Errors
    /// The guardian is gone.
    pub fn forget(&mut self) -> anyhow::Result<()> {
        self.tell("none")
    }

    fn tell(&mut self, line: &str) -> anyhow::Result<()> {
        let pipe = self.shell.stdin.as_mut().context("the guardian's pipe is closed")?;
        writeln!(pipe, "{line}").context("the guardian is gone")
    }
}

/// The owner has cleaned up itself.
impl Drop for Guardian {
    fn drop(&mut self) {
        let _ = self.tell("released");
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::process::{Signal, has_ended, wait_for};

    fn sleeper() -> Child {
        Command::new("sleep").arg("60").spawn().unwrap()
    }

    #[test]
    fn ends_the_process_and_removes_the_directory_when_the_owner_is_gone() {
        let mut child = sleeper();
        let dir = tempfile::tempdir().unwrap();
        let mut guardian = Guardian::start(Signal::Term, Some(dir.path())).unwrap();
        guardian.watch(child.id()).unwrap();
        // What the system does when the owner is killed: the pipe closes without a word.
        drop(guardian.shell.stdin.take());
        assert!(wait_for(&mut child, Duration::from_secs(10)).unwrap().is_some(), "still runs");
        assert!(wait_for(&mut guardian.shell, Duration::from_secs(15)).unwrap().is_some());
        assert!(!dir.path().exists());
    }

    #[test]
    fn leaves_everything_alone_when_released() {
        let mut child = sleeper();
        let dir = tempfile::tempdir().unwrap();
        let mut guardian = Guardian::start(Signal::Kill, Some(dir.path())).unwrap();
        guardian.watch(child.id()).unwrap();
        drop(guardian);
        assert!(!has_ended(child.id()));
        assert!(dir.path().exists());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_forgotten_process_is_left_alone() {
        let mut child = sleeper();
        let mut guardian = Guardian::start(Signal::Kill, None).unwrap();
        guardian.watch(child.id()).unwrap();
        guardian.forget().unwrap();
        drop(guardian.shell.stdin.take());
        assert!(wait_for(&mut guardian.shell, Duration::from_secs(15)).unwrap().is_some());
        assert!(!has_ended(child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
