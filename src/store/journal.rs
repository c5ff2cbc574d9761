//! The journal of every room, on either database.
//!
//! Owns the tables `rooms`, `events`, `snapshots`, `members`, `room_items`, `room_capacity`, `room_takers`, `listings` and
//! `reservations`, writes `tasks`, and implements the engine's
//! [`Journal`] port on them. Promises what the port promises: an append is durable when it is reported, it counts only under
//! the room's present epoch (checked by the statement that moves the room on), and its projections commit with it. A batch is
//! one transaction; the rooms that are refused do not fail the others.
//!
//! The databases differ in how a batch is written ([`postgres`]: one statement; [`sqlite`]: a few on the single writing
//! connection), so each has its own file; everything that reads is written once.

mod batch;
mod extras;
mod postgres;
mod reservations;
mod sqlite;

use super::{Db, StoreError};
use crate::{db_read, db_tx, db_write};
use async_trait::async_trait;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tripsync_actors::ports::{Append, Journal, JournalError, Opened, Refusal, Reservation, Snapshot, Stored, StoredCommand};
use tripsync_domain::{ClientId, CommandNumber, Epoch, NodeId, Projection, RoomId, Seq, Timestamp, UserId};
use uuid::Uuid;

/// How a journal uses its database.
#[derive(Debug, Clone)]
pub struct JournalOptions {
    /// Connections that append, beside those of the [`Db`]: one for each lane. SQLite has its one writer regardless.
    pub connections: u32,
    /// How long an append waits for an answer before its outcome is called unknown. Longer than a database may be frozen (a
    /// paused machine, a checkpoint on a bad disk), because the answer usually still comes.
    pub append_patience: Duration,
    /// How long everything else waits for an answer, once it has a connection.
    pub read_patience: Duration,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self { connections: 4, append_patience: Duration::from_secs(45), read_patience: Duration::from_secs(30) }
    }
}

impl JournalOptions {
    /// Where other nodes may reach the database when this one does not: it gives its rooms up to them the sooner.
    #[must_use]
    pub fn one_of_several() -> Self {
        Self { append_patience: Duration::from_secs(10), ..Self::default() }
    }
}

/// The [`Journal`] on a database; cheap to clone.
#[derive(Debug, Clone)]
pub struct DbJournal {
    /// Told when an append has left tasks.
    tasks: Arc<Notify>,
    db: Db,
    appender: Appender,
    reservations: reservations::Desk,
    options: JournalOptions,
}

#[derive(Debug, Clone)]
enum Appender {
    Postgres(postgres::Appender),
    Sqlite(sqlite::Appender),
}

/// What became of a round: the rooms that were refused, and why.
type Refused = HashMap<RoomId, Refusal>;

/// What became of a batch: an entry per append, in order.
type Results = Vec<Result<(), Refusal>>;

impl DbJournal {
    /// A journal on a migrated database. Connects nothing yet.
    #[must_use]
    pub fn new(db: &Db, options: JournalOptions) -> Self {
        let appender = match db {
            Db::Postgres(db) => Appender::Postgres(postgres::Appender::new(db.pool(), &options)),
            Db::Sqlite(sqlite) => Appender::Sqlite(sqlite::Appender::new(sqlite)),
        };
        Self { tasks: Arc::default(), db: db.clone(), appender, reservations: reservations::Desk::new(db), options }
    }

    /// Deletes reservations that nothing came of; how many.
    ///
    /// # Errors
    /// As for any statement.
    pub async fn sweep(&self, now: Timestamp) -> Result<u64, StoreError> {
        reservations::sweep(&self.db, now).await
    }

    /// Is told whenever an append has left tasks; also when nobody was waiting, so that the next wait ends at once.
    #[must_use]
    pub fn tasks(&self) -> Arc<Notify> {
        Arc::clone(&self.tasks)
    }

    /// Waits for running appends, then closes the connections that are the journal's own. The [`Db`] stays open.
    pub async fn close(&self) {
        match &self.appender {
            Appender::Postgres(appender) => appender.close().await,
            Appender::Sqlite(appender) => appender.close().await,
        }
    }

    /// Runs something that is no append within the patience for it.
    async fn patiently<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, JournalError> {
        match tokio::time::timeout(self.options.read_patience, work).await {
            Ok(done) => done.map_err(meaning),
            Err(_) => Err(meaning(StoreError::Unavailable { why: "no answer in time", source: None })),
        }
    }

    async fn create_room(&self, room: RoomId, kind: &str, at: Timestamp) -> Result<Option<String>, StoreError> {
        let made = db_write!(&self.db, |pool| {
            sqlx::query(
                "INSERT INTO rooms (id, kind, epoch, node, last_seq, created_at, updated_at, title, status, summary, ended_at) \
                 VALUES ($1, $2, 0, NULL, 0, $3, $3, '', '', '{}', NULL) ON CONFLICT (id) DO NOTHING",
            )
            .bind(room.0)
            .bind(kind)
            .bind(at.as_ms())
            .execute(pool)
            .await
            .map(|done| done.rows_affected())
        })?;
        if made == 1 { Ok(None) } else { self.kind_of(room).await }
    }

