//! The real server process.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use xtask::guardian::Guardian;
use xtask::ports::free_port;
use xtask::process::{Signal, is_stopped, send};

use super::{Namespace, TestDatabase, eventually, http_client};

mod ready;
mod tests;

use ready::Addresses;

/// Far more than a start takes, replay of a long journal in an unoptimised build included.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How much of the log is shown when a test fails.
const LOG_LINES_SHOWN: usize = 200;
const PORT_ATTEMPTS: usize = 3;

/// What to start; see [`Server::on`].
#[derive(Debug)]
pub(crate) struct Launch {
    program: PathBuf,
    subcommand: &'static str,
    settings: Vec<(String, String)>,
    /// Where it runs, and the line of it by which it is reached.
    within: Option<(Arc<Namespace>, u32)>,
}

impl Launch {
    /// Runs it in a network namespace, where it listens at the end of this line.
    pub(crate) fn within(mut self, namespace: Arc<Namespace>, line: u32) -> Self {
        self.within = Some((namespace, line));
        self
    }

    /// Sets a configuration key by its path, as in `set("http.listen", "127.0.0.1:0")` (environment `TRIPSYNC__HTTP__LISTEN`).
    pub(crate) fn set(mut self, key: &str, value: impl ToString) -> Self {
        self.settings.push((variable(key), value.to_string()));
        self
    }

