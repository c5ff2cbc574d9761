//! What happens in one run of a cluster.

use crate::sim::acts::{Act, Call, How, Since, some_room};
use crate::sim::names::{POOL, TRIPS, USERS};
use crate::sim::plan::Tuning;
use crate::testing::{Away, BusFaults, Random};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How many nodes there are.
pub(super) const NODES: usize = 3;

/// Everything that happens in one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) tuning: Tuning,
    pub(super) times: Times,
    /// The user of each client.
    pub(super) clients: Vec<usize>,
    pub(super) steps: Vec<Step>,
}

/// What the cluster is set to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Times {
    pub(super) lease_ms: u64,
    pub(super) relay_idle_ms: u64,
    /// How long the place of leases takes to answer.
    pub(super) leases_ms: u64,
    /// By how many thousandths each node's clocks run too fast.
    pub(super) gains: [i32; NODES],
    pub(super) weather: BusFaults,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Step {
    /// A socket opens to a node, or is opened anew.
    Connect {
        client: usize,
        node: usize,
    },
    /// It breaks.
    Drop(usize),
    /// It is closed with a goodbye.
    Close(usize),
    Act(Act),
    Call {
        node: usize,
        call: Call,
    },
    /// The process dies; a fresh one starts after a while.
    Crash {
        node: usize,
        down_ms: u64,
    },
    /// The process hands over and ends as it should; a fresh one starts.
    Restart(usize),
    /// The operator asks all nodes to share their rooms out evenly.
    Rebalance,
    /// The process stands still for so long, and goes on as if nothing had been.
    Pause {
        node: usize,
        ms: u64,
    },
    /// The process goes on.
    Wake(usize),
    /// Nothing that one node says reaches the other.
    Cut {
        from: usize,
        to: usize,
    },
    /// Everything that nodes say reaches the others again.
    Join,
    Weather(BusFaults),
    BusAway(bool),
    /// The place of leases cannot be reached by one node, or by any.
    LeasesAway {
        node: Option<usize>,
        how: Away,
    },
    LeasesBack,
    /// Of so many calls to the place of leases in 1,000 the answer is lost.
    LeasesUnanswered(u16),
    /// The place of leases forgets everything.
    Flush,
    /// The journal cannot be reached by one node, or everything but appends fails for all.
    JournalAway(Option<usize>),
    JournalBack,
    /// The next appends have an outcome that nobody learns: stored or not.
    Faults(Vec<bool>),
    Freeze,
    Thaw,
    AppendDelay(u64),
    /// A node's wall clock steps.
    SetClock {
        node: usize,
        ms: i64,
    },
    Sleep(u64),
    /// Tasks get so many turns.
    Turns(usize),
}

impl Times {
    fn new(random: &mut Random) -> Self {
        Self {
            lease_ms: random.pick(&[400, 1_000]),
            relay_idle_ms: random.pick(&[50, 10_000]),
            leases_ms: random.pick(&[0, 1, 15]),
            gains: std::array::from_fn(|_| random.pick(&[0, 0, -50, 50])),
            weather: if random.one_in(2) { weather(random) } else { calm(random) },
        }
    }

    pub(super) fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }
}

fn calm(random: &mut Random) -> BusFaults {
    BusFaults { delay_ms: random.pick(&[(0, 0), (1, 1), (1, 5)]), ..BusFaults::default() }
}

fn weather(random: &mut Random) -> BusFaults {
    BusFaults {
        lost: random.pick(&[0, 0, 5, 50, 300]),
        doubled: random.pick(&[0, 20, 200]),
        reordered: random.pick(&[0, 20, 200]),
        delay_ms: random.pick(&[(0, 3), (1, 20), (5, 150)]),
    }
}

