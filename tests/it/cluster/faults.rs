//! What is done to a fleet, one round of each kind.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;
use xtask::process::Signal;

use super::fleet::{DATABASE_REACHED, Fleet, LEASE_HELD, NODES, Owned};
use super::load::Load;
use crate::harness::Cut;

/// How long a node may take to drain.
const DRAIN_LIMIT: Duration = Duration::from_secs(60);

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// `kill -9` of an owner.
    Kill,
    /// SIGSTOP of an owner until its rooms are others', then SIGCONT.
    Stop,
    /// SIGTERM of an owner.
    Term,
    /// Redis killed, emptied or paused, in turns.
    Redis,
    /// Postgres killed or paused, in turns.
    Postgres,
    /// An owner cut off from Redis, Postgres, both, or in one direction, in turns.
    Partition,
}

/// What a round did to a room.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hit {
    /// Its owner is gone since then: the pause is from there to the first event under a later epoch.
    OwnerLost { owned: Owned, at: Instant },
    /// It was handed over: the pause is the longest that a member whose connection stayed waited for a command meanwhile.
    Handed { owned: Owned, at: Instant },
    /// Something that it needs was away between these: the pause is the longest time without an event around it.
    Disturbed { room: Uuid, from: Instant, to: Instant },
}

impl Fault {
    /// Does it once; back when every room goes on.
    pub(super) async fn round(self, number: usize, fleet: &mut Fleet, load: &Load) -> Vec<Hit> {
        // What the round waits for must not be left over from the last one.
        fleet.is_whole().await;
        let hits = match self {
            Self::Kill => kill(fleet, load).await,
            Self::Stop => stop(fleet, load).await,
            Self::Term => term(fleet, load).await,
            Self::Redis => redis(number, fleet, load).await,
            Self::Postgres => postgres(number, fleet, load).await,
            Self::Partition => partition(number, fleet, load).await,
        };
        let when = format!("round {number} of {self:?}");
        load.goes_on(&when).await;
        load.go_home(&when).await;
        hits
    }
}

/// The node that owns most rooms, and which.
async fn victim(fleet: &Fleet, load: &Load) -> (usize, Vec<Owned>) {
    let mut owned = fleet.owned(&load.rooms).await;
    let node = (0..NODES).max_by_key(|node| owned[*node].len()).unwrap();
    let owned = std::mem::take(&mut owned[node]);
    assert!(!owned.is_empty(), "no node owns a room");
    (node, owned)
}

async fn kill(fleet: &mut Fleet, load: &Load) -> Vec<Hit> {
    let (node, owned) = victim(fleet, load).await;
    let at = Instant::now();
    fleet.servers[node].kill().await;
    fleet.taken_over(&owned).await;
    fleet.servers[node].restart().await;
    owned.into_iter().map(|owned| Hit::OwnerLost { owned, at }).collect()
}

async fn stop(fleet: &mut Fleet, load: &Load) -> Vec<Hit> {
    let (node, owned) = victim(fleet, load).await;
    let from = Instant::now();
    fleet.servers[node].freeze().await;
    // Past its lease, and every room another node's: all of them have members there.
    fleet.taken_over(&owned).await;
    fleet.servers[node].thaw();
    let to = Instant::now();
    owned.into_iter().map(|Owned { room, .. }| Hit::Disturbed { room, from, to }).collect()
}

async fn term(fleet: &mut Fleet, load: &Load) -> Vec<Hit> {
    let (node, owned) = victim(fleet, load).await;
    let at = Instant::now();
    fleet.servers[node].signal(Signal::Term);
    let status = fleet.servers[node].ended(DRAIN_LIMIT).await;
    assert_eq!(status.code(), Some(0), "{status}");
    fleet.taken_over(&owned).await;
    fleet.servers[node].restart().await;
    owned.into_iter().map(|owned| Hit::Handed { owned, at }).collect()
}

async fn redis(number: usize, fleet: &mut Fleet, load: &Load) -> Vec<Hit> {
    let from = Instant::now();
    match number % 3 {
        0 => {
            fleet.redis.kill().await;
            fleet.says(0..NODES, LEASE_HELD, 0.0).await;
            fleet.redis.restart().await;
        }
        1 => fleet.redis.flush().await,
        _ => {
            fleet.redis.freeze().await;
            fleet.says(0..NODES, LEASE_HELD, 0.0).await;
            fleet.redis.thaw().await;
        }
    }
    everybody(load, from)
}

async fn postgres(number: usize, fleet: &mut Fleet, load: &Load) -> Vec<Hit> {
    let from = Instant::now();
    if number.is_multiple_of(2) {
        fleet.postgres.kill().await;
        fleet.says(0..NODES, DATABASE_REACHED, 0.0).await;
        fleet.postgres.restart().await;
    } else {
        fleet.postgres.freeze().await;
        fleet.says(0..NODES, DATABASE_REACHED, 0.0).await;
        fleet.postgres.thaw().await;
    }
    everybody(load, from)
}

async fn partition(number: usize, fleet: &mut Fleet, load: &Load) -> Vec<Hit> {
    let (node, _) = victim(fleet, load).await;
    let (postgres, redis) = match number % 5 {
        0 => (Cut::None, Cut::Both),
        1 => (Cut::Both, Cut::None),
        2 => (Cut::Both, Cut::Both),
        3 => (Cut::None, Cut::In),
        _ => (Cut::None, Cut::Out),
    };
    let from = Instant::now();
    fleet.cut(node, postgres, redis);
    for (cut, metric) in [(postgres, DATABASE_REACHED), (redis, LEASE_HELD)] {
        if cut != Cut::None {
            fleet.says([node], metric, 0.0).await;
        }
    }
    fleet.cut(node, Cut::None, Cut::None);
    everybody(load, from)
}

fn everybody(load: &Load, from: Instant) -> Vec<Hit> {
    let to = Instant::now();
    load.rooms.iter().map(|room| Hit::Disturbed { room: *room, from, to }).collect()
}
