//! The result of a run and its verdict.

use super::Options;
use super::sample::{Sample, Samples};
use crate::engine::{Fault, Harvest, Job, Sheet, Tick};
use crate::scenario::Scenario;
use crate::target::Target;
use tripsync_domain::Timestamp;
use tripsync_loadtest::results::metrics::number;
use tripsync_loadtest::results::{
    Check, Counters, Demand, Growth, GrowthPoint, Machine, Metrics, Outcome, Phase, RunResult, Scenario as About, Second, Server,
    ServerKind, Threshold, Verdict,
};

/// Resident memory of the server at its beginning, with the rooms, and with the sockets.
pub(super) struct Sizes {
    pub(super) before: Option<u64>,
    pub(super) with_rooms: Option<u64>,
    pub(super) with_sockets: Option<u64>,
}

/// One second for the series.
pub(super) fn second(scenario: &Scenario, starts: &[u64], tick: &Tick, samples: &Samples) -> Second {
    let end = samples.began_us() + (tick.second + 1) * 1_000_000;
    let phase = starts.iter().take_while(|start| **start < end).count().checked_sub(1).and_then(|index| scenario.phases.get(index));
    let mut second = Second {
        at_s: number(tick.second + 1),
        phase: phase.map_or_else(|| "ending".to_owned(), |phase| phase.name.clone()),
        commands_per_s: number(tick.counters.commands),
        acks_per_s: number(tick.counters.acks),
        deliveries_per_s: number(tick.counters.deliveries),
        joins_per_s: number(tick.counters.joins + tick.counters.resumes),
        ack_p50_ms: tick.ack.ms(0.5),
        ack_p99_ms: tick.ack.ms(0.99),
        delivery_p50_ms: tick.delivery.ms(0.5),
        delivery_p99_ms: tick.delivery.ms(0.99),
        lag_p99_ms: tick.lag.ms(0.99),
        sockets: tick.sockets,
        ..Second::default()
    };
    sampled(&mut second, tick.second, samples);
    second
}

/// Fills in what the samples say of a second, by its number; the newest may come after it was shown.
pub(super) fn sampled(second: &mut Second, at: u64, samples: &Samples) {
    let end = samples.began_us() + (at + 1) * 1_000_000;
    let (now, before) = (samples.at(end), samples.at(end - 1_000_000));
    let seconds = number(now.at_us.saturating_sub(before.at_us)) / 1e6;
    let share = |now: f64, before: f64| if seconds > 0.0 { (now - before).max(0.0) / seconds } else { 0.0 };
    second.server_cpu_cores = now.server_cpu_s.zip(before.server_cpu_s).map(|(now, before)| share(now, before));
    second.generator_cpu_cores = share(now.own_cpu_s, before.own_cpu_s);
    second.server_resident_bytes = now.resident;
}

#[expect(clippy::too_many_arguments, reason = "everything that is known at the end comes together here, once")]
pub(super) fn result(
    scenario: &Scenario,
    target: &Target,
    options: &Options,
    job: &Job,
    mut harvest: Harvest,
    samples: &Samples,
    series: Vec<Second>,
    sizes: &Sizes,
) -> RunResult {
    harvest.unanswered += harvest.verified.slow.unsent;
    let phases = phases(scenario, job, &harvest, samples, sizes);
    let mut result = RunResult {
        started_at: Timestamp::from_ms(i64::try_from(job.run / 1_000).unwrap_or_default()).to_string(),
        command: options.command.clone(),
        scenario: About {
            name: scenario.name.clone(),
            description: scenario.about.clone(),
            toml: toml::to_string(scenario).unwrap_or_default(),
        },
        machine: Machine::read(),
        server: Server {
            addresses: target.addresses.clone(),
            database: target.database.clone(),
            version: String::new(),
            kind: target.kind,
        },
        phases,
        series,
        checks: checks(&harvest, target.kind),
        ..RunResult::default()
    };
    result.growth.extend(rates(scenario, &result.phases));
    let metrics = result.metrics();
    result.thresholds = scenario
        .thresholds
        .iter()
        .map(|threshold| match threshold.at_least {
            Some(limit) => Threshold::judge(&threshold.metric, Demand::AtLeast, limit, &metrics),
            None => Threshold::judge(&threshold.metric, Demand::AtMost, threshold.at_most.unwrap_or_default(), &metrics),
        })
        .collect();
    result.outcome = outcome(scenario, &result, &harvest, &metrics);
    result
}

