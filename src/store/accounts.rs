//! Users and their login sessions.

mod directory;
mod gather;
mod users;

pub use directory::UserDirectory;
pub use gather::Gathered;
pub use users::{NewUser, ProfileRow, create_user, credentials, profile, update_profile};

use super::{Db, StoreError};
use crate::auth::{LoginId, SessionRevoked};
use crate::{db_tx, db_write};
use std::time::Duration;
use tripsync_domain::{Timestamp, UserId};
use uuid::Uuid;

/// Ended and expired sessions are kept this long, for the record of why.
const KEEP: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A session about to begin.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Its id.
    pub login: LoginId,
    /// SHA-256 of its first refresh token.
    pub refresh_hash: [u8; 32],
    /// The client's description of itself.
    pub client_label: Option<String>,
    /// When it ends without a refresh.
    pub expires_at: Timestamp,
}

/// An attempt to use a refresh token.
#[derive(Debug, Clone)]
pub struct Refresh {
    /// The session that the token names.
    pub login: LoginId,
    /// The generation that the token names.
    pub generation: i64,
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// SHA-256 of its successor.
    pub next_hash: [u8; 32],
    /// The present.
    pub now: Timestamp,
    /// How long the token before the newest still gives the same successor.
    pub grace: Duration,
    /// When the session ends without a further refresh.
    pub expires_at: Timestamp,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// It was the newest; its successor is now.
    Rotated(UserId),
    /// It was the newest a moment ago; its successor, which is the newest, has not been used.
    Again(UserId),
    /// It was used before: the session has been ended in this transaction.
    Reused(UserId),
    /// The session was ended earlier.
    Revoked,
    /// The session has run out.
    Expired,
    /// There is no such session, or no such token in it.
    Unknown,
}

/// Whether any account can have this e-mail address or user name. What cannot is not asked for: PostgreSQL fails on a NUL.
fn can_be_handle(handle: &str) -> bool {
    !handle.chars().any(char::is_control)
}

/// Begins a session.
///
/// # Errors
/// [`StoreError::Reference`] when there is no such user.
pub async fn create_session(db: &Db, user: UserId, session: &NewSession, now: Timestamp) -> Result<(), StoreError> {
    db_tx!(db, |tx| {
        users::insert_session!(tx, user, session, now);
    });
    Ok(())
}

/// Uses a refresh token, in one transaction.
///
/// # Errors
/// As for any statement.
pub async fn rotate(db: &Db, attempt: &Refresh) -> Result<Rotation, StoreError> {
    let rotation = db_tx!(db, |tx| {
        // First the usual case. It also takes the row's lock, so that of two attempts at once the second sees the first.
        let rotated: Option<Uuid> = sqlx::query_scalar(
            "UPDATE sessions SET generation = generation + 1, refresh_hash = $1, rotated_at = $2, expires_at = $3 \
             WHERE id = $4 AND generation = $5 AND refresh_hash = $6 AND revoked_at IS NULL AND expires_at > $2 \
             RETURNING user_id",
        )
        .bind(&attempt.next_hash[..])
        .bind(attempt.now.as_ms())
        .bind(attempt.expires_at.as_ms())
        .bind(attempt.login.0)
        .bind(attempt.generation)
        .bind(&attempt.hash[..])
        .fetch_optional(&mut *tx)
        .await?;
        match rotated {
            Some(user) => Rotation::Rotated(UserId(user)),
            None => {
                let row: Option<(Uuid, i64, i64, i64, Option<i64>)> =
                    sqlx::query_as("SELECT user_id, generation, rotated_at, expires_at, revoked_at FROM sessions WHERE id = $1")
                        .bind(attempt.login.0)
                        .fetch_optional(&mut *tx)
                        .await?;
                let judged = judge(attempt, row);
                if matches!(judged, Rotation::Reused(_)) {
                    sqlx::query("UPDATE sessions SET revoked_at = $1, revoked_why = 'refresh_reused' WHERE id = $2")
                        .bind(attempt.now.as_ms())
                        .bind(attempt.login.0)
                        .execute(&mut *tx)
                        .await?;
                }
                judged
            }
        }
    });
    Ok(rotation)
}

/// What a genuine token means that is not the newest of a living session.
fn judge(attempt: &Refresh, row: Option<(Uuid, i64, i64, i64, Option<i64>)>) -> Rotation {
    let Some((user, newest, rotated_at, expires_at, revoked_at)) = row else {
        return Rotation::Unknown;
    };
    if revoked_at.is_some() {
        return Rotation::Revoked;
    }
    if expires_at <= attempt.now.as_ms() {
        return Rotation::Expired;
    }
    let since = attempt.now.since(Timestamp::from_ms(rotated_at));
    match newest - attempt.generation {
        1 if since < attempt.grace => Rotation::Again(UserId(user)),
        behind if behind > 0 => Rotation::Reused(UserId(user)),
        // From a future that a restored backup does not know.
        _ => Rotation::Unknown,
    }
}

/// Ends one session of a user, or all; gives those that it ended.
///
/// # Errors
/// As for any statement.
pub async fn revoke(db: &Db, user: UserId, login: Option<LoginId>, why: &'static str, now: Timestamp) -> Result<Vec<LoginId>, StoreError> {
    let ended: Vec<Uuid> = db_write!(db, |pool| {
        sqlx::query_scalar(
            "UPDATE sessions SET revoked_at = $1, revoked_why = $2 \
             WHERE user_id = $3 AND revoked_at IS NULL AND ($4 IS NULL OR id = $4) RETURNING id",
        )
        .bind(now.as_ms())
        .bind(why)
        .bind(user.0)
        .bind(login.map(|login| login.0))
        .fetch_all(pool)
        .await
    })?;
    Ok(ended.into_iter().map(LoginId).collect())
}

/// Sessions that were ended at or after `since`, and when. PostgreSQL is asked beside the pool: a logout is heard however busy that is.
///
/// # Errors
/// As for any query.
pub async fn revoked_since(db: &Db, since: Timestamp) -> Result<Vec<(SessionRevoked, Timestamp)>, StoreError> {
    const ENDED: &str = "SELECT user_id, id, revoked_at FROM sessions WHERE revoked_at >= $1";
    let since = since.as_ms();
    let rows: Vec<(Uuid, Uuid, i64)> = match db {
        Db::Postgres(db) => db.ended().ask(|| sqlx::query_as(ENDED).bind(since)).await?,
        Db::Sqlite(db) => sqlx::query_as(ENDED).bind(since).fetch_all(db.reader()).await?,
    };
    Ok(rows
        .into_iter()
        .map(|(user, login, at)| {
            let ended = SessionRevoked { user: UserId(user), login: LoginId(login) };
            (ended, Timestamp::from_ms(at))
        })
        .collect())
}

/// Deletes sessions that ended long ago.
///
/// # Errors
/// As for any statement.
pub async fn sweep(db: &Db, now: Timestamp) -> Result<u64, StoreError> {
    let keep_ms = i64::try_from(KEEP.as_millis()).unwrap_or(i64::MAX);
    let before = now.as_ms().saturating_sub(keep_ms);
    Ok(db_write!(db, |pool| {
        sqlx::query("DELETE FROM sessions WHERE expires_at < $1 OR revoked_at < $1")
            .bind(before)
            .execute(pool)
            .await
            .map(|done| done.rows_affected())
    })?)
}
