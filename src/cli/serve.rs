//! `tripsync serve`

use super::{CliError, Options, runtime};
use crate::app::{self, Running, Shutdown};
use crate::config::Config;
use crate::store::DbKind;
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Default, Args)]
pub(super) struct ServeArgs {
    /// Once ready, write {"http": "address:port", "metrics": "address:port" or null, "pid": number, "node": name among
    /// several or null} to this file.
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,
}

pub(super) fn run(options: &Options, args: &ServeArgs) -> Result<(), CliError> {
    let config = options.load_with_logging()?;
    let runtime = runtime()?;
    let served = runtime.block_on(serve(config, args));
    // Threads that still run a query or a hash must not keep the process.
    runtime.shutdown_background();
    served
}

async fn serve(config: Config, args: &ServeArgs) -> Result<(), CliError> {
    let shutdown = Shutdown::default();
    // Before anything slow, so that a signal during the start is heard too.
    let signals = tokio::spawn(end_on_signals(shutdown.clone()));
    let starting = app::start(config, shutdown.clone());
    let Some(started) = shutdown.drain.run_until_cancelled(starting).await else {
        return Ok(());
    };
    let running = started?;
    tell_ready(args, &running)?;
    greet(&running);
    running.wait().await;
    signals.abort();
    Ok(())
}

/// Tells whoever started it, if asked to.
pub(super) fn tell_ready(args: &ServeArgs, running: &Running) -> Result<(), CliError> {
    let Some(path) = &args.ready_file else { return Ok(()) };
    write_ready_file(path, running).map_err(|error| CliError::Other(format!("--ready-file {} cannot be written: {error}", path.display())))
}

/// Where things are, for the person at the terminal.
#[expect(clippy::print_stdout, reason = "the newcomer's first look at the server")]
fn greet(running: &Running) {
    let config = &running.app.config;
    let base = match config.http.public_url.as_str() {
        "" => format!("http://{}", running.http),
        url => url.to_owned(),
    };
    let data = match running.app.db.kind() {
        DbKind::Sqlite => config.database_url().trim_start_matches("sqlite://").to_owned(),
        DbKind::Postgres => "PostgreSQL".to_owned(),
    };
    println!("TripSync is ready.");
    println!("  API      {base}/api/v1");
    println!("  docs     {base}/docs/");
    if let Some(metrics) = running.metrics {
        println!("  metrics  http://{metrics}/metrics");
    }
    println!("  data     {data}");
    if let Some(node) = running.app.rooms.node {
        println!("  cluster  node {node}");
    }
    println!("Ctrl-C stops it.");
}

/// Written beside and renamed, so that whoever waits for the file never reads half of it.
fn write_ready_file(path: &Path, running: &Running) -> std::io::Result<()> {
    let ready = serde_json::json!({
        "http": running.http.to_string(),
        "metrics": running.metrics.map(|address| address.to_string()),
        "pid": std::process::id(),
        "node": running.app.rooms.node,
    });
    let beside = path.with_extension("tmp");
    std::fs::write(&beside, format!("{ready}\n"))?;
    std::fs::rename(&beside, path)
}

/// The first SIGTERM or SIGINT drains, the second ends at once.
pub(super) async fn end_on_signals(shutdown: Shutdown) {
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!(%error, "signals cannot be heard");
            return;
        }
    };
    for token in [&shutdown.drain, &shutdown.force] {
        signals.next().await;
        token.cancel();
    }
}

/// Heard from the beginning to the end: a signal between two waits is not lost.
#[cfg(unix)]
struct Signals(tokio::signal::unix::Signal, tokio::signal::unix::Signal);

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self(signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?))
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
