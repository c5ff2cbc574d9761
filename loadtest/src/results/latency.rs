//! Latencies: the usual percentiles for people, and the whole histogram for merging.

use anyhow::Context;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A distribution of latencies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Latency {
    /// How many.
    pub count: u64,
    /// Arithmetic mean.
    pub mean_ms: f64,
    /// Half are at most this.
    pub p50_ms: f64,
    /// 90 of 100 are at most this.
    pub p90_ms: f64,
    /// 99 of 100 are at most this.
    pub p99_ms: f64,
    /// 999 of 1,000 are at most this.
    pub p999_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// All of it, in microseconds: HdrHistogram V2, deflated, in base64.
    pub histogram: String,
}

/// Latencies by what was waited for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Latencies {
    /// From when a command was due to its acknowledgement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ack: Option<Latency>,
    /// From the sending of a command to its acknowledgement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ack_from_send: Option<Latency>,
    /// From when a command was due to each member who got its event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Latency>,
    /// From opening a socket to the first state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join: Option<Latency>,
    /// From opening a socket again to being current.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume: Option<Latency>,
    /// How late the generator itself was: from when a command was due to its sending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag: Option<Latency>,
    /// What only one scenario knows, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub other: BTreeMap<String, Latency>,
}

/// An empty histogram of microseconds, up to a minute, to three digits.
#[must_use]
pub fn empty_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).unwrap_or_else(|error| panic!("constant bounds: {error}"))
}

impl Latency {
    /// Of a histogram of microseconds; `None` when it is empty.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Option<Self> {
        if histogram.is_empty() {
            return None;
        }
        let at = |quantile| ms(histogram.value_at_quantile(quantile));
        Some(Self {
            count: histogram.len(),
            mean_ms: histogram.mean() / 1_000.0,
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: ms(histogram.max()),
            histogram: encode(histogram),
        })
    }

    /// The whole distribution, in microseconds.
    ///
    /// # Errors
    /// When the text is no histogram.
    pub fn histogram(&self) -> anyhow::Result<Histogram<u64>> {
        let bytes =
            base64::Engine::decode(&base64::engine::general_purpose::STANDARD, &self.histogram).context("the histogram is no base64")?;
        Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|error| anyhow::anyhow!("the histogram cannot be read: {error:?}"))
    }

    /// Both distributions as one. A histogram that cannot be read counts as empty.
    #[must_use]
    pub fn merged(&self, other: &Self) -> Self {
        let mut whole = empty_histogram();
        for part in [self, other].into_iter().filter_map(|latency| latency.histogram().ok()) {
            // Cannot fail: what is longer than the bound is not in there, since recording saturates.
            let _ = whole.add(part);
        }
        Self::of(&whole).unwrap_or_default()
    }
}

impl Latencies {
    /// All that were measured, with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Latency)> {
        [
            ("ack", &self.ack),
            ("ack_from_send", &self.ack_from_send),
            ("delivery", &self.delivery),
            ("join", &self.join),
            ("resume", &self.resume),
            ("lag", &self.lag),
        ]
        .into_iter()
        .filter_map(|(name, latency)| latency.as_ref().map(|latency| (name, latency)))
        .chain(self.other.iter().map(|(name, latency)| (name.as_str(), latency)))
    }

    /// Adds what another phase or run measured.
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.ack, &other.ack),
            (&mut self.ack_from_send, &other.ack_from_send),
            (&mut self.delivery, &other.delivery),
            (&mut self.join, &other.join),
            (&mut self.resume, &other.resume),
            (&mut self.lag, &other.lag),
        ];
        for (mine, theirs) in pairs {
            if let Some(theirs) = theirs {
                *mine = Some(mine.as_ref().map_or_else(|| theirs.clone(), |mine| mine.merged(theirs)));
            }
        }
        for (name, theirs) in &other.other {
            self.other.entry(name.clone()).and_modify(|mine| *mine = mine.merged(theirs)).or_insert_with(|| theirs.clone());
        }
    }
}

/// What a reader calls it.
#[must_use]
pub fn title(kind: &str) -> &str {
    match kind {
        "ack" => "Acknowledgement, from when it was due",
        "ack_from_send" => "Acknowledgement, from the sending",
        "delivery" => "Delivery, from when it was due",
        "join" => "Join to first state",
        "resume" => "Resume to current",
        "lag" => "Generator lag",
        "stayed_ack" => "Acknowledgement to those who stay while others drop",
        "stayed_delivery" => "Delivery to those who stay while others drop",
        other => other,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a minute in microseconds is far below 2^53")]
fn ms(us: u64) -> f64 {
    us as f64 / 1_000.0
}

fn encode(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    if let Err(error) = V2DeflateSerializer::new().serialize(histogram, &mut bytes) {
        unreachable!("a histogram of constant bounds fits, and a vector takes everything: {error:?}");
    }
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
}
