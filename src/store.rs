//! The database: one handle over PostgreSQL and SQLite.
//!
//! Owns connections, migrations and the translation of SQL errors into meaning ([`StoreError`]). Promises that a commit
//! reported as done is on disk: SQLite runs in WAL mode with `synchronous = FULL` (asserted on every connection),
//! PostgreSQL never with `synchronous_commit = off`. Knows nothing of rooms, accounts or HTTP: the modules beside it
//! (`store/<topic>.rs`) hold the SQL of one topic each, written once for both databases with [`db_read!`](crate::db_read),
//! [`db_write!`](crate::db_write) and [`db_tx!`](crate::db_tx).
//!
//! Conventions for tables: ids are `UUID` / `BLOB` (16 bytes), instants are `BIGINT` / `INTEGER` unix milliseconds,
//! numbers are bound and read as `i64` (PostgreSQL refuses `i32` for `BIGINT`), parameters are `$1..$n`.

pub mod accounts;
mod aside;
mod error;
pub mod idempotency;
pub mod journal;
mod migrate;
pub mod pickups;
mod postgres;
pub mod rooms;
pub mod search;
mod sqlite;
pub mod tasks;
pub mod tickets;
pub mod watches;

pub use aside::Aside;
pub use error::StoreError;
pub use migrate::SchemaState;
pub use postgres::PostgresDb;
pub use sqlite::SqliteDb;
pub(crate) use sqlite::path_of as sqlite_path;

use std::fmt;
use std::time::Duration;

/// A database handle; cheap to clone.
#[derive(Clone)]
pub enum Db {
    /// PostgreSQL: a pool of connections, and two beside it.
    Postgres(PostgresDb),
    /// A SQLite file with one writing connection and several reading ones.
    Sqlite(SqliteDb),
}

/// How to open the database.
#[derive(Debug, Clone)]
pub struct DbOptions {
    /// Connections at most (PostgreSQL: all; SQLite: the reading ones, beside the single writing one).
    pub connections_max: u32,
    /// How long a caller waits for a free connection before it gets [`StoreError::Unavailable`].
    pub acquire_timeout: Duration,
    /// How long [`Db::connect`] keeps trying while the database cannot be reached.
    pub wait: Duration,
}

impl Default for DbOptions {
    fn default() -> Self {
        Self { connections_max: 10, acquire_timeout: Duration::from_secs(5), wait: Duration::from_secs(30) }
    }
}

/// Which database a handle talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DbKind {
    /// PostgreSQL 13 or newer.
    Postgres,
    /// The SQLite library compiled into this binary.
    Sqlite,
}

impl DbKind {
    /// Reads the kind from a URL's scheme.
    ///
    /// # Errors
    /// [`StoreError::Url`] when the scheme is neither `postgres://`, `postgresql://` nor `sqlite:`.
    pub fn of_url(url: &str) -> Result<Self, StoreError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Ok(Self::Postgres)
        } else if url.starts_with("sqlite:") {
            Ok(Self::Sqlite)
        } else {
            Err(StoreError::Url("a database URL starts with postgres:// or sqlite://"))
        }
    }
}

impl fmt::Display for DbKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => "postgres",
            Self::Sqlite => "sqlite",
        })
    }
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Db({})", self.kind())
    }
}

impl Db {
    /// Opens the database behind `url`, waiting up to [`DbOptions::wait`] while it cannot be reached.
    ///
    /// `postgres://user:secret@host/name`, or `sqlite://path` (`sqlite:///absolute/path`); a missing SQLite file and its
    /// parent folders are created. Does not migrate: see [`Db::migrate`].
    ///
    /// # Errors
    /// [`StoreError::Url`] for a URL that cannot be understood, [`StoreError::Unavailable`] when the wait is over,
    /// [`StoreError::Database`] at once when the server answers but refuses (password, unknown database, settings that
    /// would lose acknowledged writes).
    pub async fn connect(url: &str, options: &DbOptions) -> Result<Self, StoreError> {
        let db = match DbKind::of_url(url)? {
            DbKind::Postgres => Self::Postgres(postgres::connect(url, options).await?),
            DbKind::Sqlite => Self::Sqlite(sqlite::connect(url, options).await?),
        };
        tracing::info!(database = %db.kind(), "database opened");
        Ok(db)
    }

