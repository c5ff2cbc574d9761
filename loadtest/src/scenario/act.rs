//! What a client does, and how often.

use super::{RoomKind, humane};
use anyhow::ensure;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Something that is done again and again, whatever comes back.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Act {
    /// What, by weight: `{ chat = 3, edit = 1 }`.
    pub(crate) mix: BTreeMap<Mix, u32>,
    /// Time between two of one client.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    pub(crate) every: Option<Duration>,
    /// Instead: how many per second, over all clients of the persona.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) per_second: Option<f64>,
    #[serde(default)]
    pub(crate) pace: Pace,
    /// Length of a text.
    #[serde(default = "text_bytes")]
    pub(crate) payload: u32,
    /// Only so often per client; 0: as long as the run lasts.
    #[serde(default)]
    pub(crate) times: u32,
}

const fn text_bytes() -> u32 {
    100
}

impl Mix {
    /// As in a scenario.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Edit => "edit",
            Self::Notes => "notes",
            Self::Add => "add",
            Self::Move => "move",
            Self::Place => "place",
            Self::Read => "read",
            Self::Presence => "presence",
            Self::Claim => "claim",
            Self::Queue => "queue",
            Self::Withdraw => "withdraw",
        }
    }

    /// Whether a server may refuse it so: somebody else was faster, or the room is full. Nothing else that the scenarios do is against the rules.
    pub(crate) fn may_be_refused(self, code: &str) -> bool {
        match self {
            Self::Claim => matches!(code, "seats_taken" | "already_exists"),
            Self::Queue => matches!(code, "already_exists" | "limit_reached"),
            // Another device of the same user may have given it back.
            Self::Withdraw => matches!(code, "not_found" | "conflict"),
            Self::Add | Self::Place => code == "limit_reached",
            Self::Chat | Self::Edit | Self::Notes | Self::Move | Self::Read | Self::Presence => false,
        }
    }
}

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mix {
    /// Says something in a trip.
    Chat,
    /// Changes the title of an activity.
    Edit,
    /// Changes the notes of an activity.
    Notes,
    /// Adds an activity.
    Add,
    /// Moves an activity to another day.
    Move,
    /// Adds a place.
    Place,
    /// Notes how far it has read.
    Read,
    /// Says where it looks or what it edits.
    Presence,
    /// Asks for a seat of a pool.
    Claim,
    /// Asks for a seat, and waits in line when there is none.
    Queue,
    /// Gives the claim back.
    Withdraw,
}

/// How the times lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pace {
    /// At equal distances; clients start apart from each other.
    #[default]
    Even,
    /// As people do who do not know of each other (exponential distances).
    Poisson,
    /// All clients at the same moments.
    Together,
}

impl Act {
    /// The time between two of one client, when there are so many.
    pub(crate) fn interval(&self, clients: u32) -> Duration {
        match (self.every, self.per_second) {
            (Some(every), _) => every,
            (None, Some(rate)) if rate > 0.0 => Duration::from_secs_f64((f64::from(clients.max(1)) / rate).min(1e9)),
            (None, _) => Duration::from_secs(1_000_000_000),
        }
    }

    /// Says what cannot be done, at all or in such a room.
    pub(super) fn check(&self, kind: RoomKind) -> anyhow::Result<()> {
        for mix in self.mix.keys() {
            let of = if matches!(mix, Mix::Claim | Mix::Queue | Mix::Withdraw) { RoomKind::Pool } else { RoomKind::Trip };
            ensure!(of == kind, "`mix` has {mix:?}, which there is not in a {kind:?}: trips and pools have acts of their own");
        }
        ensure!(self.mix.values().any(|weight| *weight > 0), "`mix` needs something with a weight above 0");
        ensure!(self.every.is_some() != self.per_second.is_some(), "an act needs either `every` or `per_second`");
        ensure!(self.every.is_none_or(|every| every >= Duration::from_micros(100)), "`every` is at least 0.1 ms");
        ensure!(self.per_second.is_none_or(|rate| rate.is_finite() && rate >= 0.0), "`per_second` is 0 or more");
        ensure!((1..=3_900).contains(&self.payload), "`payload` is between 1 and 3900 bytes");
        Ok(())
    }
}

/// A length of time that may be missing.
mod optional {
    use super::humane;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::time::Duration;

    #[expect(clippy::ref_option, reason = "the signature that serde asks for")]
    pub(super) fn serialize<S: Serializer>(length: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match length {
            Some(length) => humane::serialize(length, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| humane::parse(&text)).transpose().map_err(D::Error::custom)
    }
}
