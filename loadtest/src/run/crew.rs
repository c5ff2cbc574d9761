//! The processes that hold the sockets: this one, or several workers that are told over their standard input and tell over their output.

use super::{Options, Watch};
use crate::engine::{self, Job, Order, Report};
use anyhow::{Context, bail};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

/// Reports that may wait to be looked at.
const REPORTS_MAX: usize = 256;

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
        let mut ready = 0;
        let mut arrived: BTreeMap<usize, u64> = BTreeMap::new();
        let mut said = 0;
        while ready < self.len() {
            let Some((worker, report)) = self.reports.recv().await else { bail!("every worker has ended") };
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
                Report::Tick(_) | Report::Quiet { .. } | Report::Done(_) => bail!("worker {worker} is ahead of itself"),
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
    tokio::spawn(async move {
        let mut lines = BufReader::new(output).lines();
        loop {
            let report = match lines.next_line().await {
                Ok(Some(line)) => serde_json::from_str(&line).map_err(anyhow::Error::from),
                Ok(None) => return,
                Err(error) => Err(error.into()),
            };
            if said.send((worker, report)).await.is_err() {
                return;
            }
        }
    });
    Ok((child, orders))
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
