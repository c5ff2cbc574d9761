//! The server under test: built, started on fresh data, watched through `/proc`, and stopped.

mod limits;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// Longest wait for the server to be ready.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Kernel clock ticks per second in `/proc`; 100 on every Linux.
const TICKS_PER_S: f64 = 100.0;

/// Where the server keeps its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Database {
    Sqlite,
    Postgres,
}

impl std::fmt::Display for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        })
    }
}

impl FromStr for Database {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "sqlite" => Ok(Self::Sqlite),
            "postgres" => Ok(Self::Postgres),
            _ => Err("sqlite or postgres".into()),
        }
    }
}

/// The program to measure: as given, or a fresh release build.
pub(crate) fn program(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    if let Some(program) = given {
        return Ok(program);
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--package", "tripsync", "--bin", "tripsync"])
        .status()
        .context("cannot run cargo")?;
    ensure!(built.success(), "the release build failed");
    let own = std::env::current_exe()?;
    let program = own.parent().context("no folder")?.join("tripsync");
    ensure!(program.exists(), "{} does not exist: run with --release, or name the program with --program", program.display());
    Ok(program)
}

/// A running server.
pub(crate) struct Server {
    program: PathBuf,
    settings: Vec<(String, String)>,
    child: Mutex<Child>,
    pub(crate) address: String,
    pub(crate) data: TempDir,
    http: reqwest::Client,
}

/// An account that is logged in.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) token: String,
}

impl Server {
    /// Starts it on an empty database, with the limits per client out of the way.
    pub(crate) async fn start(program: &Path, database: Database, more: &[(&'static str, &str)]) -> anyhow::Result<Self> {
        let more = more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Self::start_with(program, database, false, more).await
    }

    /// The same; `in_memory` keeps its data where `fdatasync` costs nothing.
    pub(crate) async fn start_with(
        program: &Path,
        database: Database,
        in_memory: bool,
        more: Vec<(String, String)>,
    ) -> anyhow::Result<Self> {
        let data = if in_memory { TempDir::new_in("/dev/shm")? } else { TempDir::new()? };
        let mut settings = vec![
            ("TRIPSYNC__DATA_DIR".to_owned(), data.path().join("data").display().to_string()),
            ("TRIPSYNC__HTTP__LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
            ("TRIPSYNC__METRICS__LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
            ("TRIPSYNC__LIVE__IDLE_AFTER".to_owned(), "1h".to_owned()),
            ("TRIPSYNC__LOG__FILTER".to_owned(), "warn".to_owned()),
        ];
        settings.extend(limits::LIFTED.map(|(key, value)| (key.to_owned(), value.to_owned())));
        settings.extend(more);
        if database == Database::Postgres {
            let url = std::env::var("TRIPSYNC_TEST_POSTGRES_URL")
                .context("TRIPSYNC_TEST_POSTGRES_URL is not set: run through `cargo xtask postgres -- …`")?;
            settings.push(("TRIPSYNC__DATABASE__URL".to_owned(), url));
        }
        let (child, address) = launch(program, &settings, data.path()).await?;
        let http = crate::rest::client()?;
        Ok(Self { program: program.into(), settings, child: Mutex::new(child), address, data, http })
    }

    /// Stops it as an operator would, and starts it again on the same data.
    pub(crate) async fn restart(&mut self) -> anyhow::Result<()> {
        let pid = self.pid().to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
        self.running().wait()?;
        let (child, address) = launch(&self.program, &self.settings, self.data.path()).await?;
        (self.child, self.address) = (Mutex::new(child), address);
        Ok(())
    }

    /// Registers an account and logs it in.
    pub(crate) async fn account(&self, name: &str) -> anyhow::Result<Account> {
        let password = "correct horse battery staple 9";
        let email = format!("{name}@example.org");
        self.post("/auth/register", None, &json!({"email": email, "username": name, "password": password})).await?;
        let login = self.post("/auth/login", None, &json!({"username": email, "password": password})).await?;
        let token = login["access_token"].as_str().context("no access token")?.to_owned();
        Ok(Account { token })
    }

    /// Makes a trip.
    pub(crate) async fn trip(&self, account: &Account) -> anyhow::Result<String> {
        let trip = self.post("/trips", Some(account), &json!({"title": "Measured trip"})).await?;
        Ok(trip["id"].as_str().context("the trip has no id")?.to_owned())
    }

    /// Creates something.
    pub(crate) async fn post(&self, path: &str, account: Option<&Account>, body: &Value) -> anyhow::Result<Value> {
        let request = self.http.post(format!("http://{}/api/v1{path}", self.address)).json(body);
        answer(path, request, account).await
    }

    /// Reads something.
    pub(crate) async fn get(&self, path: &str, account: &Account) -> anyhow::Result<Value> {
        answer(path, self.http.get(format!("http://{}/api/v1{path}", self.address)), Some(account)).await
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.running().id()
    }

    /// How it ended, when it did so by itself.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        self.running().try_wait().ok().flatten()
    }

    fn running(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// CPU seconds used so far, in user and system mode.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
        let fields: Vec<&str> = stat.rsplit_once(')').context("no stat")?.1.split_whitespace().collect();
        let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
        Ok(ticks / TICKS_PER_S)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It is on throwaway data; nothing is owed to it.
        let _ = self.running().kill();
        let _ = self.running().wait();
    }
}

async fn answer(path: &str, mut request: reqwest::RequestBuilder, account: Option<&Account>) -> anyhow::Result<Value> {
    if let Some(account) = account {
        request = request.bearer_auth(&account.token);
    }
    let answer = request.send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    ensure!(status.is_success(), "{path}: {status}: {text}");
    Ok(serde_json::from_str(&text)?)
}

async fn launch(program: &Path, settings: &[(String, String)], folder: &Path) -> anyhow::Result<(Child, String)> {
    let ready = folder.join("ready.json");
    let _ = std::fs::remove_file(&ready);
    let mut child = Command::new(program)
        .args(["serve", "--ready-file"])
        .arg(&ready)
        .envs(settings.iter().map(|(key, value)| (key, value)))
        .stdout(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let deadline = Instant::now() + START_LIMIT;
    loop {
        if let Ok(text) = std::fs::read(&ready)
            && let Ok(addresses) = serde_json::from_slice::<Value>(&text)
            && let Some(http) = addresses["http"].as_str()
        {
            return Ok((child, http.to_owned()));
        }
        if let Some(status) = child.try_wait()? {
            bail!("the server ended: {status}");
        }
        ensure!(Instant::now() < deadline, "the server was not ready within {START_LIMIT:?}");
        sleep(Duration::from_millis(20)).await;
    }
}
