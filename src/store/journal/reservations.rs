//! Bounds over all rooms: what users have reserved in which of them.
//!
//! Two tables: what lasts, written by appends alone ([`super::extras`]), and what is held for commands under way. Counted are the rooms of
//! both, so that a command's place counts without a gap from before it is judged until after it is stored. Promises that calls at once
//! never exceed a bound: those of one user come one after the other, within this process by the [`Desk`], between processes on PostgreSQL
//! by a lock in the name of the user. An append cannot exceed a bound because it was reserved before.
//!
//! A thousand people who want the same seat reserve within the same moment, so whatever waits is written in one transaction, as appends are.

use crate::db_write;
use crate::store::{Db, SqliteDb, StoreError};
use parking_lot::Mutex;
use sqlx::PgPool;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tripsync_actors::ports::{RESERVED_FOR, Reservation};
use tripsync_domain::{Timestamp, UserId};
use uuid::Uuid;

/// Rows that one statement of [`sweep`] deletes, so that it keeps nobody waiting.
const SWEPT_AT_ONCE: i64 = 1_000;

/// Reservations in one transaction.
const BATCH_MAX: usize = 128;

/// What may wait; more is answered with "unavailable".
const WAITING_MAX: usize = 8_192;

/// How long a transaction may take: a connection that hangs must not keep everybody waiting for good.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where reservations are made and given back; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    db: Db,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Wish>,
    /// Whether somebody works on it.
    served: bool,
}

/// Something to write, and who waits for it.
#[derive(Debug)]
struct Wish {
    kind: Kind,
    /// Whether it was made; what is given back always is.
    done: oneshot::Sender<bool>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Reserve(Reservation, Timestamp),
    Release(Uuid),
}

impl Desk {
    pub(super) fn new(db: &Db) -> Self {
        Self { db: db.clone(), queue: Arc::default() }
    }

    /// `false`: the user has as many as allowed.
    pub(super) async fn reserve(&self, reservation: Reservation, now: Timestamp) -> Result<bool, StoreError> {
        self.wish(Kind::Reserve(reservation, now)).await
    }

    pub(super) async fn release(&self, reservation: Reservation) -> Result<(), StoreError> {
        self.wish(Kind::Release(reservation.id)).await.map(drop)
    }

    async fn wish(&self, kind: Kind) -> Result<bool, StoreError> {
        let (done, answer) = oneshot::channel();
        {
            let mut queue = self.queue.lock();
            if queue.waiting.len() >= WAITING_MAX {
                return Err(unavailable("too many reservations wait"));
            }
            queue.waiting.push_back(Wish { kind, done });
            if !std::mem::replace(&mut queue.served, true) {
                // A task of its own: whoever began it may give up while others wait for the same transaction.
                tokio::spawn(Serving(self.clone()).serve());
            }
        }
        answer.await.map_err(|_| unavailable("a reservation was not written"))
    }

    /// What is written next; when there is nothing, nobody serves any more.
    fn next(&self) -> Option<Vec<Wish>> {
        let mut queue = self.queue.lock();
        let batch = next_batch(&mut queue.waiting);
        queue.served = !batch.is_empty();
        queue.served.then_some(batch)
    }

    /// The reservations that were refused.
    async fn write(&self, kinds: &[Kind]) -> Result<HashSet<Uuid>, StoreError> {
        match &self.db {
            Db::Postgres(db) => on_postgres(db.pool(), kinds).await,
            Db::Sqlite(db) => on_sqlite(db, kinds).await,
        }
    }
}

/// The task that serves. However it ends, nobody waits for it in vain.
struct Serving(Desk);

impl Drop for Serving {
    fn drop(&mut self) {
        if std::thread::panicking() {
            *self.0.queue.lock() = Queue::default();
        }
    }
}

impl Serving {
    /// Writes what waits until nothing does.
    async fn serve(self) {
        while let Some(batch) = self.0.next() {
            let kinds: Vec<Kind> = batch.iter().map(|wish| wish.kind).collect();
            let written = timeout(PATIENCE, self.0.write(&kinds)).await;
            match written.unwrap_or_else(|_| Err(unavailable("no answer in time"))) {
                Ok(refused) => {
                    for Wish { kind, done } in batch {
                        let granted = match kind {
                            Kind::Reserve(it, _) => !refused.contains(&it.id),
                            Kind::Release(_) => true,
                        };
                        // Whoever does not wait any more gives it back.
                        let _ = done.send(granted);
                    }
                }
                // Who waits is told by the dropped channels.
                Err(error) => {
                    tracing::warn!(count = batch.len(), error = %crate::telemetry::chain(&error), "reservations were not written")
                }
            }
        }
    }
}

