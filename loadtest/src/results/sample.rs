//! A result in which everything is filled in, for tests of whatever reads results.

use super::*;
use hdrhistogram::Histogram;

/// Latencies from `low_us` to about twenty times that, most of them low.
pub(crate) fn histogram(low_us: u64) -> Histogram<u64> {
    let mut histogram = empty_histogram();
    for n in 0..2_000_u64 {
        let tail = if n % 40 == 0 { n / 100 } else { 0 };
        histogram.saturating_record(low_us + low_us * (n % 10) / 20 + low_us * tail);
    }
    histogram
}

/// A run with everything in it, whose latencies begin at `low_us`.
pub(crate) fn run(low_us: u64) -> RunResult {
    let phases = vec![phase("join", false, low_us), phase("steady", true, low_us)];
    let mut run = RunResult {
        started_at: "2027-05-02T09:30:00.123Z".into(),
        command: ["tripsync-load", "fan-out", "--rooms", "20"].map(str::to_owned).into(),
        scenario: Scenario {
            name: "fan-out".into(),
            description: "Rooms whose members get every command.".into(),
            toml: "rooms = 20\nmembers = 10\n".into(),
        },
        machine: Machine { cores: 2, cpu: "Example CPU <3 GHz>".into(), kernel: "Linux 6.1.0".into(), memory_bytes: 24 << 30 },
        server: Server {
            addresses: vec!["127.0.0.1:8080".into()],
            database: "sqlite".into(),
            version: "0.1.0".into(),
            kind: ServerKind::Own,
        },
        outcome: Outcome { exit_code: Verdict::ThresholdMissed, reasons: vec!["ack_p50_ms is 2.5, at most 0.1 was demanded".into()] },
        phases,
        series: (1..=12).map(second).collect(),
        checks: vec![
            Check {
                name: "order".into(),
                promise: "seq rises by one at every member".into(),
                checked: 20_000,
                violations: 2,
                examples: vec!["<room 3> member 7: event 9 came after 7".into()],
                skipped: None,
                left_out: "2 gave up because they were sent a snapshot".into(),
            },
            Check {
                name: "journal".into(),
                promise: "every acknowledged command is in the history".into(),
                skipped: Some("a remote server".into()),
                ..Check::default()
            },
        ],
        growth: vec![Growth {
            x: "rooms".into(),
            explanation: "Cost per delivery falls with more rooms, since commits are shared.".into(),
            points: [1.0, 10.0, 100.0, 1_000.0]
                .map(|rooms| GrowthPoint {
                    value: rooms,
                    figures: [("ack_p99_ms", 2.0 + rooms / 100.0), ("server_cpu_s_per_million_deliveries", 40.0 - rooms / 50.0)]
                        .map(|(name, figure)| (name.to_owned(), figure))
                        .into(),
                })
                .into(),
        }],
        ..RunResult::default()
    };
    let metrics = run.metrics();
    run.thresholds = vec![
        Threshold::judge("ack_p50_ms", Demand::AtMost, 0.1, &metrics),
        Threshold::judge("arrivals_per_s", Demand::AtLeast, 100.0, &metrics),
    ];
    run.versus_floor = Some(VersusFloor::of("floor", repeats(&run, 1.0), repeats(&run, 0.5)));
    let real = Side::of(repeats(&run, 1.0));
    (run.runs, run.spread) = (real.runs, real.spread);
    run
}

fn phase(name: &str, measured: bool, low_us: u64) -> Phase {
    let latency = |factor| Latency::of(&histogram(low_us * factor));
    Phase {
        name: name.into(),
        measured,
        seconds: 10.0,
        counters: Counters {
            commands: 2_000,
            acks: 1_990,
            rejections: 10,
            deliveries: 19_900,
            arrivals: 19_800,
            missing: 2,
            presence: 4_000,
            joins: 200,
            resumes: 20,
            resyncs: 3,
            closes: 1,
            closed_slow: 1,
            bytes_sent: 400_000,
            bytes_received: 5_000_000,
        },
        latencies: Latencies {
            ack: latency(2),
            ack_from_send: latency(1),
            delivery: latency(3),
            join: latency(10),
            resume: latency(8),
            lag: Latency::of(&histogram(20)),
            other: [("history".to_owned(), latency(5).unwrap())].into(),
        },
        server_cpu_s: Some(4.2),
        generator_cpu_s: 2.1,
        server_resident_start_bytes: Some(40 << 20),
        server_resident_end_bytes: Some(48 << 20),
        server_resident_peak_bytes: Some(50 << 20),
        sockets: 200,
        rooms: 20,
        figures: [("all_current_s".to_owned(), 0.4)].into(),
    }
}

fn second(n: u32) -> Second {
    let wave = f64::from(n % 4);
    Second {
        at_s: f64::from(n),
        phase: if n < 3 { "join" } else { "steady" }.into(),
        commands_per_s: 200.0 + wave,
        acks_per_s: 199.0 + wave,
        deliveries_per_s: 1_990.0 + 30.0 * wave,
        joins_per_s: if n < 3 { 100.0 } else { 0.0 },
        ack_p50_ms: Some(1.0 + wave / 10.0),
        ack_p99_ms: (n != 5).then_some(4.0 + wave),
        delivery_p50_ms: Some(1.5 + wave / 10.0),
        delivery_p99_ms: Some(6.0 + wave),
        lag_p99_ms: Some(0.2),
        server_cpu_cores: Some(0.4 + wave / 50.0),
        generator_cpu_cores: 0.2,
        server_resident_bytes: Some((40 + u64::from(n)) << 20),
        sockets: 200,
    }
}

/// Five runs like this one, with figures `factor` times as high and a little apart.
pub(crate) fn repeats(run: &RunResult, factor: f64) -> Vec<Repeat> {
    let repeat = |n: u32| {
        let mut repeat = Repeat::from(run);
        repeat.metrics.values_mut().for_each(|figure| *figure *= factor * (1.0 + f64::from(n) / 50.0));
        repeat
    };
    (0..5).map(repeat).collect()
}
