//! How large a campaign is: small in the test run, as large as asked by `cargo xtask chaos`.

use std::path::PathBuf;
use std::time::Duration;

/// Set by `cargo xtask chaos`: `rounds=100,rooms=50,commands=500,claims=1000,seconds=900`.
const PLAN: &str = "TRIPSYNC_CHAOS";
/// The server to run, when it is not this build's.
const PROGRAM: &str = "TRIPSYNC_CHAOS_PROGRAM";

/// A campaign's size.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Faults of one kind.
    pub(super) rounds: usize,
    pub(super) rooms: usize,
    /// Commands per second, over all rooms.
    pub(super) commands_per_s: usize,
    /// People who race for seats.
    pub(super) claims: Option<usize>,
    /// No round begins later than this.
    pub(super) time_max: Duration,
    /// Of another build.
    pub(super) program: Option<PathBuf>,
}

impl Plan {
    /// As asked for, else so many rounds on a dozen rooms.
    pub(super) fn of(rounds: usize) -> Self {
        let (time_max, program) = (Duration::from_secs(3_600), std::env::var_os(PROGRAM).map(Into::into));
        let mut plan = Self { rounds, rooms: 12, commands_per_s: 120, claims: None, time_max, program };
        for (key, value) in std::env::var(PLAN).unwrap_or_default().split(',').filter_map(|part| part.split_once('=')) {
            let value: usize = value.parse().expect("a number");
            match key {
                "rounds" => plan.rounds = value,
                "rooms" => plan.rooms = value,
                "commands" => plan.commands_per_s = value,
                "claims" => plan.claims = Some(value),
                "seconds" => plan.time_max = Duration::from_secs(value.try_into().unwrap()),
                other => panic!("{PLAN}: `{other}` is not known"),
            }
        }
        plan
    }

    /// How long a room's member waits between two commands, when each room has three that send.
    pub(super) fn period(&self) -> Duration {
        Duration::from_secs_f64(3.0 * self.rooms as f64 / self.commands_per_s as f64)
    }
}
