//! What throwaway servers have in common: a process with files of its own, which cannot outlive its owner.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use crate::guardian::Guardian;
use crate::ports::free_port;
use crate::process::{Signal, has_ended, is_stopped, poll, wait_for};

const STOP_LIMIT: Duration = Duration::from_secs(30);
/// Another program may take a port between our look and the server's bind.
const PORT_ATTEMPTS: usize = 5;

/// A server that may be harmed, and goes on at its old address.
pub trait Harm {
    /// Starts it at its old address after it was stopped or killed; back when it answers.
    ///
    /// # Errors
    /// It runs already, or does not come up; the text has its log.
    fn restart(&mut self) -> anyhow::Result<()>;

    /// `kill -9` for all its processes at one moment.
    ///
    /// # Errors
    /// It is not running, or cannot be signalled.
    fn kill(&mut self) -> anyhow::Result<()>;

    /// Stops all its processes where they are (SIGSTOP): connections stay open and nothing answers.
    ///
    /// # Errors
    /// It is not running, or cannot be signalled.
    fn freeze(&mut self) -> anyhow::Result<()>;

    /// Lets it go on after [`Self::freeze`].
    ///
    /// # Errors
    /// It is not running, or cannot be signalled.
    fn thaw(&mut self) -> anyhow::Result<()>;
}

/// A process, the directory that goes with it, and the guardian that ends both when this process dies first.
#[derive(Debug)]
pub(crate) struct Throwaway {
    name: &'static str,
    running: Option<Child>,
    // Dropped in this order: the guardian is told that we clean up ourselves before the directory goes.
    guardian: Guardian,
    dir: TempDir,
}

impl Throwaway {
    /// Nothing runs yet. The guardian ends it with `signal`.
    pub(crate) fn new(name: &'static str, dir: TempDir, signal: Signal) -> anyhow::Result<Self> {
        let guardian = Guardian::start(signal, Some(dir.path()))?;
        Ok(Self { name, running: None, guardian, dir })
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// All that it has written to its log so far.
    pub(crate) fn log(&self) -> String {
        let bytes = std::fs::read(self.dir.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(crate) const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        Ok(self.running.as_ref().with_context(|| format!("this {} is not running", self.name))?.id())
    }

    /// Starts it; back when `ready` says so of the process.
    pub(crate) fn run(&mut self, mut command: Command, limit: Duration, mut ready: impl FnMut(u32) -> bool) -> anyhow::Result<()> {
        let name = self.name;
        ensure!(self.running.is_none(), "this {name} is running already");
        let log = File::options().create(true).append(true).open(self.dir.path().join("log"))?;
        command.current_dir(self.dir.path()).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // A process group of its own: Ctrl-C is for the test run, which then goes, and the guardian follows.
        let mut child = command.process_group(0).spawn().with_context(|| format!("cannot start {name}"))?;
        let pid = child.id();
        self.guardian.watch(pid)?;
        let outcome = poll(limit, || match child.try_wait() {
            Ok(Some(status)) => Some(Err(status)),
            _ => ready(pid).then_some(Ok(())),
        });
        if let Some(Err(status)) = outcome {
            self.guardian.forget()?;
            bail!("{name} ended ({status}) instead of starting; its log:\n{}", self.log());
        }
        self.running = Some(child);
        outcome.map(drop).with_context(|| format!("{name} is not ready after {limit:?}; its log:\n{}", self.log()))
    }

    /// Waits for the end of what was told to end.
    pub(crate) fn collect(&mut self) -> anyhow::Result<()> {
        let name = self.name;
        let child = self.running.as_mut().with_context(|| format!("this {name} is not running"))?;
        wait_for(child, STOP_LIMIT)?.with_context(|| format!("{name} still runs after {STOP_LIMIT:?}"))?;
        self.running = None;
        self.guardian.forget()
    }

    /// Waits until these of its processes stand still: a signal takes effect a little after it was sent; one that ended meanwhile does no
    /// more work either.
    pub(crate) fn wait_until_stopped(&self, pids: &[u32]) -> anyhow::Result<()> {
        let all = || pids.iter().all(|pid| is_stopped(*pid) || has_ended(*pid)).then_some(());
        poll(STOP_LIMIT, all).with_context(|| format!("some of the processes {pids:?} of {} still run after SIGSTOP", self.name))
    }

    /// Waits until these of its processes are gone.
    pub(crate) fn wait_until_ended(&self, pids: &[u32]) -> anyhow::Result<()> {
        let all = || pids.iter().all(|pid| has_ended(*pid)).then_some(());
        poll(STOP_LIMIT, all).with_context(|| format!("some of the processes {pids:?} of {} still run after SIGKILL", self.name))
    }
}

/// Starts something on a port that nobody has; `taken` is what its error says when somebody was faster.
pub(crate) fn on_free_port(taken: &str, mut start: impl FnMut(u16) -> anyhow::Result<()>) -> anyhow::Result<()> {
    for _ in 1..PORT_ATTEMPTS {
        match start(free_port()?) {
            Err(error) if error.to_string().contains(taken) => {}
            other => return other,
        }
    }
    start(free_port()?)
}
