//! One running Redis in a temporary directory.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;

use super::talk::talk;
use crate::guardian::Guardian;
use crate::ports::{free_port, random_u64};
use crate::process::{Signal, is_stopped, poll, send, wait_for};

/// Far more than it takes, so that only a real fault meets it.
const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// Another program may take a port between our look and Redis' bind.
const PORT_ATTEMPTS: usize = 5;

/// A Redis of our own. Dropping it stops it and removes its files; when this process dies first, its guardian does so.
///
/// Its address stays the same over [`Instance::kill`], [`Instance::stop`] and [`Instance::restart`]; its contents do not stay.
#[derive(Debug)]
pub struct Instance {
    program: PathBuf,
    port: u16,
    password: String,
    running: Option<Child>,
    // Dropped in this order: the guardian is told that we clean up ourselves before the directory goes.
    guardian: Guardian,
    dir: TempDir,
}

impl Instance {
    /// Starts Redis on a free port of 127.0.0.1 below 32768; back when it answers, which is almost at once.
    ///
    /// # Errors
    /// It does not start; the text has its log.
    pub fn start(program: &Path) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("tripsync-redis-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .context("cannot make a temporary directory")?;
        let guardian = Guardian::start(Signal::Term, Some(dir.path()))?;
        let password = format!("{:016x}{:016x}", random_u64(), random_u64());
        let mut instance = Self { program: program.to_owned(), port: 0, password, running: None, guardian, dir };
        for attempt in 1.. {
            instance.port = free_port()?;
            match instance.restart() {
                Ok(()) => break,
                Err(error) if attempt == PORT_ATTEMPTS || !instance.log().contains("Address already in use") => return Err(error),
                Err(_) => {}
            }
        }
        Ok(instance)
    }

    /// `redis://` URL with password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}/0", self.password, self.port)
    }

    /// The program that runs here.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// All that it has written to its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.log_file()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Starts it on its old port, empty, after [`Instance::stop`] or [`Instance::kill`]; back when it answers.
    ///
    /// # Errors
    /// It runs already, or does not come up; the text has its log.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        anyhow::ensure!(self.running.is_none(), "this Redis is running already");
        // In a file rather than among the arguments, which everybody can read.
        let config = format!(
            "bind 127.0.0.1\nport {}\nrequirepass {}\ndir {}\nsave \"\"\nappendonly no\ndaemonize no\n",
            self.port,
            self.password,
            self.dir.path().display()
        );
        let config_file = self.dir.path().join("redis.conf");
        std::fs::write(&config_file, config)?;
        let log = File::options().create(true).append(true).open(self.log_file())?;
        // A process group of its own: Ctrl-C is for the test run, which then goes, and the guardian follows.
        let child = Command::new(&self.program)
            .arg(&config_file)
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .context("cannot start redis-server")?;
        self.guardian.watch(child.id())?;
        self.running = Some(child);
        self.wait_until_ready()
    }

    /// Stops it in order; connections are closed.
    ///
    /// # Errors
    /// It is not running, or still runs after 30 s.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.end_with(Signal::Term)
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// It is not running, or cannot be signalled.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.end_with(Signal::Kill)
    }

    /// Stops it where it is (SIGSTOP): connections stay open and nothing answers.
    ///
    /// # Errors
    /// It is not running, or cannot be signalled.
    pub fn freeze(&mut self) -> anyhow::Result<()> {
        let pid = self.pid()?;
        send(Signal::Stop, &[pid])?;
        poll(STOP_LIMIT, || is_stopped(pid).then_some(())).with_context(|| format!("Redis ({pid}) still runs after SIGSTOP"))
    }

    /// Lets it go on after [`Instance::freeze`].
    ///
    /// # Errors
    /// It is not running, or cannot be signalled.
    pub fn thaw(&mut self) -> anyhow::Result<()> {
        send(Signal::Cont, &[self.pid()?])
    }

    /// Deletes everything in it (FLUSHALL); connections and subscriptions stay.
    ///
    /// # Errors
    /// It does not answer.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        talk(self.port, &self.password, &["FLUSHALL"])
    }

    fn pid(&self) -> anyhow::Result<u32> {
        Ok(self.running.as_ref().context("this Redis is not running")?.id())
    }

    fn end_with(&mut self, signal: Signal) -> anyhow::Result<()> {
        let pid = self.pid()?;
        // The signal first: what is frozen must not do one more thing before it.
        send(signal, &[pid])?;
        if signal != Signal::Kill {
            send(Signal::Cont, &[pid])?;
        }
        let child = self.running.as_mut().context("this Redis is not running")?;
        wait_for(child, STOP_LIMIT)?.with_context(|| format!("Redis still runs after {STOP_LIMIT:?}"))?;
        self.running = None;
        self.guardian.forget()
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let (port, password) = (self.port, self.password.clone());
        let child = self.running.as_mut().context("this Redis is not running")?;
        let outcome = poll(START_LIMIT, || match child.try_wait() {
            Ok(Some(status)) => Some(Err(format!("Redis ended ({status}) instead of starting"))),
            _ => talk(port, &password, &["PING"]).ok().map(Ok),
        });
        match outcome {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => {
                self.running = None;
                self.guardian.forget()?;
                anyhow::bail!("{error}; its log:\n{}", self.log())
            }
            None => anyhow::bail!("Redis is not ready after {START_LIMIT:?}; its log:\n{}", self.log()),
        }
    }

    fn log_file(&self) -> PathBuf {
        self.dir.path().join("redis.log")
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if self.running.is_some() && self.stop().is_err() && self.kill().is_err() {
            eprintln!("cannot stop the throwaway Redis in {}", self.dir.path().display());
        }
    }
}
