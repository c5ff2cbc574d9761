//! Appending on PostgreSQL: a batch is one statement, so one round trip and one commit; with seats, listings, reservations or
//! tasks in it, a transaction of a few.

mod extras;

use super::batch::{self, Part};
use super::{JournalOptions, Refused, Results};
use crate::store::StoreError;
use crate::store::postgres::answers;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgDatabaseError, PgPool};
use sqlx::{Connection as _, Postgres};
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::Instant;
use tripsync_actors::ports::{Append, Refusal};
use tripsync_domain::{Role, RoomId, Timestamp};
use uuid::Uuid;

/// The fence and the events. A room's row moves on only if it is still at the epoch and the seq that the append builds on; the
/// row stays locked until the commit, and whoever waits for it looks again at the new values. The events of the rooms that
/// moved, and only those, are inserted.
macro_rules! append_sql {
    ($rest:literal) => {
        concat!(
            "WITH asked AS (
                SELECT * FROM UNNEST($1::uuid[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::text[], $7::text[], $8::text[], $9::int8[],
                    $10::int8[]) AS a (room, epoch, first, last, at, title, status, summary, ended_at, deadline)
            ), moved AS (
                UPDATE rooms SET last_seq = a.last, updated_at = a.at, title = COALESCE(a.title, rooms.title),
                    status = COALESCE(a.status, rooms.status), summary = COALESCE(a.summary, rooms.summary),
                    ended_at = COALESCE(a.ended_at, rooms.ended_at), deadline = a.deadline
                FROM asked a
                WHERE rooms.id = a.room AND rooms.epoch = a.epoch AND rooms.last_seq = a.first - 1
                RETURNING rooms.id, rooms.epoch, rooms.last_seq, rooms.updated_at
            ), put AS (
                INSERT INTO events (room, seq, epoch, at, author, tag, entity, client, n, fingerprint, bytes)
                SELECT e.room, e.seq, m.epoch, e.at, e.author, e.tag, e.entity, e.client, e.n, e.fingerprint, e.bytes
                FROM UNNEST($11::uuid[], $12::int8[], $13::int8[], $14::uuid[], $15::text[], $16::uuid[], $17::uuid[], $18::int8[],
                    $19::int8[], $20::bytea[]) AS e (room, seq, at, author, tag, entity, client, n, fingerprint, bytes)
                JOIN moved m ON m.id = e.room
            )",
            $rest,
            " SELECT id FROM moved"
        )
    };
}

const APPEND: &str = append_sql!("");

/// The same with members and documents; a row occurs in one of the three at most.
const APPEND_AND_PROJECT: &str = append_sql!(
    ", joined AS (
        INSERT INTO members (room, user_id, role, since_seq, since)
        SELECT j.room, j.user_id, j.role, m.last_seq, m.updated_at
        FROM UNNEST($21::uuid[], $22::uuid[], $23::text[]) AS j (room, user_id, role) JOIN moved m ON m.id = j.room
        ON CONFLICT (room, user_id) DO UPDATE SET role = excluded.role
    ), went AS (
        DELETE FROM members USING UNNEST($24::uuid[], $25::uuid[]) AS w (room, user_id), moved m
        WHERE m.id = w.room AND members.room = w.room AND members.user_id = w.user_id
    ), items AS (
        INSERT INTO room_items (room, collection, id, seq, doc)
        SELECT i.room, i.collection, i.id, i.seq, i.doc
        FROM UNNEST($26::uuid[], $27::text[], $28::uuid[], $29::int8[], $30::text[]) AS i (room, collection, id, seq, doc)
        JOIN moved m ON m.id = i.room
        ON CONFLICT (room, collection, id) DO UPDATE SET doc = excluded.doc WHERE room_items.seq = excluded.seq
    )"
);

/// A connection that was used this recently is taken to work without asking it, which saves a round trip per append.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// Pause before an append that certainly did not happen is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// The connections that append. A pool of their own, so that slow readers never keep an append waiting.
#[derive(Debug, Clone)]
pub(super) struct Appender {
    pool: PgPool,
}

impl Appender {
    pub(super) fn new(shared: &PgPool, options: &JournalOptions) -> Self {
        let pool = shared
            .options()
            .clone()
            .max_connections(options.connections)
            .min_connections(0)
            .acquire_timeout(options.append_patience)
            .before_acquire(|connection, meta| {
                Box::pin(async move { if meta.idle_for > TRUSTED_FOR { answers(connection).await } else { Ok(true) } })
            })
            // A connection that hung in an append is not given back, and the next append may wait for this one.
            .after_release(|_, _| Box::pin(async { Ok(true) }))
            .connect_lazy_with((*shared.connect_options()).clone());
        Self { pool }
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }

