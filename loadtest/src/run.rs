//! One run of a scenario: accounts and rooms are made, clients are set to work, what came of it is judged.

mod crew;
mod journal;
mod result;
mod sample;
mod setup;

pub(crate) use crew::worker;

use crate::engine::{Clock, Fault, Harvest, Order, Report, Tick};
use crate::scenario::Scenario;
use crate::target::Target;
use anyhow::{Context, ensure};
use crew::Crew;
use sample::Samples;
use setup::Setup;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::time::{timeout, timeout_at};
use tripsync_loadtest::results::{RunResult, Second, ServerKind};

/// Between the last client's arrival and the first phase.
const BREATH_US: u64 = 500_000;
/// Rooms whose position is asked over REST at the end.
const TOPS_MAX: usize = 500;
/// Longer than the drain, how long the end may take: asking for positions and the looks at rooms have bounds of their own below it.
const END_SLACK: Duration = Duration::from_secs(300);
/// How long asking for the positions may take.
const TOPS_WITHIN: Duration = Duration::from_secs(60);
/// How long reading the history may take.
const HISTORY_WITHIN: Duration = Duration::from_secs(300);

/// How a run is made, apart from what it does.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Processes that hold sockets; 1 is this one.
    pub(crate) workers: u32,
    /// Threads with sockets in each.
    pub(crate) threads: usize,
    pub(crate) sources: Vec<Ipv4Addr>,
    /// The command line.
    pub(crate) command: Vec<String>,
}

/// Who watches a run.
pub(crate) trait Watch: Send {
    /// A step before the first phase.
    fn step(&mut self, what: &str);
    /// A second has passed.
    fn second(&mut self, second: &Second);
}

