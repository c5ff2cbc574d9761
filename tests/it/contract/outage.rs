//! Databases that stop answering.

use super::{Store, append, record};
use crate::harness::{Backend, PrivatePostgres, TestDatabase, eventually};
use futures_util::future::select_all;
use sqlx::Connection as _;
use std::time::Duration;
use tripsync::store::journal::JournalOptions;
use tripsync_actors::ports::{Journal as _, JournalError, Refusal};
use tripsync_domain::{NodeId, Seq};
use uuid::Uuid;

/// A pool smaller than the callers, so that some wait for a connection and some for an answer.
const CALLERS: u64 = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_outwait_a_frozen_postgres_and_are_answered_truly() {
    let mut postgres = PrivatePostgres::start().await;
    let database = postgres.database().await;
    let store = Store::open(&database, JournalOptions { connections: 2, ..JournalOptions::default() }).await;
    let mut rooms = Vec::new();
    for _ in 0..CALLERS {
        rooms.push(store.room(0).await);
    }
    postgres.freeze().await;
    let mut appends: Vec<_> = rooms
        .iter()
        .map(|room| {
            let (journal, batch) = (store.journal.clone(), [append(*room, vec![record(1)], Vec::new())]);
            tokio::spawn(async move { journal.append(batch.into()).await })
        })
        .collect();
    // Longer than the pool's usual patience of 5 s.
    let any = tokio::time::timeout(Duration::from_millis(5_500), select_all(&mut appends)).await;
    assert!(any.is_err(), "an append was answered by a database that stands still");
    postgres.thaw().await;
    for append in appends {
        assert_eq!(append.await.unwrap().unwrap(), [Ok(())]);
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_that_postgres_does_not_answer_has_an_unknown_outcome_and_no_second_effect() {
    let mut postgres = PrivatePostgres::start().await;
    let database = postgres.database().await;
    let options = JournalOptions { append_patience: Duration::from_millis(700), ..JournalOptions::default() };
    let store = Store::open(&database, options).await;
    let room = store.room(0).await;
    let plain = |seq| [append(room, vec![record(seq)], Vec::new())];
    assert_eq!(store.journal.append(plain(1).into()).await.unwrap(), [Ok(())]);

    postgres.freeze().await;
    let unknown = store.journal.append(plain(2).into()).await;
    assert!(matches!(unknown, Err(JournalError::Unavailable(_))), "{unknown:?}");
    postgres.thaw().await;

    // The next owner sees how it ended, and from then on it cannot happen any more.
    let opened = store.journal.open(room.0, NodeId(Uuid::now_v7())).await.unwrap().unwrap();
    let read = store.journal.read(room.0, Seq(0), Seq(9), 9).await.unwrap();
    assert_eq!(u64::try_from(read.len()).unwrap(), opened.last.0);
    assert_eq!(store.journal.append(plain(opened.last.0 + 1).into()).await.unwrap(), [Err(Refusal::Fenced)]);
    let mine = [append((room.0, opened.epoch), vec![record(opened.last.0 + 1)], Vec::new())];
    assert_eq!(store.journal.append(mine.into()).await.unwrap(), [Ok(())]);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_goes_on_after_postgres_was_killed_and_lost_nothing() {
    let mut postgres = PrivatePostgres::start().await;
    let database = postgres.database().await;
    let store = Store::open(&database, JournalOptions::default()).await;
    let room = store.room(0).await;
    let mut acknowledged = 0;
    for seq in 1..=50 {
        let batch = [append(room, vec![record(seq)], Vec::new())];
        assert_eq!(store.journal.append(batch.into()).await.unwrap(), [Ok(())]);
        acknowledged = seq;
    }
    postgres.kill().await;
    postgres.restart().await;
    let opened = eventually("the room can be opened", Duration::from_secs(30), || async {
        store.journal.open(room.0, NodeId(Uuid::now_v7())).await
    });
    let opened = opened.await.unwrap();
    assert_eq!(opened.last.0, acknowledged);
    eventually("an append", Duration::from_secs(30), || async {
        store.journal.append([append((room.0, opened.epoch), vec![record(acknowledged + 1)], Vec::new())].into()).await
    })
    .await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_wait_for_another_process_that_holds_the_sqlite_file() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let store = Store::open(&database, JournalOptions::default()).await;
    let room = store.room(0).await;
    let mut other = sqlx::SqliteConnection::connect(database.url()).await.unwrap();
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let (journal, batch) = (store.journal.clone(), [append(room, vec![record(1)], Vec::new())]);
    let mut appending = tokio::spawn(async move { journal.append(batch.into()).await });
    // Longer than SQLite's own patience of 5 s.
    let early = tokio::time::timeout(Duration::from_millis(5_500), &mut appending).await;
    assert!(early.is_err(), "{early:?}");
    lock.rollback().await.unwrap();
    assert_eq!(appending.await.unwrap().unwrap(), [Ok(())]);
    store.close().await;
}
