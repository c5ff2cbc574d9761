//! What the command line changes of a scenario.

use super::Scenario;
use super::humane;
use anyhow::ensure;
use clap::Args;
use std::time::Duration;

/// Flags that every scenario takes.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Changes {
    /// Rooms (of the first sort, where a scenario has several).
    #[arg(long)]
    pub(crate) rooms: Option<u32>,
    /// Members of each of these rooms: the last persona in them gets the rest.
    #[arg(long)]
    pub(crate) members: Option<u32>,
    /// Commands per second over all rooms, for a scenario with a fixed rate; otherwise the rate of everything is scaled to it.
    #[arg(long)]
    pub(crate) per_second: Option<f64>,
    /// Seconds of each measured phase.
    #[arg(long)]
    pub(crate) seconds: Option<f64>,
    /// Bytes of each text that is sent.
    #[arg(long)]
    pub(crate) payload: Option<u32>,
    /// Bytes of text in each trip from the beginning.
    #[arg(long)]
    pub(crate) state_bytes: Option<u32>,
    /// How late the generator may be (p99) before the run is invalid, in milliseconds.
    #[arg(long)]
    pub(crate) lag_ms: Option<f64>,
    /// The codec of all clients.
    #[arg(long)]
    pub(crate) codec: Option<String>,
    /// How long what is on its way may take after the last phase.
    #[arg(long)]
    pub(crate) drain: Option<String>,
    /// Runs without the scenario's thresholds.
    #[arg(long)]
    pub(crate) no_thresholds: bool,
}

impl Changes {
    /// Applies them.
    ///
    /// # Errors
    /// A sentence that says which flag does not fit.
    pub(crate) fn apply(&self, scenario: &mut Scenario) -> anyhow::Result<()> {
        if let Some(count) = self.rooms {
            scenario.rooms[0].count = count;
        }
        if let Some(members) = self.members {
            self.set_members(scenario, members)?;
        }
        if let Some(bytes) = self.state_bytes {
            scenario.rooms[0].state_bytes = bytes;
        }
        if let Some(seconds) = self.seconds {
            let length = Duration::try_from_secs_f64(seconds)?;
            scenario.phases.iter_mut().filter(|phase| phase.measured).for_each(|phase| phase.length = length);
        }
        if let Some(rate) = self.per_second {
            set_rate(scenario, rate)?;
        }
        if let Some(payload) = self.payload {
            scenario.personas.iter_mut().flat_map(|persona| &mut persona.acts).for_each(|act| act.payload = payload);
        }
        if let Some(lag) = self.lag_ms {
            scenario.limits.lag_p99_ms = lag;
        }
        if let Some(codec) = &self.codec {
            let codec = serde_json::from_value(codec.as_str().into())?;
            scenario.personas.iter_mut().for_each(|persona| persona.codec = codec);
        }
        if let Some(drain) = &self.drain {
            scenario.limits.drain = humane::parse(drain).map_err(anyhow::Error::msg)?;
        }
        if self.no_thresholds {
            scenario.thresholds.clear();
        }
        scenario.check()
    }

    fn set_members(&self, scenario: &mut Scenario, members: u32) -> anyhow::Result<()> {
        let first = scenario.rooms[0].name.clone();
        let mut inside: Vec<_> =
            scenario.personas.iter_mut().filter(|persona| persona.rooms.as_ref().is_none_or(|name| *name == first)).collect();
        let Some(last) = inside.pop() else { return Ok(()) };
        let others: u32 = inside.iter().map(|persona| persona.per_room).sum();
        ensure!(members >= others, "--members is at least {others} here");
        last.per_room = members - others;
        Ok(())
    }
}

/// Makes all acts together come `rate` times a second.
pub(crate) fn set_rate(scenario: &mut Scenario, rate: f64) -> anyhow::Result<()> {
    let now = rate_of(scenario);
    ensure!(now > 0.0, "this scenario sends nothing, so --per-second cannot change it");
    let factor = rate / now;
    for act in scenario.personas.iter_mut().flat_map(|persona| &mut persona.acts) {
        act.per_second = act.per_second.map(|rate| rate * factor);
        act.every = act.every.map(|every| every.div_f64(factor.max(1e-9)));
    }
    Ok(())
}

/// Commands and presence updates a second, over all.
pub(crate) fn rate_of(scenario: &Scenario) -> f64 {
    let mut sum = 0.0;
    for persona in &scenario.personas {
        let rooms = scenario.rooms_of(persona).ok().and_then(|index| scenario.rooms.get(index)).map_or(0, |rooms| rooms.count);
        let clients = rooms * persona.per_room;
        for act in &persona.acts {
            sum += f64::from(clients) / act.interval(clients).as_secs_f64();
        }
    }
    sum
}