/// Runs a scenario against a target.
///
/// # Errors
/// When it cannot be run: that is not a verdict on the server.
pub(crate) async fn run(scenario: &Scenario, target: &Target, options: &Options, watch: &mut dyn Watch) -> anyhow::Result<RunResult> {
    let clock = Clock::start();
    let run = clock.now_us();
    let pid = target.pid();
    watch.step("making accounts and rooms");
    let Setup { job, doomed, resident: before } = setup::make(scenario, target, options, run)
        .await
        .context("accounts and rooms could not be made")
        .map_err(|error| target.explain(error))?;
    let with_rooms = sample::resident(pid);
    let mut crew = Crew::start(&job, options).await?;
    watch.step(&format!("connecting {} clients", job.clients.len()));
    crew.ready(watch).await.map_err(|error| target.explain(error))?;
    let with_sockets = sample::resident(pid);
    let at_us = clock.now_us() + BREATH_US;
    crew.tell(&Order::Go { at_us }).await?;
    let starts = crate::engine::starts(&job, at_us);
    let mut samples = Samples::start(clock, pid, crew.pids(), starts.clone());
    let removing = remove(&doomed, target, clock, &starts);
    tokio::pin!(removing);
    let mut removed = false;
    let (mut tops, mut quiet) = (vec![0; job.rooms.len()], 0);
    let mut ticks: BTreeMap<u64, (usize, Tick)> = BTreeMap::new();
    let mut series = Vec::new();
    let end = clock.instant(starts.last().copied().unwrap_or(at_us)) + scenario.limits.drain + END_SLACK;
    let mut harvest = Harvest::default();
    let (mut checked, mut done, mut unfinished) = (0, 0, None);
    while done < crew.len() {
        tokio::select! {
            gone = &mut removing, if !removed => {
                or_broken(&mut harvest, Fault::Membership, "a member could not be removed", gone);
                removed = true;
            }
            () = samples.next() => {}
            report = timeout_at(end, crew.report()) => match report.context("the generator did not come to an end").flatten() {
                Err(error) => {
                    unfinished = Some(error);
                    break;
                }
                Ok(Report::Arriving(_) | Report::Ready) => {}
                Ok(Report::Tick(tick)) => {
                    let (count, merged) = ticks.entry(tick.second).or_default();
                    *count += 1;
                    merged.second = tick.second;
                    merged.add(&tick);
                    if *count == crew.len() * job.threads && tick.second != u64::MAX && let Some((_, tick)) = ticks.remove(&tick.second) {
                        // Not the tick: an hour of histograms would take a gigabyte of the process that measures.
                        let second = result::second(scenario, &starts, &tick, &samples);
                        watch.second(&second);
                        series.push((tick.second, second));
                    }
                }
                Ok(Report::Quiet { tops: seen }) => {
                    for (top, seen) in tops.iter_mut().zip(seen) {
                        *top = seen.max(*top);
                    }
                    quiet += 1;
                    if quiet == crew.len() {
                        samples.ended();
                        watch.step("checking");
                        let asked = within(TOPS_WITHIN, journal::newest(&job, target, &mut tops, TOPS_MAX)).await;
                        or_broken(&mut harvest, Fault::Durability, "the newest events could not be asked for", asked);
                        if let Err(error) = crew.tell(&Order::Finish { tops: tops.clone() }).await {
                            unfinished = Some(error);
                            break;
                        }
                    }
                }
                Ok(Report::Checked) => {
                    checked += 1;
                    if checked == crew.len() && let Err(error) = crew.tell(&Order::Look).await {
                        unfinished = Some(error);
                        break;
                    }
                }
                Ok(Report::Done(one)) => {
                    harvest.add(*one);
                    done += 1;
                }
            }
        }
    }
    if let Some(how) = target.ended() {
        harvest.verified.broken(Fault::Alive, how);
        harvest.verified.left_out(Fault::Durability, "history could not be read, as the server had ended");
    } else if target.kind != ServerKind::Floor {
        harvest.verified.checked(Fault::Alive, u64::from(target.kind == ServerKind::Own));
        let compared = within(HISTORY_WITHIN, journal::compare(&job, target, &mut harvest)).await;
        or_broken(&mut harvest, Fault::Durability, "what is stored could not be held against what members got", compared);
    }
    harvest.judge_refusals();
    // Without all of the generator there are no figures; promises that are known to be broken are told all the same.
    if let Some(error) = unfinished {
        ensure!(harvest.verified.violations() > 0, error);
        watch.step(&format!("{error:#}"));
    }
    // Now every sample is there; what was shown may have missed the newest.
    series.iter_mut().for_each(|(at, second)| result::sampled(second, *at, &samples));
    let series = series.into_iter().map(|(_, second)| second).collect();
    let sizes = result::Sizes { before, with_rooms, with_sockets };
    Ok(result::result(scenario, target, options, &job, harvest, &samples, series, &sizes))
}

/// A server that no longer answers is a finding, and what was found before it stays one: the run goes on to its verdict.
fn or_broken(harvest: &mut Harvest, fault: Fault, what: &str, answered: anyhow::Result<()>) {
    if let Err(error) = answered {
        harvest.verified.broken(fault, format!("{what}: {error:#}"));
    }
}

/// A server that takes for ever has not answered.
async fn within(limit: Duration, asked: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    timeout(limit, asked).await.with_context(|| format!("not within {limit:?}"))?
}

/// Removes those who are to be removed, when their phase begins.
async fn remove(doomed: &[setup::Doomed], target: &Target, clock: Clock, starts: &[u64]) -> anyhow::Result<()> {
    for setup::Doomed { phase, room, user, token } in doomed {
        tokio::time::sleep_until(clock.instant(starts[*phase])).await;
        target.rest.remove(token, *room, *user).await?;
    }
    Ok(())
}

/// Descriptors that a process has beyond its sockets.
const OTHER_DESCRIPTORS: u64 = 200;

/// Says what to do when there are more sockets than descriptors.
fn check_descriptors(clients: u64, workers: u32) -> anyhow::Result<()> {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let limit = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or(u64::MAX);
    let each = clients.div_ceil(u64::from(workers.max(1)));
    ensure!(
        each + OTHER_DESCRIPTORS <= limit,
        "{clients} sockets in {workers} process(es) are more than the {limit} descriptors that one may have: use --workers {}",
        clients.div_ceil(limit.saturating_sub(OTHER_DESCRIPTORS).max(1))
    );
    Ok(())
}
