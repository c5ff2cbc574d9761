//! The named figures of a phase: what thresholds, comparisons, growth plots and repeats speak of.
//!
//! A name ends in its unit. From it follow the unit that is shown and which direction is better, so a scenario may bring figures of its own.

use super::Phase;
use std::collections::BTreeMap;

/// Metric to figure. Only finite figures get in.
pub type Metrics = BTreeMap<String, f64>;

/// Which direction of a metric is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Latencies, costs, memory.
    Lower,
    /// Rates.
    Higher,
    /// It describes the run.
    Neither,
}

/// Which direction is better, by the name.
#[must_use]
pub fn better(metric: &str) -> Better {
    if metric.starts_with("generator") || metric.starts_with("lag_") {
        return Better::Neither;
    }
    if metric.ends_with("_per_s") {
        return if metric.starts_with("rejections") || metric.starts_with("closes") { Better::Lower } else { Better::Higher };
    }
    if matches!(metric, "closes" | "closed_slow" | "resyncs" | "deliveries_missing" | "unanswered") {
        return Better::Lower;
    }
    let lower = ["_ms", "_us", "_s", "_bytes", "_cores", "_share"];
    let costs = metric.contains("cpu") || metric.contains("bytes_per");
    if costs || lower.iter().any(|unit| metric.ends_with(unit)) { Better::Lower } else { Better::Neither }
}

/// Whether it is a quantile or mean of latencies, by the name.
#[must_use]
pub fn is_latency(metric: &str) -> bool {
    quantile(metric).is_some_and(|kind| kind != "lag")
}

/// Whether a run can have such a metric, so that a threshold with a slip of the pen is refused before it costs a run.
#[must_use]
pub fn is_known(metric: &str) -> bool {
    const OTHERS: [&str; 27] = [
        "commands_per_s",
        "acks_per_s",
        "deliveries_per_s",
        "arrivals_per_s",
        "joins_per_s",
        "resumes_per_s",
        "rejections_share",
        "bytes_per_delivery",
        "server_cpu_cores",
        "server_cpu_s_per_million_deliveries",
        "server_cpu_us_per_command",
        "server_cpu_us_per_join",
        "server_resident_peak_bytes",
        "resident_bytes_per_room",
        "resident_bytes_per_socket",
        "generator_cpu_cores",
        "generator_busy_share",
        "generator_burst_busy_share",
        "generator_bound_the_search",
        "limit_per_s",
        "current_after_ms",
        "came_in_per_s",
        "unanswered",
        "closes",
        "closed_slow",
        "resyncs",
        "deliveries_missing",
    ];
    const KINDS: [&str; 8] = ["ack", "ack_from_send", "delivery", "join", "resume", "lag", "stayed_ack", "stayed_delivery"];
    let latency = || quantile(metric).is_some_and(|kind| KINDS.contains(&kind));
    OTHERS.contains(&metric) || metric.starts_with("refused_") || latency()
}

/// Whose quantile or mean it is.
fn quantile(metric: &str) -> Option<&str> {
    let (kind, what) = metric.strip_suffix("_ms")?.rsplit_once('_')?;
    matches!(what, "mean" | "p50" | "p90" | "p99" | "p999" | "max").then_some(kind)
}

/// The unit, by the name; empty when it has none.
#[must_use]
pub fn unit(metric: &str) -> &'static str {
    const UNITS: [(&str, &str); 13] = [
        ("cpu_s_per_million_deliveries", "CPU-s per M"),
        ("cpu_us_per_command", "µs CPU per command"),
        ("cpu_us_per_join", "µs CPU per join"),
        ("bytes_per_socket", "B per socket"),
        ("bytes_per_room", "B per room"),
        ("bytes_per_delivery", "B per delivery"),
        ("_per_s", "per s"),
        ("_ms", "ms"),
        ("_us", "µs"),
        ("_s", "s"),
        ("_bytes", "B"),
        ("_cores", "cores"),
        ("_share", "of all"),
    ];
    UNITS.iter().find(|(end, _)| metric.ends_with(end)).map_or("", |(_, unit)| unit)
}

/// All figures of a phase that it has the data for.
pub(super) fn of(phase: &Phase) -> Metrics {
    let mut metrics = Metrics::new();
    let counters = &phase.counters;
    let mut put = |name: &str, figure: f64| {
        if figure.is_finite() {
            metrics.insert(name.to_owned(), figure);
        }
    };
    for (name, count) in [
        ("commands", counters.commands),
        ("acks", counters.acks),
        ("deliveries", counters.deliveries),
        ("arrivals", counters.arrivals),
        ("joins", counters.joins),
        ("resumes", counters.resumes),
    ] {
        if count > 0 {
            put(&format!("{name}_per_s"), number(count) / phase.seconds);
        }
    }
    put("rejections_share", number(counters.rejections) / number(counters.commands));
    put("bytes_per_delivery", number(counters.bytes_received) / number(counters.deliveries));
    for (kind, latency) in phase.latencies.iter() {
        for (what, figure) in [
            ("mean", latency.mean_ms),
            ("p50", latency.p50_ms),
            ("p90", latency.p90_ms),
            ("p99", latency.p99_ms),
            ("p999", latency.p999_ms),
            ("max", latency.max_ms),
        ] {
            put(&format!("{kind}_{what}_ms"), figure);
        }
    }
    if let Some(cpu) = phase.server_cpu_s {
        put("server_cpu_cores", cpu / phase.seconds);
        for (name, count, scale) in [
            ("server_cpu_s_per_million_deliveries", counters.deliveries, 1e6),
            ("server_cpu_us_per_command", counters.acks, 1e6),
            ("server_cpu_us_per_join", counters.joins + counters.resumes, 1e6),
        ] {
            if count > 0 {
                put(name, cpu / number(count) * scale);
            }
        }
    }
    put("generator_cpu_cores", phase.generator_cpu_s / phase.seconds);
    if let Some(peak) = phase.server_resident_peak_bytes {
        put("server_resident_peak_bytes", number(peak));
    }
    for (name, figure) in &phase.figures {
        put(name, *figure);
    }
    metrics
}

/// A count as a number to calculate with.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub fn number(count: u64) -> f64 {
    count as f64
}
