//! The outbox: work outside the room that causes it, done at least once.
//!
//! Owns the table `tasks`, into which the journal writes in the transaction of the events. Promises that a task is handed out
//! until it is done, oldest first, to one taker at a time: taking it hides it for [`TAKEN_FOR`], after which it was forgotten by a
//! taker that is gone and is handed out again. So a task can be done twice, and [`TaskKey`] tells whether it was. Knows nothing of
//! what tasks do.

use super::{Db, DbKind, StoreError};
use crate::{db_read, db_tx, db_write};
use std::time::Duration;
use tripsync_domain::{RoomId, Seq, Task, Timestamp};
use uuid::Uuid;

/// Tasks that are taken at once at most.
pub const PAGE_TASKS_MAX: u32 = 100;

/// How long a taken task is hidden from others, and so how late it is done when its taker dies. A page that takes longer, with a database
/// that hangs, may be done twice, which is harmless.
pub const TAKEN_FOR: Duration = Duration::from_secs(10);

/// The pause after the first failure; it doubles with each further one, up to [`PAUSE_MAX`].
pub const PAUSE_MIN: Duration = Duration::from_secs(1);

/// The longest pause between two attempts. There is no last attempt: what was promised in an event is kept until it is done.
pub const PAUSE_MAX: Duration = Duration::from_secs(300);

/// Which task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskKey {
    /// The room that causes it.
    pub room: RoomId,
    /// The seq of the event that causes it.
    pub seq: Seq,
    /// Its number among those of the event.
    pub index: u16,
}

/// A task to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// Which one.
    pub key: TaskKey,
    /// What to do.
    pub task: Task,
    /// When the event happened that causes it.
    pub at: Timestamp,
    /// How often it has been taken, this time included.
    pub attempts: u32,
}

type Row = (Uuid, i64, i64, String, i64, i64);

/// Takes the oldest of those that are due, at most `limit` (≤ [`PAGE_TASKS_MAX`]). A task that this binary cannot read, because a
/// newer one wrote it, is logged and left for later.
///
/// # Errors
/// As for any statement.
pub async fn take(db: &Db, now: Timestamp, limit: u32) -> Result<Vec<Taken>, StoreError> {
    // Nearly always there is nothing, and finding that out need not wait for SQLite's writer.
    if next_due(db).await?.is_none_or(|due| due > now) {
        return Ok(Vec::new());
    }
    let lock = match db.kind() {
        // What another taker is about to take.
        DbKind::Postgres => " FOR UPDATE SKIP LOCKED",
        DbKind::Sqlite => "",
    };
    let due = format!("SELECT room, seq, idx FROM tasks WHERE not_before <= $1 ORDER BY not_before, room, seq, idx LIMIT $3{lock}");
    let sql = format!(
        "WITH due AS ({due}) UPDATE tasks SET attempts = attempts + 1, not_before = $2 FROM due \
         WHERE tasks.room = due.room AND tasks.seq = due.seq AND tasks.idx = due.idx \
         RETURNING tasks.room, tasks.seq, tasks.idx, tasks.task, tasks.at, tasks.attempts"
    );
    let mut rows: Vec<Row> = db_write!(db, |pool| {
        sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(now.as_ms())
            .bind(now.plus(TAKEN_FOR).as_ms())
            .bind(i64::from(limit.min(PAGE_TASKS_MAX)))
            .fetch_all(pool)
            .await
    })?;
    rows.sort_unstable_by_key(|(room, seq, idx, _, at, _)| (*at, *room, *seq, *idx));
    let mut taken = Vec::with_capacity(rows.len());
    for row in rows {
        match read(row) {
            Ok(task) => taken.push(task),
            Err((key, attempts, error)) => {
                tracing::error!(room.id = %key.room, seq = key.seq.0, index = key.index, "a task cannot be read: {error}");
                failed(db, key, attempts, now).await?;
            }
        }
    }
    Ok(taken)
}

fn read((room, seq, idx, task, at, attempts): Row) -> Result<Taken, (TaskKey, u32, serde_json::Error)> {
    let key = TaskKey { room: RoomId(room), seq: Seq::from_db(seq), index: u16::try_from(idx).unwrap_or(u16::MAX) };
    let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
    match serde_json::from_str(&task) {
        Ok(task) => Ok(Taken { key, task, at: Timestamp::from_ms(at), attempts }),
        Err(error) => Err((key, attempts, error)),
    }
}

/// When the oldest task may be taken; `None`: there is none.
///
/// # Errors
/// As for any query.
pub async fn next_due(db: &Db) -> Result<Option<Timestamp>, StoreError> {
    let due: Option<i64> = db_read!(db, |pool| sqlx::query_scalar("SELECT min(not_before) FROM tasks").fetch_one(pool).await)?;
    Ok(due.map(Timestamp::from_ms))
}

/// Forgets tasks that are done, in one transaction. One that is not there any more was done by somebody else meanwhile.
///
/// # Errors
/// As for any statement.
pub async fn done(db: &Db, keys: &[TaskKey]) -> Result<(), StoreError> {
    if keys.is_empty() {
        return Ok(());
    }
    db_tx!(db, |tx| {
        for key in keys {
            sqlx::query("DELETE FROM tasks WHERE room = $1 AND seq = $2 AND idx = $3")
                .bind(key.room.0)
                .bind(key.seq.to_db())
                .bind(i64::from(key.index))
                .execute(&mut *tx)
                .await?;
        }
    });
    Ok(())
}

/// Puts a task off that could not be done: longer each time ([`PAUSE_MIN`] to [`PAUSE_MAX`]).
///
/// # Errors
/// As for any statement.
pub async fn failed(db: &Db, key: TaskKey, attempts: u32, now: Timestamp) -> Result<(), StoreError> {
    db_write!(db, |pool| {
        sqlx::query("UPDATE tasks SET not_before = $4 WHERE room = $1 AND seq = $2 AND idx = $3")
            .bind(key.room.0)
            .bind(key.seq.to_db())
            .bind(i64::from(key.index))
            .bind(now.plus(pause(attempts)).as_ms())
            .execute(pool)
            .await
            .map(drop)
    })?;
    Ok(())
}

/// The pause after so many attempts.
fn pause(attempts: u32) -> Duration {
    let doubled = 2_u32.checked_pow(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
    PAUSE_MIN.saturating_mul(doubled).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_five_minutes() {
        let seconds = [0, 1, 2, 3, 9, 10, 33, u32::MAX].map(|attempts| pause(attempts).as_secs());
        assert_eq!(seconds, [1, 1, 2, 4, 256, 300, 300, 300]);
    }
}
