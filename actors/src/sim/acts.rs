//! What clients and callers do, in every simulation.

use super::names::{ROOMS, USERS};
use crate::testing::Random;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tripsync_domain::UserId;

/// What a client with a socket does. Clients and rooms are numbers; a seed stands for a command that is made up when its time comes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Act {
    Join {
        client: usize,
        room: usize,
        since: Since,
    },
    Leave {
        client: usize,
        room: usize,
    },
    /// A new command, sent so many times at once; kept for later when the client is not in the room.
    Op {
        client: usize,
        room: usize,
        seed: u64,
        times: usize,
    },
    /// The oldest unanswered command once more.
    Resend {
        client: usize,
        room: usize,
    },
    /// A command that was acknowledged, the `back`-th from the end, once more.
    Repeat {
        client: usize,
        room: usize,
        back: usize,
    },
    /// Another command under the number of one that was acknowledged.
    Reuse {
        client: usize,
        room: usize,
        back: usize,
    },
    Presence {
        client: usize,
        room: usize,
    },
    /// The client reads nothing any more.
    Stall(usize),
    Unstall(usize),
}

/// What a surface without a socket asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Call {
    Command {
        user: usize,
        room: usize,
        seed: u64,
        how: How,
    },
    Read {
        user: usize,
        room: usize,
    },
    /// Members of a trip are taken in, put out, promoted.
    Members {
        room: usize,
        seed: u64,
    },
    Delete {
        room: usize,
    },
}

/// What a client says that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Since {
    Nothing,
    Position,
    Future,
    OtherEpoch,
}

/// How a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum How {
    Numbered,
    Bare,
    IfMatch,
}

/// Mostly the room that the plan is about.
pub(super) fn some_room(random: &mut Random, main: usize) -> usize {
    if random.one_in(6) { (main + 1 + random.below(ROOMS - 1)) % ROOMS } else { main }
}

/// The commands that change who is a member of a trip.
pub(super) fn members_commands(seed: u64, user: impl Fn(usize) -> UserId) -> Vec<Value> {
    let mut random = Random::new(seed);
    let whom = user(1 + random.below(USERS - 1));
    let role = random.pick(&["viewer", "participant", "organizer"]);
    let add = json!({"type": "add_member", "user": whom, "role": role});
    match random.below(5) {
        0..2 => vec![add],
        2 => vec![json!({"type": "set_role", "user": whom, "role": role})],
        _ => {
            let remove = json!({"type": "remove_member", "user": whom});
            if random.one_in(3) { vec![remove, add] } else { vec![remove] }
        }
    }
}
