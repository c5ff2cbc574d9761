//! Wiring: from a configuration to a running server, and back down in order.
//!
//! [`start`] opens the database, makes the state that every handler shares ([`AppState`]), binds the listeners and begins to
//! serve; [`Running::wait`] sees it to its end. Nothing here is global: tests run several servers in one process.

use crate::auth::Auth;
use crate::clock::SystemClock;
use crate::config::{Config, ConfigError, load_signing_key};
use crate::distance::{self, Distances};
use crate::http::accept::{AcceptLimits, accept};
use crate::store::accounts::UserDirectory;
use crate::store::{Db, StoreError};
use crate::telemetry::{self, chain};
use crate::ws::Live;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tripsync_actors::ports::Clock;

pub mod costs;
mod lock;
pub mod matching;
mod outbox;
mod rooms;
pub mod sharing;

pub use rooms::Rooms;

/// How long connections may take to close after the drain's time limit, before they are abandoned.
const FORCE_GRACE: Duration = Duration::from_millis(200);

/// What every handler shares.
pub type App = Arc<AppState>;

/// The parts of a running server.
pub struct AppState {
    /// As started with.
    pub config: Config,
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who is who.
    pub auth: Auth,
    /// Other users, for rooms.
    pub users: UserDirectory,
    /// The live engine.
    pub rooms: Rooms,
    /// How far it is.
    pub distances: Arc<dyn Distances>,
    /// The sockets.
    pub live: Arc<Live>,
    /// Base of links, without a trailing slash; empty for relative ones.
    pub public_url: Arc<str>,
    /// Cancelled when the server begins to shut down: readiness is 503 from then on, sockets say goodbye.
    pub draining: CancellationToken,
    /// Tasks that the shutdown waits for: connections, sockets, whatever must finish.
    pub tasks: TaskTracker,
}

/// Ends a server from outside.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Finish what is running, then end.
    pub drain: CancellationToken,
    /// End now.
    pub force: CancellationToken,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration, or what it points to.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database.
    #[error("the database cannot be used (database.url): {0}")]
    Store(#[from] StoreError),
    /// A listener or the data folder.
    #[error("{what}")]
    Io {
        /// What was tried and which key to change.
        what: String,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

/// A server that accepts requests.
#[derive(Debug)]
pub struct Running {
    /// Where the API listens.
    pub http: SocketAddr,
    /// Where the metrics are.
    pub metrics: Option<SocketAddr>,
    /// The state, for whoever started it in the same process.
    pub app: App,
    /// The accept loops; they end first.
    accepting: TaskTracker,
    /// Ends them.
    closing: CancellationToken,
    shutdown: Shutdown,
    /// Held until the end: a second process on the same SQLite file would break the rule of one owner per room.
    _lock: Option<lock::DatabaseLock>,
}

impl std::fmt::Debug for AppState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AppState")
    }
}

/// Starts everything. Returns once requests are accepted.
///
/// # Errors
/// [`StartError`], each saying what to change.
pub async fn start(config: Config, shutdown: Shutdown) -> Result<Running, StartError> {
    prepare_folder(&config.data_dir, "data_dir")?;
    let signing_key = load_signing_key(&config)?;
    let lock = lock::DatabaseLock::take(&config.database_url())?;
    let db = open_database(&config).await?;

    // After the database, so that an open port means that requests will be answered.
    let http = bind(&config.http.listen, "http.listen").await?;
    let metrics = match config.metrics.listen.as_str() {
        "" => None,
        listen => Some(bind(listen, "metrics.listen").await?),
    };

    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let auth = Auth::new(db.clone(), clock.clone(), &config.auth, &signing_key)
        .map_err(|source| io_error("the password threads did not start (auth.password_threads)", source))?;
    auth.refresh_revoked().await?;
    let distances = distance::configured(&config.matching)
        .map_err(|error| io_error("ways cannot be measured (matching.osrm_url)", io::Error::other(error)))?;
    let users = UserDirectory::new(db.clone());
    let rooms = Rooms::start(&config, &db, &clock, &users).await?;
    let tasks = TaskTracker::new();
    let live = Live::new(
        rooms.engine.clone(),
        Arc::clone(&rooms.hub),
        Arc::new(auth.clone()),
        config.live.session_limits(),
        config.http.cors_origins.clone(),
        tasks.clone(),
    );
    let app = Arc::new(AppState {
        public_url: config.http.public_url.as_str().into(),
        users,
        distances,
        rooms,
        live,
        draining: CancellationToken::new(),
        tasks,
        config,
        db,
        clock,
        auth,
    });
    Ok(serve(app, http, metrics, shutdown, lock))
}