fn phases(scenario: &Scenario, job: &Job, harvest: &Harvest, samples: &Samples, sizes: &Sizes) -> Vec<Phase> {
    let starts = crate::engine::starts(job, samples.began_us());
    let empty = Sheet::default();
    let sheet = |index: usize| harvest.sheets.get(index).unwrap_or(&empty);
    let sockets = job.clients.len() as u64 - harvest.absent;
    let rooms = job.rooms.len() as u64;
    let joining = sheet(0);
    let mut phases = vec![Phase {
        name: "joining".into(),
        counters: joining.counters,
        latencies: joining.latencies(),
        server_resident_start_bytes: sizes.with_rooms,
        server_resident_end_bytes: sizes.with_sockets,
        sockets,
        rooms,
        ..Phase::default()
    }];
    // What is told of a stretch of time, whatever happened in it.
    let stretch = |name: &str, from: &Sample, to: &Sample, sheet: &Sheet| Phase {
        name: name.into(),
        seconds: number(to.at_us.saturating_sub(from.at_us)) / 1e6,
        counters: sheet.counters,
        latencies: sheet.latencies(),
        server_cpu_s: to.server_cpu_s.zip(from.server_cpu_s).map(|(to, from)| to - from),
        generator_cpu_s: to.own_cpu_s - from.own_cpu_s,
        server_resident_start_bytes: from.resident,
        server_resident_end_bytes: to.resident,
        server_resident_peak_bytes: samples.peak(from.at_us, to.at_us),
        sockets,
        rooms,
        ..Phase::default()
    };
    let edges: Vec<Sample> = starts.iter().map(|start| samples.at(*start)).collect();
    for (index, phase) in scenario.phases.iter().enumerate() {
        let (from, to) = (edges[index], edges[index + 1]);
        let sheet = sheet(index + 1);
        let mut figures = Metrics::new();
        if let Some(after) = harvest.current_after_us.get(&index) {
            figures.insert("current_after_ms".into(), number(*after) / 1_000.0);
            let came = sheet.counters.joins + sheet.counters.resumes;
            figures.insert("came_in_per_s".into(), number(came) / (number(*after) / 1e6));
        }
        if let Some(share) = harvest.burst_busy_share.get(&index) {
            figures.insert("generator_burst_busy_share".into(), *share);
        }
        if phase.measured {
            memory(&mut figures, sizes, sockets, rooms, to);
            figures.extend(harvest.busy_share.get(&index).map(|share| ("generator_busy_share".to_owned(), *share)));
            // Over the whole run: what comes while everything drains counts as well, and a refusal says why, not when.
            figures.insert("unanswered".into(), number(harvest.unanswered));
            let all = whole(harvest);
            for (name, count) in
                [("closes", all.closes), ("closed_slow", all.closed_slow), ("resyncs", all.resyncs), ("deliveries_missing", all.missing)]
            {
                figures.insert(name.into(), number(count));
            }
            figures.extend(harvest.refusals.iter().map(|(code, count)| (format!("refused_{code}"), number(*count))));
        }
        phases.push(Phase { measured: phase.measured, figures, ..stretch(&phase.name, &from, &to, sheet) });
    }
    let (from, to) = (edges.last().copied().unwrap_or_default(), samples.last());
    phases.push(stretch("ending", &from, &to, sheet(scenario.phases.len() + 1)));
    phases
}

/// What was counted from the first socket to the last check.
fn whole(harvest: &Harvest) -> Counters {
    let mut whole = Counters::default();
    harvest.sheets.iter().for_each(|sheet| whole.add(&sheet.counters));
    whole
}

/// The figures of the measured phases against the rate, when they differ in it.
fn rates(scenario: &Scenario, phases: &[Phase]) -> Option<Growth> {
    let mut points = Vec::new();
    for phase in &scenario.phases {
        let made = phases.iter().find(|made| made.measured && made.name == phase.name);
        if let Some(made) = made.filter(|made| made.seconds > 0.0) {
            points.push(GrowthPoint { value: number(made.counters.commands) / made.seconds, figures: made.metrics() });
        }
    }
    let differ =
        scenario.phases.iter().filter(|phase| phase.measured).any(|phase| (phase.rate - 1.0).abs() > 1e-9 || phase.rate_to.is_some());
    points.sort_by(|a, b| a.value.total_cmp(&b.value));
    let explanation = "The phases of the run, by the commands that were sent in a second.".to_owned();
    (differ && points.len() > 1).then_some(Growth { x: "commands_per_s".into(), explanation, points })
}

