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
    /// Members of each of these rooms: the last persona in them gets the rest, or, when the others alone are more, all become fewer.
    #[arg(long)]
    pub(crate) members: Option<u32>,
    /// Commands per second over all rooms, for a scenario with a fixed rate; otherwise the rate of everything is scaled to it.
    #[arg(long)]
    pub(crate) per_second: Option<f64>,
    /// Only this one of the measured phases.
    #[arg(long)]
    pub(crate) phase: Option<String>,
    /// Seconds of each measured phase; the others are no longer than these.
    #[arg(long)]
    pub(crate) seconds: Option<f64>,
    /// Bytes of each text that is sent.
    #[arg(long)]
    pub(crate) payload: Option<u32>,
    /// Bytes of text in each trip from the beginning.
    #[arg(long)]
    pub(crate) state_bytes: Option<u32>,
    /// Chat messages in each trip from the beginning.
    #[arg(long)]
    pub(crate) history: Option<u32>,
    /// How late the generator may be (p99) before the run is invalid, in milliseconds.
    #[arg(long)]
    pub(crate) lag_ms: Option<f64>,
    /// The codec of all clients.
    #[arg(long)]
    pub(crate) codec: Option<String>,
    /// How long what is on its way may take after the last phase.
    #[arg(long)]
    pub(crate) drain: Option<String>,
    /// Everybody reads, also those who never do in `slow-readers`: what the others' latencies are held against.
    #[arg(long)]
    pub(crate) all_read: bool,
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
            set_members(scenario, members)?;
        }
        if let Some(bytes) = self.state_bytes {
            scenario.rooms[0].state_bytes = bytes;
        }
        if let Some(messages) = self.history {
            scenario.rooms[0].history = messages;
        }
        if let Some(name) = &self.phase {
            scenario.phases.retain(|phase| !phase.measured || phase.name == *name);
            ensure!(scenario.phases.iter().any(|phase| phase.measured), "--phase {name}: no measured phase is called so");
        }
        if let Some(seconds) = self.seconds {
            let length = Duration::try_from_secs_f64(seconds)?;
            for phase in &mut scenario.phases {
                phase.length = if phase.measured { length } else { phase.length.min(length) };
            }
        }
        if let Some(rate) = self.per_second {
            set_rate(scenario, rate)?;
        }
        if let Some(payload) = self.payload {
            scenario.personas.iter_mut().flat_map(|persona| &mut persona.acts).for_each(|act| act.payload = payload);
        }
        if let Some(lag) = self.lag_ms {
            scenario.limits.lag_p99_ms = Some(lag);
        }
        if let Some(codec) = &self.codec {
            let codec = serde_json::from_value(codec.as_str().into())?;
            scenario.personas.iter_mut().for_each(|persona| persona.codec = codec);
        }
        if let Some(drain) = &self.drain {
            scenario.limits.drain = humane::parse(drain).map_err(anyhow::Error::msg)?;
        }
        if self.all_read {
            scenario.personas.iter_mut().for_each(|persona| persona.reads = true);
        }
        if self.no_thresholds {
            scenario.thresholds.clear();
        }
        scenario.check()
    }
}

fn set_members(scenario: &mut Scenario, members: u32) -> anyhow::Result<()> {
    let first = scenario.rooms[0].name.clone();
    let mut inside: Vec<_> =
        scenario.personas.iter_mut().filter(|persona| persona.rooms.as_ref().is_none_or(|name| *name == first)).collect();
    let sorts = u32::try_from(inside.len())?;
    ensure!(members >= sorts, "--members is at least {sorts} here, one of each persona");
    let now: u32 = inside.iter().map(|persona| persona.per_room).sum();
    let last = inside.last().map_or(0, |persona| persona.per_room);
    if members < now - last + 1 {
        for persona in &mut inside {
            let share = u64::from(persona.per_room) * u64::from(members) / u64::from(now.max(1));
            persona.per_room = u32::try_from(share)?.max(1);
        }
        // Those that are at least one may have taken from the biggest.
        while let sum = inside.iter().map(|persona| persona.per_room).sum::<u32>()
            && sum > members
            && let Some(biggest) = inside.iter_mut().max_by_key(|persona| persona.per_room)
        {
            biggest.per_room -= sum - members;
        }
    }
    let others: u32 = inside.iter().rev().skip(1).map(|persona| persona.per_room).sum();
    if let Some(last) = inside.last_mut() {
        last.per_room = members - others;
    }
    Ok(())
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