fn serve(
    app: App,
    http: (TcpListener, SocketAddr),
    metrics: Option<(TcpListener, SocketAddr)>,
    shutdown: Shutdown,
    lock: Option<lock::DatabaseLock>,
) -> Running {
    let accepting = TaskTracker::new();
    let limits = AcceptLimits { connections_max: app.config.http.connections_max, header_timeout: app.config.http.header_timeout };
    let closing = CancellationToken::new();
    accepting.spawn(accept(http.0, crate::http::router(&app), limits, closing.clone(), app.tasks.clone()));
    let metrics_at = metrics.map(|(listener, address)| {
        let limits = AcceptLimits { connections_max: 64, ..limits };
        accepting.spawn(accept(listener, telemetry::metrics_router(), limits, closing.clone(), app.tasks.clone()));
        accepting.spawn(telemetry::upkeep(closing.clone()));
        address
    });
    accepting.spawn(Arc::clone(&app.live).follow_revoked(app.auth.clone(), closing.clone()));
    accepting.spawn(app.auth.clone().follow_revoked(closing.clone()));
    accepting.spawn(app.auth.clone().sweep(closing.clone()));
    accepting.spawn(Rooms::sweep(app.rooms.journal(), Arc::clone(&app.clock), closing.clone()));
    accepting.spawn(outbox::run(Arc::clone(&app), closing.clone()));
    accepting.close();
    Running { closing, http: http.1, metrics: metrics_at, app, accepting, shutdown, _lock: lock }
}

impl Running {
    /// Runs until told to end: readiness is 503 for `http.drain_delay`, then nothing new is accepted, then running requests and
    /// sockets get `http.drain_timeout` to finish, then the database is closed. [`Shutdown::force`] cuts every wait short.
    pub async fn wait(self) {
        self.shutdown.drain.cancelled().await;
        tracing::info!("shutting down");
        let app = self.app;
        app.draining.cancel();
        metrics::gauge!("tripsync_draining").set(1.0);
        let delay = tokio::time::sleep(app.config.http.drain_delay);
        // Either way the next step is the same.
        let _ = self.shutdown.force.run_until_cancelled(delay).await;
        self.closing.cancel();
        app.live.drain();
        let limit = app.config.http.drain_timeout;
        let end = tokio::time::Instant::now() + limit;
        tokio::select! {
            () = self.accepting.wait() => {}
            // A background task's query hangs; it is cut off with the rest.
            () = tokio::time::sleep_until(end) => tracing::warn!("background tasks do not end"),
            () = self.shutdown.force.cancelled() => {}
        }
        app.tasks.close();
        tokio::select! {
            () = app.tasks.wait() => {}
            () = tokio::time::sleep_until(end) => {
                tracing::warn!(left = app.tasks.len(), "drain time is over: the rest is cut off");
            }
            () = self.shutdown.force.cancelled() => {
                tracing::warn!(left = app.tasks.len(), "forced: the rest is cut off");
            }
        }
        // A query that hangs must not keep the process.
        let limit = if self.shutdown.force.is_cancelled() { FORCE_GRACE } else { FORCE_GRACE.max(limit / 5) };
        let closed = tokio::time::timeout(limit * 2, async {
            app.rooms.end(limit).await;
            app.db.close().await;
        });
        if closed.await.is_err() {
            tracing::warn!("the database did not close in time");
        }
        tracing::info!("stopped");
    }
}

/// Opens the database and sees to its schema.
///
/// # Errors
/// As [`Db::connect`] and [`Db::migrate`]; [`StoreError::Schema`] when migrations are missing and `database.migrate` is off.
pub async fn open_database(config: &Config) -> Result<Db, StoreError> {
    let db = Db::connect(&config.database_url(), &config.db_options()).await?;
    if config.database.migrate {
        db.migrate().await?;
    } else {
        let pending = db.schema_state().await?.pending;
        if pending > 0 {
            return Err(StoreError::Schema(format!(
                "{pending} migrations are missing: run `tripsync migrate`, or set database.migrate = true"
            )));
        }
    }
    Ok(db)
}

/// Makes the folder that a configuration key asks for, for its owner only.
///
/// # Errors
/// [`StartError::Io`].
pub fn prepare_folder(path: &Path, key: &str) -> Result<(), StartError> {
    if path.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path).map_err(|source| io_error(format!("cannot make {} ({key})", path.display()), source))
}

async fn bind(listen: &str, key: &str) -> Result<(TcpListener, SocketAddr), StartError> {
    let listener =
        TcpListener::bind(listen).await.map_err(|source| io_error(format!("cannot listen on {listen}: change {key}"), source))?;
    let address = listener.local_addr().map_err(|source| io_error(format!("cannot listen on {listen}: change {key}"), source))?;
    Ok((listener, address))
}

fn io_error(what: impl Into<String>, source: io::Error) -> StartError {
    StartError::Io { what: what.into(), source }
}

/// The text for people: what went wrong with its causes.
#[must_use]
pub fn explain(error: &StartError) -> String {
    chain(error)
}