    async fn kind_of(&self, room: RoomId) -> Result<Option<String>, StoreError> {
        Ok(db_read!(&self.db, |pool| {
            sqlx::query_scalar("SELECT kind FROM rooms WHERE id = $1").bind(room.0).fetch_optional(pool).await
        })?)
    }

    async fn epoch_of(&self, room: RoomId) -> Result<Option<Epoch>, StoreError> {
        let epoch: Option<i64> =
            db_read!(&self.db, |pool| sqlx::query_scalar("SELECT epoch FROM rooms WHERE id = $1").bind(room.0).fetch_optional(pool).await)?;
        Ok(epoch.map(Epoch::from_db))
    }

    async fn open_room(&self, room: RoomId, node: NodeId) -> Result<Option<Opened>, StoreError> {
        let opened = db_tx!(&self.db, |tx| {
            // Waits for an append under the old epoch that holds the row, so `last` is final for everybody but this owner.
            let row: Option<(String, i64, i64)> =
                sqlx::query_as("UPDATE rooms SET epoch = epoch + 1, node = $2 WHERE id = $1 RETURNING kind, epoch, last_seq")
                    .bind(room.0)
                    .bind(node.0)
                    .fetch_optional(&mut *tx)
                    .await?;
            let snapshot: Option<(i64, i64, Vec<u8>)> =
                sqlx::query_as("SELECT seq, version, state FROM snapshots WHERE room = $1").bind(room.0).fetch_optional(&mut *tx).await?;
            row.map(|(kind, epoch, last)| (kind, epoch, last, snapshot))
        });
        let Some((kind, epoch, last, snapshot)) = opened else { return Ok(None) };
        let snapshot = match snapshot {
            Some((seq, version, state)) => Some(Snapshot {
                seq: Seq::from_db(seq),
                version: u16::try_from(version).map_err(StoreError::decode)?,
                state: Bytes::from(state),
            }),
            None => None,
        };
        Ok(Some(Opened { kind, epoch: Epoch::from_db(epoch), snapshot, last: Seq::from_db(last) }))
    }

    async fn keep_snapshot(&self, room: RoomId, epoch: Epoch, snapshot: Snapshot) -> Result<(), StoreError> {
        // Beyond what the journal has, a state would hold events that never happened: such a snapshot is not kept either.
        db_write!(&self.db, |pool| {
            sqlx::query(
                "INSERT INTO snapshots (room, epoch, seq, version, state, at) \
                 SELECT r.id, r.epoch, $3, $4, $5, COALESCE((SELECT e.at FROM events e WHERE e.room = $1 AND e.seq = $3), r.created_at) \
                 FROM rooms r WHERE r.id = $1 AND r.epoch = $2 AND r.last_seq >= $3 \
                 ON CONFLICT (room) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq, version = excluded.version, \
                 state = excluded.state, at = excluded.at WHERE snapshots.seq <= excluded.seq",
            )
            .bind(room.0)
            .bind(epoch.to_db())
            .bind(snapshot.seq.to_db())
            .bind(i64::from(snapshot.version))
            .bind(&snapshot.state[..])
            .execute(pool)
            .await
            .map(|_| ())
        })?;
        Ok(())
    }

    async fn rooms_due(
        &self,
        until: Timestamp,
        after: Option<(Timestamp, RoomId)>,
        limit: u32,
    ) -> Result<Vec<(Timestamp, RoomId)>, StoreError> {
        // Before everything there is: deadlines are later than the least instant.
        let (at, id) = after.map_or((i64::MIN, Uuid::nil()), |(at, room)| (at.as_ms(), room.0));
        let rows: Vec<(i64, Uuid)> = db_read!(&self.db, |pool| {
            sqlx::query_as(
                "SELECT deadline, id FROM rooms WHERE deadline IS NOT NULL AND ended_at IS NULL AND deadline <= $1 \
                 AND (deadline, id) > ($2, $3) ORDER BY deadline, id LIMIT $4",
            )
            .bind(until.as_ms())
            .bind(at)
            .bind(id)
            .bind(i64::from(limit))
            .fetch_all(pool)
            .await
        })?;
        Ok(rows.into_iter().map(|(at, room)| (Timestamp::from_ms(at), RoomId(room))).collect())
    }
}

#[async_trait]
impl Journal for DbJournal {
    async fn create(&self, room: RoomId, kind: &'static str, at: Timestamp) -> Result<(), JournalError> {
        match self.patiently(self.create_room(room, kind, at)).await? {
            Some(other) if other != kind => Err(JournalError::Broken(format!("room {room} exists as a {other}, not as a {kind}"))),
            Some(_) | None => Ok(()),
        }
    }

