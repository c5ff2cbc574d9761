//! A part of a run: what was counted, how long things took, and what it cost.

use super::metrics::{Better, better};
use super::{Latencies, Metrics};
use serde::{Deserialize, Serialize};

/// A part of a run (joining, warm-up, the measured part, the end).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// Whether it counts for metrics and thresholds.
    pub measured: bool,
    /// How long it took.
    pub seconds: f64,
    /// What happened.
    pub counters: Counters,
    /// How long things took.
    pub latencies: Latencies,
    /// CPU seconds of the server in user and system mode, children included; absent when the server is somebody else's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_cpu_s: Option<f64>,
    /// CPU seconds of the generator, workers included.
    pub generator_cpu_s: f64,
    /// Resident memory of the server at the beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_resident_start_bytes: Option<u64>,
    /// Resident memory of the server at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_resident_end_bytes: Option<u64>,
    /// The most resident memory that a sample saw.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_resident_peak_bytes: Option<u64>,
    /// Joined sockets at the end.
    pub sockets: u64,
    /// Rooms in use.
    pub rooms: u64,
    /// What only this scenario knows, by metric name.
    #[serde(skip_serializing_if = "Metrics::is_empty")]
    pub figures: Metrics,
}

/// What happened, as the clients saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Commands sent.
    pub commands: u64,
    /// Commands acknowledged.
    pub acks: u64,
    /// Commands refused.
    pub rejections: u64,
    /// Events that reached a member, authors included.
    pub deliveries: u64,
    /// Of whatever phase, events that reached a member in this one.
    pub arrivals: u64,
    /// Events that a reading member was shown only as part of a snapshot, though it had not left.
    pub missing: u64,
    /// Presence frames that reached a member.
    pub presence: u64,
    /// Joins that came to a first state.
    pub joins: u64,
    /// Resumes that became current.
    pub resumes: u64,
    /// Snapshots that came unasked, after a slow phase.
    pub resyncs: u64,
    /// Sockets that the server closed.
    pub closes: u64,
    /// Of these, those that were said to be for reading too slowly.
    pub closed_slow: u64,
    /// Bytes that the clients wrote, frames included.
    pub bytes_sent: u64,
    /// Bytes that the clients read, frames included.
    pub bytes_received: u64,
}

/// A sample of about a second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Second {
    /// Seconds since the run began, at the sample's end.
    pub at_s: f64,
    /// The phase that it belongs to.
    pub phase: String,
    /// Commands sent.
    pub commands_per_s: f64,
    /// Commands acknowledged.
    pub acks_per_s: f64,
    /// Deliveries.
    pub deliveries_per_s: f64,
    /// Joins and resumes.
    pub joins_per_s: f64,
    /// Of the acknowledgements of this second; absent when there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ack_p50_ms: Option<f64>,
    /// The same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ack_p99_ms: Option<f64>,
    /// Of the deliveries of this second; absent when there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_p50_ms: Option<f64>,
    /// The same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_p99_ms: Option<f64>,
    /// How late the generator was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_p99_ms: Option<f64>,
    /// CPU of the server, 1 for a whole core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_cpu_cores: Option<f64>,
    /// CPU of the generator, 1 for a whole core.
    pub generator_cpu_cores: f64,
    /// Resident memory of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_resident_bytes: Option<u64>,
    /// Joined sockets.
    pub sockets: u64,
}

impl Counters {
    /// Adds what another phase or worker counted.
    pub fn add(&mut self, other: &Self) {
        let Self {
            commands,
            acks,
            rejections,
            deliveries,
            arrivals,
            missing,
            presence,
            joins,
            resumes,
            resyncs,
            closes,
            closed_slow,
            bytes_sent,
            bytes_received,
        } = other;
        for (mine, theirs) in [
            (&mut self.commands, commands),
            (&mut self.acks, acks),
            (&mut self.rejections, rejections),
            (&mut self.deliveries, deliveries),
            (&mut self.arrivals, arrivals),
            (&mut self.missing, missing),
            (&mut self.presence, presence),
            (&mut self.joins, joins),
            (&mut self.resumes, resumes),
            (&mut self.resyncs, resyncs),
            (&mut self.closes, closes),
            (&mut self.closed_slow, closed_slow),
            (&mut self.bytes_sent, bytes_sent),
            (&mut self.bytes_received, bytes_received),
        ] {
            *mine = mine.saturating_add(*theirs);
        }
    }
}

impl Phase {
    /// Appends a later phase: counts and times add up, sizes are the later ones, peaks the higher ones, figures the worse ones.
    pub fn add(&mut self, later: &Self) {
        let first = self.seconds == 0.0;
        self.seconds += later.seconds;
        self.counters.add(&later.counters);
        self.latencies.add(&later.latencies);
        self.server_cpu_s = match (self.server_cpu_s, later.server_cpu_s) {
            (Some(mine), Some(theirs)) => Some(mine + theirs),
            (mine, theirs) => mine.or(theirs),
        };
        self.generator_cpu_s += later.generator_cpu_s;
        if first {
            self.server_resident_start_bytes = later.server_resident_start_bytes;
        }
        self.server_resident_end_bytes = later.server_resident_end_bytes.or(self.server_resident_end_bytes);
        self.server_resident_peak_bytes = self.server_resident_peak_bytes.max(later.server_resident_peak_bytes);
        (self.sockets, self.rooms) = (later.sockets, later.rooms);
        for (name, figure) in &later.figures {
            let mine = self.figures.entry(name.clone()).or_insert(*figure);
            *mine = if better(name) == Better::Higher { mine.min(*figure) } else { mine.max(*figure) };
        }
    }

    /// Everything that can be said of it in numbers (see [`super::metrics`]).
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        super::metrics::of(self)
    }
}
