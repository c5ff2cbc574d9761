//! First answers to requests with an `Idempotency-Key`.

use super::{Db, StoreError};
use crate::{db_tx, db_write};
use tripsync_domain::Timestamp;

/// What a key says about a request that comes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is the first: run it, then [`finish`] or [`forget`] with the same `locked_until`, which tells this claim from a later one.
    First,
    /// The first one is still running.
    Running,
    /// The first one was another request.
    Other,
    /// The first one was answered with this (sealed).
    Answered(Vec<u8>),
}

/// Claims a key for a request. A claim whose request has not been answered by `locked_until` counts as dead.
///
/// # Errors
/// As for any statement.
pub async fn claim(
    db: &Db,
    id: &[u8; 32],
    request_hash: &[u8; 32],
    now: Timestamp,
    locked_until: Timestamp,
    expires_at: Timestamp,
) -> Result<Claim, StoreError> {
    let claim = db_tx!(db, |tx| {
        sqlx::query("DELETE FROM idempotency WHERE id = $1 AND (expires_at <= $2 OR (status IS NULL AND locked_until <= $2))")
            .bind(&id[..])
            .bind(now.as_ms())
            .execute(&mut *tx)
            .await?;
        let inserted = sqlx::query(
            "INSERT INTO idempotency (id, request_hash, locked_until, expires_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (id) DO NOTHING",
        )
        .bind(&id[..])
        .bind(&request_hash[..])
        .bind(locked_until.as_ms())
        .bind(expires_at.as_ms())
        .execute(&mut *tx)
        .await?
        .rows_affected();
        if inserted == 1 {
            Claim::First
        } else {
            let row: Option<(Vec<u8>, Option<Vec<u8>>)> =
                sqlx::query_as("SELECT request_hash, answer FROM idempotency WHERE id = $1").bind(&id[..]).fetch_optional(&mut *tx).await?;
            match row {
                Some((hash, _)) if hash != request_hash => Claim::Other,
                Some((_, Some(answer))) => Claim::Answered(answer),
                // Also when it was forgotten between the two statements: the next attempt is the first again.
                Some((_, None)) | None => Claim::Running,
            }
        }
    });
    Ok(claim)
}

/// Keeps the answer, unless the claim ended meanwhile and another request has the key.
///
/// # Errors
/// As for any statement.
pub async fn finish(db: &Db, id: &[u8; 32], locked_until: Timestamp, status: u16, answer: &[u8]) -> Result<(), StoreError> {
    db_write!(db, |pool| {
        sqlx::query("UPDATE idempotency SET status = $1, answer = $2 WHERE id = $3 AND locked_until = $4")
            .bind(i64::from(status))
            .bind(answer)
            .bind(&id[..])
            .bind(locked_until.as_ms())
            .execute(pool)
            .await
            .map(|_| ())
    })?;
    Ok(())
}

/// Gives the key free, unless another request has it by now: the request failed in a way that trying again may mend.
///
/// # Errors
/// As for any statement.
pub async fn forget(db: &Db, id: &[u8; 32], locked_until: Timestamp) -> Result<(), StoreError> {
    db_write!(db, |pool| {
        sqlx::query("DELETE FROM idempotency WHERE id = $1 AND status IS NULL AND locked_until = $2")
            .bind(&id[..])
            .bind(locked_until.as_ms())
            .execute(pool)
            .await
            .map(|_| ())
    })?;
    Ok(())
}

/// Deletes answers that are no longer kept.
///
/// # Errors
/// As for any statement.
pub async fn sweep(db: &Db, now: Timestamp) -> Result<u64, StoreError> {
    Ok(db_write!(db, |pool| {
        sqlx::query("DELETE FROM idempotency WHERE expires_at <= $1").bind(now.as_ms()).execute(pool).await.map(|done| done.rows_affected())
    })?)
}