    /// Appends round by round, each in one transaction, trying again until the deadline while it is certain that nothing happened.
    pub(super) async fn append(&self, batch: &[Append], deadline: Instant) -> Result<Results, StoreError> {
        let mut results = vec![Ok(()); batch.len()];
        for round in batch::rounds(batch, &mut results) {
            let refused = self.append_round(&round, deadline).await?;
            batch::refuse(&round, &refused, &mut results);
        }
        Ok(results)
    }

    async fn append_round(&self, parts: &[Part<'_>], deadline: Instant) -> Result<Refused, StoreError> {
        loop {
            let mut connection = match tokio::time::timeout_at(deadline, self.pool.acquire()).await {
                Ok(Ok(connection)) => connection,
                Ok(Err(error)) if may_retry_connecting(&error) && Instant::now() + RETRY_PAUSE < deadline => {
                    tokio::time::sleep(RETRY_PAUSE).await;
                    continue;
                }
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => return Err(no_answer()),
            };
            match tokio::time::timeout_at(deadline, append(&mut connection, parts)).await {
                Ok(Ok(refused)) => return Ok(refused),
                Ok(Err(error)) if was_rolled_back(&error) && Instant::now() + RETRY_PAUSE < deadline => {
                    drop(connection);
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => {
                    // The statement is still under way on this connection: it must not go back to the pool.
                    discard(connection);
                    return Err(no_answer());
                }
            }
        }
    }
}

fn no_answer() -> StoreError {
    StoreError::Unavailable { why: "no answer in time", source: None }
}

fn discard(connection: PoolConnection<Postgres>) {
    drop(connection.detach());
}

async fn append(connection: &mut PgConnection, parts: &[Part<'_>]) -> Result<Refused, sqlx::Error> {
    match put(connection, parts).await {
        Ok(moved) => refusals(connection, parts, &moved).await,
        Err(error) if is_about_a_row(&error) => one_by_one(connection, parts).await,
        Err(error) => Err(error),
    }
}

/// The parts one after the other in one transaction, so that those that fail do not take the others with them.
async fn one_by_one(connection: &mut PgConnection, parts: &[Part<'_>]) -> Result<Refused, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let mut refused = Refused::new();
    for part in parts {
        let mut savepoint = transaction.begin().await?;
        match put(&mut savepoint, std::slice::from_ref(part)).await {
            Ok(moved) => {
                refused.extend(refusals(&mut savepoint, std::slice::from_ref(part), &moved).await?);
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
    transaction.commit().await?;
    Ok(refused)
}

/// Why the rooms that did not move did not: the epoch only rises, so a second look is as good as the first.
async fn refusals(connection: &mut PgConnection, parts: &[Part<'_>], moved: &HashSet<Uuid>) -> Result<Refused, sqlx::Error> {
    let still: Vec<&Part<'_>> = parts.iter().filter(|part| !moved.contains(&part.append.room.0)).collect();
    if still.is_empty() {
        return Ok(Refused::new());
    }
    let rooms: Vec<Uuid> = still.iter().map(|part| part.append.room.0).collect();
    let epochs: Vec<i64> = still.iter().map(|part| part.append.epoch.to_db()).collect();
    let owned: Vec<Uuid> = sqlx::query_scalar(
        "SELECT r.id FROM rooms r JOIN UNNEST($1::uuid[], $2::int8[]) AS a (room, epoch) ON r.id = a.room AND r.epoch = a.epoch",
    )
    .bind(&rooms)
    .bind(&epochs)
    .fetch_all(connection)
    .await?;
    let why = |room: &Uuid| if owned.contains(room) { Refusal::Duplicate } else { Refusal::Fenced };
    Ok(rooms.iter().map(|room| (RoomId(*room), why(room))).collect())
}

/// Writes the parts, all or none; says which rooms moved.
async fn put(connection: &mut PgConnection, parts: &[Part<'_>]) -> Result<HashSet<Uuid>, sqlx::Error> {
    if !parts.iter().any(|part| part.projected.extras.is_some()) {
        return put_rooms(connection, parts).await;
    }
    let mut transaction = connection.begin().await?;
    let moved = put_rooms(&mut transaction, parts).await?;
    let those: Vec<_> = parts.iter().filter(|part| moved.contains(&part.append.room.0) && part.projected.extras.is_some()).collect();
    if !those.is_empty() {
        extras::put(&mut transaction, &those).await?;
    }
    transaction.commit().await?;
    Ok(moved)
}

/// The one statement.
async fn put_rooms(connection: &mut PgConnection, parts: &[Part<'_>]) -> Result<HashSet<Uuid>, sqlx::Error> {
    let records = || parts.iter().flat_map(|part| part.append.records.iter().map(move |record| (part.append.room.0, record)));
    let projected = parts.iter().any(|part| part.projected.has_rows());
    let row = |part: &Part<'_>| {
        part.projected.row.as_ref().map(|(title, status, summary)| (title.to_string(), status.to_string(), summary.clone()))
    };
    let (mut titles, mut statuses, mut summaries) = (Vec::new(), Vec::new(), Vec::new());
    for part in parts {
        let (title, status, summary) = row(part).map_or((None, None, None), |(t, s, j)| (Some(t), Some(s), Some(j)));
        titles.push(title);
        statuses.push(status);
        summaries.push(summary);
    }
    let mut query = sqlx::query_scalar::<_, Uuid>(if projected { APPEND_AND_PROJECT } else { APPEND })
        .bind(parts.iter().map(|part| part.append.room.0).collect::<Vec<_>>())
        .bind(parts.iter().map(|part| part.append.epoch.to_db()).collect::<Vec<_>>())
        .bind(parts.iter().map(|part| part.first).collect::<Vec<_>>())
        .bind(parts.iter().map(|part| part.last).collect::<Vec<_>>())
        .bind(parts.iter().map(|part| part.at).collect::<Vec<_>>())
        .bind(titles)
        .bind(statuses)
        .bind(summaries)
        .bind(parts.iter().map(|part| part.projected.ended.then_some(part.at)).collect::<Vec<_>>())
        .bind(parts.iter().map(|part| part.append.deadline.map(Timestamp::as_ms)).collect::<Vec<_>>())
        .bind(records().map(|(room, _)| room).collect::<Vec<_>>())
        .bind(records().map(|(_, record)| record.seq.to_db()).collect::<Vec<_>>())
        .bind(records().map(|(_, record)| record.at.as_ms()).collect::<Vec<_>>())
        .bind(records().map(|(_, record)| record.by.0).collect::<Vec<_>>())
        .bind(records().map(|(_, record)| record.tag).collect::<Vec<_>>())
        .bind(records().map(|(_, record)| record.entity.map(|id| id.0)).collect::<Vec<_>>())
        .bind(records().map(|(_, record)| record.command.map(|key| key.client.0)).collect::<Vec<_>>())
        .bind(records().map(|(_, record)| record.command.map(|key| key.n.to_db())).collect::<Vec<_>>())
        .bind(records().map(|(_, record)| record.command.map(|key| key.fingerprint.cast_signed())).collect::<Vec<_>>())
        .bind(records().map(|(_, record)| &record.bytes[..]).collect::<Vec<_>>());
    if projected {
        let members =
            || parts.iter().flat_map(|part| part.projected.members.iter().map(move |(user, role)| (part.append.room.0, user.0, *role)));
        let joined = || members().filter_map(|(room, user, role): (Uuid, Uuid, Option<Role>)| Some((room, user, role?)));
        let went = || members().filter(|(_, _, role)| role.is_none());
        let items = || parts.iter().flat_map(|part| part.projected.items.iter().map(move |(key, item)| (part.append.room.0, key, item)));
        query = query
            .bind(joined().map(|(room, ..)| room).collect::<Vec<_>>())
            .bind(joined().map(|(_, user, _)| user).collect::<Vec<_>>())
            .bind(joined().map(|(.., role)| role.as_str()).collect::<Vec<_>>())
            .bind(went().map(|(room, ..)| room).collect::<Vec<_>>())
            .bind(went().map(|(_, user, _)| user).collect::<Vec<_>>())
            .bind(items().map(|(room, ..)| room).collect::<Vec<_>>())
            .bind(items().map(|(_, key, _)| key.0).collect::<Vec<_>>())
            .bind(items().map(|(_, key, _)| key.1.0).collect::<Vec<_>>())
            .bind(items().map(|(.., item)| item.0.to_db()).collect::<Vec<_>>())
            .bind(items().map(|(.., item)| item.1.as_str()).collect::<Vec<_>>());
    }
    Ok(query.fetch_all(connection).await?.into_iter().collect())
}

fn code_of(error: &sqlx::Error) -> Option<&str> {
    error.as_database_error().and_then(|database| database.try_downcast_ref::<PgDatabaseError>()).map(PgDatabaseError::code)
}

/// The statement failed because of what one of the rows is, so the others may pass without it: data exception, integrity
/// violation, program limit (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn is_about_a_row(error: &sqlx::Error) -> bool {
    code_of(error).is_some_and(|code| code.starts_with("22") || code.starts_with("23") || code.starts_with("54"))
}

/// The server says that it took everything back: serialisation failure, deadlock.
fn was_rolled_back(error: &sqlx::Error) -> bool {
    code_of(error).is_some_and(|code| code == "40001" || code == "40P01")
}

/// There is no connection yet, so nothing happened; the server may be starting, or out of slots for a moment.
fn may_retry_connecting(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::Io(_))
        || code_of(error).is_some_and(|code| code.starts_with("57P") || code == "53300")
}
