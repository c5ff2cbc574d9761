//! One running Redis in a temporary directory.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;

use super::talk::talk;
use crate::ports::random_u64;
use crate::process::{Signal, send};
use crate::throwaway::{Harm, Throwaway, on_free_port};

/// Far more than it takes, so that only a real fault meets it.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A Redis of our own. Dropping it stops it and removes its files; when this process dies first, its guardian does so.
///
/// Its address stays the same whatever is done to it; its contents do not stay.
#[derive(Debug)]
pub struct Instance {
    program: PathBuf,
    port: u16,
    password: String,
    server: Throwaway,
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
        let server = Throwaway::new("Redis", dir, Signal::Term)?;
        let password = format!("{:016x}{:016x}", random_u64(), random_u64());
        let mut instance = Self { program: program.to_owned(), port: 0, password, server };
        on_free_port("Address already in use", |port| {
            instance.port = port;
            instance.restart()
        })?;
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
        self.server.log()
    }

    /// Stops it in order; connections are closed.
    ///
    /// # Errors
    /// It is not running, or still runs after 30 s.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        let pid = self.server.pid()?;
        // The signal first: what is frozen must not do one more thing before it.
        send(Signal::Term, &[pid])?;
        send(Signal::Cont, &[pid])?;
        self.server.collect()
    }

    /// Deletes everything in it (FLUSHALL); connections and subscriptions stay.
    ///
    /// # Errors
    /// It does not answer.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        talk(self.port, &self.password, &["FLUSHALL"])
    }
}

impl Harm for Instance {
    /// It is empty then.
    fn restart(&mut self) -> anyhow::Result<()> {
        // In a file rather than among the arguments, which everybody can read.
        let config = format!(
            "bind 127.0.0.1\nport {}\nrequirepass {}\ndir {}\nsave \"\"\nappendonly no\ndaemonize no\n",
            self.port,
            self.password,
            self.server.dir().display()
        );
        let config_file = self.server.dir().join("redis.conf");
        std::fs::write(&config_file, config)?;
        let mut command = Command::new(&self.program);
        command.arg(&config_file);
        let (port, password) = (self.port, &self.password);
        self.server.run(command, START_LIMIT, |_| talk(port, password, &["PING"]).is_ok())
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        send(Signal::Kill, &[self.server.pid()?])?;
        self.server.collect()
    }

    fn freeze(&mut self) -> anyhow::Result<()> {
        let pid = self.server.pid()?;
        send(Signal::Stop, &[pid])?;
        self.server.wait_until_stopped(&[pid])
    }

    fn thaw(&mut self) -> anyhow::Result<()> {
        send(Signal::Cont, &[self.server.pid()?])
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if self.server.is_running() && self.stop().is_err() && self.kill().is_err() {
            eprintln!("cannot stop the throwaway Redis in {}", self.server.dir().display());
        }
    }
}
