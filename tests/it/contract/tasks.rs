//! The outbox, on both databases.

use super::{Store, append, record};
use crate::harness::{TestDatabase, for_each_backend};
use serde_json::json;
use std::collections::BTreeSet;
use tripsync::store::journal::JournalOptions;
use tripsync::store::tasks::{self, TAKEN_FOR, TaskKey};
use tripsync_actors::ports::Journal as _;
use tripsync_domain::{Projection, RoomId, Seq, Task, Timestamp, UserId};
use uuid::Uuid;

for_each_backend!(tasks_are_taken_until_they_are_done, a_task_that_cannot_be_read_keeps_no_other, takers_at_once_do_not_get_the_same);

fn deliver(text: &str) -> Task {
    Task::Deliver { user: UserId(Uuid::nil()), item: json!({"type": "t", "text": text}) }
}

fn task(seq: u64, index: u16, task: Task) -> Projection {
    Projection::Task { seq: Seq(seq), index, task }
}

fn key(room: RoomId, seq: u64, index: u16) -> TaskKey {
    TaskKey { room, seq: Seq(seq), index }
}

/// The instant that `record` gives an event, and a moment later.
fn at(seq: i64) -> Timestamp {
    Timestamp::from_ms(1_000 + seq)
}

async fn take(store: &Store, now: Timestamp, limit: u32) -> Vec<TaskKey> {
    tasks::take(&store.db, now, limit).await.unwrap().into_iter().map(|taken| taken.key).collect()
}

async fn tasks_are_taken_until_they_are_done(database: TestDatabase) {
    let store = Store::open(&database, JournalOptions::default()).await;
    let (one, two) = (store.room(0).await, store.room(0).await);
    assert_eq!(tasks::next_due(&store.db).await.unwrap(), None);
    let firsts = vec![task(2, 0, Task::Match {}), task(2, 1, deliver("a\0b")), task(3, 0, deliver("c"))];
    let batch = [append(one, vec![record(1), record(2), record(3)], firsts), append(two, vec![record(1)], vec![task(1, 7, deliver("d"))])];
    assert_eq!(store.journal.append(batch.into()).await.unwrap(), [Ok(()), Ok(())]);
    // A refused append has no tasks, and its room's first ones stay.
    let again = [append(one, vec![record(3)], vec![task(3, 0, deliver("e"))])];
    assert!(store.journal.append(again.into()).await.unwrap()[0].is_err());

    assert_eq!(tasks::next_due(&store.db).await.unwrap(), Some(at(1)));
    assert_eq!(take(&store, at(0), 100).await, []);
    // Oldest first, each with what it is about.
    let taken = tasks::take(&store.db, at(3), 3).await.unwrap();
    let seen: Vec<_> = taken.iter().map(|taken| (taken.key, taken.task.clone(), taken.at, taken.attempts)).collect();
    let expected = [
        (key(two.0, 1, 7), deliver("d"), at(1), 1),
        (key(one.0, 2, 0), Task::Match {}, at(2), 1),
        (key(one.0, 2, 1), deliver("a\0b"), at(2), 1),
    ];
    assert_eq!(seen, expected);
    // What is taken is hidden from others; what was forgotten comes back.
    assert_eq!(take(&store, at(3), 100).await, [key(one.0, 3, 0)]);
    assert_eq!(take(&store, at(3), 100).await, []);
    tasks::done(&store.db, &[key(one.0, 3, 0), key(two.0, 1, 7), key(one.0, 9, 9)]).await.unwrap();
    tasks::failed(&store.db, key(one.0, 2, 1), 3, at(3)).await.unwrap();
    let later = at(3).plus(TAKEN_FOR);
    assert_eq!(tasks::next_due(&store.db).await.unwrap(), Some(Timestamp::from_ms(at(3).as_ms() + 4_000)));
    let taken = tasks::take(&store.db, later, 100).await.unwrap();
    assert_eq!(taken.iter().map(|taken| (taken.key, taken.attempts)).collect::<Vec<_>>(), [(key(one.0, 2, 0), 2), (key(one.0, 2, 1), 2)]);
    tasks::done(&store.db, &taken.iter().map(|taken| taken.key).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(tasks::next_due(&store.db).await.unwrap(), None);
    store.close().await;
}

async fn a_task_that_cannot_be_read_keeps_no_other(database: TestDatabase) {
    let store = Store::open(&database, JournalOptions::default()).await;
    let room = store.room(0).await;
    let two = vec![task(1, 0, deliver("odd")), task(1, 1, deliver("plain"))];
    assert_eq!(store.journal.append([append(room, vec![record(1)], two)].into()).await.unwrap(), [Ok(())]);
    tripsync::db_write!(&store.db, |pool| {
        sqlx::query("UPDATE tasks SET task = '{\"task\":\"from_the_future\"}' WHERE idx = 0").execute(pool).await.map(drop)
    })
    .unwrap();
    assert_eq!(take(&store, at(1), 100).await, [key(room.0, 1, 1)]);
    assert_eq!(tasks::next_due(&store.db).await.unwrap(), Some(Timestamp::from_ms(at(1).as_ms() + 1_000)));
    store.close().await;
}

async fn takers_at_once_do_not_get_the_same(database: TestDatabase) {
    let store = Store::open(&database, JournalOptions::default()).await;
    let room = store.room(0).await;
    let many = (0..60).map(|index| task(1, index, Task::Match {})).collect();
    assert_eq!(store.journal.append([append(room, vec![record(1)], many)].into()).await.unwrap(), [Ok(())]);
    let takers = futures_util::future::join_all((0..6).map(|_| take(&store, at(1), 10))).await;
    let mut all: Vec<_> = takers.into_iter().flatten().collect();
    // Whoever came too late for the oldest got others, or fewer.
    let different: BTreeSet<_> = all.iter().copied().collect();
    assert_eq!(different.len(), all.len());
    loop {
        let rest = take(&store, at(1), 10).await;
        if rest.is_empty() {
            break;
        }
        all.extend(rest);
    }
    all.sort_unstable();
    assert_eq!(all, (0..60).map(|index| key(room.0, 1, index)).collect::<Vec<_>>());
    store.close().await;
}
