//! Socket tickets that wait to be used.
//!
//! Promises that a ticket is taken once, whichever nodes try at the same moment: taking it is one statement, which deletes it and
//! says in the same breath whether its login still lives. Knows tickets by their hashes only.

use super::{Db, StoreError};
use crate::auth::{AuthUser, LoginId};
use crate::{db_tx, db_write};
use tripsync_domain::{Timestamp, UserId};
use uuid::Uuid;

/// Unused tickets that a user may have; the oldest goes when there is one more. Those that are made at the very same moment do not see
/// each other, so there may be a few more until the next one is made.
pub const PER_USER_MAX: u32 = 20;

/// A ticket that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Who asked for it, until when their access token was good.
    pub user: AuthUser,
    /// When the ticket stops being good.
    pub expires_at: Timestamp,
    /// Whether the login that asked for it has not ended.
    pub login_lives: bool,
}

/// Keeps a ticket for a user.
///
/// # Errors
/// As for any statement.
pub async fn keep(db: &Db, hash: &[u8; 32], user: &AuthUser, expires_at: Timestamp) -> Result<(), StoreError> {
    db_tx!(db, |tx| {
        sqlx::query(
            "DELETE FROM tickets WHERE user_id = $1 AND hash NOT IN \
             (SELECT hash FROM tickets WHERE user_id = $1 ORDER BY expires_at DESC LIMIT $2)",
        )
        .bind(user.user.0)
        .bind(i64::from(PER_USER_MAX - 1))
        .execute(&mut *tx)
        .await?;
        sqlx::query("INSERT INTO tickets (hash, user_id, login, token_expires_at, expires_at) VALUES ($1, $2, $3, $4, $5)")
            .bind(&hash[..])
            .bind(user.user.0)
            .bind(user.login.0)
            .bind(user.expires_at.as_ms())
            .bind(expires_at.as_ms())
            .execute(&mut *tx)
            .await?;
    });
    Ok(())
}

/// Takes a ticket; `None`: there is none, or somebody else was faster.
///
/// # Errors
/// As for any statement. Whether it was taken is not known then.
pub async fn take(db: &Db, hash: &[u8; 32]) -> Result<Option<Taken>, StoreError> {
    let row: Option<(Uuid, Uuid, i64, i64, i64)> = db_write!(db, |pool| {
        sqlx::query_as(
            "DELETE FROM tickets WHERE hash = $1 RETURNING user_id, login, token_expires_at, expires_at, \
             (SELECT count(*) FROM sessions WHERE sessions.id = tickets.login AND sessions.revoked_at IS NULL)",
        )
        .bind(&hash[..])
        .fetch_optional(pool)
        .await
    })?;
    Ok(row.map(|(user, login, token_expires_at, expires_at, lives)| Taken {
        user: AuthUser { user: UserId(user), login: LoginId(login), expires_at: Timestamp::from_ms(token_expires_at) },
        expires_at: Timestamp::from_ms(expires_at),
        login_lives: lives > 0,
    }))
}

/// Deletes tickets that nobody used in time.
///
/// # Errors
/// As for any statement.
pub async fn sweep(db: &Db, now: Timestamp) -> Result<u64, StoreError> {
    Ok(db_write!(db, |pool| {
        sqlx::query("DELETE FROM tickets WHERE expires_at <= $1").bind(now.as_ms()).execute(pool).await.map(|done| done.rows_affected())
    })?)
}