/// What can be written together: at most one reservation of a user, because the next one counts it. A reservation that nobody waits for any
/// more is not made: its release may be ahead of it by now.
fn next_batch(waiting: &mut VecDeque<Wish>) -> Vec<Wish> {
    let mut users: HashSet<UserId> = HashSet::new();
    let (mut batch, mut later) = (Vec::new(), VecDeque::new());
    while batch.len() < BATCH_MAX
        && let Some(wish) = waiting.pop_front()
    {
        match wish.kind {
            Kind::Reserve(..) if wish.done.is_closed() => {}
            Kind::Reserve(it, _) if !users.insert(it.user) => later.push_back(wish),
            Kind::Reserve(..) | Kind::Release(_) => batch.push(wish),
        }
    }
    later.append(waiting);
    *waiting = later;
    batch
}

fn reserves(kinds: &[Kind]) -> impl Iterator<Item = (&Reservation, &Timestamp)> {
    kinds.iter().filter_map(|kind| match kind {
        Kind::Reserve(it, now) => Some((it, now)),
        Kind::Release(_) => None,
    })
}

fn releases(kinds: &[Kind]) -> impl Iterator<Item = Uuid> {
    kinds.iter().filter_map(|kind| match kind {
        Kind::Reserve(..) => None,
        Kind::Release(id) => Some(*id),
    })
}

async fn on_postgres(pool: &PgPool, kinds: &[Kind]) -> Result<HashSet<Uuid>, StoreError> {
    let gone: Vec<Uuid> = releases(kinds).collect();
    let mut refused: HashSet<Uuid> = reserves(kinds).map(|(it, _)| it.id).collect();
    if !gone.is_empty() {
        // By itself: in the transaction it would hold rows that another process, which has a user's lock, wants to delete.
        sqlx::query("DELETE FROM reservations_held WHERE id = ANY($1)").bind(gone).execute(pool).await?;
    }
    if !refused.is_empty() {
        let mut tx = pool.begin().await?;
        let (mut locks, mut ids, mut users, mut whats, mut rooms, mut ats, mut befores, mut bounds) =
            (vec![], vec![], vec![], vec![], vec![], vec![], vec![], vec![]);
        for (it, now) in reserves(kinds) {
            locks.push(lock_of(it.user));
            ids.push(it.id);
            users.push(it.user.0);
            whats.push(it.quota.what);
            rooms.push(it.room.0);
            ats.push(now.as_ms());
            befores.push(forgotten(*now));
            bounds.push(i64::from(it.quota.max));
        }
        // In one order everywhere, so that nobody waits for somebody who waits for them.
        locks.sort_unstable();
        // Until the commit. Statements after it see what whoever held one before has written.
        sqlx::query("SELECT pg_advisory_xact_lock(k) FROM unnest($1::bigint[]) AS k").bind(locks).execute(&mut *tx).await?;
        sqlx::query(
            "DELETE FROM reservations_held AS h USING unnest($1::uuid[], $2::text[], $3::bigint[]) AS r (user_id, what, before) \
             WHERE h.user_id = r.user_id AND h.what = r.what AND h.at <= r.before",
        )
        .bind(&users)
        .bind(&whats)
        .bind(befores)
        .execute(&mut *tx)
        .await?;
        let made: Vec<Uuid> = sqlx::query_scalar(
            "INSERT INTO reservations_held (id, user_id, what, room, at) SELECT r.id, r.user_id, r.what, r.room, r.at \
             FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::bigint[], $6::bigint[]) AS r (id, user_id, what, room, at, bound) \
             WHERE (SELECT count(*) FROM \
             (SELECT l.room FROM reservations AS l WHERE l.user_id = r.user_id AND l.what = r.what AND l.room <> r.room \
             UNION SELECT h.room FROM reservations_held AS h WHERE h.user_id = r.user_id AND h.what = r.what AND h.room <> r.room) \
             AS others) < r.bound RETURNING id",
        )
        .bind(ids)
        .bind(users)
        .bind(whats)
        .bind(rooms)
        .bind(ats)
        .bind(bounds)
        .fetch_all(&mut *tx)
        .await?;
        for id in made {
            refused.remove(&id);
        }
        tx.commit().await?;
    }
    Ok(refused)
}