/// What sockets and rooms cost in memory: the growth while they came, and while they stayed.
fn memory(figures: &mut Metrics, sizes: &Sizes, sockets: u64, rooms: u64, end: Sample) {
    let mut put = |name: &str, now: Option<u64>, before: Option<u64>, count: u64| {
        if let (Some(now), Some(before), true) = (now, before, count > 0) {
            figures.insert(name.to_owned(), number(now.saturating_sub(before)) / number(count));
        }
    };
    put("resident_bytes_per_room", sizes.with_rooms, sizes.before, rooms);
    put("resident_bytes_per_socket", end.resident, sizes.with_rooms, sockets);
}

/// Every promise that was looked at.
fn checks(harvest: &Harvest, kind: ServerKind) -> Vec<Check> {
    const ALL: [(Fault, &str, &str); 12] = [
        (Fault::Alive, "alive", "a server that the tool started is there until the end (servers)"),
        (Fault::Order, "order", "every member gets every event once, in order, without a gap, and ends where the room is (deliveries)"),
        (Fault::Agreement, "agreement", "all members get the same bytes for the same event (deliveries)"),
        (Fault::Answers, "answers", "each sending is answered at most once, each command is applied once (commands)"),
        (
            Fault::Refusals,
            "refusals",
            "nothing is refused but what somebody else was faster at, or a full room has no place for (commands)",
        ),
        (
            Fault::Durability,
            "journal",
            "an acknowledged command is the event at its seq, for members and in the stored history (commands, events)",
        ),
        (Fault::Replicas, "replicas", "a replica built by the rules from the first event on equals what a newcomer is shown (replicas)"),
        (
            Fault::Snapshots,
            "snapshots",
            "who is shown a trip at the same event is shown the same, newcomers at the end included (snapshots)",
        ),
        (Fault::Seats, "seats", "no pool has more seats taken than it has, at the end and after every event (pools, events)"),
        (Fault::Presence, "presence", "at the end exactly those who are there are shown as present, with all their sockets (replicas)"),
        (Fault::Membership, "membership", "who is removed is told and gets nothing more; nobody else is (members)"),
        (Fault::Frames, "frames", "every frame can be read, and none of the client's is refused as nonsense (frames)"),
    ];
    let skips = |fault| match (kind, fault) {
        (
            ServerKind::Floor,
            Fault::Durability | Fault::Replicas | Fault::Snapshots | Fault::Presence | Fault::Seats | Fault::Membership,
        ) => Some("the floor has no rules, presence or history, and acknowledges at once".to_owned()),
        _ => None,
    };
    let check = |(fault, name, promise): (Fault, &str, &str)| {
        let not_promised = skips(fault);
        // Nobody looks at what is not promised.
        let count = harvest.verified.of.get(&fault).filter(|_| not_promised.is_none()).cloned().unwrap_or_default();
        let left_out = count.left_out.iter().map(|(why, count)| format!("{count} {why}")).collect::<Vec<_>>().join("; ");
        let nothing = if left_out.is_empty() { "nothing of the sort happened" } else { &left_out };
        let skipped = not_promised.or_else(|| (count.checked + count.violations == 0).then(|| nothing.to_owned()));
        Check {
            name: name.to_owned(),
            promise: promise.to_owned(),
            checked: count.checked,
            violations: count.violations,
            examples: count.examples,
            skipped: skipped.filter(|_| count.violations == 0),
            left_out,
        }
    };
    ALL.into_iter().map(check).collect()
}

