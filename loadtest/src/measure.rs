//! Numbers and how they are shown.

use hdrhistogram::Histogram;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// Latencies in microseconds, up to a minute, to three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).unwrap_or_else(|error| panic!("constant bounds: {error}"))
}

/// Notes a latency; longer than a minute counts as a minute.
pub(crate) fn record(histogram: &mut Histogram<u64>, latency: Duration) {
    histogram.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).max(1));
}

/// `p50 0.31 ms, p99 0.64 ms, max 2.10 ms, n 2000`.
pub(crate) fn quantiles(histogram: &Histogram<u64>) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with two decimals")]
    let ms = |us: u64| us as f64 / 1_000.0;
    format!(
        "p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms, n {}",
        ms(histogram.value_at_quantile(0.5)),
        ms(histogram.value_at_quantile(0.99)),
        ms(histogram.max()),
        histogram.len()
    )
}

/// The disk's own speed: 200-byte appends to a file beside the database, each with fdatasync.
pub(crate) fn append_baseline(folder: &Path, appends: u32) -> anyhow::Result<Histogram<u64>> {
    let mut file = File::create(folder.join("baseline"))?;
    let mut latencies = histogram();
    for _ in 0..appends {
        let started = Instant::now();
        file.write_all(&[7; 200])?;
        file.sync_data()?;
        record(&mut latencies, started.elapsed());
    }
    Ok(latencies)
}

/// A line of the result.
#[expect(clippy::print_stdout, reason = "the result of the program")]
pub(crate) fn show(what: &str, figure: impl std::fmt::Display) {
    println!("{what:<44} {figure}");
}
