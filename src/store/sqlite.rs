//! Opening SQLite.

use super::{DbOptions, StoreError};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a statement waits for another process (a backup, the `sqlite3` shell) to release its lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Pages in the write-ahead log before they are copied into the database file: 64 MiB. A page that changes often is copied once per
/// checkpoint, and appends wait for it some 20 ms, so fewer are better (SQLite's default is 1,000 pages). The same for every connection
/// that writes: whoever commits when the log is longer than its own limit copies all of it.
pub(super) const CHECKPOINT_PAGES: u32 = 16_384;

/// A SQLite file: one connection that writes, several that read.
///
/// SQLite allows one writer at a time. Whoever writes takes a [turn](Self::turn), so callers queue fairly and without
/// `SQLITE_BUSY`; readers see the last commit and never wait for the writer (WAL).
#[derive(Debug, Clone)]
pub struct SqliteDb {
    path: Arc<Path>,
    turns: Arc<Semaphore>,
    acquire_timeout: Duration,
    writer: SqlitePool,
    reader: SqlitePool,
}

impl SqliteDb {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the turn to write, and has it until the result is dropped. The journal writes through a connection of its own, so
    /// the place in a pool is no turn.
    ///
    /// # Errors
    /// [`sqlx::Error::PoolTimedOut`] when the turn does not come within the time for a free connection.
    pub async fn turn(&self) -> Result<OwnedSemaphorePermit, sqlx::Error> {
        match tokio::time::timeout(self.acquire_timeout, Arc::clone(&self.turns).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) => Err(sqlx::Error::PoolClosed),
            Err(_) => Err(sqlx::Error::PoolTimedOut),
        }
    }

    /// The pool with the writing connection, for whoever has the [turn](Self::turn). Transactions on it begin with `BEGIN IMMEDIATE`.
    #[must_use]
    pub const fn writer(&self) -> &SqlitePool {
        &self.writer
    }

    /// The pool of reading connections; a write through it is refused.
    #[must_use]
    pub const fn reader(&self) -> &SqlitePool {
        &self.reader
    }

    pub(super) async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

/// The file named by `sqlite://path`, `sqlite:path` or `sqlite:///absolute/path`.
pub(crate) fn path_of(url: &str) -> Result<PathBuf, StoreError> {
    let rest = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")).unwrap_or("");
    if rest.is_empty() || rest.contains('?') || rest.starts_with(':') {
        return Err(StoreError::Url("a SQLite URL looks like sqlite://folder/file.db or sqlite:///absolute/file.db, without parameters"));
    }
    Ok(PathBuf::from(rest))
}

pub(super) async fn connect(url: &str, options: &DbOptions) -> Result<SqliteDb, StoreError> {
    let path = path_of(url)?;
    create_parents(&path)?;
    let connect = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT);

    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(options.acquire_timeout)
        .idle_timeout(None)
        // There is no connection to lose, and the question would cost every transaction (below: every read) a hop to the connection's thread.
        .test_before_acquire(false)
        .max_lifetime(None)
        .after_connect(|connection, _| Box::pin(assert_settings(connection)))
        .connect_with(connect.clone().pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string()))
        .await?;
    let reader = SqlitePoolOptions::new()
        .max_connections(options.connections_max)
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false)
        .after_connect(|connection, _| Box::pin(assert_settings(connection)))
        .connect_with(connect.pragma("query_only", "ON"))
        .await?;
    Ok(SqliteDb { path: path.into(), turns: Arc::new(Semaphore::new(1)), acquire_timeout: options.acquire_timeout, writer, reader })
}

fn create_parents(path: &Path) -> Result<(), StoreError> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => {
            std::fs::create_dir_all(parent).map_err(|error| StoreError::Database(Box::new(sqlx::Error::Io(error))))
        }
        _ => Ok(()),
    }
}

/// Refuses a connection that would acknowledge writes before they are on disk: sqlx sets neither mode by itself, and a
/// file on a file system without shared memory silently stays out of WAL.
async fn assert_settings(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *connection).await?;
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *connection).await?;
    let foreign_keys: i64 = sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(&mut *connection).await?;
    if mode == "wal" && synchronous == 2 && foreign_keys == 1 {
        Ok(())
    } else {
        Err(sqlx::Error::Configuration(
            format!(
                "SQLite must run with journal_mode=wal, synchronous=2 and foreign_keys=1, \
                 but has {mode}, {synchronous} and {foreign_keys}; is the file on a network file system?"
            )
            .into(),
        ))
    }
}
