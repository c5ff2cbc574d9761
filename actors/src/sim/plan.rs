//! What happens in one run.

use super::acts::{Act, Call, How, Since, some_room};
use super::names::{POOL, TRIPS, USERS};
use crate::testing::Random;
use serde::{Deserialize, Serialize};

/// Everything that happens in one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) tuning: Tuning,
    /// The user of each client.
    pub(super) clients: Vec<usize>,
    pub(super) steps: Vec<Step>,
}

/// Bounds that are small enough to be met.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Tuning {
    pub(super) ring_events: usize,
    pub(super) snapshot_every: u64,
    pub(super) idle_ms: u64,
    pub(super) append_ms: u64,
    pub(super) in_flight: u32,
    pub(super) clients_max: usize,
    pub(super) budget_bytes: usize,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Step {
    /// A socket opens, or is opened anew.
    Connect(usize),
    /// It breaks.
    Drop(usize),
    /// It is closed with a goodbye.
    Close(usize),
    Act(Act),
    Call(Call),
    /// The next appends have an outcome that nobody learns: stored or not.
    Faults(Vec<bool>),
    Freeze,
    Thaw,
    /// Everything but appends fails.
    Away(bool),
    AppendDelay(u64),
    /// Another node takes the room over and writes to it.
    Rival {
        room: usize,
        seed: u64,
    },
    /// The process dies, and another one starts.
    Crash,
    /// The process ends as it should, and another one starts.
    Restart,
    /// The wall clock steps back.
    ClockBack(u64),
    Sleep(u64),
    /// Tasks get so many turns.
    Turns(usize),
}

impl Tuning {
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            ring_events: random.pick(&[4, 16, 1_000]),
            snapshot_every: random.pick(&[3, 10, 500]),
            idle_ms: random.pick(&[20, 1_000, 60_000]),
            append_ms: random.pick(&[0, 0, 1, 5]),
            in_flight: random.pick(&[3, 64]),
            clients_max: random.pick(&[1, 1_024]),
            budget_bytes: random.pick(&[600, 20_000]),
        }
    }
}

impl Plan {
    pub(super) fn new(seed: u64, length: usize) -> Self {
        let mut random = Random::new(seed);
        let tuning = Tuning::new(&mut random);
        let main = if random.one_in(3) { POOL } else { 0 };
        // Who asks for seats has others to compete with.
        let mut clients = if main == POOL { (0..USERS).collect() } else { vec![0, 1] };
        clients.extend((0..=random.below(3)).map(|_| random.below(USERS)));
        let mut steps = Vec::new();
        for client in 0..clients.len() {
            steps.push(Step::Connect(client));
            steps.push(Step::Act(Act::Join { client, room: main, since: Since::Nothing }));
        }
        steps.push(Step::Sleep(20));
        let troubled = !random.one_in(5);
        while steps.len() < length {
            steps.push(step(&mut random, clients.len(), main, troubled));
            if random.one_in(3) {
                steps.push(Step::Turns(1 + random.below(12)));
            }
        }
        Self { seed, tuning, clients, steps }
    }
}

fn step(random: &mut Random, clients: usize, main: usize, troubled: bool) -> Step {
    let client = random.below(clients);
    let room = some_room(random, main);
    let trip = if room < TRIPS { room } else { 0 };
    let user = random.below(USERS);
    let seed = random.next();
    let kind = random.below(if troubled { 130 } else { 100 });
    match kind {
        0..40 => Step::Act(Act::Op { client, room, seed, times: if random.one_in(6) { 2 } else { 1 } }),
        40..45 => Step::Connect(client),
        45..49 => Step::Drop(client),
        49 => Step::Close(client),
        50..58 => {
            let since = random.pick(&[Since::Position, Since::Position, Since::Position, Since::Nothing, Since::Future, Since::OtherEpoch]);
            Step::Act(Act::Join { client, room, since })
        }
        58 => Step::Act(Act::Leave { client, room }),
        59..62 => Step::Act(Act::Resend { client, room }),
        62..65 => Step::Act(Act::Repeat { client, room, back: random.below(8) }),
        65 => Step::Act(Act::Reuse { client, room, back: random.below(4) }),
        66..69 => Step::Act(Act::Presence { client, room }),
        69..71 => Step::Act(Act::Stall(client)),
        71..74 => Step::Act(Act::Unstall(client)),
        74..78 => Step::Call(Call::Command { user, room, seed, how: random.pick(&[How::Numbered, How::Bare, How::IfMatch]) }),
        78..80 => Step::Call(Call::Read { user, room }),
        80..84 => Step::Call(Call::Members { room: trip, seed }),
        84..94 => Step::Sleep(random.pick(&[0, 1, 3, 10, 60, 300, 2_000])),
        94 => Step::Sleep(random.pick(&[7_000, 70_000])),
        95 if random.one_in(8) => Step::Call(Call::Delete { room: trip }),
        95 => Step::ClockBack(5_000),
        96..100 => Step::Turns(1 + random.below(20)),
        100..109 => Step::Faults((0..=random.below(2)).map(|_| random.one_in(2)).collect()),
        109..112 => Step::Freeze,
        112..116 => Step::Thaw,
        116 => Step::Away(true),
        117..119 => Step::Away(false),
        119..122 => Step::AppendDelay(random.pick(&[0, 2, 20, 400])),
        122..126 => Step::Rival { room, seed },
        126..128 => Step::Crash,
        _ => Step::Restart,
    }
}
