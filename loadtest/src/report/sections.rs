//! The parts of a result, the verdict first.

use super::growth::growth;
use super::markup::{Cell, Markup, table};
use super::series;
use crate::results::metrics::{number, unit};
use crate::results::{Demand, Latency, Phase, RunResult, ServerKind, Spread, Verdict, VersusFloor, latency_title};
use crate::show::{bytes, count, figure};

/// The figures that stand on top.
pub(super) const HEADLINES: [(&str, &str); 7] = [
    ("ack_p50_ms", "ack p50"),
    ("ack_p99_ms", "ack p99"),
    ("delivery_p99_ms", "delivery p99"),
    ("deliveries_per_s", "deliveries"),
    ("joins_per_s", "joins"),
    ("server_cpu_s_per_million_deliveries", "server CPU"),
    ("server_resident_peak_bytes", "server memory, peak"),
];

/// A whole result.
pub(super) fn result(out: &mut Markup, file: &str, result: &RunResult) {
    head(out, file, result);
    thresholds(out, result);
    checks(out, result);
    let measured = result.measured();
    if measured.latencies.iter().next().is_some() {
        out.element("h2", "", "Latency");
        out.element("p", "quiet", "Of the measured phases. Counted from when a command was due by the schedule where not said otherwise, so that a stall is seen by every command that it delayed.");
        series::by_percentile(out, &measured.latencies);
        latencies(out, &measured);
    }
    if !result.series.is_empty() {
        out.element("h2", "", "Over time");
        series::over_time(out, &result.series);
    }
    if !result.growth.is_empty() {
        out.element("h2", "", "Growth");
        result.growth.iter().for_each(|one| growth(out, one));
    }
    if let Some(versus) = &result.versus_floor {
        floor(out, versus);
    }
    runs(out, result);
    phases(out, result);
    details(out, result);
}

fn head(out: &mut Markup, file: &str, result: &RunResult) {
    let verdict = result.outcome.exit_code;
    out.raw("<header>");
    out.element("h1", "", &result.scenario.name);
    out.element("p", "quiet", &format!("{} {} · {file}", result.scenario.description, result.started_at));
    out.raw(&format!("<div class=\"verdict {}\">", class(verdict)));
    out.element("strong", "", &format!("{} {}", sign(verdict), verdict.title()));
    if !result.outcome.reasons.is_empty() {
        out.raw("<ul>");
        result.outcome.reasons.iter().for_each(|reason| out.element("li", "", reason));
        out.raw("</ul>");
    }
    out.raw("</div><dl class=\"tiles\">");
    let metrics = result.metrics();
    for (metric, title) in HEADLINES {
        if let Some(value) = metrics.get(metric) {
            out.raw("<div>");
            out.element("dt", "", title);
            let (figure, unit) = parts(metric, *value);
            out.raw("<dd>");
            out.text(&figure);
            out.element("small", "", &format!(" {unit}"));
            out.raw("</dd></div>");
        }
    }
    out.raw("</dl></header>\n");
}

fn thresholds(out: &mut Markup, result: &RunResult) {
    if result.thresholds.is_empty() {
        return;
    }
    out.element("h2", "", "Thresholds");
    let rows = result.thresholds.iter().map(|threshold| {
        let limit = match threshold.demand {
            Demand::AtMost => format!("at most {}", plain(&threshold.metric, threshold.limit)),
            Demand::AtLeast => format!("at least {}", plain(&threshold.metric, threshold.limit)),
        };
        let value = threshold.value.map_or_else(|| Cell::number("not measured"), |value| shown(&threshold.metric, value));
        let met = if threshold.met { Cell::classed("✓ met", "good") } else { Cell::classed("✗ missed", "bad") };
        vec![Cell::text(&threshold.metric), Cell::number(&limit), value, met]
    });
    table(out, &["metric", "demanded", "measured", ""], rows.collect());
}

