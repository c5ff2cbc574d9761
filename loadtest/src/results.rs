//! The result of a run, as JSON (schema 1, `docs/LOADTEST-RESULT.md`).
//!
//! The types own the shape: what a run writes, `report` draws and `compare` compares. Promises that a result of this schema can be read by
//! every later version (unknown fields are ignored, absent ones have a default), and that latencies carry their histogram, so that results can
//! be merged. Units stand at the end of names; times without one are RFC 3339.

mod latency;
mod machine;
pub mod metrics;
mod phase;
mod repeats;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

pub use latency::{Latencies, Latency, empty_histogram, title as latency_title};
pub use machine::Machine;
pub use metrics::Metrics;
pub use phase::{Counters, Phase, Second};
pub use repeats::{Repeat, Side, Spread, VersusFloor, median, together};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The schema that this version writes, and the newest that it reads.
pub const SCHEMA: u32 = 1;

/// One run of a scenario, or several that were put together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunResult {
    /// Version of this shape.
    pub schema: u32,
    /// Version of `tripsync-load`.
    pub tool_version: String,
    /// When the run began.
    pub started_at: String,
    /// The command line, so that it can be repeated.
    pub command: Vec<String>,
    /// What was run.
    pub scenario: Scenario,
    /// Where the generator ran.
    pub machine: Machine,
    /// What was measured.
    pub server: Server,
    /// How it ended.
    pub outcome: Outcome,
    /// The parts of the run, in order.
    pub phases: Vec<Phase>,
    /// One sample a second.
    pub series: Vec<Second>,
    /// What the scenario demands of the figures.
    pub thresholds: Vec<Threshold>,
    /// What was verified.
    pub checks: Vec<Check>,
    /// Figures against a size.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub growth: Vec<Growth>,
    /// The same load in turns on a bare server, or without slow readers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub versus_floor: Option<VersusFloor>,
    /// Every run, when there were several; the rest of the result is then the one in the middle.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<Repeat>,
    /// Median and range of each metric over `runs`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub spread: BTreeMap<String, Spread>,
}

/// What was run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scenario {
    /// Its name, as on the command line.
    pub name: String,
    /// One sentence.
    pub description: String,
    /// The scenario as run, in TOML, flags applied.
    pub toml: String,
}

/// The server under test.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Server {
    /// `host:port` of every node.
    pub addresses: Vec<String>,
    /// `sqlite`, `postgres`, or empty when it is not known.
    pub database: String,
    /// As the server names it, or empty.
    pub version: String,
    /// Whose process it is.
    pub kind: ServerKind,
}

/// Whose process the server is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerKind {
    /// Started by the tool, on data of its own.
    #[default]
    Own,
    /// Was there already; its CPU and memory are not known.
    Remote,
    /// The bare server of the tool.
    Floor,
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// The code that the tool exits with.
    pub exit_code: Verdict,
    /// Why, one sentence each; empty when all is good.
    pub reasons: Vec<String>,
}

/// The exit codes of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Verdict {
    /// 0: correct, and every threshold met.
    #[default]
    Good,
    /// 1: correct, but a threshold was missed.
    ThresholdMissed,
    /// 2: it could not be run as asked.
    Usage,
    /// 3: the server broke a promise.
    Incorrect,
    /// 4: the generator could not keep its schedule, so the figures say nothing.
    Saturated,
}

/// A demand on a metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Threshold {
    /// Name of the metric.
    pub metric: String,
    /// Which side of the limit is good.
    pub demand: Demand,
    /// The limit, in the metric's unit.
    pub limit: f64,
    /// What was measured; absent when nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Whether it holds; what was not measured does not.
    pub met: bool,
}

/// Which side of a limit is good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Demand {
    /// The value may not be above the limit.
    #[default]
    AtMost,
    /// The value may not be below the limit.
    AtLeast,
}

/// Something that must hold whatever the load.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Check {
    /// Short name.
    pub name: String,
    /// What must hold, in one sentence.
    pub promise: String,
    /// On how many it was checked (deliveries, members, commands: as `promise` says).
    pub checked: u64,
    /// How many broke it.
    pub violations: u64,
    /// Some of them, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
    /// Why it could not be checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    /// How many could not be looked at, and why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub left_out: String,
}

