//! All of a job's threads, from the first socket to the last check.

#[cfg(test)]
mod tests;

use super::burst::Notes;
use super::clock::Clock;
use super::harvest::{Fault, Harvest};
use super::job::Job;
use super::member::{Outcome, Place};
use super::pacer::{Due, Schedule};
use super::plan::{sources, starts, timeline};
use super::shard::{Common, Shard};
use super::tally::Tick;
use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

/// Between two looks at whether everything has come to rest.
const LOOK: Duration = Duration::from_millis(20);
/// How long nobody at all may come in before the first phase. A client that is refused gives up within half a minute.
pub(crate) const STALLED: Duration = Duration::from_secs(120);
/// Batches of the schedule that may wait for a thread.
const BATCHES_MAX: usize = 4_096;

/// What a process is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// The first phase begins then.
    Go { at_us: u64 },
    /// The server has each room at this seq.
    Finish { tops: Vec<u64> },
    /// Everybody has been held against that: newcomers may look at the rooms, which changes who is present.
    Look,
}

/// What a process says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// So many of its clients are in.
    Arriving(u64),
    /// All who come before the first phase are in, or cannot be.
    Ready,
    Tick(Box<Tick>),
    /// Everything has come to rest, or will not; the newest seq of each room that was seen.
    Quiet {
        tops: Vec<u64>,
    },
    /// Its clients have been held against where the server has each room.
    Checked,
    Done(Box<Harvest>),
}

/// What a thread says.
#[derive(Debug)]
enum Said {
    Tick(Box<Tick>),
    Quiet,
    Checked,
    Done(Box<Harvest>),
    /// It says no more, be it because it panicked.
    Ended,
}

const ENDED_EARLY: &str = "a thread of the generator ended early";

/// Says so when its thread ends, however it does: the others keep the channel open, and would be waited for in vain.
struct Ended(mpsc::Sender<Said>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.blocking_send(Said::Ended).ok();
    }
}

