//! Bounds over all rooms: what users have reserved in which of them.
//!
//! Promises that calls at once never exceed a bound: those of one user come one after the other, on SQLite by the single writing
//! connection, on PostgreSQL by a lock in the name of the user. Whether a reservation lasts is written by the append
//! ([`super::extras`]), which cannot exceed a bound because it was reserved before.

use crate::store::{Db, DbKind, StoreError};
use crate::{db_tx, db_write};
use tripsync_actors::ports::RESERVED_FOR;
use tripsync_domain::{Quota, RoomId, Timestamp, UserId};
use uuid::Uuid;

/// Rows that one statement of [`sweep`] deletes, so that it keeps nobody waiting.
const SWEPT_AT_ONCE: i64 = 1_000;

pub(super) async fn reserve(db: &Db, room: RoomId, user: UserId, quota: Quota, now: Timestamp) -> Result<bool, StoreError> {
    let reserved = db_tx!(db, |tx| {
        if db.kind() == DbKind::Postgres {
            // Until the commit. Statements after it see what whoever held it before has written.
            sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(lock_of(user)).execute(&mut *tx).await?;
        }
        sqlx::query("DELETE FROM reservations WHERE user_id = $1 AND what = $2 AND at <= $3")
            .bind(user.0)
            .bind(quota.what)
            .bind(forgotten(now))
            .execute(&mut *tx)
            .await?;
        // Returned is what is new and what was there.
        let reserved: Option<Uuid> = sqlx::query_scalar(
            "INSERT INTO reservations (user_id, what, room, at) SELECT $1, $2, $3, $4 \
             WHERE (SELECT count(*) FROM reservations WHERE user_id = $1 AND what = $2 AND room <> $3) < $5 \
             OR EXISTS (SELECT 1 FROM reservations WHERE user_id = $1 AND what = $2 AND room = $3) \
             ON CONFLICT (user_id, what, room) DO UPDATE SET at = reservations.at RETURNING room",
        )
        .bind(user.0)
        .bind(quota.what)
        .bind(room.0)
        .bind(now.as_ms())
        .bind(i64::from(quota.max))
        .fetch_optional(&mut *tx)
        .await?;
        reserved.is_some()
    });
    Ok(reserved)
}

pub(super) async fn release(db: &Db, room: RoomId, user: UserId, quota: Quota) -> Result<(), StoreError> {
    db_write!(db, |pool| {
        sqlx::query("DELETE FROM reservations WHERE user_id = $1 AND what = $2 AND room = $3 AND at IS NOT NULL")
            .bind(user.0)
            .bind(quota.what)
            .bind(room.0)
            .execute(pool)
            .await
            .map(drop)
    })?;
    Ok(())
}

/// Deletes reservations that nothing came of, a page at a time; how many. Those of a user go when the user reserves again, too: this is for
/// users who do not.
pub(super) async fn sweep(db: &Db, now: Timestamp) -> Result<u64, StoreError> {
    let mut swept = 0;
    loop {
        let gone = db_write!(db, |pool| {
            sqlx::query(
                "DELETE FROM reservations WHERE at <= $1 AND (user_id, what, room) IN                  (SELECT user_id, what, room FROM reservations WHERE at <= $1 LIMIT $2)",
            )
            .bind(forgotten(now))
            .bind(SWEPT_AT_ONCE)
            .execute(pool)
            .await
            .map(|done| done.rows_affected())
        })?;
        swept += gone;
        if gone < SWEPT_AT_ONCE.unsigned_abs() {
            return Ok(swept);
        }
    }
}

/// Reservations of this instant or before are forgotten.
fn forgotten(now: Timestamp) -> i64 {
    now.as_ms().saturating_sub(i64::try_from(RESERVED_FOR.as_millis()).unwrap_or(i64::MAX))
}

/// The number of a user's lock. Two users with the same only wait for each other.
fn lock_of(user: UserId) -> i64 {
    let (high, low) = user.0.as_u64_pair();
    (high ^ low).cast_signed()
}