impl Plan {
    pub(super) fn new(seed: u64, length: usize) -> Self {
        let mut random = Random::new(seed);
        let (tuning, times) = (Tuning::new(&mut random), Times::new(&mut random));
        let main = if random.one_in(3) { POOL } else { 0 };
        // Who asks for seats has others to compete with.
        let mut clients = if main == POOL { (0..USERS).collect() } else { vec![0, 1] };
        clients.extend((0..=random.below(3)).map(|_| random.below(USERS)));
        let mut steps = Vec::new();
        for client in 0..clients.len() {
            steps.push(Step::Connect { client, node: random.below(NODES) });
            steps.push(Step::Act(Act::Join { client, room: main, since: Since::Nothing }));
        }
        steps.push(Step::Sleep(60));
        let troubled = !random.one_in(8);
        // Who gets a seat takes many commands, which are made up for the state of their time.
        let length = if main == POOL { 2 * length } else { length };
        while steps.len() < length {
            if main == POOL {
                let client = random.below(clients.len());
                steps.push(Step::Act(Act::Op { client, room: POOL, seed: random.next(), times: 1 }));
                steps.push(Step::Sleep(random.pick(&[0, 5, 30])));
            }
            if troubled && random.one_in(20) {
                steps.extend(scene(&mut random, &times, clients.len(), main));
            }
            steps.push(step(&mut random, clients.len(), main, troubled));
            if random.one_in(3) {
                steps.push(if random.one_in(2) { Step::Turns(1 + random.below(12)) } else { Step::Sleep(1 + random.next() % 8) });
            }
        }
        Self { seed, tuning, times, clients, steps }
    }
}

fn step(random: &mut Random, clients: usize, main: usize, troubled: bool) -> Step {
    let client = random.below(clients);
    let node = random.below(NODES);
    let room = some_room(random, main);
    let trip = if room < TRIPS { room } else { 0 };
    let user = random.below(USERS);
    let seed = random.next();
    match random.below(if troubled { 168 } else { 100 }) {
        0..36 => Step::Act(Act::Op { client, room, seed, times: if random.one_in(6) { 2 } else { 1 } }),
        36..42 => Step::Connect { client, node },
        42..45 => Step::Drop(client),
        45 => Step::Close(client),
        46..52 => {
            let since = random.pick(&[Since::Position, Since::Position, Since::Position, Since::Nothing, Since::Future, Since::OtherEpoch]);
            Step::Act(Act::Join { client, room, since })
        }
        52 => Step::Act(Act::Leave { client, room }),
        53..55 => Step::Act(Act::Resend { client, room }),
        55..57 => Step::Act(Act::Repeat { client, room, back: random.below(8) }),
        57 => Step::Act(Act::Reuse { client, room, back: random.below(4) }),
        58..61 => Step::Act(Act::Presence { client, room }),
        61 => Step::Act(Act::Stall(client)),
        62..64 => Step::Act(Act::Unstall(client)),
        64..70 => {
            Step::Call { node, call: Call::Command { user, room, seed, how: random.pick(&[How::Numbered, How::Bare, How::IfMatch]) } }
        }
        70..76 => Step::Call { node, call: Call::Read { user, room } },
        76..80 => Step::Call { node, call: Call::Members { room: trip, seed } },
        80 if random.one_in(8) => Step::Call { node, call: Call::Delete { room: trip } },
        81 if random.one_in(2) => Step::Rebalance,
        80..93 => Step::Sleep(random.pick(&[0, 3, 10, 60, 300, 600])),
        93..95 => Step::Sleep(random.pick(&[1_500, 3_000])),
        95..100 => Step::Turns(1 + random.below(20)),
        fault => trouble(random, fault - 100, node),
    }
}

