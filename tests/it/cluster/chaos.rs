//! Faults while people work: nothing acknowledged or seen is lost, doubled or out of order, and every room goes on.
//!
//! How long rooms pause is told, not asserted: a test machine does other things, too. `cargo xtask chaos` is where it is looked at.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::faults::{Fault, Hit};
use super::fleet::Fleet;
use super::load::{Load, Outcome, people};
use super::plan::Plan;
use super::table::Row;
use super::verdict::{Epochs, Verdict};
use super::wiring::Wiring;

/// Rounds after which everybody is judged and new rooms are made, so that what clients remember stays small.
const ROUNDS_PER_LAP: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill() {
    campaign(Fault::Kill, 3, Wiring::Direct).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop() {
    campaign(Fault::Stop, 2, Wiring::Direct).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn term() {
    let row = campaign(Fault::Term, 3, Wiring::Direct).await;
    assert_eq!(row.failed, [""; 0], "no call fails twice when a restart is planned");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis() {
    campaign(Fault::Redis, 3, Wiring::Direct).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres() {
    campaign(Fault::Postgres, 2, Wiring::Direct).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partition() {
    campaign(Fault::Partition, 5, Wiring::to_be_cut()).await;
}

/// Rounds of one fault on a fleet of its own.
async fn campaign(fault: Fault, rounds: usize, wiring: Wiring) -> Row {
    let plan = Plan::of(rounds);
    let began = Instant::now();
    let mut fleet = Fleet::start(&plan, wiring).await;
    let people = people(&fleet).await;
    let mut row = Row { fault: name(fault, wiring), ..Row::default() };
    while row.rounds < plan.rounds && began.elapsed() < plan.time_max {
        let load = Load::start(&fleet, &plan, &people).await;
        let mut hits = Vec::new();
        for _ in 0..ROUNDS_PER_LAP.min(plan.rounds - row.rounds) {
            hits.extend(fault.round(row.rounds, &mut fleet, &load).await);
            row.rounds += 1;
        }
        let outcome = load.end(&fleet).await;
        let (verdict, epochs) = Verdict::of(&outcome, &fleet).await;
        row.pauses.extend(hits.iter().filter_map(|hit| pause(hit, &outcome, &epochs)));
        row.add(outcome, verdict);
    }
    row.show();
    assert!(row.verdict.is_good(), "{:?}", row.verdict.examples);
    assert!(row.rounds > 0 && !row.pauses.is_empty() && row.latencies.len() > row.rounds, "nothing happened");
    row
}

fn name(fault: Fault, wiring: Wiring) -> &'static str {
    match fault {
        Fault::Kill => "owner killed (`kill -9`)",
        Fault::Stop => "owner stopped past its lease",
        Fault::Term => "owner restarted (SIGTERM)",
        Fault::Redis => "Redis killed, emptied, paused",
        Fault::Postgres => "Postgres killed, paused",
        Fault::Partition if wiring == Wiring::Namespaces => "owner cut off (network namespaces)",
        Fault::Partition => "owner cut off (proxies)",
    }
}

impl Row {
    fn add(&mut self, outcome: Outcome, verdict: Verdict) {
        self.verdict.add(verdict);
        self.latencies.extend(outcome.waits.values().flatten().map(|wait| wait.to - wait.from));
        self.took += outcome.took;
        self.reconnects += outcome.clients.iter().map(|client| client.reconnects).sum::<u32>();
        for caller in outcome.callers {
            self.calls += caller.calls;
            self.repeated += caller.repeated;
            self.failed.extend(caller.failed);
        }
        for (what, times) in outcome.noted {
            *self.noted.entry(what).or_default() += times;
        }
    }
}

/// How long a room stood still because of a fault. `None`: it was of another lap, or nobody was there to notice.
fn pause(hit: &Hit, outcome: &Outcome, epochs: &Epochs) -> Option<Duration> {
    let seen = |room: &Uuid, later: bool, epoch: i64| {
        let epochs = epochs.get(room)?;
        let of = |seq: u64| usize::try_from(seq).ok().and_then(|seq| epochs.get(seq - 1)).is_some_and(|of| (*of > epoch) == later);
        let mut times = outcome.sightings.get(room)?.iter().filter(|(seq, _)| of(**seq)).map(|(_, at)| *at);
        if later { times.next() } else { times.next_back() }
    };
    match hit {
        Hit::OwnerLost { owned, at } => Some(seen(&owned.room, true, owned.epoch)?.saturating_duration_since(*at)),
        Hit::Handed { owned, at } => {
            let (last, first) = (seen(&owned.room, false, owned.epoch).unwrap_or(*at), seen(&owned.room, true, owned.epoch)?);
            let around = outcome.waits.get(&owned.room)?.iter().filter(|wait| wait.stayed && wait.from <= first && wait.to >= last);
            around.map(|wait| wait.to - wait.from).max()
        }
        Hit::Disturbed { room, from, to } => {
            let mut times: Vec<Instant> = outcome.sightings.get(room)?.values().copied().collect();
            times.sort_unstable();
            let around = times.windows(2).filter(|pair| pair[1] >= *from && pair[0] <= *to);
            around.map(|pair| pair[1] - pair[0]).max()
        }
    }
}