fn checks(out: &mut Markup, result: &RunResult) {
    if result.checks.is_empty() {
        return;
    }
    out.element("h2", "", "Correctness");
    let rows = result.checks.iter().map(|check| {
        let state = match (&check.skipped, check.violations) {
            (Some(why), _) => Cell::classed(&format!("– not checked: {why}"), "quiet"),
            (None, 0) => Cell::classed("✓ holds", "good"),
            (None, _) => Cell::classed("✗ violated", "bad"),
        };
        vec![
            Cell::text(&check.name),
            state,
            Cell::text(&check.promise),
            Cell::number(&count(check.checked)),
            Cell::number(&count(check.violations)),
        ]
    });
    table(out, &["check", "", "what must hold", "checked", "violations"], rows.collect());
    for check in result.checks.iter().filter(|check| !check.examples.is_empty()) {
        out.folded(&format!("{}: examples of violations", check.name), |out| {
            out.raw("<ul>");
            check.examples.iter().for_each(|example| out.element("li", "", example));
            out.raw("</ul>");
        });
    }
}

fn latencies(out: &mut Markup, phase: &Phase) {
    let columns: [fn(&Latency) -> f64; 6] = [|l| l.mean_ms, |l| l.p50_ms, |l| l.p90_ms, |l| l.p99_ms, |l| l.p999_ms, |l| l.max_ms];
    let rows = phase.latencies.iter().map(|(kind, latency)| {
        let figures = columns.iter().map(|column| Cell::number(&figure(column(latency))));
        [Cell::text(latency_title(kind)), Cell::number(&count(latency.count))].into_iter().chain(figures).collect()
    });
    table(out, &["ms", "count", "mean", "p50", "p90", "p99", "p99.9", "max"], rows.collect());
}

fn floor(out: &mut Markup, versus: &VersusFloor) {
    let (title, what, side) = match versus.against.as_str() {
        "all read" => ("Against a run in which everybody reads", "The same load without slow readers, in turns", "all read"),
        _ => ("Against the floor", "The same load on a bare server that only passes ready frames on, in turns with the real one", "floor"),
    };
    out.element("h2", "", title);
    out.element("p", "quiet", &format!("{what}. Medians, with the range in brackets; the ratio is that of each pair of runs."));
    let row = |metric: &str| {
        let (ratio, real, floor) = (versus.spread.get(metric)?, versus.real.spread.get(metric)?, versus.floor.spread.get(metric)?);
        let ratio = Cell::number(&format!("{}× ({} to {})", figure(ratio.median), figure(ratio.min), figure(ratio.max)));
        Some(vec![Cell::text(metric), Cell::text(unit(metric)), spread(metric, real), spread(metric, floor), ratio])
    };
    let heads = ["metric", "unit", "server", side, "ratio"];
    table(out, &heads, HEADLINES.iter().filter_map(|(metric, _)| row(metric)).collect());
    out.folded("All ratios", |out| table(out, &heads, versus.ratios.keys().filter_map(|metric| row(metric)).collect()));
}

fn runs(out: &mut Markup, result: &RunResult) {
    let several = !result.runs.is_empty();
    out.element("h2", "", if several { "Every run" } else { "All figures" });
    if several {
        let rows = (1..).zip(&result.runs).map(|(n, run)| {
            let mut row = vec![Cell::number(&count(n)), Cell::text(&run.started_at), badge(run.outcome.exit_code)];
            row.extend(
                HEADLINES.map(|(metric, _)| run.metrics.get(metric).map_or_else(|| Cell::number("–"), |value| shown(metric, *value))),
            );
            row
        });
        let heads = ["run", "began", "verdict"].into_iter().chain(HEADLINES.map(|(_, title)| title));
        table(out, &heads.collect::<Vec<_>>(), rows.collect());
    }
    out.folded(if several { "All figures, median and range" } else { "The measured phases together" }, |out| {
        let cell = |metric: &str, value: &f64| match result.spread.get(metric) {
            Some(range) => spread(metric, range),
            None => Cell::number(&plain(metric, *value)),
        };
        let metrics = result.metrics();
        let rows = metrics.iter().map(|(metric, value)| vec![Cell::text(metric), cell(metric, value), Cell::text(unit(metric))]);
        table(out, &["metric", "figure", "unit"], rows.collect());
    });
}