fn outcome(scenario: &Scenario, result: &RunResult, harvest: &Harvest, metrics: &Metrics) -> Outcome {
    let mut reasons = Vec::new();
    let mut codes = vec![Verdict::Good];
    for check in result.checks.iter().filter(|check| check.violations > 0) {
        codes.push(Verdict::Incorrect);
        let example = check.examples.first().map_or("", String::as_str);
        reasons.push(format!("{}: {} violations, such as: {example}", check.name, check.violations));
    }
    let bound = scenario.lag_bound_ms();
    if let Some(lag) = metrics.get("lag_p99_ms").filter(|lag| **lag > bound) {
        codes.push(Verdict::Saturated);
        reasons.push(format!("the generator was late: p99 of its lag is {lag:.1} ms, the bound {bound} ms"));
    }
    let named = |(index, share): (&usize, &f64)| Some((scenario.phases.get(*index)?, *share));
    for (phase, share) in harvest.busy_share.iter().filter_map(named).filter(|(_, share)| *share > scenario.limits.busy_share) {
        codes.push(Verdict::Saturated);
        reasons.push(format!(
            "in `{}` a thread of the generator was busy for {:.0} % of the time: use more --threads or --workers",
            phase.name,
            share * 100.0
        ));
    }
    let bursts = harvest.burst_busy_share.iter().filter_map(named);
    for (phase, share) in bursts.filter(|(phase, share)| phase.measured && *share > scenario.limits.burst_busy_share) {
        codes.push(Verdict::Saturated);
        reasons.push(format!(
            "while everybody came in `{}` a thread of the generator was busy for {:.0} % of the time: use more --threads or --workers",
            phase.name,
            share * 100.0
        ));
    }
    let slow = &harvest.verified.slow;
    if harvest.unanswered > 0 {
        codes.push(Verdict::ThresholdMissed);
        reasons.push(format!("{} commands had no answer {:?} after the end", harvest.unanswered, scenario.limits.drain));
    }
    if harvest.absent > 0 {
        codes.push(Verdict::ThresholdMissed);
        let such = slow.examples.first().map_or_else(String::new, |example| format!(", such as: {example}"));
        reasons.push(format!("{} clients never got in{such}", harvest.absent));
    }
    for (count, how) in [(slow.away, "had not come back"), (slow.behind, "were still getting events")] {
        if count > 0 {
            codes.push(Verdict::ThresholdMissed);
            reasons.push(format!("{count} clients {how} {:?} after the end", scenario.limits.drain));
        }
    }
    for threshold in result.thresholds.iter().filter(|threshold| !threshold.met) {
        codes.push(Verdict::ThresholdMissed);
        let sign = if threshold.demand == Demand::AtMost { "at most" } else { "at least" };
        let value = threshold.value.map_or_else(|| "not measured".to_owned(), |value| format!("{value:.2}"));
        reasons.push(format!("{} is {value}, and should be {sign} {}", threshold.metric, threshold.limit));
    }
    let exit_code = codes.into_iter().max_by_key(|code| code.severity()).unwrap_or_default();
    Outcome { exit_code, reasons }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How a run of this scenario ends with this harvest.
    fn ends(scenario: &Scenario, harvest: &Harvest) -> Outcome {
        let result = RunResult { checks: checks(harvest, ServerKind::Own), ..RunResult::default() };
        outcome(scenario, &result, harvest, &Metrics::new())
    }

    #[test]
    fn a_generator_that_is_the_bottleneck_of_a_storm_is_4() {
        let scenario = crate::scenario::builtin("join-storm").unwrap();
        let harvest = |phase, share| Harvest { burst_busy_share: [(phase, share)].into(), ..Harvest::default() };
        assert_eq!(ends(&scenario, &harvest(1, 0.7)).exit_code, Verdict::Good);
        let bound = ends(&scenario, &harvest(1, 0.98));
        assert_eq!(bound.exit_code, Verdict::Saturated);
        assert!(bound.reasons[0].contains("`storm`") && bound.reasons[0].contains("98 %"), "{:?}", bound.reasons);
        assert_eq!(ends(&scenario, &harvest(0, 0.98)).exit_code, Verdict::Good, "a phase that does not count");
        let busy = Harvest { busy_share: [(0, 0.1), (1, 0.99)].into(), ..Harvest::default() };
        assert_eq!(ends(&scenario, &busy).exit_code, Verdict::Saturated);
    }

    #[test]
    fn a_history_that_cannot_be_read_is_a_broken_promise_and_hides_no_other() {
        let scenario = crate::scenario::builtin("smoke").unwrap();
        let mut harvest = Harvest::default();
        harvest.verified.broken(Fault::Order, "event 7 came after 5");
        super::super::or_broken(
            &mut harvest,
            Fault::Durability,
            "the history could not be read",
            Err(anyhow::anyhow!("connection refused")),
        );
        super::super::or_broken(&mut harvest, Fault::Durability, "the history could not be read", Ok(()));
        let outcome = ends(&scenario, &harvest);
        assert_eq!(outcome.exit_code, Verdict::Incorrect);
        let journal = "journal: 1 violations, such as: the history could not be read: connection refused";
        assert_eq!(outcome.reasons, ["order: 1 violations, such as: event 7 came after 5", journal]);
    }
}