/// Several things that rarely come together by themselves.
fn scene(random: &mut Random, times: &Times, clients: usize, room: usize) -> Vec<Step> {
    let node = random.below(NODES);
    let others = [(node + 1) % NODES, (node + 2) % NODES];
    let past_the_lease = Step::Sleep(times.lease_ms + times.lease_ms / 2);
    let op = |random: &mut Random| Step::Act(Act::Op { client: random.below(clients), room, seed: random.next(), times: 1 });
    let write = |random: &mut Random| {
        let call = Call::Command { user: 0, room, seed: random.next(), how: How::Numbered };
        Step::Call { node: others[random.below(2)], call }
    };
    let read = Step::Call { node, call: Call::Read { user: 0, room } };
    let mut steps = Vec::new();
    match random.below(6) {
        // A node stands still for longer than its lease, or is cut off from everything but the journal; others go on; it is asked.
        which @ 0..2 => {
            steps.extend([read.clone(), op(random), Step::Sleep(40)]);
            if which == 0 {
                steps.push(Step::Pause { node, ms: 60_000 });
            } else {
                steps.extend(
                    others.into_iter().flat_map(|other| [Step::Cut { from: node, to: other }, Step::Cut { from: other, to: node }]),
                );
                steps.push(Step::LeasesAway { node: Some(node), how: Away::Fails });
            }
            steps.extend([past_the_lease, write(random), op(random), Step::Sleep(random.pick(&[10, 100, 400])), write(random)]);
            steps.extend([read.clone(), Step::Sleep(random.pick(&[5, 40])), Step::Wake(node), Step::LeasesBack]);
            for _ in 0..12 {
                steps.extend([read.clone(), Step::Sleep(1)]);
            }
            steps.push(Step::Join);
        }
        // What is said last is lost.
        2 => {
            steps.extend([op(random), Step::Sleep(60), Step::Weather(BusFaults { lost: 400, delay_ms: (1, 1), ..BusFaults::default() })]);
            steps.extend([op(random), op(random), write(random), Step::Sleep(40), Step::Weather(calm(random))]);
        }
        // Rooms move under those who write: shared out evenly, which nodes do half a second after they were asked.
        3 => {
            steps.extend([read, Step::Rebalance, Step::Sleep(random.pick(&[480, 490, 500, 510]))]);
            for _ in 0..4 {
                steps.extend([op(random), write(random), Step::Turns(1 + random.below(6)), Step::Sleep(random.pick(&[1, 3, 10]))]);
            }
        }
        // What is held or offered runs out, by the clocks of all; somebody is faster, or not.
        4 => {
            steps.extend([op(random), op(random), op(random), Step::Sleep(random.pick(&[5, 60]))]);
            let ms = random.pick(&[61_000, 300_000, 660_000]);
            steps.extend((0..NODES).map(|node| Step::SetClock { node, ms }));
            steps.extend([op(random), Step::Sleep(random.pick(&[1, 900, 1_100])), op(random), write(random)]);
        }
        // Or rooms move because their node goes away.
        _ => {
            steps.extend([
                op(random),
                op(random),
                Step::Turns(1 + random.below(6)),
                Step::Restart(node),
                op(random),
                Step::Sleep(5),
                op(random),
            ]);
            steps.extend([write(random), Step::Sleep(30)]);
        }
    }
    steps
}

fn trouble(random: &mut Random, which: usize, node: usize) -> Step {
    let other = (node + 1 + random.below(NODES - 1)) % NODES;
    let one_or_all = if random.one_in(2) { Some(node) } else { None };
    match which {
        0..9 => Step::Pause { node, ms: random.pick(&[40, 300, 800, 1_300, 2_500, 5_000]) },
        9..11 => Step::Wake(node),
        11..17 => Step::Crash { node, down_ms: random.pick(&[1, 200, 3_000]) },
        17..21 => Step::Restart(node),
        21..29 => Step::Cut { from: node, to: other },
        29..34 => Step::Join,
        34..37 => Step::Weather(weather(random)),
        37..40 => Step::Weather(calm(random)),
        40 => Step::BusAway(true),
        41 => Step::BusAway(false),
        42..45 => Step::LeasesAway { node: one_or_all, how: random.pick(&[Away::Fails, Away::Hangs]) },
        45..48 => Step::LeasesBack,
        48 => Step::LeasesUnanswered(random.pick(&[0, 100, 500])),
        49..51 => Step::Flush,
        51..53 => Step::JournalAway(one_or_all),
        53..56 => Step::JournalBack,
        56..59 => Step::Faults((0..=random.below(2)).map(|_| random.one_in(2)).collect()),
        59 => Step::Freeze,
        60..62 => Step::Thaw,
        62..64 => Step::AppendDelay(random.pick(&[0, 2, 20, 400])),
        64..66 => Step::Rebalance,
        _ => Step::SetClock { node, ms: random.pick(&[-5_000, 5_000, 60_000]) },
    }
}
