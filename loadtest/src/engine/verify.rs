//! What must hold when everything has come to rest.

use super::harvest::Fault;
use super::look::{Looked, look};
use super::member::Place;
use super::shard::Shard;
use crate::scenario::RoomKind;
use crate::wire::hash;
use anyhow::{Context, bail, ensure};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// How long all looks of a thread together may take: what was found must be told even if the server hangs.
const LOOKS_LIMIT: Duration = Duration::from_secs(120);
/// Rooms that are looked at together.
const AT_ONCE: usize = 16;
/// Pools, and trips for their snapshots alone, at most that are looked at by each thread.
const LOOKS_MAX: usize = 500;
/// When nothing has come to a member, or to anybody in its room, for so long, nothing more will.
const AT_REST_US: u64 = 10_000_000;

/// Where a member is at the end.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Current,
    /// Events still come: it is slow, or the server is.
    Behind,
    /// It is at rest, and events are missing.
    Lacks,
    /// It got events that the room does not have.
    Ahead,
}

const fn standing(seq: u64, top: u64, still_us: u64) -> Standing {
    match (seq == top, seq > top) {
        (true, _) => Standing::Current,
        (_, true) => Standing::Ahead,
        _ if still_us >= AT_REST_US => Standing::Lacks,
        _ => Standing::Behind,
    }
}

/// A pool as its owner sees it, as far as seats go.
#[derive(Deserialize)]
struct PoolView {
    details: Option<PoolDetails>,
    taken: Vec<u8>,
    #[serde(default)]
    claims: Vec<PoolClaim>,
}

#[derive(Deserialize)]
struct PoolDetails {
    seats: u8,
}

#[derive(Deserialize)]
struct PoolClaim {
    seats: u8,
    stage: PoolStage,
}

#[derive(Deserialize)]
struct PoolStage {
    stage: String,
}

impl Shard {
    /// Whether everything has come to rest: all in, nothing unanswered, everybody current, and shown as present.
    pub(crate) fn is_quiet(&self) -> bool {
        self.members.iter().all(|member| {
            let member = member.borrow();
            let room = member.client.room as usize;
            match member.place {
                // Who is yet to come in a later phase did not come.
                Place::Before | Place::Gone => true,
                Place::Out | Place::Asking | Place::Away => false,
                Place::In => {
                    let current = member.seq >= self.common.tops[room].load(Ordering::Relaxed);
                    let expected = &self.job.rooms[room].expected;
                    let present = expected.is_empty() || member.replica.as_ref().is_none_or(|replica| replica.shows(expected));
                    current && member.is_answered() && present && !member.client.doomed
                }
            }
        })
    }
}

/// Holds the members against each other and against the server's own position.
pub(crate) fn members(shard: &Shard, tops: &[u64]) {
    let now_us = shard.clock.now_us();
    for member in &shard.members {
        let mut member = member.borrow_mut();
        let room = member.client.room as usize;
        let mut log = shard.logs[shard.log_of(&member)].borrow_mut();
        // Events that nobody had seen when they were acknowledged.
        for (n, seq) in std::mem::take(&mut member.unseen) {
            match log.author(seq) {
                Some(author) if author == (member.client.index, n) => {}
                // A pool tells how many seats are taken without saying by whom; that event is then the command's last.
                None if shard.job.rooms[room].kind == RoomKind::Pool && log.saw_any(seq) => {}
                // It is inside the snapshot that its author was shown, and perhaps nobody else was there: the history knows.
                None if member.shown.is_some_and(|shown| shown >= seq) => log.acked_unseen(member.client.index, n, seq),
                Some(_) => shard.broken(Fault::Durability, &member, &format!("event {seq} is not the acknowledged command {n}")),
                None => {
                    shard.broken(Fault::Durability, &member, &format!("command {n} was acknowledged at {seq}, and nobody got that event"))
                }
            }
        }
        if member.client.doomed {
            shard.checked(Fault::Membership, 1);
            if member.place != Place::Gone {
                shard.broken(Fault::Membership, &member, "it was removed from the room, but not told");
            }
            continue;
        }
        if member.place == Place::In {
            shard.checked(Fault::Order, 1);
            let top = tops.get(room).copied().unwrap_or_default();
            let still_us = now_us.saturating_sub(member.moved_us.max(log.rose_us));
            match standing(member.seq, top, still_us) {
                Standing::Current => {}
                Standing::Behind => shard.verified.borrow_mut().slow.behind += 1,
                Standing::Lacks | Standing::Ahead => {
                    shard.broken(Fault::Order, &member, &format!("it is at rest at {} and the room at {top}", member.seq));
                }
            }
        } else if member.joined && !shard.reads(&member) && !member.told_slow {
            shard.broken(Fault::Order, &member, "it never read, and was neither told that it is closed for that nor let in again");
        } else if member.joined {
            shard.verified.borrow_mut().slow.away += 1;
        }
        let expected = &shard.job.rooms[room].expected;
        if let Some(replica) = member.replica.as_ref().filter(|_| !expected.is_empty() && member.place == Place::In) {
            shard.checked(Fault::Presence, 1);
            if !replica.shows(expected) {
                let how = format!("it sees {:?} as present, who should be {expected:?}", replica.present());
                shard.broken(Fault::Presence, &member, &how);
            }
        }
    }
}

/// Looks at rooms afresh, as their owners: at trips that have replicas, or members who were shown them as they are, which must be equal, and at
/// pools, which must not be oversold.
pub(crate) async fn rooms(shard: &Shard) {
    rooms_within(shard, LOOKS_LIMIT).await;
}

