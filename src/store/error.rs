//! What a failed statement means.

use sqlx::error::{DatabaseError, ErrorKind};
use sqlx::postgres::PgDatabaseError;

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A row with the same unique key exists. Nothing was changed.
    #[error("a unique key exists already")]
    Unique {
        /// Name of the violated constraint or index; only PostgreSQL tells. Do not branch on it: look the row up.
        constraint: Option<String>,
    },
    /// A referenced row is missing, or a row is still referenced. Nothing was changed.
    #[error("a reference does not hold")]
    Reference,
    /// The database cannot be used now (unreachable, no free connection, shutting down, deadlock, disk busy). Whether a
    /// commit under way happened is *unknown*. Trying again later is right, under the same command identity.
    #[error("the database is unavailable: {why}")]
    Unavailable {
        /// In a few words, for the log.
        why: &'static str,
        /// The driver's error, where there was one.
        #[source]
        source: Option<Box<sqlx::Error>>,
    },
    /// The database URL cannot be understood; the text says what one looks like.
    #[error("{0}")]
    Url(&'static str),
    /// The schema is not what this binary needs; the text says what to do.
    #[error("{0}")]
    Schema(String),
    /// Any other failure: a bug, a broken row, missing rights, a full disk.
    #[error("the database refused")]
    Database(#[source] Box<sqlx::Error>),
}

impl StoreError {
    /// True when the same call may succeed later with nothing changed.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// True when a unique key was in the way.
    #[must_use]
    pub const fn is_unique(&self) -> bool {
        matches!(self, Self::Unique { .. })
    }

    /// A row that does not make sense to this binary.
    pub fn decode(what: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Database(Box::new(sqlx::Error::Decode(Box::new(what))))
    }
}

impl From<sqlx::Error> for StoreError {
    #[expect(clippy::wildcard_enum_match_arm, reason = "foreign and non-exhaustive: the rest are bugs, not outages")]
    fn from(error: sqlx::Error) -> Self {
        let unavailable = match &error {
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) => Some("connection failed"),
            sqlx::Error::PoolTimedOut => Some("no free connection"),
            sqlx::Error::PoolClosed => Some("shutting down"),
            sqlx::Error::WorkerCrashed => Some("connection worker gone"),
            sqlx::Error::Protocol(_) => Some("connection broken"),
            sqlx::Error::Database(db) => {
                return match db.try_downcast_ref::<PgDatabaseError>() {
                    Some(pg) => postgres(pg),
                    None => sqlite(db.as_ref()),
                }
                .finish(error);
            }
            _ => None,
        };
        match unavailable {
            Some(why) => Meaning::Unavailable(why),
            None => Meaning::Other,
        }
        .finish(error)
    }
}

/// The judgement on a driver error, before the error itself is moved into the result.
enum Meaning {
    Unique(Option<String>),
    Reference,
    Unavailable(&'static str),
    Other,
}

impl Meaning {
    fn finish(self, error: sqlx::Error) -> StoreError {
        match self {
            Self::Unique(constraint) => StoreError::Unique { constraint },
            Self::Reference => StoreError::Reference,
            Self::Unavailable(why) => StoreError::Unavailable { why, source: Some(Box::new(error)) },
            Self::Other => StoreError::Database(Box::new(error)),
        }
    }
}

/// PostgreSQL: by SQLSTATE (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn postgres(error: &PgDatabaseError) -> Meaning {
    let code = error.code();
    match code {
        "23505" => Meaning::Unique(error.constraint().map(str::to_owned)),
        "23503" => Meaning::Reference,
        "40001" | "40P01" => Meaning::Unavailable("transaction conflict"),
        "55P03" => Meaning::Unavailable("lock not available"),
        "57014" => Meaning::Unavailable("statement cancelled"),
        "57P01" | "57P02" | "57P03" => Meaning::Unavailable("server restarting"),
        "53300" => Meaning::Unavailable("too many connections"),
        "25006" => Meaning::Unavailable("server is read-only"),
        other if other.starts_with("08") => Meaning::Unavailable("connection failed"),
        _ => Meaning::Other,
    }
}

/// SQLite: by primary result code (<https://www.sqlite.org/rescode.html>), the low byte of the extended one.
fn sqlite(error: &dyn DatabaseError) -> Meaning {
    if matches!(error.kind(), ErrorKind::UniqueViolation) {
        return Meaning::Unique(None);
    }
    if matches!(error.kind(), ErrorKind::ForeignKeyViolation) {
        return Meaning::Reference;
    }
    let primary = error.code().and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff);
    match primary {
        Some(5) => Meaning::Unavailable("database busy"),
        Some(6) => Meaning::Unavailable("table locked"),
        Some(9) => Meaning::Unavailable("interrupted"),
        _ => Meaning::Other,
    }
}
