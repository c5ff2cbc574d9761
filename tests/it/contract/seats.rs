//! Seats are counted by the database itself: what the rules would have to be wrong for is refused, on both databases.

use super::{Store, append, record};
use crate::harness::{TestDatabase, for_each_backend};
use sqlx::AssertSqlSafe;
use tripsync::store::Db;
use tripsync::store::journal::JournalOptions;
use tripsync_actors::ports::{Journal as _, Refusal};
use tripsync_domain::{Epoch, ItemId, Projection, RoomId, Seq};
use uuid::Uuid;

for_each_backend!(an_oversold_seat_is_refused_by_the_database, what_is_counted_cannot_be_written_past);

async fn used(db: &Db, room: RoomId) -> Vec<(i64, i64)> {
    tripsync::db_read!(db, |pool| {
        sqlx::query_as("SELECT used, total FROM room_capacity WHERE room = $1 ORDER BY part").bind(room.0).fetch_all(pool).await
    })
    .unwrap()
}

async fn counted(db: &Db, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    tripsync::db_read!(db, |pool| sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(pool).await).unwrap()
}

fn taken(from: u16, to: u16, count: u16) -> Projection {
    Projection::Taken { id: ItemId(Uuid::now_v7()), from, to, count }
}

/// A room with three parts of which each is there twice, the second of them taken once.
async fn room(store: &Store) -> (RoomId, Epoch) {
    let room = store.room(0).await;
    let projections = vec![Projection::Capacity { parts: 3, total: 2 }, taken(1, 2, 1)];
    assert_eq!(store.journal.append([append(room, vec![record(1)], projections)].into()).await.unwrap(), [Ok(())]);
    room
}

async fn an_oversold_seat_is_refused_by_the_database(database: TestDatabase) {
    let store = Store::open(&database, JournalOptions::default()).await;
    let (one, two) = (room(&store).await, room(&store).await);
    // Rules that had counted wrongly: nothing of their append is stored, and the other room's is.
    let batch = [append(one, vec![record(2)], vec![taken(0, 3, 2)]), append(two, vec![record(2)], vec![taken(0, 3, 1)])];
    assert_eq!(store.journal.append(batch.into()).await.unwrap(), [Err(Refusal::Duplicate), Ok(())]);
    assert_eq!(used(&store.db, one.0).await, [(0, 2), (1, 2), (0, 2)]);
    assert_eq!(used(&store.db, two.0).await, [(1, 2), (2, 2), (1, 2)]);
    for (room, events) in [(one, 1), (two, 2)] {
        assert_eq!(store.journal.read(room.0, Seq(0), Seq(9), 9).await.unwrap().len(), events);
    }
    store.close().await;
}

async fn what_is_counted_cannot_be_written_past(database: TestDatabase) {
    let store = Store::open(&database, JournalOptions::default()).await;
    let room = room(&store).await.0;
    let wrong = [
        // More than there is, none at all, and of parts that there are not.
        "INSERT INTO room_takers (room, id, part_from, part_to, count) VALUES ($1, $2, 0, 3, 2)",
        "INSERT INTO room_takers (room, id, part_from, part_to, count) VALUES ($1, $2, 0, 1, 0)",
        "INSERT INTO room_takers (room, id, part_from, part_to, count) VALUES ($1, $2, 0, 1, -1)",
        "INSERT INTO room_takers (room, id, part_from, part_to, count) VALUES ($1, $2, 2, 4, 1)",
        "INSERT INTO room_takers (room, id, part_from, part_to, count) VALUES ($2, $1, 0, 1, 1)",
        // Changed behind the count, or taken away under it.
        "UPDATE room_takers SET count = count + 1 WHERE room = $1 AND id <> $2",
        "UPDATE room_capacity SET total = 0 WHERE room = $1 AND room <> $2",
        "UPDATE room_capacity SET used = used - 2 WHERE room = $1 AND room <> $2",
        "DELETE FROM room_capacity WHERE room = $1 AND room <> $2",
    ];
    for sql in wrong {
        let done = tripsync::db_write!(&store.db, |pool| {
            sqlx::query(sql).bind(room.0).bind(Uuid::now_v7()).execute(pool).await.map(|done| done.rows_affected())
        });
        assert!(done.is_err(), "{sql}: {done:?}");
        assert_eq!(used(&store.db, room).await, [(0, 2), (1, 2), (0, 2)], "{sql}");
    }
    assert_eq!(counted(&store.db, "room_takers").await, 1);
    store.close().await;
}
