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
    let lower = ["_ms", "_us", "_s", "_bytes", "_cores", "_share"];
    let costs = metric.contains("cpu") || metric.contains("bytes_per");
    if costs || lower.iter().any(|unit| metric.ends_with(unit)) { Better::Lower } else { Better::Neither }
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