async fn on_sqlite(db: &SqliteDb, kinds: &[Kind]) -> Result<HashSet<Uuid>, StoreError> {
    let mut refused = HashSet::new();
    let _turn = db.turn().await?;
    let mut tx = db.writer().begin_with("BEGIN IMMEDIATE").await?;
    for id in releases(kinds) {
        sqlx::query("DELETE FROM reservations_held WHERE id = $1").bind(id).execute(&mut *tx).await?;
    }
    for (it, now) in reserves(kinds) {
        sqlx::query("DELETE FROM reservations_held WHERE user_id = $1 AND what = $2 AND at <= $3")
            .bind(it.user.0)
            .bind(it.quota.what)
            .bind(forgotten(*now))
            .execute(&mut *tx)
            .await?;
        let made = sqlx::query(
            "INSERT INTO reservations_held (id, user_id, what, room, at) SELECT $1, $2, $3, $4, $5 \
             WHERE (SELECT count(*) FROM (SELECT room FROM reservations WHERE user_id = $2 AND what = $3 AND room <> $4 \
             UNION SELECT room FROM reservations_held WHERE user_id = $2 AND what = $3 AND room <> $4) AS others) < $6",
        )
        .bind(it.id)
        .bind(it.user.0)
        .bind(it.quota.what)
        .bind(it.room.0)
        .bind(now.as_ms())
        .bind(i64::from(it.quota.max))
        .execute(&mut *tx)
        .await?;
        if made.rows_affected() == 0 {
            refused.insert(it.id);
        }
    }
    tx.commit().await?;
    Ok(refused)
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

const fn unavailable(why: &'static str) -> StoreError {
    StoreError::Unavailable { why, source: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tripsync_domain::{Quota, RoomId};

    /// A wish, and what whoever waits for it has.
    fn wish(kind: Kind) -> (Wish, oneshot::Receiver<bool>) {
        let (done, answer) = oneshot::channel();
        (Wish { kind, done }, answer)
    }

    fn reserve(id: u128, user: u128) -> (Wish, oneshot::Receiver<bool>) {
        let (id, room, user) = (Uuid::from_u128(id), RoomId(Uuid::nil()), UserId(Uuid::from_u128(user)));
        wish(Kind::Reserve(Reservation { id, room, user, quota: Quota { what: "tests", max: 1 } }, Timestamp::from_ms(0)))
    }

    fn release(id: u128) -> (Wish, oneshot::Receiver<bool>) {
        wish(Kind::Release(Uuid::from_u128(id)))
    }

    fn ids(batch: &[Wish]) -> Vec<u128> {
        let id = |wish: &Wish| match wish.kind {
            Kind::Reserve(it, _) => it.id.as_u128(),
            Kind::Release(id) => id.as_u128(),
        };
        batch.iter().map(id).collect()
    }

    #[test]
    fn a_user_reserves_once_per_transaction_and_in_order() {
        let wishes = [reserve(1, 1), reserve(2, 1), reserve(3, 2), release(4), reserve(5, 1)];
        let (mut waiting, _answers): (VecDeque<_>, Vec<_>) = wishes.into_iter().unzip();
        assert_eq!(ids(&next_batch(&mut waiting)), [1, 3, 4]);
        assert_eq!(ids(&next_batch(&mut waiting)), [2]);
        assert_eq!(ids(&next_batch(&mut waiting)), [5]);
        assert!(next_batch(&mut waiting).is_empty());
    }

    #[test]
    fn what_was_given_up_before_its_turn_is_not_made() {
        let wishes = [reserve(1, 1), reserve(2, 1), reserve(3, 1), release(2)];
        let (mut waiting, mut answers): (VecDeque<_>, Vec<_>) = wishes.into_iter().unzip();
        drop(answers.remove(1));
        assert_eq!(ids(&next_batch(&mut waiting)), [1, 2], "the first reservation, and the release of the second");
        assert_eq!(ids(&next_batch(&mut waiting)), [3]);
    }

    #[test]
    fn a_transaction_is_bounded() {
        let (mut waiting, _answers): (VecDeque<_>, Vec<_>) = (0..300).map(|user| reserve(user, user)).unzip();
        assert_eq!(next_batch(&mut waiting).len(), BATCH_MAX);
        assert_eq!(waiting.len(), 300 - BATCH_MAX);
    }
}
