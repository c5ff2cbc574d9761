//! One running Postgres in a temporary directory.

use std::fs::File;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use tempfile::TempDir;

use super::account::{Account, private_dir};
use crate::guardian::Guardian;
use crate::ports::{free_port, random_u64};
use crate::process::{Signal, children_of, has_ended, is_stopped, poll, send, wait_for};

const USER: &str = "tripsync_test";
/// Start includes crash recovery; far more than it takes, so that only a real fault meets it.
const START_LIMIT: Duration = Duration::from_secs(90);
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// Another program may take a port between our look and Postgres' bind.
const PORT_ATTEMPTS: usize = 5;

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
/// Its address stays the same over [`Instance::kill`], [`Instance::stop`] and [`Instance::restart`].
#[derive(Debug)]
pub struct Instance {
    bin: PathBuf,
    account: Option<Account>,
    port: u16,
    password: String,
    running: Option<Child>,
    // Dropped in this order: the guardian is told that we clean up ourselves before the directory goes.
    guardian: Guardian,
    dir: TempDir,
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
        let guardian = Guardian::start(Signal::Quit, Some(dir.path()))?;
        let password = format!("{:016x}{:016x}", random_u64(), random_u64());
        let mut instance = Self { bin: bin.to_owned(), account, port: 0, password, running: None, guardian, dir };
        instance.init()?;
        for attempt in 1.. {
            instance.port = free_port()?;
            match instance.restart() {
                Ok(()) => break,
                Err(error) if attempt == PORT_ATTEMPTS || !instance.log().contains("could not bind") => {
                    return Err(error);
                }
                Err(_) => {}
            }
        }
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
        let bytes = std::fs::read(self.log_file()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Starts it on its old data and port, after [`Instance::stop`] or [`Instance::kill`]; back when it accepts queries.
    ///
    /// # Errors
    /// It runs already, or does not come up; the text has its log.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        anyhow::ensure!(self.running.is_none(), "this Postgres is running already");
        // Left over by kill -9. Postgres finds out by itself unless its old number belongs to another process by now.
        let _ = std::fs::remove_file(self.pid_file());
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data_dir()).args(["-p", &self.port.to_string()]);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        let log = File::options().create(true).append(true).open(self.log_file())?;
        // A process group of its own: Ctrl-C is for the test run, which then goes, and the guardian follows.
        let child = command.stdout(log.try_clone()?).stderr(log).process_group(0).spawn().context("cannot start postgres")?;
        self.guardian.watch(child.id())?;
        self.running = Some(child);
        self.wait_until_ready()
    }

    /// Stops it in order: connections are cut, everything is written, the files are clean (Postgres' *fast* shutdown).
    ///
    /// # Errors
    /// It is not running, or still runs after 30 s.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.end_with(Signal::Int)
    }

    /// `kill -9` for the server process and all its children at one moment: nobody gets to write another byte.
    ///
    /// # Errors
    /// It is not running, or its processes cannot be signalled.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let mut pids = self.freeze_all()?;
        send_to_living(Signal::Kill, &mut pids)?;
        self.collect()?;
        poll(STOP_LIMIT, || pids.iter().all(|pid| has_ended(*pid)).then_some(()))
            .with_context(|| format!("some of the processes {pids:?} of Postgres still run after SIGKILL"))
    }

    /// Stops all its processes where they are (SIGSTOP): connections stay open and nothing answers.
    ///
    /// # Errors
    /// It is not running, or its processes cannot be signalled.
    pub fn freeze(&mut self) -> anyhow::Result<()> {
        self.freeze_all().map(drop)
    }

    /// Lets it go on after [`Instance::freeze`].
    ///
    /// # Errors
    /// It is not running, or its processes cannot be signalled.
    pub fn thaw(&mut self) -> anyhow::Result<()> {
        let main = self.pid()?;
        let mut pids = children_of(main)?;
        pids.push(main);
        send_to_living(Signal::Cont, &mut pids)
    }

    /// The server process first: it cannot start a further child then.
    fn freeze_all(&mut self) -> anyhow::Result<Vec<u32>> {
        let main = self.pid()?;
        send(Signal::Stop, &[main])?;
        wait_until_stopped(&[main])?;
        let mut pids = children_of(main)?;
        send_to_living(Signal::Stop, &mut pids)?;
        wait_until_stopped(&pids)?;
        pids.push(main);
        Ok(pids)
    }

    fn pid(&self) -> anyhow::Result<u32> {
        Ok(self.running.as_ref().context("this Postgres is not running")?.id())
    }

    fn end_with(&mut self, signal: Signal) -> anyhow::Result<()> {
        let main = self.pid()?;
        self.thaw()?;
        send(signal, &[main])?;
        self.collect()
    }

    fn collect(&mut self) -> anyhow::Result<()> {
        let child = self.running.as_mut().context("this Postgres is not running")?;
        wait_for(child, STOP_LIMIT)?.with_context(|| format!("Postgres still runs after {STOP_LIMIT:?}"))?;
        self.running = None;
        self.guardian.forget()
    }

    fn init(&self) -> anyhow::Result<()> {
        let password_file = self.dir.path().join("password");
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

    /// Postgres writes its state into the eighth line of its pid file; `pg_ctl` reads it there, too.
    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let pid = self.pid()?;
        let pid_file = self.pid_file();
        let child = self.running.as_mut().context("this Postgres is not running")?;
        let outcome = poll(START_LIMIT, || {
            if let Ok(Some(status)) = child.try_wait() {
                let how = status.code().map_or_else(|| format!("by signal {:?}", status.signal()), |code| format!("with code {code}"));
                return Some(Err(format!("Postgres ended {how} instead of starting")));
            }
            let text = std::fs::read_to_string(&pid_file).ok()?;
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            let ours = lines.first().and_then(|line| line.parse().ok()) == Some(pid);
            (ours && lines.get(7) == Some(&"ready")).then_some(Ok(()))
        });
        match outcome {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => {
                self.running = None;
                self.guardian.forget()?;
                anyhow::bail!("{error}; its log:\n{}", self.log())
            }
            None => anyhow::bail!("Postgres is not ready after {START_LIMIT:?}; its log:\n{}", self.log()),
        }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        // No settings of the caller's (PGDATA, PGOPTIONS …), messages in English, files where it may write.
        command.env_clear().env("LC_ALL", "C").env("PATH", "/usr/bin:/bin").current_dir(self.dir.path()).stdin(Stdio::null());
        if let Some(account) = self.account {
            account.apply(&mut command);
        }
        command
    }

    fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn pid_file(&self) -> PathBuf {
        self.data_dir().join("postmaster.pid")
    }

    fn log_file(&self) -> PathBuf {
        self.dir.path().join("postgres.log")
    }
}

/// The signal takes effect a little after it was sent; one that ended meanwhile does no more work either.
fn wait_until_stopped(pids: &[u32]) -> anyhow::Result<()> {
    let all = || pids.iter().all(|pid| is_stopped(*pid) || has_ended(*pid)).then_some(());
    poll(STOP_LIMIT, all).with_context(|| format!("some of the processes {pids:?} of Postgres still run after SIGSTOP"))
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
        if self.running.is_some() && self.end_with(Signal::Quit).is_err() && self.kill().is_err() {
            eprintln!("cannot stop the throwaway Postgres in {}", self.dir.path().display());
        }
    }
}
