//! One running Postgres in a temporary directory.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};

use super::account::{Account, private_dir};
use crate::ports::random_u64;
use crate::process::{Signal, children_of, has_ended, send};
use crate::throwaway::{Harm, Throwaway, on_free_port};

const USER: &str = "tripsync_test";
/// Start includes crash recovery; far more than it takes, so that only a real fault meets it.
const START_LIMIT: Duration = Duration::from_secs(90);

/// Over the defaults. Durability is named although it is the default, because the tests stand on it.
const SETTINGS: &[&str] = &[
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "listen_addresses=127.0.0.1",
    // No socket file: no lock file to be left over, no limit on the path's length.
    "unix_socket_directories=",
    // Shared memory in files of the data directory, which go with it.
    "dynamic_shared_memory_type=mmap",
    "shared_buffers=32MB",
    "max_connections=200",
    "timezone=UTC",
    "logging_collector=off",
];

/// A Postgres of our own. Dropping it stops it and removes its files; when this process dies first, its guardian does so.
///
/// Its address and what was committed stay whatever is done to it.
#[derive(Debug)]
pub struct Instance {
    bin: PathBuf,
    account: Option<Account>,
    port: u16,
    password: String,
    server: Throwaway,
}

impl Instance {
    /// Makes a data directory and starts Postgres on a free port of 127.0.0.1 below 32768; back when it accepts queries.
    ///
    /// `bin` holds `postgres` and `initdb`. Takes about a second. When we are root, it runs as `postgres` or `nobody`.
    ///
    /// # Errors
    /// `initdb` or `postgres` failed; the text has their output.
    pub fn start(bin: &Path) -> anyhow::Result<Self> {
        let account = Account::choose()?;
        let dir = private_dir(account)?;
        let server = Throwaway::new("Postgres", dir, Signal::Quit)?;
        let password = format!("{:016x}{:016x}", random_u64(), random_u64());
        let mut instance = Self { bin: bin.to_owned(), account, port: 0, password, server };
        instance.init()?;
        on_free_port("could not bind", |port| {
            instance.port = port;
            instance.restart()
        })?;
        Ok(instance)
    }

    /// `postgres://` URL of a database in this instance, as superuser and with password; `postgres` is always there.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// Makes an empty database.
    ///
    /// # Errors
    /// There is one of that name, or the instance does not run.
    pub fn create(&self, database: &str) -> anyhow::Result<()> {
        let statement = format!("CREATE DATABASE \"{database}\"");
        let output = self.command("psql").args(["-Xqc", &statement, &self.url("postgres")]).output().context("cannot start psql")?;
        ensure!(output.status.success(), "{statement}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Where its programs (`psql`, `pg_dump` …) are.
    #[must_use]
    pub fn bin_dir(&self) -> &Path {
        &self.bin
    }

    /// All that it has written to its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// Stops it in order: connections are cut, everything is written, the files are clean (Postgres' *fast* shutdown).
    ///
    /// # Errors
    /// It is not running, or still runs after 30 s.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.end_with(Signal::Int)
    }

    /// The server process first: it cannot start a further child then.
    fn freeze_all(&mut self) -> anyhow::Result<Vec<u32>> {
        let main = self.server.pid()?;
        send(Signal::Stop, &[main])?;
        self.server.wait_until_stopped(&[main])?;
        let mut pids = children_of(main)?;
        send_to_living(Signal::Stop, &mut pids)?;
        self.server.wait_until_stopped(&pids)?;
        pids.push(main);
        Ok(pids)
    }

    fn end_with(&mut self, signal: Signal) -> anyhow::Result<()> {
        let main = self.server.pid()?;
        self.thaw()?;
        send(signal, &[main])?;
        self.server.collect()
    }

    fn init(&self) -> anyhow::Result<()> {
        let password_file = self.server.dir().join("password");
        std::fs::write(&password_file, &self.password)?;
        // `password` rather than `scram-sha-256`: the client's 4,096 rounds take long in a build without optimisation.
        let output = self
            .command("initdb")
            .arg("-D")
            .arg(self.data_dir())
            .args(["-U", USER, "--auth=password", "--encoding=UTF8", "--locale=C", "--no-sync"])
            .arg(format!("--pwfile={}", password_file.display()))
            .output()
            .context("cannot start initdb")?;
        anyhow::ensure!(
            output.status.success(),
            "initdb failed:\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        // No settings of the caller's (PGDATA, PGOPTIONS …), messages in English, files where it may write.
        command.env_clear().env("LC_ALL", "C").env("PATH", "/usr/bin:/bin").current_dir(self.server.dir()).stdin(Stdio::null());
        if let Some(account) = self.account {
            account.apply(&mut command);
        }
        command
    }

    fn data_dir(&self) -> PathBuf {
        self.server.dir().join("data")
    }

    fn pid_file(&self) -> PathBuf {
        self.data_dir().join("postmaster.pid")
    }
}

impl Harm for Instance {
    /// On its old data.
    fn restart(&mut self) -> anyhow::Result<()> {
        let pid_file = self.pid_file();
        // Left over by kill -9. Postgres finds out by itself unless its old number belongs to another process by now.
        let _ = std::fs::remove_file(&pid_file);
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data_dir()).args(["-p", &self.port.to_string()]);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        // Postgres writes its state into the eighth line of its pid file; `pg_ctl` reads it there, too.
        self.server.run(command, START_LIMIT, |pid| {
            let text = std::fs::read_to_string(&pid_file).unwrap_or_default();
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            lines.first().and_then(|line| line.parse().ok()) == Some(pid) && lines.get(7) == Some(&"ready")
        })
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        let mut pids = self.freeze_all()?;
        send_to_living(Signal::Kill, &mut pids)?;
        self.server.collect()?;
        self.server.wait_until_ended(&pids)
    }

    fn freeze(&mut self) -> anyhow::Result<()> {
        self.freeze_all().map(drop)
    }

    fn thaw(&mut self) -> anyhow::Result<()> {
        let main = self.server.pid()?;
        let mut pids = children_of(main)?;
        pids.push(main);
        send_to_living(Signal::Cont, &mut pids)
    }
}

/// A connection that is being closed ends its process at any moment: whoever is gone is taken out, the others get the signal.
fn send_to_living(signal: Signal, pids: &mut Vec<u32>) -> anyhow::Result<()> {
    while let Err(error) = send(signal, pids) {
        let before = pids.len();
        pids.retain(|pid| !has_ended(*pid));
        if pids.len() == before {
            return Err(error);
        }
    }
    Ok(())
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Its data goes with it, so the immediate shutdown is good enough; whoever does not follow is killed.
        if self.server.is_running() && self.end_with(Signal::Quit).is_err() && self.kill().is_err() {
            eprintln!("cannot stop the throwaway Postgres in {}", self.server.dir().display());
        }
    }
}