    async fn kind(&self, room: RoomId) -> Result<Option<String>, JournalError> {
        self.patiently(self.kind_of(room)).await
    }

    async fn open(&self, room: RoomId, node: NodeId) -> Result<Option<Opened>, JournalError> {
        self.patiently(self.open_room(room, node)).await
    }

    async fn epoch(&self, room: RoomId) -> Result<Option<Epoch>, JournalError> {
        self.patiently(self.epoch_of(room)).await
    }

    async fn append(&self, batch: Arc<[Append]>) -> Result<Vec<Result<(), Refusal>>, JournalError> {
        let deadline = tokio::time::Instant::now() + self.options.append_patience;
        let leaves_task = |part: &Append| part.projections.iter().any(|projection| matches!(projection, Projection::Task { .. }));
        let leaves_tasks = batch.iter().any(leaves_task);
        let results = match &self.appender {
            Appender::Postgres(appender) => appender.append(&batch, deadline).await,
            Appender::Sqlite(appender) => appender.append(batch, deadline).await,
        };
        if leaves_tasks {
            self.tasks.notify_one();
        }
        results.map_err(meaning)
    }

    async fn read(&self, room: RoomId, after: Seq, up_to: Seq, limit: u32) -> Result<Vec<Stored>, JournalError> {
        let rows = async {
            Ok(db_read!(&self.db, |pool| {
                sqlx::query_as::<_, (i64, Vec<u8>)>(
                    "SELECT seq, bytes FROM events WHERE room = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4",
                )
                .bind(room.0)
                .bind(after.to_db())
                .bind(up_to.to_db())
                .bind(i64::from(limit))
                .fetch_all(pool)
                .await
            })?)
        };
        let rows = self.patiently(rows).await?;
        Ok(rows.into_iter().map(|(seq, bytes)| Stored { seq: Seq::from_db(seq), bytes: Bytes::from(bytes) }).collect())
    }

    async fn last_command(&self, room: RoomId, author: UserId, client: ClientId) -> Result<Option<CommandNumber>, JournalError> {
        let last = async {
            Ok(db_read!(&self.db, |pool| {
                sqlx::query_scalar::<_, Option<i64>>("SELECT max(n) FROM events WHERE room = $1 AND author = $2 AND client = $3")
                    .bind(room.0)
                    .bind(author.0)
                    .bind(client.0)
                    .fetch_one(pool)
                    .await
            })?)
        };
        Ok(self.patiently(last).await?.map(CommandNumber::from_db))
    }

    async fn find_command(
        &self,
        room: RoomId,
        author: UserId,
        client: ClientId,
        n: CommandNumber,
    ) -> Result<Option<StoredCommand>, JournalError> {
        let found = async {
            Ok(db_read!(&self.db, |pool| {
                sqlx::query_as::<_, (i64, i64, Vec<u8>)>(
                    "SELECT seq, fingerprint, bytes FROM events WHERE room = $1 AND author = $2 AND client = $3 AND n = $4",
                )
                .bind(room.0)
                .bind(author.0)
                .bind(client.0)
                .bind(n.to_db())
                .fetch_optional(pool)
                .await
            })?)
        };
        Ok(self.patiently(found).await?.map(|(seq, fingerprint, bytes)| StoredCommand {
            seq: Seq::from_db(seq),
            fingerprint: fingerprint.cast_unsigned(),
            bytes: Bytes::from(bytes),
        }))
    }

    async fn save_snapshot(&self, room: RoomId, epoch: Epoch, snapshot: Snapshot) -> Result<(), JournalError> {
        self.patiently(self.keep_snapshot(room, epoch, snapshot)).await
    }

    async fn due(
        &self,
        until: Timestamp,
        after: Option<(Timestamp, RoomId)>,
        limit: u32,
    ) -> Result<Vec<(Timestamp, RoomId)>, JournalError> {
        self.patiently(self.rooms_due(until, after, limit)).await
    }

    async fn reserve(&self, reservation: Reservation, now: Timestamp) -> Result<bool, JournalError> {
        self.patiently(self.reservations.reserve(reservation, now)).await
    }

    async fn release(&self, reservation: Reservation) -> Result<(), JournalError> {
        self.patiently(self.reservations.release(reservation)).await
    }
}

/// A row that cannot be read is broken; everything else (away, slow, refused, full) may work later.
fn meaning(error: StoreError) -> JournalError {
    match error {
        StoreError::Database(source) if is_decoding(&source) => JournalError::Broken(source.to_string()),
        other @ (StoreError::Unique { .. }
        | StoreError::Reference
        | StoreError::Unavailable { .. }
        | StoreError::Url(_)
        | StoreError::Schema(_)
        | StoreError::Database(_)) => JournalError::Unavailable(Box::new(other)),
    }
}

fn is_decoding(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_))
}
