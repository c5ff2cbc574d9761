//! What happened over time, and how latencies are spread.

use super::markup::Markup;
use super::plot::{Line, Plot};
use super::scale::{Kind, Scale};
use crate::results::{Latencies, Second, latency_title};

/// Points in a line, about the pixels that there are.
const POINTS_MAX: usize = 300;

type Pick = fn(&Second) -> Option<f64>;
/// Title, unit, scale, how to fold, and the lines.
type Wanted<'a> = (&'a str, &'a str, Kind, Fold, &'a [(&'a str, Pick)]);

/// How seconds that share a place become one.
#[derive(Clone, Copy)]
enum Fold {
    Mean,
    Max,
}

/// The plots over time.
pub(super) fn over_time(out: &mut Markup, series: &[Second]) {
    let (Some(first), Some(last)) = (series.first(), series.last()) else { return };
    let begins = begins(series);
    let plots: [Wanted<'_>; 6] = [
        (
            "Throughput",
            "per s",
            Kind::Linear,
            Fold::Mean,
            &[
                ("deliveries", |second| Some(second.deliveries_per_s)),
                ("commands", |second| Some(second.commands_per_s)),
                ("acknowledgements", |second| Some(second.acks_per_s)),
                ("joins and resumes", |second| Some(second.joins_per_s)),
            ],
        ),
        (
            "Acknowledgement, from when it was due",
            "ms",
            Kind::Log,
            Fold::Max,
            &[("p99", |second| second.ack_p99_ms), ("p50", |second| second.ack_p50_ms)],
        ),
        (
            "Delivery, from when it was due",
            "ms",
            Kind::Log,
            Fold::Max,
            &[
                ("p99", |second| second.delivery_p99_ms),
                ("p50", |second| second.delivery_p50_ms),
                ("generator lag p99", |second| second.lag_p99_ms),
            ],
        ),
        (
            "CPU",
            "cores",
            Kind::Linear,
            Fold::Mean,
            &[("server", |second| second.server_cpu_cores), ("generator", |second| Some(second.generator_cpu_cores))],
        ),
        (
            "Resident memory of the server",
            "MiB",
            Kind::Linear,
            Fold::Max,
            &[("server", |second| Some(mebibytes(second.server_resident_bytes?)))],
        ),
        (
            "Joined sockets",
            "sockets",
            Kind::Linear,
            Fold::Max,
            &[("sockets", |second| Some(crate::results::metrics::number(second.sockets)))],
        ),
    ];
    out.raw("<div class=\"plots\">");
    for (title, unit, y, fold, picks) in plots {
        let lines = picks.iter().map(|(name, pick)| Line { name: (*name).to_owned(), points: thin(series, *pick, fold) });
        // What never happened needs no line.
        let lines = lines.filter(|line| line.points.iter().any(|(_, value)| value.is_some_and(|value| value != 0.0)));
        let plot = Plot {
            title: title.to_owned(),
            x_label: "s since the beginning".to_owned(),
            y_label: unit.to_owned(),
            x: Scale::between(first.at_s.min(1.0), last.at_s),
            y,
            lines: lines.collect(),
            begins: begins.clone(),
            dots: false,
        };
        plot.draw(out);
    }
    out.raw("</div>\n");
}

/// Latency by percentile.
pub(super) fn by_percentile(out: &mut Markup, latencies: &Latencies) {
    let lines: Vec<Line> = latencies
        .iter()
        .filter_map(|(kind, latency)| {
            let histogram = latency.histogram().ok().filter(|histogram| !histogram.is_empty())?;
            let nines = crate::results::metrics::number(histogram.len()).log10();
            let at = |step: u32| {
                let share = 1.0 - 10_f64.powf(-f64::from(step) / 16.0);
                (share, Some(crate::results::metrics::number(histogram.value_at_quantile(share)) / 1_000.0))
            };
            let points = (0..=96).filter(|step| f64::from(*step) / 16.0 <= nines).map(at);
            Some(Line { name: latency_title(kind).to_owned(), points: points.collect() })
        })
        .collect();
    let shares: Vec<f64> = lines.iter().flat_map(|line| line.points.iter().map(|(share, _)| *share)).collect();
    out.raw("<div class=\"plots wide\">");
    let plot = Plot {
        title: "Latency by percentile".to_owned(),
        x_label: "of all are at most this".to_owned(),
        y_label: "ms".to_owned(),
        x: Scale::over(Kind::Nines, shares.into_iter()),
        y: Kind::Log,
        lines,
        begins: Vec::new(),
        dots: false,
    };
    plot.draw(out);
    out.raw("</div>\n");
}

/// Where phases begin.
fn begins(series: &[Second]) -> Vec<(f64, String)> {
    let changes = series.windows(2).filter(|pair| pair[0].phase != pair[1].phase).map(|pair| (pair[0].at_s, pair[1].phase.clone()));
    let first = series.first().map(|second| (second.at_s.min(1.0), second.phase.clone()));
    first.into_iter().chain(changes).filter(|(_, name)| !name.is_empty()).collect()
}

/// The values over time, neighbours folded where there are more than can be seen.
fn thin(series: &[Second], pick: Pick, fold: Fold) -> Vec<(f64, Option<f64>)> {
    let per_point = series.len().div_ceil(POINTS_MAX).max(1);
    let point = |seconds: &[Second]| {
        let values: Vec<f64> = seconds.iter().filter_map(pick).filter(|value| value.is_finite()).collect();
        let value = match fold {
            _ if values.is_empty() => None,
            Fold::Mean => Some(values.iter().sum::<f64>() / crate::results::metrics::number(values.len() as u64)),
            Fold::Max => values.iter().copied().reduce(f64::max),
        };
        (seconds.last().map_or(0.0, |second| second.at_s), value)
    };
    series.chunks(per_point).map(point).collect()
}

fn mebibytes(bytes: u64) -> f64 {
    crate::results::metrics::number(bytes) / 1_048_576.0
}
