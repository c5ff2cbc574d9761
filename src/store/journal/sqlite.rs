//! Appending on SQLite: a batch is one transaction on the single writing connection, in as few statements as there are tables
//! to write, because each is a hop to the connection's thread.

mod extras;

use super::Refused;
use super::batch::Part;
use crate::store::{SqliteDb, StoreError};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, QueryBuilder, Sqlite};
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::Instant;
use tripsync_actors::ports::Refusal;
use tripsync_domain::{RoomId, Timestamp};
use uuid::Uuid;

/// Values that one statement may bind (`SQLITE_MAX_VARIABLE_NUMBER`: 6553 rows of 5 pass, 6554 do not).
const BINDS_MAX: usize = 32_766;

/// Statements with few rows recur, so their compiled form is worth keeping; the others would only push those out.
const ROWS_CACHED_MAX: usize = 4;

/// Pause before an append that certainly did not happen is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// Appends through the writing connection.
#[derive(Debug, Clone)]
pub(super) struct Appender {
    db: SqliteDb,
}

impl Appender {
    pub(super) fn new(db: &SqliteDb) -> Self {
        Self { db: db.clone() }
    }

    /// Appends the parts in one transaction, trying again until the deadline while it is certain that nothing happened.
    pub(super) async fn append(&self, parts: &[Part<'_>], deadline: Instant) -> Result<Refused, StoreError> {
        loop {
            let error = match tokio::time::timeout_at(deadline, self.try_append(parts)).await {
                Ok(Ok(refused)) => return Ok(refused),
                Ok(Err(error)) => error,
                Err(_) => return Err(StoreError::Unavailable { why: "no answer in time", source: None }),
            };
            if !never_began(&error) || Instant::now() + RETRY_PAUSE >= deadline {
                return Err(error.into());
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    async fn try_append(&self, parts: &[Part<'_>]) -> Result<Refused, sqlx::Error> {
        let mut connection = self.db.writer().acquire().await?;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let refused = match put(&mut transaction, parts).await {
            Ok(refused) => refused,
            Err(error) if is_about_a_row(&error) => {
                transaction.rollback().await?;
                transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
                one_by_one(&mut transaction, parts).await?
            }
            Err(error) => return Err(error),
        };
        transaction.commit().await?;
        Ok(refused)
    }
}

/// The parts one after the other, so that those that fail do not take the others with them.
async fn one_by_one(connection: &mut SqliteConnection, parts: &[Part<'_>]) -> Result<Refused, sqlx::Error> {
    let mut refused = Refused::new();
    for part in parts {
        let mut savepoint = connection.begin().await?;
        match put(&mut savepoint, std::slice::from_ref(part)).await {
            Ok(these) => {
                refused.extend(these);
                savepoint.commit().await?;
            }
            Err(error) if is_about_a_row(&error) => {
                tracing::error!(room.id = %part.append.room, "an append was refused: {}", crate::telemetry::chain(&error));
                refused.insert(part.append.room, Refusal::Duplicate);
                savepoint.rollback().await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(refused)
}

async fn put(connection: &mut SqliteConnection, parts: &[Part<'_>]) -> Result<Refused, sqlx::Error> {
    let moved = move_rooms(connection, parts).await?;
    let refused = refusals(connection, parts, &moved).await?;
    let parts: Vec<&Part<'_>> = parts.iter().filter(|part| moved.contains(&part.append.room.0)).collect();
    put_events(connection, &parts).await?;
    if parts.iter().any(|part| part.projected.has_rows()) {
        put_members(connection, &parts).await?;
        put_items(connection, &parts).await?;
    }
    if parts.iter().any(|part| part.projected.extras.is_some()) {
        extras::put(connection, &parts).await?;
    }
    Ok(refused)
}

/// The fence: moves each room on if it is still at the epoch and the seq that its append builds on. Says which rooms moved.
async fn move_rooms(connection: &mut SqliteConnection, parts: &[Part<'_>]) -> Result<HashSet<Uuid>, sqlx::Error> {
    let mut moved = HashSet::with_capacity(parts.len());
    for chunk in parts.chunks(BINDS_MAX / 10) {
        let mut sql = QueryBuilder::<Sqlite>::new("WITH a (room, epoch, first, last, at, title, status, summary, ended_at, deadline) AS (");
        sql.push_values(chunk, |mut row, part| {
            let (title, status, summary) = match &part.projected.row {
                Some((title, status, summary)) => (Some(&**title), Some(&**status), Some(summary.as_str())),
                None => (None, None, None),
            };
            row.push_bind(part.append.room.0).push_bind(part.append.epoch.to_db()).push_bind(part.first).push_bind(part.last);
            row.push_bind(part.at).push_bind(title).push_bind(status).push_bind(summary);
            row.push_bind(part.projected.ended.then_some(part.at)).push_bind(part.append.deadline.map(Timestamp::as_ms));
        });
        sql.push(
            ") UPDATE rooms SET last_seq = a.last, updated_at = a.at, title = COALESCE(a.title, rooms.title), \
             status = COALESCE(a.status, rooms.status), summary = COALESCE(a.summary, rooms.summary), \
             ended_at = COALESCE(a.ended_at, rooms.ended_at), deadline = a.deadline \
             FROM a WHERE rooms.id = a.room AND rooms.epoch = a.epoch AND rooms.last_seq = a.first - 1 RETURNING rooms.id",
        );
        let ids: Vec<Uuid> = sql.build_query_scalar().persistent(chunk.len() <= ROWS_CACHED_MAX).fetch_all(&mut *connection).await?;
        moved.extend(ids);
    }
    Ok(moved)
}

/// Why the rooms that did not move did not. Rare, so one question per room will do.
async fn refusals(connection: &mut SqliteConnection, parts: &[Part<'_>], moved: &HashSet<Uuid>) -> Result<Refused, sqlx::Error> {
    let mut refused = Refused::new();
    for part in parts.iter().filter(|part| !moved.contains(&part.append.room.0)) {
        let room = part.append.room.0;
        let epoch: Option<i64> =
            sqlx::query_scalar("SELECT epoch FROM rooms WHERE id = $1").bind(room).fetch_optional(&mut *connection).await?;
        let why = if epoch == Some(part.append.epoch.to_db()) { Refusal::Duplicate } else { Refusal::Fenced };
        refused.insert(RoomId(room), why);
    }
    Ok(refused)
}

async fn put_events(connection: &mut SqliteConnection, parts: &[&Part<'_>]) -> Result<(), sqlx::Error> {
    let records: Vec<_> = parts.iter().flat_map(|part| part.append.records.iter().map(|record| (part.append, record))).collect();
    for chunk in records.chunks(BINDS_MAX / 11) {
        let mut sql =
            QueryBuilder::<Sqlite>::new("INSERT INTO events (room, seq, epoch, at, author, tag, entity, client, n, fingerprint, bytes) ");
        sql.push_values(chunk, |mut row, (append, record)| {
            row.push_bind(append.room.0).push_bind(record.seq.to_db()).push_bind(append.epoch.to_db()).push_bind(record.at.as_ms());
            row.push_bind(record.by.0).push_bind(record.tag).push_bind(record.entity.map(|id| id.0));
            row.push_bind(record.command.map(|key| key.client.0)).push_bind(record.command.map(|key| key.n.to_db()));
            row.push_bind(record.command.map(|key| key.fingerprint.cast_signed())).push_bind(&record.bytes[..]);
        });
        sql.build().persistent(chunk.len() <= ROWS_CACHED_MAX).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn put_members(connection: &mut SqliteConnection, parts: &[&Part<'_>]) -> Result<(), sqlx::Error> {
    let members: Vec<_> =
        parts.iter().flat_map(|part| part.projected.members.iter().map(move |(user, role)| (*part, user, *role))).collect();
    let joined: Vec<_> = members.iter().filter_map(|(part, user, role)| Some((*part, *user, (*role)?))).collect();
    for chunk in joined.chunks(BINDS_MAX / 5) {
        let mut sql = QueryBuilder::<Sqlite>::new("INSERT INTO members (room, user_id, role, since_seq, since) ");
        sql.push_values(chunk, |mut row, (part, user, role)| {
            row.push_bind(part.append.room.0).push_bind(user.0).push_bind(role.as_str()).push_bind(part.last).push_bind(part.at);
        });
        sql.push(" ON CONFLICT (room, user_id) DO UPDATE SET role = excluded.role");
        sql.build().persistent(chunk.len() <= ROWS_CACHED_MAX).execute(&mut *connection).await?;
    }
    // One by one: a list of pairs would make SQLite read the whole table, and seldom does anybody leave.
    for (part, user, _) in members.iter().filter(|(_, _, role)| role.is_none()) {
        sqlx::query("DELETE FROM members WHERE room = $1 AND user_id = $2")
            .bind(part.append.room.0)
            .bind(user.0)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn put_items(connection: &mut SqliteConnection, parts: &[&Part<'_>]) -> Result<(), sqlx::Error> {
    let items: Vec<_> = parts.iter().flat_map(|part| part.projected.items.iter().map(move |(key, item)| (*part, key, item))).collect();
    for chunk in items.chunks(BINDS_MAX / 5) {
        let mut sql = QueryBuilder::<Sqlite>::new("INSERT INTO room_items (room, collection, id, seq, doc) ");
        sql.push_values(chunk, |mut row, (part, (collection, id), (seq, doc))| {
            row.push_bind(part.append.room.0).push_bind(*collection).push_bind(id.0).push_bind(seq.to_db()).push_bind(doc.as_str());
        });
        sql.push(" ON CONFLICT (room, collection, id) DO UPDATE SET doc = excluded.doc WHERE room_items.seq = excluded.seq");
        sql.build().persistent(chunk.len() <= ROWS_CACHED_MAX).execute(&mut *connection).await?;
    }
    Ok(())
}

/// SQLite's primary result code (<https://www.sqlite.org/rescode.html>).
fn code_of(error: &sqlx::Error) -> Option<u32> {
    error.as_database_error().and_then(|error| error.code()).and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff)
}

/// A statement failed because of what one of the rows is, so the others may pass without it: too big, constraint, mismatch.
fn is_about_a_row(error: &sqlx::Error) -> bool {
    matches!(code_of(error), Some(18..=20))
}

/// Waited in vain for the connection, or for another process's lock: `BEGIN IMMEDIATE` takes the lock, so nothing happened.
fn never_began(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::PoolTimedOut) || matches!(code_of(error), Some(5 | 6))
}
