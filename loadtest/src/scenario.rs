//! Scenarios: what load is made, as TOML (`docs/LOADTEST.md` is the reference).
//!
//! Knows nothing about sockets. Everything has a default, so that a file says only what matters to it; unknown keys are refused.

mod act;
mod builtin;
mod change;
#[cfg(test)]
mod tests;

pub(crate) use act::{Act, Mix, Pace};
pub(crate) use builtin::{BUILTIN, builtin};
pub(crate) use change::{Changes, rate_of, set_rate};

use crate::wire::Codec;
use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use tripsync_loadtest::results::metrics;

/// The generator's lag at most where a scenario does not say.
const LAG_MS_MAX: f64 = 20.0;
/// The same as a share of the tightest latency that is demanded.
const LAG_SHARE: f64 = 0.25;

/// One scenario.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    /// One sentence.
    pub(crate) about: String,
    /// Settings of a server that the tool starts, as in `--set` of the server.
    #[serde(default)]
    pub(crate) server: BTreeMap<String, toml::Value>,
    pub(crate) rooms: Vec<Rooms>,
    pub(crate) personas: Vec<Persona>,
    pub(crate) phases: Vec<Phase>,
    #[serde(default)]
    pub(crate) thresholds: Vec<Threshold>,
    #[serde(default)]
    pub(crate) limits: Limits,
}

/// Rooms that are alike.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rooms {
    #[serde(default = "rooms_name")]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) kind: RoomKind,
    pub(crate) count: u32,
    /// Bytes of text that a trip holds from the beginning, as notes of activities.
    #[serde(default)]
    pub(crate) state_bytes: u32,
    /// Chat messages that a trip has from the beginning: the length of its journal.
    #[serde(default)]
    pub(crate) history: u32,
    /// Activities that a trip has from the beginning, for those who edit.
    #[serde(default)]
    pub(crate) activities: u32,
    /// Seats of a pool.
    #[serde(default = "seats")]
    pub(crate) seats: u8,
}

fn rooms_name() -> String {
    "rooms".into()
}

const fn seats() -> u8 {
    3
}

/// What a room is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RoomKind {
    #[default]
    Trip,
    Pool,
}

/// Clients that are alike, each with one socket in one room.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Persona {
    pub(crate) name: String,
    /// Which rooms; the first ones when not said.
    #[serde(default)]
    pub(crate) rooms: Option<String>,
    /// How many in each room.
    pub(crate) per_room: u32,
    #[serde(default)]
    pub(crate) role: Role,
    /// Different users among those of one room; more sockets than that are further devices of the same users.
    #[serde(default)]
    pub(crate) users_per_room: Option<u32>,
    #[serde(default)]
    pub(crate) codec: Codec,
    /// `start`: joins before the first phase. The name of a phase: joins in it.
    #[serde(default = "start")]
    pub(crate) arrives: String,
    /// Over how long they arrive, evenly.
    #[serde(default, with = "humane")]
    pub(crate) arrives_over: Duration,
    /// Whether it reads what it is sent.
    #[serde(default = "yes")]
    pub(crate) reads: bool,
    /// Whether it logs in with its password before each connection, which the server has to hash; otherwise its token is there from before.
    #[serde(default)]
    pub(crate) logs_in: bool,
    /// Share of commands that are sent twice, as a client does that lost an answer.
    #[serde(default)]
    pub(crate) repeats: f64,
    #[serde(default)]
    pub(crate) churn: Option<Churn>,
    #[serde(default, rename = "does")]
    pub(crate) acts: Vec<Act>,
}

fn start() -> String {
    "start".into()
}

const fn yes() -> bool {
    true
}

/// What a persona may do in its rooms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// The user who made the room.
    #[default]
    Owner,
    Editor,
    Viewer,
    /// Not a member (pools).
    Visitor,
}

/// Going and coming back.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Churn {
    /// Time between two departures of one client, on average.
    #[serde(with = "humane")]
    pub(crate) every: Duration,
    /// How long it is away.
    #[serde(with = "humane")]
    pub(crate) away: Duration,
}

