//! The thread that appends, with its connection.

use super::{Job, rows, unavailable};
use crate::store::StoreError;
use crate::store::journal::batch::{self, Part};
use crate::store::journal::{Refused, Results};
use crate::store::sqlite::CHECKPOINT_PAGES;
use rusqlite::{Connection, Error, Savepoint, TransactionBehavior};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::Duration;
use tokio::time::Instant;
use tripsync_actors::ports::{Append, Refusal};

/// How long a statement waits for another process (a backup, the `sqlite3` shell) to release its lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause before an append that certainly did not happen is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// Compiled statements that are kept: all that there are.
const STATEMENTS: usize = 32;

/// Pages that the connection keeps in memory, in KiB (SQLite's own default is 2 MiB, which the indexes of a few hundred busy rooms exceed).
const CACHE_KIB: i64 = 16 * 1024;

/// Appends until nobody can send any more.
pub(super) fn run(path: &Path, jobs: &Receiver<Job>) {
    let mut kept = None;
    while let Ok(Job { batch, deadline, turn, done }) = jobs.recv() {
        // Nobody waits: the append was given up before it began.
        if done.is_closed() {
            continue;
        }
        let results = catch_unwind(AssertUnwindSafe(|| append(&mut kept, path, &batch, deadline)));
        let results = results.unwrap_or_else(|_| Err(unavailable("the append failed")));
        if results.is_err() {
            // Whatever state it is in, closing it takes back what was not committed.
            kept = None;
        }
        drop(turn);
        let _ = done.send(results);
    }
}

fn append(kept: &mut Option<Connection>, path: &Path, batch: &[Append], deadline: Instant) -> Result<Results, StoreError> {
    let connection = match kept {
        Some(connection) => connection,
        None => kept.insert(open(path).map_err(failed)?),
    };
    let mut results = vec![Ok(()); batch.len()];
    for round in batch::rounds(batch, &mut results) {
        let refused = loop {
            match append_round(connection, &round) {
                Err(error) if never_began(&error) && Instant::now() + RETRY_PAUSE < deadline => std::thread::sleep(RETRY_PAUSE),
                done => break done.map_err(failed)?,
            }
        };
        batch::refuse(&round, &refused, &mut results);
    }
    Ok(results)
}

/// The settings are those of every connection to the file (see `store/sqlite.rs`), but for the sizes.
fn open(path: &Path) -> Result<Connection, Error> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", CHECKPOINT_PAGES, |_| Ok(()))?;
    Ok(connection)
}

fn append_round(connection: &mut Connection, parts: &[Part<'_>]) -> Result<Refused, Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match rows::put(&transaction, parts) {
        Ok(refused) => {
            transaction.commit()?;
            return Ok(refused);
        }
        Err(error) if is_about_a_row(&error) => transaction.rollback()?,
        Err(error) => return Err(error),
    }
    let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut refused = Refused::new();
    for part in parts {
        refused.extend(put_alone(transaction.savepoint()?, part)?);
    }
    transaction.commit()?;
    Ok(refused)
}

/// One part, so that if it fails it does not take the others with it.
fn put_alone(savepoint: Savepoint<'_>, part: &Part<'_>) -> Result<Refused, Error> {
    match rows::put(&savepoint, std::slice::from_ref(part)) {
        Ok(refused) => savepoint.commit().map(|()| refused),
        Err(error) if is_about_a_row(&error) => {
            tracing::error!(room.id = %part.append.room, "an append was refused: {}", crate::telemetry::chain(&error));
            Ok(Refused::from([(part.append.room, Refusal::Duplicate)]))
        }
        Err(error) => Err(error),
    }
}

/// SQLite's primary result code (<https://www.sqlite.org/rescode.html>).
fn code_of(error: &Error) -> Option<i32> {
    error.sqlite_error().map(|error| error.extended_code & 0xff)
}

/// A statement failed because of what one of the rows is, so the others may pass without it: too big, constraint, mismatch.
fn is_about_a_row(error: &Error) -> bool {
    matches!(code_of(error), Some(18..=20))
}

/// Waited in vain for another process's lock: `BEGIN IMMEDIATE` takes the lock, so nothing happened.
fn never_began(error: &Error) -> bool {
    matches!(code_of(error), Some(5 | 6))
}

fn failed(error: Error) -> StoreError {
    let why = if never_began(&error) { "database busy" } else { "the write failed" };
    StoreError::Unavailable { why, source: Some(Box::new(sqlx::Error::Io(std::io::Error::other(error)))) }
}
