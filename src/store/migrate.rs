//! Bringing the schema up to date. The files are compiled into the binary; both folders hold the same names.

use super::{Db, StoreError};
use sqlx::migrate::{Migrate, MigrateError, Migrator};

static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");
static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");

/// How the database's schema relates to this binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaState {
    /// Migrations that this binary has and the database has not.
    pub pending: usize,
    /// The newest migration that is in the database; 0 when there is none.
    pub version: i64,
}

impl Db {
    /// Applies what is missing, in order. Safe to call from several processes at once: PostgreSQL holds an advisory lock,
    /// SQLite has one writer.
    ///
    /// # Errors
    /// [`StoreError::Schema`] when the database was migrated by a newer binary, or a migration was changed afterwards, or
    /// fails; [`StoreError::Unavailable`] when the database goes away meanwhile.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        match self {
            Self::Postgres(db) => POSTGRES.run(db.pool()).await,
            Self::Sqlite(db) => {
                let _turn = db.turn().await?;
                SQLITE.run(db.writer()).await
            }
        }
        .map_err(meaning)
    }

    /// Compares the schema with this binary without changing anything.
    ///
    /// # Errors
    /// As for any query.
    pub async fn schema_state(&self) -> Result<SchemaState, StoreError> {
        let (migrator, applied) = match self {
            Self::Postgres(db) => {
                let mut connection = db.pool().acquire().await?;
                connection.ensure_migrations_table(&POSTGRES.table_name).await.map_err(meaning)?;
                (&POSTGRES, connection.list_applied_migrations(&POSTGRES.table_name).await.map_err(meaning)?)
            }
            Self::Sqlite(db) => {
                let _turn = db.turn().await?;
                let mut connection = db.writer().acquire().await?;
                connection.ensure_migrations_table(&SQLITE.table_name).await.map_err(meaning)?;
                (&SQLITE, connection.list_applied_migrations(&SQLITE.table_name).await.map_err(meaning)?)
            }
        };
        let known = |version: i64| applied.iter().any(|done| done.version == version);
        Ok(SchemaState {
            pending: migrator.iter().filter(|m| !known(m.version)).count(),
            version: applied.iter().map(|m| m.version).max().unwrap_or(0),
        })
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "foreign and non-exhaustive: the rest is only reported")]
fn meaning(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) => error.into(),
        MigrateError::VersionMissing(version) => StoreError::Schema(format!(
            "the database has migration {version}, which this binary does not know: run a newer tripsync, or restore a backup"
        )),
        MigrateError::VersionMismatch(version) => StoreError::Schema(format!(
            "migration {version} in the database differs from the one in this binary: it was changed after it was applied"
        )),
        MigrateError::Dirty(version) => {
            StoreError::Schema(format!("migration {version} was interrupted half-way: restore a backup, then start again"))
        }
        other => StoreError::Schema(format!("migration failed: {other}")),
    }
}