/// A part of the run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Phase {
    pub(crate) name: String,
    #[serde(with = "humane")]
    pub(crate) length: Duration,
    /// Whether its figures count.
    #[serde(default)]
    pub(crate) measured: bool,
    /// Factor on every rate.
    #[serde(default = "one")]
    pub(crate) rate: f64,
    /// The factor at the phase's end, to which it rises or falls evenly; the same when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rate_to: Option<f64>,
    /// Sockets that drop at its beginning.
    #[serde(default)]
    pub(crate) storm: Option<Storm>,
    /// Something done to a member at its beginning.
    #[serde(default)]
    pub(crate) removes: Option<String>,
}

const fn one() -> f64 {
    1.0
}

/// Sockets drop and come back together.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Storm {
    /// Whose sockets; everybody's when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) persona: Option<String>,
    /// How many of these.
    pub(crate) share: f64,
    /// How long they are away.
    #[serde(default, with = "humane")]
    pub(crate) away: Duration,
}

/// What a figure must be.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Threshold {
    /// As in the result (`ack_p99_ms`).
    pub(crate) metric: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at_most: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at_least: Option<f64>,
}

/// Bounds of the generator itself.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// A run is invalid when the generator itself was later than this with more than one send in a hundred (see [`Scenario::lag_bound_ms`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lag_p99_ms: Option<f64>,
    /// A run is invalid when the generator's threads were busier than this.
    pub(crate) busy_share: f64,
    /// A run is invalid when one of them was busier than this while a storm, or everybody, came in.
    pub(crate) burst_busy_share: f64,
    /// Clients that keep a replica of their room, built by the rules; at most one per room unless there are few rooms.
    pub(crate) replicas: u32,
    /// How long what is on its way may take after the last phase.
    #[serde(with = "humane")]
    pub(crate) drain: Duration,
    /// Events at most that are compared with the history over REST; of more, a part of the rooms is.
    pub(crate) history_events: u64,
    /// Sockets that are opened at once before the first phase.
    pub(crate) opening: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lag_p99_ms: None,
            busy_share: 0.95,
            burst_busy_share: 0.95,
            replicas: 50,
            drain: Duration::from_secs(30),
            history_events: 100_000,
            opening: 64,
        }
    }
}