/// Runs a job. Ends with [`Report::Done`], or when nobody gives orders any more.
pub(crate) async fn run(job: Job, mut orders: mpsc::Receiver<Order>, reports: mpsc::Sender<Report>) -> anyhow::Result<()> {
    let clock = Clock::start();
    let job = Arc::new(job);
    let common = Arc::new(Common { tops: job.rooms.iter().map(|_| AtomicU64::new(0)).collect(), settled: AtomicU64::new(0) });
    let divided = divide(&job);
    let (said_in, mut said) = mpsc::channel(64);
    let mut threads = Vec::new();
    for mine in &divided {
        let (dues_in, dues) = mpsc::channel::<Vec<Due>>(BATCHES_MAX);
        let (orders_in, orders) = mpsc::channel::<Order>(4);
        let thread =
            Thread { job: Arc::clone(&job), common: Arc::clone(&common), clock, mine: mine.clone(), dues, orders, said: said_in.clone() };
        let ended = Ended(said_in.clone());
        let work = move || {
            let _ended = ended;
            thread.run();
        };
        std::thread::Builder::new().name("sockets".into()).spawn(work).context("cannot start a thread")?;
        threads.push((dues_in, orders_in));
    }
    drop(said_in);
    let at_start = |client: &&super::job::Client| job.scenario.personas[usize::from(client.persona)].arrives == "start";
    let expected = job.clients.iter().filter(at_start).count() as u64;
    tokio::select! {
        arrived = arriving(&common, expected, &reports, STALLED) => arrived?,
        // Threads have nothing to say yet.
        _ = said.recv() => bail!(ENDED_EARLY),
    }
    reports.send(Report::Ready).await?;
    let (mut quiet, mut checked, mut done, mut ended) = (0, 0, 0, 0);
    let mut harvest = Harvest::default();
    loop {
        tokio::select! {
            order = orders.recv() => {
                let Some(order) = order else { return Ok(()) };
                for (_, thread) in &threads {
                    thread.send(order.clone()).await.ok();
                }
                if let Order::Go { at_us } = order {
                    let schedule = Schedule::new(timeline(&job, at_us), sources(&job, &divided, at_us));
                    let dues: Vec<_> = threads.iter().map(|(dues, _)| dues.clone()).collect();
                    std::thread::Builder::new().name("schedule".into()).spawn(move || super::pacer::run(schedule, clock, &dues))?;
                }
            }
            said = said.recv() => match said.context(ENDED_EARLY)? {
                Said::Ended => {
                    ended += 1;
                    ensure!(ended <= done, ENDED_EARLY);
                }
                Said::Checked => {
                    checked += 1;
                    if checked == threads.len() {
                        reports.send(Report::Checked).await?;
                    }
                }
                Said::Tick(tick) => reports.send(Report::Tick(tick)).await?,
                Said::Quiet => {
                    quiet += 1;
                    if quiet == threads.len() {
                        let tops = common.tops.iter().map(|top| top.load(Ordering::Relaxed)).collect();
                        reports.send(Report::Quiet { tops }).await?;
                    }
                }
                Said::Done(one) => {
                    harvest.add(*one);
                    done += 1;
                    if done == threads.len() {
                        reports.send(Report::Done(Box::new(harvest))).await?;
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// Waits until so many are in, or cannot be; not for ever when nothing moves.
async fn arriving(common: &Common, expected: u64, reports: &mpsc::Sender<Report>, stalled: Duration) -> anyhow::Result<()> {
    let (mut before, mut moved) = (0, Instant::now());
    loop {
        let settled = common.settled.load(Ordering::Relaxed);
        if settled >= expected {
            return Ok(());
        }
        if settled > before {
            (before, moved) = (settled, Instant::now());
        }
        if moved.elapsed() >= stalled {
            ensure!(settled > 0, "no client came in for {stalled:?}: the server takes sockets and does not answer");
            // The run is worth it without the others, who are missed in its verdict.
            return Ok(());
        }
        sleep(LOOK).await;
        reports.send(Report::Arriving(settled)).await?;
    }
}

/// Clients by thread: those of a room together, where there are enough rooms.
fn divide(job: &Job) -> Vec<Vec<u32>> {
    let threads = job.threads.max(1);
    let mut divided = vec![Vec::new(); threads];
    let rooms: std::collections::BTreeSet<u32> = job.clients.iter().map(|client| client.room).collect();
    let place: HashMap<u32, usize> = rooms.iter().copied().zip(0..).collect();
    for (slot, client) in (0..).zip(&job.clients) {
        let thread = if rooms.len() >= threads { place.get(&client.room).copied().unwrap_or_default() } else { slot as usize };
        divided[thread % threads].push(slot);
    }
    divided
}

/// One thread with sockets.
struct Thread {
    job: Arc<Job>,
    common: Arc<Common>,
    clock: Clock,
    mine: Vec<u32>,
    dues: mpsc::Receiver<Vec<Due>>,
    orders: mpsc::Receiver<Order>,
    said: mpsc::Sender<Said>,
}

impl Thread {
    fn run(self) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().event_interval(61).build() {
            Ok(runtime) => runtime,
            // Without its last word the process ends with an error.
            Err(_) => return,
        };
        tokio::task::LocalSet::new().block_on(&runtime, self.live());
    }

    async fn live(self) {
        let Self { job, common, clock, mine, mut dues, mut orders, said } = self;
        let shard = Shard::new(Arc::clone(&job), common, clock, &mine);
        shard.arrive_at_start();
        let Some(Order::Go { at_us }) = orders.recv().await else { return };
        let starts = starts(&job, at_us);
        shard.tally.borrow_mut().starts_us.clone_from(&starts);
        let end_us = starts.last().copied().unwrap_or(at_us);
        let doing = tokio::task::spawn_local({
            let shard = Rc::clone(&shard);
            async move {
                while let Some(batch) = dues.recv().await {
                    for due in batch {
                        shard.due(due);
                    }
                }
            }
        });
        let ticking = tokio::task::spawn_local(tick(Rc::clone(&shard), said.clone(), at_us));
        let notes = Notes::default();
        let noting = tokio::task::spawn_local({
            let (notes, job) = (notes.clone(), Arc::clone(&job));
            async move { notes.take(&job, clock, at_us).await }
        });
        let mut busy = BTreeMap::new();
        for ((index, phase), start) in job.scenario.phases.iter().enumerate().zip(&starts) {
            sleep_until(clock.instant(*start)).await;
            let before = thread_cpu_s();
            sleep_until(clock.instant(starts[index + 1])).await;
            if phase.measured {
                busy.insert(index, (thread_cpu_s() - before) / phase.length.as_secs_f64().max(0.001));
            }
        }
        sleep_until(clock.instant(end_us)).await;
        shard.wake_slow();
        let limit = Instant::now() + job.scenario.limits.drain;
        // What was due at the very end may still be on its way from the schedule.
        sleep(LOOK).await;
        while !shard.is_quiet() && Instant::now() < limit {
            sleep(LOOK).await;
        }
        if said.send(Said::Quiet).await.is_err() {
            return;
        }
        let Some(Order::Finish { tops }) = orders.recv().await else { return };
        while !reached(&shard, &tops) && Instant::now() < limit {
            sleep(LOOK).await;
        }
        super::verify::members(&shard, &tops);
        if said.send(Said::Checked).await.is_err() {
            return;
        }
        let Some(Order::Look) = orders.recv().await else { return };
        super::verify::rooms(&shard).await;
        doing.abort();
        ticking.abort();
        noting.abort();
        let last = shard.tick(0, clock.now_us());
        said.send(Said::Tick(Box::new(Tick { second: u64::MAX, ..last }))).await.ok();
        let mut harvest = gather(&shard);
        harvest.busy_share = busy;
        harvest.burst_busy_share = notes.shares(&harvest.current_after_us);
        said.send(Said::Done(Box::new(harvest))).await.ok();
    }
}

async fn tick(shard: Rc<Shard>, said: mpsc::Sender<Said>, at_us: u64) {
    // What happened before the first phase belongs to no second.
    shard.tick(0, at_us);
    for second in 0.. {
        let end_us = at_us + (second + 1) * 1_000_000;
        sleep_until(shard.clock.instant(end_us)).await;
        let tick = shard.tick(second, end_us);
        if said.send(Said::Tick(Box::new(tick))).await.is_err() {
            return;
        }
    }
}

/// Whether everybody who is in has come as far as the server.
fn reached(shard: &Shard, tops: &[u64]) -> bool {
    shard.members.iter().all(|member| {
        let member = member.borrow();
        member.place != Place::In || tops.get(member.client.room as usize).is_none_or(|top| member.seq >= *top)
    })
}

fn gather(shard: &Rc<Shard>) -> Harvest {
    let rooms: Vec<u32> = {
        let mut rooms: Vec<_> = shard.log_index.iter().map(|(room, index)| (*index, *room)).collect();
        rooms.sort_unstable();
        rooms.into_iter().map(|(_, room)| room).collect()
    };
    let log = |(room, log): (u32, &std::cell::RefCell<super::log::Log>)| log.take().into_room(room);
    let logs = rooms.into_iter().zip(&shard.logs).map(log).collect();
    let mut verified = shard.verified.take();
    verified.checked(Fault::Order, shard.deliveries.get());
    verified.checked(Fault::Agreement, shard.deliveries.get());
    verified.checked(Fault::Answers, shard.acked.get());
    verified.checked(Fault::Durability, shard.acked.get());
    let unanswered = |member: &std::cell::RefCell<super::member::Member>| {
        member.borrow().waiting.iter().filter(|waiting| waiting.outcome == Outcome::None).count() as u64
    };
    Harvest {
        sheets: shard.tally.borrow().sheets.clone(),
        verified,
        logs,
        current_after_us: shard.current_after_us.take(),
        absent: shard.members.iter().filter(|member| !member.borrow().joined).count() as u64,
        unanswered: shard.members.iter().map(unanswered).sum(),
        refusals: shard.refusals.take(),
        answered: shard.answered.take(),
        busy_share: BTreeMap::new(),
        burst_busy_share: BTreeMap::new(),
    }
}

/// CPU seconds of this thread so far; the generator is saturated when one of its threads is.
pub(super) fn thread_cpu_s() -> f64 {
    crate::proc::cpu_s("/proc/thread-self/stat").unwrap_or_default()
}