fn phases(out: &mut Markup, result: &RunResult) {
    if result.phases.is_empty() {
        return;
    }
    out.element("h2", "", "Phases");
    let rows = result.phases.iter().map(|phase| {
        let counters = &phase.counters;
        let counts = [
            counters.commands,
            counters.acks,
            counters.rejections,
            counters.deliveries,
            counters.joins,
            counters.resumes,
            counters.resyncs,
            counters.closes,
            counters.closed_slow,
        ];
        let mut row =
            vec![Cell::text(&phase.name), Cell::text(if phase.measured { "yes" } else { "" }), Cell::number(&figure(phase.seconds))];
        row.extend(counts.map(|all| Cell::number(&count(all))));
        row.extend([counters.bytes_sent, counters.bytes_received].map(|all| Cell::number(&bytes(number(all)))));
        row.push(Cell::number(&phase.server_cpu_s.map_or_else(|| "–".into(), figure)));
        row.push(Cell::number(&figure(phase.generator_cpu_s)));
        row.push(Cell::number(&phase.server_resident_end_bytes.map_or_else(|| "–".into(), |size| bytes(number(size)))));
        row.extend([phase.sockets, phase.rooms].map(|all| Cell::number(&count(all))));
        row
    });
    let heads = [
        "phase",
        "measured",
        "s",
        "commands",
        "acks",
        "rejections",
        "deliveries",
        "joins",
        "resumes",
        "resyncs",
        "closes",
        "for reading slowly",
        "sent",
        "received",
        "server CPU s",
        "generator CPU s",
        "server memory",
        "sockets",
        "rooms",
    ];
    table(out, &heads, rows.collect());
}

fn details(out: &mut Markup, result: &RunResult) {
    out.element("h2", "", "How it was run");
    let server = match result.server.kind {
        ServerKind::Own => "started for the run",
        ServerKind::Remote => "was there already",
        ServerKind::Floor => "the floor",
    };
    let machine = &result.machine;
    let rows = [
        ("command", result.command.join(" ")),
        ("server", format!("{} {} {} ({server})", result.server.version, result.server.database, result.server.addresses.join(", "))),
        (
            "machine",
            format!("{} cores, {}, {} memory, {}", machine.cores, machine.cpu, bytes(number(machine.memory_bytes)), machine.kernel),
        ),
        ("tool", format!("tripsync-load {}, result schema {}", result.tool_version, result.schema)),
    ];
    table(out, &["", ""], rows.map(|(what, text)| vec![Cell::text(what), Cell::text(text.trim())]).into());
    if !result.scenario.toml.is_empty() {
        out.folded("The scenario as run", |out| out.element("pre", "", &result.scenario.toml));
    }
}

/// A verdict in a table.
pub(super) fn badge(verdict: Verdict) -> Cell {
    Cell::classed(&format!("{} {}", sign(verdict), verdict.title()), class(verdict))
}

/// A figure with its unit.
pub(super) fn shown(metric: &str, value: f64) -> Cell {
    let (figure, unit) = parts(metric, value);
    Cell::number(&format!("{figure} {unit}"))
}

fn spread(metric: &str, spread: &Spread) -> Cell {
    let one = |value: f64| plain(metric, value);
    Cell::number(&format!("{} [{} to {}]", one(spread.median), one(spread.min), one(spread.max)))
}

/// A figure without its unit, other than bytes.
pub(super) fn plain(metric: &str, value: f64) -> String {
    if unit(metric).starts_with('B') { bytes(value) } else { figure(value) }
}

fn parts(metric: &str, value: f64) -> (String, &'static str) {
    match unit(metric) {
        "B" => (bytes(value), ""),
        unit => (figure(value), unit),
    }
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "good",
        Verdict::ThresholdMissed | Verdict::Saturated => "warn",
        Verdict::Usage | Verdict::Incorrect => "bad",
    }
}

/// Not by colour alone.
fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "✓",
        Verdict::ThresholdMissed | Verdict::Saturated => "!",
        Verdict::Usage | Verdict::Incorrect => "✗",
    }
}