    /// Starts it and waits until `/readyz` says yes.
    ///
    /// # Panics
    /// It ends instead, or is not ready in time; the text has its log.
    pub(crate) async fn start(self) -> Server {
        self.try_start().await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Like [`Launch::start`], for tests of servers that are to refuse: why it did not get ready, with its log.
    pub(crate) async fn try_start(self) -> Result<Server, String> {
        let dir = tempfile::Builder::new().prefix("tripsync-server-").tempdir().unwrap();
        let guardian = Guardian::start(Signal::Kill, Some(dir.path())).unwrap();
        let mut server = Server { launch: self, ports: (0, 0), addresses: None, child: None, guardian, dir };
        let mut attempt = 1;
        loop {
            // Chosen once: clients find a restarted server at its old address.
            server.ports = (free_port().unwrap(), free_port().unwrap());
            match server.launch_process().await {
                Ok(()) => return Ok(server),
                // Another program took the port between our look and the server's bind.
                Err(_) if attempt < PORT_ATTEMPTS && server.log().contains("ddress already in use") => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

/// A running (or killed) server with its own data directory, address and log.
///
/// Killed and removed on drop; when the test fails, the end of its log is printed.
#[derive(Debug)]
pub(crate) struct Server {
    launch: Launch,
    ports: (u16, u16),
    addresses: Option<Addresses>,
    child: Option<Child>,
    // Dropped in this order: the guardian is told that we clean up ourselves before the directory goes.
    guardian: Guardian,
    dir: TempDir,
}

impl Server {
    /// A server of this build on a database; settings can be added before [`Launch::start`].
    pub(crate) fn on(database: &TestDatabase) -> Launch {
        Self::of(Path::new(env!("CARGO_BIN_EXE_tripsync")), database)
    }

    /// `tripsync demo` of this build; it brings its own database, in `demo` of its data directory.
    pub(crate) fn demo() -> Launch {
        Launch { program: env!("CARGO_BIN_EXE_tripsync").into(), subcommand: "demo", settings: Vec::new(), within: None }
    }

    /// The same of another build.
    pub(crate) fn of(program: &Path, database: &TestDatabase) -> Launch {
        let launch = Launch { program: program.to_owned(), subcommand: "serve", settings: Vec::new(), within: None };
        launch.set("database.url", database.url())
    }

    /// Where it listens; the same after a restart.
    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses.as_ref().expect("the server has been ready").http
    }

    /// `http://…` with this path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// `ws://…` of the live protocol.
    pub(crate) fn live_url(&self) -> String {
        format!("ws://{}/api/v1/live", self.address())
    }

    /// `http://…/metrics`
    pub(crate) fn metrics_url(&self) -> String {
        let metrics = self.addresses.as_ref().and_then(|addresses| addresses.metrics).expect("the server told where its metrics are");
        format!("http://{metrics}/metrics")
    }

    /// What its metrics say now of one, named with its labels (`tripsync_lease_held`); `None` for one that was never set.
    pub(crate) async fn metric<T: FromStr>(&self, name: &str) -> Option<T> {
        let page = http_client().get(self.metrics_url()).send().await.unwrap().text().await.unwrap();
        page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    /// What it is called among several nodes; another name after a restart.
    pub(crate) fn node(&self) -> uuid::Uuid {
        self.addresses.as_ref().and_then(|addresses| addresses.node).expect("the server told its name")
    }

    /// The process, while it runs.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("the server is running").id()
    }

    /// `data_dir` of its configuration.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// All that it has printed, over all its starts.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    /// `kill -9`; back when the process is gone.
    pub(crate) async fn kill(&mut self) {
        self.signal(Signal::Kill);
        self.ended(Duration::from_secs(30)).await;
    }

    /// SIGTERM; back when it has drained and ended.
    ///
    /// # Panics
    /// It still runs after `limit`.
    pub(crate) async fn terminate(&mut self, limit: Duration) -> ExitStatus {
        self.signal(Signal::Term);
        self.ended(limit).await
    }

    /// SIGSTOP: its sockets stay open and nothing answers. Back when it has taken effect.
    pub(crate) async fn freeze(&self) {
        self.signal(Signal::Stop);
        eventually("the server process is stopped", Duration::from_secs(10), || async { is_stopped(self.pid()) }).await;
    }

    /// It goes on after [`Self::freeze`].
    pub(crate) fn thaw(&self) {
        self.signal(Signal::Cont);
    }

    /// Any signal, for what the named methods do not cover (a second SIGTERM while it drains).
    pub(crate) fn signal(&self, signal: Signal) {
        send(signal, &[self.pid()]).unwrap();
    }

    /// Waits for it to end by itself or after a signal.
    ///
    /// # Panics
    /// It still runs after `limit`.
    pub(crate) async fn ended(&mut self, limit: Duration) -> ExitStatus {
        let child = self.child.as_mut().expect("the server is running");
        let status = eventually("the server process ends", limit, || {
            let status = child.try_wait().unwrap();
            async move { status }
        });
        let status = status.await;
        self.child = None;
        self.guardian.forget().unwrap();
        status
    }

    /// Starts it again with the same data, address and settings; waits until it is ready.
    ///
    /// # Panics
    /// It runs already, or does not get ready; the text has its log.
    pub(crate) async fn restart(&mut self) {
        assert!(self.child.is_none(), "the server is running already");
        if let Err(error) = self.launch_process().await {
            panic!("{error}");
        }
    }

    /// Changes a setting for the next [`Self::restart`].
    pub(crate) fn set(&mut self, key: &str, value: impl ToString) {
        self.launch.settings.push((variable(key), value.to_string()));
    }

    async fn launch_process(&mut self) -> Result<(), String> {
        let ready_file = self.dir.path().join("ready.json");
        let _ = std::fs::remove_file(&ready_file);
        let log = File::options().create(true).append(true).open(self.log_file()).unwrap();
        let mut command = self.command(self.launch.subcommand);
        // A process group of its own, so that Ctrl-C reaches the test only, and the guardian ends the server.
        command.arg("--ready-file").arg(&ready_file).stdout(log.try_clone().unwrap()).stderr(log).process_group(0);
        let child = command.spawn().map_err(|error| format!("cannot start {}: {error}", self.launch.program.display()))?;
        self.guardian.watch(child.id()).unwrap();
        let child = self.child.insert(child);
        match ready::wait(child, &ready_file, &http_client(), START_LIMIT).await {
            Ok(addresses) => {
                self.addresses = Some(addresses);
                Ok(())
            }
            Err(reason) => {
                self.end_now();
                Err(format!("{reason}; the end of its log:\n{}", self.log_end()))
            }
        }
    }

    /// A subcommand of its program, with its settings.
    pub(crate) fn command(&self, subcommand: &str) -> Command {
        let Launch { program, within, .. } = &self.launch;
        let (mut command, address) = match within {
            Some((namespace, line)) => (namespace.command(program), namespace.inside(*line)),
            None => (Command::new(program), IpAddr::from(Ipv4Addr::LOCALHOST)),
        };
        // Only what is set here, whatever the caller's environment or the working directory holds.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TRIPSYNC")) {
            command.env_remove(name);
        }
        command
            .arg(subcommand)
            .env(variable("http.listen"), SocketAddr::new(address, self.ports.0).to_string())
            .env(variable("metrics.listen"), SocketAddr::new(address, self.ports.1).to_string())
            .env(variable("data_dir"), self.data_dir())
            .envs(self.launch.settings.iter().map(|(name, value)| (name, value)))
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    /// Kills and collects it if it runs.
    fn end_now(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Fails only for one that has ended already.
            let _ = child.kill();
            let _ = child.wait();
            let _ = self.guardian.forget();
        }
    }

    fn log_file(&self) -> PathBuf {
        self.dir.path().join("server.log")
    }

    fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end_now();
        if std::thread::panicking() {
            eprintln!("--- the end of the server's log ---\n{}\n---", self.log_end());
        }
    }
}

/// `http.listen` → `TRIPSYNC__HTTP__LISTEN`
fn variable(key: &str) -> String {
    format!("TRIPSYNC__{}", key.to_uppercase().replace('.', "__"))
}
