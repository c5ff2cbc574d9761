//! The processes that hold the sockets: this one, or several workers that are told over their standard input and tell over their output.

use super::{Options, Watch};
use crate::engine::{self, Job, Order, Report, STALLED};
use anyhow::{Context, anyhow, bail};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Reports that may wait to be looked at.
const REPORTS_MAX: usize = 256;
/// How long no worker at all may say anything before the first phase: longer than one waits for its clients, so that it says why first.
const SILENT: Duration = STALLED.saturating_add(Duration::from_secs(30));

/// What the coordinator says to a worker, a line of JSON each.
#[derive(serde::Serialize, serde::Deserialize)]
enum Line {
    Job(Box<Job>),
    Order(Order),
}

pub(super) struct Crew {
    orders: Vec<mpsc::Sender<Order>>,
    reports: mpsc::Receiver<(usize, anyhow::Result<Report>)>,
    children: Vec<Child>,
}

impl Crew {
    pub(super) async fn start(job: &Job, options: &Options) -> anyhow::Result<Self> {
        let (said, reports) = mpsc::channel(REPORTS_MAX);
        let mut crew = Self { orders: Vec::new(), reports, children: Vec::new() };
        if options.workers <= 1 {
            crew.orders.push(here(job.clone(), said));
            return Ok(crew);
        }
        for (worker, part) in parts(job, options.workers).into_iter().enumerate() {
            let (child, orders) = there(worker, part, said.clone()).await?;
            crew.children.push(child);
            crew.orders.push(orders);
        }
        Ok(crew)
    }

    pub(super) const fn len(&self) -> usize {
        self.orders.len()
    }

    /// The processes beside this one.
    pub(super) fn pids(&self) -> Vec<u32> {
        self.children.iter().filter_map(Child::id).collect()
    }

    pub(super) async fn tell(&self, order: &Order) -> anyhow::Result<()> {
        for orders in &self.orders {
            orders.send(order.clone()).await.context("a worker has ended")?;
        }
        Ok(())
    }

    pub(super) async fn report(&mut self) -> anyhow::Result<Report> {
        match self.reports.recv().await {
            Some((worker, report)) => report.with_context(|| format!("worker {worker}")),
            None => bail!("every worker has ended"),
        }
    }

    /// Waits until everybody who comes before the first phase is in.
    pub(super) async fn ready(&mut self, watch: &mut dyn Watch) -> anyhow::Result<()> {
        self.ready_within(watch, SILENT).await
    }

    async fn ready_within(&mut self, watch: &mut dyn Watch, silent: Duration) -> anyhow::Result<()> {
        let mut ready = 0;
        let mut arrived: BTreeMap<usize, u64> = BTreeMap::new();
        let mut said = 0;
        while ready < self.len() {
            let heard = timeout(silent, self.reports.recv()).await;
            let heard = heard.with_context(|| format!("no worker said anything for {silent:?}, and the clients are not in"))?;
            let Some((worker, report)) = heard else { bail!("every worker has ended") };
            match report.with_context(|| format!("worker {worker}"))? {
                Report::Ready => ready += 1,
                Report::Arriving(count) => {
                    arrived.insert(worker, count);
                    let all: u64 = arrived.values().sum();
                    if all >= said + 1_000 {
                        said = all;
                        watch.step(&format!("{all} clients are in"));
                    }
                }
                Report::Tick(_) | Report::Quiet { .. } | Report::Checked | Report::Done(_) => bail!("worker {worker} is ahead of itself"),
            }
        }
        Ok(())
    }
}

/// The job in this process.
fn here(job: Job, said: mpsc::Sender<(usize, anyhow::Result<Report>)>) -> mpsc::Sender<Order> {
    let (orders, taken) = mpsc::channel(4);
    let (reports, mut reported) = mpsc::channel(REPORTS_MAX);
    let running = tokio::spawn(engine::run(job, taken, reports));
    tokio::spawn(async move {
        while let Some(report) = reported.recv().await {
            if said.send((0, Ok(report))).await.is_err() {
                return;
            }
        }
        let ended = running.await.map_err(anyhow::Error::from).and_then(|ended| ended);
        if let Err(error) = ended {
            said.send((0, Err(error))).await.ok();
        }
    });
    orders
}

