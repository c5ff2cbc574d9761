//! Logs and metrics.

use crate::config::{LogConfig, LogFormat};
use axum::Router;
use axum::routing::get;
use http::header::CONTENT_TYPE;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::error::Error;
use std::io::IsTerminal;
use std::sync::OnceLock;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Seconds; from a query in memory to the request's time limit.
const BUCKETS: [f64; 14] = [0.0005, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// How often histograms are folded; without it they grow.
const UPKEEP: Duration = Duration::from_secs(5);

/// An error and its causes on one line, for the log: `outer: middle: inner`. What a text repeats of its cause is left out.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

/// Starts logging to standard error. The second call in a process changes nothing.
pub fn start_logging(config: &LogConfig) {
    let filter = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr);
    // Fails only when there is a subscriber already, which then is the one to use.
    let _ = match config.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}

/// The process's metrics: one recorder, however many servers run in it.
fn recorder() -> Option<&'static PrometheusHandle> {
    static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let built = PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)
                .and_then(PrometheusBuilder::install_recorder);
            built.inspect_err(|error| tracing::error!(%error, "no metrics")).ok()
        })
        .as_ref()
}

/// `/metrics` in the text format of Prometheus, for a listener of its own.
pub(crate) fn metrics_router() -> Router {
    let page = || async {
        let text = recorder().map(PrometheusHandle::render).unwrap_or_default();
        ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
    };
    // Installed now, so that nothing is missed before the first scrape.
    let _ = recorder();
    metrics::gauge!("tripsync_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    metrics::gauge!("tripsync_draining").set(0.0);
    Router::new().route("/metrics", get(page))
}

/// Folds histograms until `stop`.
pub(crate) async fn upkeep(stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(UPKEEP)).await.is_some() {
        if let Some(handle) = recorder() {
            handle.run_upkeep();
        }
    }
}