    /// Which database this is.
    #[must_use]
    pub const fn kind(&self) -> DbKind {
        match self {
            Self::Postgres(_) => DbKind::Postgres,
            Self::Sqlite(_) => DbKind::Sqlite,
        }
    }

    /// Asks the database for a sign of life, giving up after `limit`. PostgreSQL is asked beside the pool, which may be busy though the
    /// database is well; SQLite also proves that its writer is free.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when there is no answer in time.
    pub async fn ping(&self, limit: Duration) -> Result<(), StoreError> {
        let asked = async {
            match self {
                Self::Postgres(db) => drop(db.alive().ask(|| sqlx::query_as::<_, (i32,)>("SELECT 1")).await?),
                Self::Sqlite(db) => {
                    let _turn = db.turn().await?;
                    sqlx::query("SELECT 1").execute(db.writer()).await?;
                }
            }
            Ok(())
        };
        tokio::time::timeout(limit, asked).await.unwrap_or(Err(StoreError::Unavailable { why: "no answer in time", source: None }))
    }

    /// Waits for running queries, then closes every connection. SQLite folds its write-ahead log into the file.
    pub async fn close(&self) {
        match self {
            Self::Postgres(db) => db.close().await,
            Self::Sqlite(db) => db.close().await,
        }
    }
}

/// Runs an expression on a connection pool for reading, whichever database it is.
///
/// The body is compiled once per database, so it must be generic SQL text with `$1..$n`:
/// `db_read!(db, |pool| sqlx::query_as::<_, Row>("SELECT …").bind(id).fetch_optional(pool).await)`.
#[macro_export]
macro_rules! db_read {
    ($db:expr, |$pool:ident| $body:expr) => {
        match $db {
            $crate::store::Db::Postgres(db) => {
                let $pool = db.pool();
                $body
            }
            $crate::store::Db::Sqlite(db) => {
                let $pool = db.reader();
                $body
            }
        }
    };
}

/// Like [`db_read!`](crate::db_read) for a single writing statement, which is its own transaction.
///
/// The result of `execute` differs in type between the databases: take `.map(|done| done.rows_affected())`.
#[macro_export]
macro_rules! db_write {
    ($db:expr, |$pool:ident| $body:expr) => {
        match $db {
            $crate::store::Db::Postgres(db) => {
                let $pool = db.pool();
                $body
            }
            $crate::store::Db::Sqlite(db) => match db.turn().await {
                Ok(_turn) => {
                    let $pool = db.writer();
                    $body
                }
                Err(error) => Err(error),
            },
        }
    };
}

/// Runs a block in one write transaction (`BEGIN` on PostgreSQL, `BEGIN IMMEDIATE` on SQLite) and commits it.
///
/// `$tx` is a `&mut` connection. Leaving the block early (`?`, `return`) rolls back. The enclosing function returns a
/// `Result` whose error is `From<StoreError>` and `From<sqlx::Error>`.
#[macro_export]
macro_rules! db_tx {
    ($db:expr, |$tx:ident| $body:expr) => {
        match $db {
            $crate::store::Db::Postgres(db) => {
                let mut transaction = db.pool().begin().await?;
                let out = {
                    let $tx = &mut *transaction;
                    $body
                };
                transaction.commit().await?;
                out
            }
            $crate::store::Db::Sqlite(db) => {
                let _turn = db.turn().await?;
                let mut transaction = db.writer().begin_with("BEGIN IMMEDIATE").await?;
                let out = {
                    let $tx = &mut *transaction;
                    $body
                };
                transaction.commit().await?;
                out
            }
        }
    };
}

#[cfg(test)]
mod tests;
