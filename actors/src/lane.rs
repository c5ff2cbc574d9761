//! Journal lanes: a few tasks that append for all rooms.
//!
//! A room hands a lane at most one append at a time and goes on deciding meanwhile; the lane takes whatever is queued and appends it
//! in one batch. So a batch is one append when idle and grows with the load, a room's appends stay in order, and the queue is bounded
//! by the number of rooms. A lane knows no rooms: it answers each append through the function that came with it.

use crate::config::EngineConfig;
use crate::ports::{Append, Journal, Refusal};
use crate::room::caught;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tripsync_domain::RoomId;

/// What became of an append: stored, refused, or `None` when the outcome is unknown.
pub(crate) type Committed = Option<Result<(), Refusal>>;

/// An append and whom to tell.
pub(crate) struct Job {
    pub(crate) append: Append,
    pub(crate) done: Box<dyn FnOnce(Committed) + Send>,
}

/// The lanes of a node.
#[derive(Clone)]
pub(crate) struct Lanes(Arc<[mpsc::Sender<Job>]>);

impl Lanes {
    /// Starts the lanes' tasks; they end when the last clone of the result is dropped and their queues are empty.
    pub(crate) fn start(journal: &Arc<dyn Journal>, config: &EngineConfig) -> Self {
        let lanes = (0..config.lanes.max(1)).map(|_| {
            let (sender, receiver) = mpsc::channel(config.lane_queue_max);
            tokio::spawn(run(Arc::clone(journal), receiver, config.batch_rooms_max, config.commit_spacing));
            sender
        });
        Self(lanes.collect())
    }

    /// Queues an append in its room's lane; waits while the lane is full.
    pub(crate) async fn submit(&self, job: Job) {
        let lane = lane_of(job.append.room, self.0.len());
        if let Err(mpsc::error::SendError(job)) = self.0[lane].send(job).await {
            (job.done)(None);
        }
    }
}

/// A room's lane. UUIDv7 has its random bits at the end.
fn lane_of(room: RoomId, lanes: usize) -> usize {
    usize::from(room.as_bytes()[15]) % lanes
}

async fn run(journal: Arc<dyn Journal>, mut jobs: mpsc::Receiver<Job>, batch_max: usize, spacing: std::time::Duration) {
    let mut queued = Vec::with_capacity(batch_max);
    let mut earliest = Instant::now();
    loop {
        if jobs.recv_many(&mut queued, batch_max).await == 0 {
            return;
        }
        if queued.len() > 1 && queued.len() < batch_max && Instant::now() < earliest {
            sleep_until(earliest).await;
            while queued.len() < batch_max
                && let Ok(job) = jobs.try_recv()
            {
                queued.push(job);
            }
        }
        earliest = Instant::now() + spacing;
        let (appends, done): (Vec<_>, Vec<_>) = queued.drain(..).map(|job| (job.append, job.done)).unzip();
        let rooms = appends.len();
        metrics::histogram!("tripsync_journal_batch_rooms").record(f64::from(u32::try_from(rooms).unwrap_or(u32::MAX)));
        let started = Instant::now();
        // A defect in a journal must not end the lane, which would leave its rooms waiting for ever.
        match caught(journal.append(appends.into())).await {
            Ok(results) => {
                metrics::histogram!("tripsync_journal_commit_seconds").record(started.elapsed().as_secs_f64());
                let mut results = results.into_iter();
                for done in done {
                    done(results.next());
                }
            }
            Err(error) => {
                metrics::counter!("tripsync_journal_failures_total").increment(1);
                tracing::warn!(error = %crate::error_chain(&error), rooms, "an append failed, its outcome is unknown");
                for done in done {
                    done(None);
                }
            }
        }
    }
}