impl Scenario {
    /// Reads and checks one.
    ///
    /// # Errors
    /// A sentence that says what to change.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let scenario: Self = toml::from_str(text).context("the scenario is not as docs/LOADTEST.md has it")?;
        scenario.check()?;
        Ok(scenario)
    }

    /// Says what cannot be run.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.rooms.is_empty() && !self.personas.is_empty(), "a scenario needs `rooms` and `personas`");
        ensure!(self.phases.iter().any(|phase| phase.measured), "one of the `phases` must be `measured`");
        for persona in &self.personas {
            let kind = self.rooms[self.rooms_of(persona)?].kind;
            let at_once = persona.arrives_over.is_zero() || persona.arrives != "start";
            ensure!(at_once, "`arrives_over` of persona `{}` needs a phase in `arrives`: before the first one nobody waits", persona.name);
            let known = persona.arrives == "start" || self.phases.iter().any(|phase| phase.name == persona.arrives);
            ensure!(known, "persona `{}` arrives in `{}`, which is no phase", persona.name, persona.arrives);
            ensure!((0.0..=1.0).contains(&persona.repeats), "`repeats` of persona `{}` is a share between 0 and 1", persona.name);
            for act in &persona.acts {
                act.check(kind).with_context(|| format!("persona `{}`", persona.name))?;
            }
        }
        for phase in &self.phases {
            for (key, rate) in [("rate", phase.rate), ("rate_to", phase.rate_to.unwrap_or(phase.rate))] {
                ensure!(rate >= 0.0 && rate.is_finite(), "`{key}` of phase `{}` is a factor of 0 or more", phase.name);
            }
            if let Some(storm) = &phase.storm {
                ensure!((0.0..=1.0).contains(&storm.share), "`share` of the storm in `{}` is between 0 and 1", phase.name);
                let known = self.personas.iter().any(|persona| storm.hits(persona));
                ensure!(known, "the storm in `{}` is of persona `{}`, which is not described", phase.name, storm.of());
            }
            if let Some(name) = &phase.removes {
                let persona = self.personas.iter().find(|persona| persona.name == *name);
                let persona = persona.with_context(|| format!("phase `{}` removes an unknown persona", phase.name))?;
                ensure!(
                    matches!(persona.role, Role::Editor | Role::Viewer) && persona.churn.is_none(),
                    "phase `{}` removes persona `{name}`: it must be an editor or viewer without `churn`",
                    phase.name
                );
            }
        }
        for threshold in &self.thresholds {
            ensure!(metrics::is_known(&threshold.metric), "threshold `{}`: docs/LOADTEST-RESULT.md lists the metrics", threshold.metric);
            ensure!(
                threshold.at_most.is_some() != threshold.at_least.is_some(),
                "threshold `{}` needs either `at_most` or `at_least`",
                threshold.metric
            );
        }
        Ok(())
    }

    /// The index of a persona's rooms.
    pub(crate) fn rooms_of(&self, persona: &Persona) -> anyhow::Result<usize> {
        match &persona.rooms {
            None => Ok(0),
            Some(name) => self
                .rooms
                .iter()
                .position(|rooms| rooms.name == *name)
                .with_context(|| format!("persona `{}` is in rooms `{name}`, which are not described", persona.name)),
        }
    }

    /// Whether a persona's clients stay while others drop: the storms pass them by, and they read what comes from the beginning on.
    pub(crate) fn stays(&self, persona: &Persona) -> bool {
        let mut storms = self.phases.iter().filter_map(|phase| phase.storm.as_ref()).peekable();
        let there = persona.reads && persona.churn.is_none() && persona.arrives == "start";
        there && storms.peek().is_some() && !storms.any(|storm| storm.hits(persona))
    }

    /// How late the generator may be: as the scenario says, or a quarter of the tightest latency that it demands, and 20 ms at most. What a
    /// command waits in the generator counts as the server's latency.
    pub(crate) fn lag_bound_ms(&self) -> f64 {
        let latency = |threshold: &Threshold| threshold.at_most.filter(|_| metrics::is_latency(&threshold.metric));
        let quarter = |limit: f64| limit * LAG_SHARE;
        let tightest = self.thresholds.iter().filter_map(latency).map(quarter).fold(LAG_MS_MAX, f64::min);
        self.limits.lag_p99_ms.unwrap_or(tightest)
    }

    /// Clients in total.
    pub(crate) fn clients(&self) -> u64 {
        let of = |persona: &Persona| {
            let rooms = self.rooms_of(persona).ok().and_then(|index| self.rooms.get(index)).map_or(0, |rooms| rooms.count);
            u64::from(rooms) * u64::from(persona.per_room)
        };
        self.personas.iter().map(of).sum()
    }
}

impl Storm {
    /// Whether a persona's sockets may drop.
    pub(crate) fn hits(&self, persona: &Persona) -> bool {
        self.persona.as_ref().is_none_or(|name| persona.name == *name)
    }

    /// Whose sockets, in words.
    fn of(&self) -> &str {
        self.persona.as_deref().unwrap_or("everybody")
    }
}

/// Lengths of time as people write them: `250ms`, `10s`, `5m`, `2h`.
pub(crate) mod humane {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::time::Duration;

    pub(crate) fn serialize<S: Serializer>(length: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{}ms", length.as_millis()))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).map_err(D::Error::custom)
    }

    /// Reads one.
    pub(crate) fn parse(text: &str) -> Result<Duration, String> {
        let digits = text.trim().trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        let number: f64 = digits.parse().map_err(|_| format!("`{text}` is no length of time: 250ms, 10s, 5m, 2h"))?;
        let unit = match &text.trim()[digits.len()..] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            _ => return Err(format!("`{text}` needs a unit: 250ms, 10s, 5m, 2h")),
        };
        Duration::try_from_secs_f64(number * unit).map_err(|_| format!("`{text}` is too long, or negative"))
    }
}