pub(super) async fn rooms_within(shard: &Shard, limit: Duration) {
    let mut trips: BTreeSet<u32> = BTreeSet::new();
    let mut pools: BTreeSet<u32> = BTreeSet::new();
    let mut shown: BTreeSet<u32> = BTreeSet::new();
    for member in &shard.members {
        let member = member.borrow();
        if shard.job.rooms[member.client.room as usize].kind == RoomKind::Pool {
            pools.insert(member.client.room);
        } else if member.client.replica && member.place == Place::In {
            trips.insert(member.client.room);
        } else if member.shown == Some(member.seq) && member.place == Place::In {
            shown.insert(member.client.room);
        }
    }
    let more: Vec<u32> = shown.difference(&trips).copied().take(LOOKS_MAX).collect();
    trips.extend(more);
    let end = Instant::now() + limit;
    let rooms = pools.into_iter().take(LOOKS_MAX).chain(trips);
    let looks = rooms.map(|room| async move { (room, look(shard, room, end).await) });
    let mut looks = pin!(stream::iter(looks).buffer_unordered(AT_ONCE));
    while let Some((room, seen)) = looks.next().await {
        match shard.job.rooms[room as usize].kind {
            RoomKind::Pool => pool(shard, room, seen.map(|looked| looked.state)),
            RoomKind::Trip => trip(shard, room, seen),
        }
    }
}

/// Judges a pool by what a newcomer is shown.
fn pool(shard: &Shard, room: u32, seen: anyhow::Result<Vec<u8>>) {
    shard.checked(Fault::Seats, 1);
    if let Err(error) = seen.and_then(|state| seats(&state)) {
        shard.verified.borrow_mut().broken(Fault::Seats, format!("pool {}: {error:#}", shard.job.rooms[room as usize].id));
    }
}

/// Judges a trip's replicas and snapshots by what a newcomer is shown.
fn trip(shard: &Shard, room: u32, seen: anyhow::Result<Looked>) {
    let id = shard.job.rooms[room as usize].id;
    match seen {
        Ok(Looked { seq, state, resumed }) => {
            replicas(shard, room, seq, &state);
            let noted = shard.log_index.get(&room).map(|log| shard.logs[*log].borrow_mut().shown.note(seq, false, hash(&state)));
            let broken = |how: &str| {
                let how = format!("room {id}: {how}, one of them a newcomer at the end");
                shard.verified.borrow_mut().broken(Fault::Snapshots, how);
            };
            shard.compared(noted.unwrap_or(Ok(false)), broken);
            if let Some(resumed) = resumed {
                resumed.judge(&mut shard.verified.borrow_mut(), seq, &state, &format!("room {id}"));
            }
        }
        Err(error) => shard.verified.borrow_mut().broken(Fault::Replicas, format!("room {id} could not be looked at: {error:#}")),
    }
}

fn seats(state: &[u8]) -> anyhow::Result<()> {
    let view: PoolView = rmp_serde::from_slice(state).context("its state could not be read")?;
    let seats = view.details.context("it has no details")?.seats;
    if let Some(most) = view.taken.iter().max().filter(|taken| **taken > seats) {
        bail!("{most} of {seats} seats are taken");
    }
    let takes = |claim: &&PoolClaim| matches!(claim.stage.stage.as_str(), "confirmed" | "held" | "offered");
    let claimed: u32 = view.claims.iter().filter(takes).map(|claim| u32::from(claim.seats)).sum();
    ensure!(claimed <= u32::from(seats), "{claimed} seats are claimed, and there are {seats}");
    Ok(())
}

pub(super) fn replicas(shard: &Shard, room: u32, seq: u64, state: &[u8]) {
    for member in &shard.members {
        let mut member = member.borrow_mut();
        if member.client.room != room {
            continue;
        }
        let at = member.seq;
        let Some(replica) = &mut member.replica else { continue };
        let view = replica.view();
        match view {
            Ok(Err(why)) => shard.verified.borrow_mut().left_out(Fault::Replicas, &format!("gave up because {why}")),
            Ok(Ok(_)) if at != seq => shard.verified.borrow_mut().left_out(Fault::Replicas, "were at another event than the room"),
            Ok(Ok(view)) => {
                shard.checked(Fault::Replicas, 1);
                if view != state {
                    let how = format!(
                        "its replica at {seq} is not what the server shows to a newcomer ({} and {} bytes)",
                        view.len(),
                        state.len()
                    );
                    shard.broken(Fault::Replicas, &member, &how);
                }
            }
            Err(how) => shard.broken(Fault::Replicas, &member, &format!("its replica: {how}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_member_at_rest_that_lacks_events_is_not_merely_slow() {
        assert_eq!(standing(7, 7, u64::MAX), Standing::Current);
        assert_eq!(standing(6, 7, AT_REST_US - 1), Standing::Behind);
        assert_eq!(standing(6, 7, AT_REST_US), Standing::Lacks);
        assert_eq!(standing(8, 7, 0), Standing::Ahead);
    }

    /// Whether a pool of three seats may look so.
    fn pool(taken: &[u8], claims: &[(&str, u8)]) -> bool {
        let claims: Vec<_> = claims.iter().map(|(stage, seats)| json!({"seats": seats, "stage": {"stage": stage}})).collect();
        seats(&rmp_serde::to_vec_named(&json!({"details": {"seats": 3}, "taken": taken, "claims": claims})).unwrap()).is_ok()
    }

    #[test]
    fn a_pool_that_is_oversold_is_noticed() {
        assert!(pool(&[3, 2], &[("confirmed", 2), ("held", 1), ("waiting", 4)]));
        assert!(!pool(&[3, 4], &[]));
        assert!(!pool(&[3], &[("confirmed", 2), ("offered", 1), ("held", 1)]));
        assert!(seats(&rmp_serde::to_vec_named(&json!({"taken": []})).unwrap()).is_err());
        assert!(seats(b"nonsense").is_err());
    }
}