/// A part of the job in a process of its own.
async fn there(
    worker: usize,
    part: Job,
    said: mpsc::Sender<(usize, anyhow::Result<Report>)>,
) -> anyhow::Result<(Child, mpsc::Sender<Order>)> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("worker")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("a worker could not be started")?;
    let mut input = child.stdin.take().context("no input")?;
    let output = child.stdout.take().context("no output")?;
    input.write_all(&line(&Line::Job(Box::new(part)))?).await?;
    let (orders, mut taken) = mpsc::channel(4);
    tokio::spawn(async move {
        while let Some(order) = taken.recv().await {
            let Ok(bytes) = line(&Line::Order(order)) else { return };
            if input.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    tokio::spawn(told(worker, output, said));
    Ok((child, orders))
}

/// Passes on what a worker says. Its output may end only after its last word.
async fn told(worker: usize, output: impl AsyncRead + Unpin, said: mpsc::Sender<(usize, anyhow::Result<Report>)>) {
    let mut lines = BufReader::new(output).lines();
    loop {
        let report = match lines.next_line().await {
            Ok(Some(line)) => serde_json::from_str(&line).map_err(anyhow::Error::from),
            Ok(None) => Err(anyhow!("it ended before its work was done; what it complained of is above")),
            Err(error) => Err(error.into()),
        };
        let last = matches!(report, Ok(Report::Done(_)) | Err(_));
        if said.send((worker, report)).await.is_err() || last {
            return;
        }
    }
}

fn line(value: &impl serde::Serialize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The clients dealt out by room, so that most rooms are whole in one process.
fn parts(job: &Job, workers: u32) -> Vec<Job> {
    let rooms = job.rooms.len();
    let of = |client: &engine::Client| {
        if rooms >= workers as usize { client.room % workers } else { client.index % workers }
    };
    (0..workers)
        .map(|worker| Job { clients: job.clients.iter().filter(|client| of(client) == worker).copied().collect(), ..job.clone() })
        .filter(|part| !part.clients.is_empty())
        .collect()
}

/// What the hidden subcommand `worker` does.
pub(crate) async fn worker() -> anyhow::Result<()> {
    let mut lines = input();
    let first = lines.recv().await.context("no job")?;
    let Line::Job(job) = serde_json::from_str(&first)? else { bail!("an order came before the job") };
    let (orders, taken) = mpsc::channel(4);
    let (reports, mut reported) = mpsc::channel(REPORTS_MAX);
    let running = tokio::spawn(engine::run(*job, taken, reports));
    let mut orders = Some(orders);
    loop {
        tokio::select! {
            report = reported.recv() => match report {
                // Blocks this process' coordinator only, which has nothing else to do.
                Some(report) => std::io::stdout().write_all(&line(&report)?)?,
                None => return running.await?,
            },
            order = lines.recv(), if orders.is_some() => match order {
                Some(text) => {
                    let Line::Order(order) = serde_json::from_str(&text)? else { bail!("a second job") };
                    if let Some(orders) = &orders {
                        orders.send(order).await.ok();
                    }
                }
                // The coordinator is gone, and nobody is left to work for.
                None => orders = None,
            },
        }
    }
}

/// The lines of the standard input, read by a thread of their own.
fn input() -> mpsc::Receiver<String> {
    let (read, lines) = mpsc::channel(4);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let Ok(line) = line else { return };
            if read.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl Watch for Nobody {
        fn step(&mut self, _: &str) {}
        fn second(&mut self, _: &tripsync_loadtest::results::Second) {}
    }

    /// A crew of one worker that says these and then ends, and the line on which it would say more.
    async fn crew(reports: &[Report]) -> Crew {
        let (said, heard) = mpsc::channel(8);
        let output: Vec<u8> = reports.iter().flat_map(|report| super::line(report).unwrap()).collect();
        told(0, output.as_slice(), said).await;
        Crew { orders: vec![mpsc::channel(1).0], reports: heard, children: Vec::new() }
    }

    #[tokio::test]
    async fn a_worker_that_ends_before_it_is_ready_is_noticed() {
        let error = crew(&[Report::Arriving(3)]).await.ready(&mut Nobody).await.unwrap_err();
        assert!(format!("{error:#}").starts_with("worker 0: it ended before its work was done"), "{error:#}");
        crew(&[Report::Arriving(3), Report::Ready]).await.ready(&mut Nobody).await.unwrap();
    }

    #[tokio::test]
    async fn a_worker_may_end_after_its_last_word() {
        let mut crew = crew(&[Report::Done(Box::default())]).await;
        assert!(matches!(crew.report().await.unwrap(), Report::Done(_)));
        assert_eq!(crew.report().await.unwrap_err().to_string(), "every worker has ended");
    }

    #[tokio::test]
    async fn workers_that_say_nothing_are_not_waited_for_without_end() {
        let (_said, reports) = mpsc::channel(1);
        let mut crew = Crew { orders: vec![mpsc::channel(1).0], reports, children: Vec::new() };
        let error = crew.ready_within(&mut Nobody, Duration::from_millis(20)).await.unwrap_err();
        assert!(format!("{error:#}").contains("no worker said anything"), "{error:#}");
    }
}
