//! What grew with a size, in a sentence.

use tripsync_loadtest::results::GrowthPoint;
use tripsync_loadtest::results::metrics::{Better, better};

/// Beyond this slope a figure grew more than in proportion; a little above 1, since figures are noisy.
const OVER: f64 = 1.1;
/// Figures that are named, steepest first.
const NAMED_MAX: usize = 8;

/// What grew, from what to what, and which costs grew more than in proportion.
pub(super) fn explain(what: &str, points: &[GrowthPoint], runs: u32) -> String {
    let sizes = || points.iter().map(|point| point.value);
    let (from, to) = sizes().fold((f64::INFINITY, f64::NEG_INFINITY), |(from, to), size| (size.min(from), size.max(to)));
    let what = what.replace('-', " ");
    let mut slopes: Vec<(f64, &str)> = points
        .iter()
        .flat_map(|point| point.figures.keys())
        .filter(|metric| better(metric) == Better::Lower)
        .filter_map(|metric| Some((slope(points, metric)?, metric.as_str())))
        .filter(|(slope, _)| *slope > OVER)
        .collect();
    slopes.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    slopes.dedup();
    let named: Vec<String> = slopes.iter().take(NAMED_MAX).map(|(slope, metric)| format!("{metric} ({slope:.1})")).collect();
    let medians = if runs > 1 { format!(", each the median of {runs} runs") } else { String::new() };
    let costs = if named.is_empty() {
        "No latency and no cost grew more than in proportion.".to_owned()
    } else {
        format!("More than in proportion grew, with the slope between logarithms (1 is in proportion): {}.", named.join(", "))
    };
    format!("{what} grew from {from} to {to}{medians}. {costs}")
}

/// The slope of a figure against the size, both as logarithms, by least squares; `None` without two sizes at which both are above zero.
fn slope(points: &[GrowthPoint], metric: &str) -> Option<f64> {
    let logs: Vec<(f64, f64)> = points
        .iter()
        .filter_map(|point| Some((point.value, *point.figures.get(metric)?)))
        .filter(|(size, figure)| *size > 0.0 && *figure > 0.0)
        .map(|(size, figure)| (size.ln(), figure.ln()))
        .collect();
    let count = logs.iter().map(|_| 1.0).sum::<f64>();
    let (x, y) = logs.iter().fold((0.0, 0.0), |(x, y), log| (x + log.0 / count, y + log.1 / count));
    let spread: f64 = logs.iter().map(|log| (log.0 - x).powi(2)).sum();
    let together: f64 = logs.iter().map(|log| (log.0 - x) * (log.1 - y)).sum();
    (spread > 1e-9).then(|| together / spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(figures: impl Fn(f64) -> Vec<(&'static str, f64)>) -> Vec<GrowthPoint> {
        let figures = |value| figures(value).into_iter().map(|(name, figure)| (name.to_owned(), figure)).collect();
        [1.0, 10.0, 100.0].map(|value| GrowthPoint { value, figures: figures(value) }).to_vec()
    }

    #[test]
    fn what_grows_faster_than_its_size_is_named() {
        let points = points(|size| {
            vec![("ack_p99_ms", size * size), ("delivery_p99_ms", 3.0 * size), ("ack_p50_ms", 2.0), ("commands_per_s", size.powi(3))]
        });
        assert!((slope(&points, "delivery_p99_ms").unwrap() - 1.0).abs() < 1e-9);
        let expected = "state bytes grew from 1 to 100, each the median of 3 runs. \
                        More than in proportion grew, with the slope between logarithms (1 is in proportion): ack_p99_ms (2.0).";
        assert_eq!(explain("state-bytes", &points, 3), expected);
    }

    #[test]
    fn nothing_that_does_not_is() {
        let calm = points(|size| vec![("ack_p99_ms", size.sqrt()), ("join_p99_ms", 0.0)]);
        assert_eq!(explain("rooms", &calm, 1), "rooms grew from 1 to 100. No latency and no cost grew more than in proportion.");
        assert_eq!((slope(&calm, "join_p99_ms"), slope(&calm[..1], "ack_p99_ms")), (None, None));
    }
}
