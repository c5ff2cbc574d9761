//! Bounds over all rooms: what users have reserved in which of them.
//!
//! Two tables: what lasts, written by appends alone ([`super::extras`]), and what is held for commands under way. Counted are the rooms of
//! both, so that a command's place counts without a gap from before it is judged until after it is stored. Promises that calls at once
//! never exceed a bound: those of one user come one after the other, on SQLite by the single writing connection, on PostgreSQL by a lock in
//! the name of the user. An append cannot exceed a bound because it was reserved before.

use crate::store::{Db, DbKind, StoreError};
use crate::{db_tx, db_write};
use tripsync_actors::ports::{RESERVED_FOR, Reservation};
use tripsync_domain::{Timestamp, UserId};

/// Rows that one statement of [`sweep`] deletes, so that it keeps nobody waiting.
const SWEPT_AT_ONCE: i64 = 1_000;

pub(super) async fn reserve(db: &Db, reservation: Reservation, now: Timestamp) -> Result<bool, StoreError> {
    let Reservation { id, room, user, quota } = reservation;
    let reserved = db_tx!(db, |tx| {
        if db.kind() == DbKind::Postgres {
            // Until the commit. Statements after it see what whoever held it before has written.
            sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(lock_of(user)).execute(&mut *tx).await?;
        }
        sqlx::query("DELETE FROM reservations_held WHERE user_id = $1 AND what = $2 AND at <= $3")
            .bind(user.0)
            .bind(quota.what)
            .bind(forgotten(now))
            .execute(&mut *tx)
            .await?;
        let inserted = sqlx::query(
            "INSERT INTO reservations_held (id, user_id, what, room, at) SELECT $1, $2, $3, $4, $5 \
             WHERE (SELECT count(*) FROM (SELECT room FROM reservations WHERE user_id = $2 AND what = $3 AND room <> $4 \
             UNION SELECT room FROM reservations_held WHERE user_id = $2 AND what = $3 AND room <> $4) AS others) < $6",
        )
        .bind(id)
        .bind(user.0)
        .bind(quota.what)
        .bind(room.0)
        .bind(now.as_ms())
        .bind(i64::from(quota.max))
        .execute(&mut *tx)
        .await?;
        inserted.rows_affected() > 0
    });
    Ok(reserved)
}

pub(super) async fn release(db: &Db, Reservation { id, .. }: Reservation) -> Result<(), StoreError> {
    db_write!(db, |pool| sqlx::query("DELETE FROM reservations_held WHERE id = $1").bind(id).execute(pool).await.map(drop))?;
    Ok(())
}

/// Deletes reservations that nothing came of, a page at a time; how many. Those of a user go when the user reserves again, too: this is for
/// users who do not.
pub(super) async fn sweep(db: &Db, now: Timestamp) -> Result<u64, StoreError> {
    let mut swept = 0;
    loop {
        let gone = db_write!(db, |pool| {
            sqlx::query("DELETE FROM reservations_held WHERE id IN (SELECT id FROM reservations_held WHERE at <= $1 LIMIT $2)")
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
