//! Appending on SQLite: a batch is one transaction, written by a thread of its own.
//!
//! The driver of everything else in the store hands every statement to the thread of its connection and back, and a commit has several:
//! with a whole batch handed over once, a commit costs half as much ([ADR 13](../../../docs/adr/0013-sqlite-journal-thread.md)).
//! The thread has its own connection. SQLite has one writer at a time, so an append takes its turn like everybody else who writes, and the
//! thread has it while it works.

mod extras;
mod rows;
mod writer;

use super::Results;
use crate::store::{SqliteDb, StoreError};
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, timeout_at};
use tripsync_actors::ports::Append;

/// Appends through the writer thread; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Appender {
    db: SqliteDb,
    writer: Arc<Mutex<Writer>>,
}

/// The thread, which starts with the first append.
#[derive(Debug)]
enum Writer {
    New(PathBuf),
    Running(mpsc::SyncSender<Job>, JoinHandle<()>),
    Closed,
}

/// A batch on its way to the thread.
struct Job {
    batch: Arc<[Append]>,
    deadline: Instant,
    turn: OwnedSemaphorePermit,
    done: oneshot::Sender<Result<Results, StoreError>>,
}

impl Appender {
    pub(super) fn new(db: &SqliteDb) -> Self {
        Self { db: db.clone(), writer: Arc::new(Mutex::new(Writer::New(db.path().to_owned()))) }
    }

    /// Appends, trying again until the deadline while it is certain that nothing happened.
    pub(super) async fn append(&self, batch: Arc<[Append]>, deadline: Instant) -> Result<Results, StoreError> {
        let late = || unavailable("no answer in time");
        let turn = loop {
            match timeout_at(deadline, self.db.turn()).await {
                Ok(Ok(turn)) => break turn,
                Ok(Err(sqlx::Error::PoolTimedOut)) => {}
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => return Err(late()),
            }
        };
        let (done, outcome) = oneshot::channel();
        self.hand_over(Job { batch, deadline, turn, done })?;
        match timeout_at(deadline, outcome).await {
            Ok(Ok(results)) => results,
            Ok(Err(_)) => Err(unavailable("the journal's thread failed")),
            Err(_) => Err(late()),
        }
    }

    fn hand_over(&self, job: Job) -> Result<(), StoreError> {
        let mut writer = self.writer.lock();
        if let Writer::New(path) = &*writer {
            // Whoever holds the turn is alone, and the thread takes one job before the turn is passed on: one place is enough.
            let (sender, jobs) = mpsc::sync_channel(1);
            let path = path.clone();
            let thread = std::thread::Builder::new().name("sqlite-journal".into()).spawn(move || writer::run(&path, &jobs));
            let thread = thread.map_err(|error| StoreError::Unavailable {
                why: "cannot start the journal's thread",
                source: Some(Box::new(sqlx::Error::Io(error))),
            })?;
            *writer = Writer::Running(sender, thread);
        }
        match &*writer {
            Writer::Running(jobs, _) => jobs.try_send(job).map_err(|_| unavailable("the journal's thread is gone")),
            Writer::New(_) | Writer::Closed => Err(unavailable("shutting down")),
        }
    }

    /// Waits for the append under way, then closes the thread's connection.
    pub(super) async fn close(&self) {
        let writer = std::mem::replace(&mut *self.writer.lock(), Writer::Closed);
        if let Writer::Running(jobs, thread) = writer {
            drop(jobs);
            // It ends by itself; a panic in it was answered as such.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

const fn unavailable(why: &'static str) -> StoreError {
    StoreError::Unavailable { why, source: None }
}
