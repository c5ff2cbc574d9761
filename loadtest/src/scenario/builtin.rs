//! The scenarios that come with the tool.

use super::Scenario;
use anyhow::Context;

/// Name and text of each.
pub(crate) const BUILTIN: [(&str, &str); 11] = [
    ("smoke", include_str!("../../scenarios/smoke.toml")),
    ("trip-evening", include_str!("../../scenarios/trip-evening.toml")),
    ("hot-room", include_str!("../../scenarios/hot-room.toml")),
    ("fan-out", include_str!("../../scenarios/fan-out.toml")),
    ("idle", include_str!("../../scenarios/idle.toml")),
    ("join-storm", include_str!("../../scenarios/join-storm.toml")),
    ("reconnect-storm", include_str!("../../scenarios/reconnect-storm.toml")),
    ("seat-rush", include_str!("../../scenarios/seat-rush.toml")),
    ("slow-readers", include_str!("../../scenarios/slow-readers.toml")),
    ("durable", include_str!("../../scenarios/durable.toml")),
    ("soak", include_str!("../../scenarios/soak.toml")),
];

/// A scenario by its name.
pub(crate) fn builtin(name: &str) -> anyhow::Result<Scenario> {
    let (_, text) = BUILTIN.iter().find(|(known, _)| *known == name).with_context(|| format!("there is no scenario `{name}`"))?;
    Scenario::parse(text).with_context(|| format!("scenario `{name}`"))
}