/// Figures against a size.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Growth {
    /// What grows (`rooms`, `members`, `journal_events`).
    pub x: String,
    /// What grows with it and why, for a reader.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub explanation: String,
    /// In ascending order of `value`.
    pub points: Vec<GrowthPoint>,
}

/// The figures at one size.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GrowthPoint {
    /// The size.
    pub value: f64,
    /// Metric to figure.
    pub figures: Metrics,
}

impl Default for RunResult {
    fn default() -> Self {
        Self {
            schema: SCHEMA,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: String::new(),
            command: Vec::new(),
            scenario: Scenario::default(),
            machine: Machine::default(),
            server: Server::default(),
            outcome: Outcome::default(),
            phases: Vec::new(),
            series: Vec::new(),
            thresholds: Vec::new(),
            checks: Vec::new(),
            growth: Vec::new(),
            versus_floor: None,
            runs: Vec::new(),
            spread: BTreeMap::new(),
        }
    }
}

impl RunResult {
    /// Reads a result.
    ///
    /// # Errors
    /// When the file cannot be read, is no result, or was written in a newer schema.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} cannot be used", path.display()))
    }

    /// Reads a result from its JSON.
    ///
    /// # Errors
    /// When it is no result, or one in a newer schema.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        /// What every schema has.
        #[derive(Deserialize)]
        struct Head {
            schema: u32,
        }
        let Head { schema } = serde_json::from_str(text).context("it is no result of tripsync-load (a JSON object with `schema`)")?;
        ensure!((1..=SCHEMA).contains(&schema), "it has schema {schema}, and this version reads up to {SCHEMA}: use a newer tripsync-load");
        serde_json::from_str(text).context("it does not have the shape of docs/LOADTEST-RESULT.md")
    }

    /// Writes the result as JSON.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
    }

    /// The metrics of the measured phases together (see [`metrics`]).
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.measured().metrics()
    }

    /// The measured phases as one; all phases, if none is marked.
    #[must_use]
    pub fn measured(&self) -> Phase {
        let any = self.phases.iter().any(|phase| phase.measured);
        let mut whole = Phase { name: "measured".into(), measured: true, ..Phase::default() };
        for phase in self.phases.iter().filter(|phase| phase.measured || !any) {
            whole.add(phase);
        }
        whole
    }
}

impl Check {
    /// Adds what another run found: it was looked at when any of them looked.
    fn add(&mut self, other: &Self) {
        self.checked += other.checked;
        self.violations += other.violations;
        self.examples.extend(other.examples.iter().cloned());
        self.skipped = self.skipped.take().filter(|_| other.skipped.is_some());
        if !self.left_out.contains(&other.left_out) {
            let between = if self.left_out.is_empty() { "" } else { "; " };
            self.left_out = format!("{}{between}{}", self.left_out, other.left_out);
        }
    }
}

impl Threshold {
    /// Holds a demand against the metrics of a run.
    #[must_use]
    pub fn judge(metric: &str, demand: Demand, limit: f64, metrics: &Metrics) -> Self {
        let value = metrics.get(metric).copied();
        let met = value.is_some_and(|value| match demand {
            Demand::AtMost => value <= limit,
            Demand::AtLeast => value >= limit,
        });
        Self { metric: metric.to_owned(), demand, limit, value, met }
    }
}

impl Verdict {
    /// What it means, in a few words.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::ThresholdMissed => "threshold missed",
            Self::Usage => "not run",
            Self::Incorrect => "correctness violated",
            Self::Saturated => "generator saturated",
        }
    }

    /// Order of badness: a broken promise is worse than a figure without meaning, and that is worse than a slow one.
    #[must_use]
    pub fn severity(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::ThresholdMissed => 1,
            Self::Saturated => 2,
            Self::Usage => 3,
            Self::Incorrect => 4,
        }
    }
}

impl From<Verdict> for u8 {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Good => 0,
            Verdict::ThresholdMissed => 1,
            Verdict::Usage => 2,
            Verdict::Incorrect => 3,
            Verdict::Saturated => 4,
        }
    }
}

impl TryFrom<u8> for Verdict {
    type Error = String;
    fn try_from(code: u8) -> Result<Self, String> {
        match code {
            0 => Ok(Self::Good),
            1 => Ok(Self::ThresholdMissed),
            2 => Ok(Self::Usage),
            3 => Ok(Self::Incorrect),
            4 => Ok(Self::Saturated),
            _ => Err(format!("{code} is no exit code of a run: 0 to 4")),
        }
    }
}
