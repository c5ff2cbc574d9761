//! What must hold when everything has come to rest.

use super::harvest::Fault;
use super::member::Place;
use super::shard::Shard;
use super::socket::Opening;
use crate::scenario::RoomKind;
use crate::wire::{Body, Codec, Frame, Out, encode};
use anyhow::{Context, bail};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

/// How long a fresh look at a room may take.
const LOOK_LIMIT: Duration = Duration::from_secs(30);
/// Pools at most that are looked at by each thread.
const POOLS_MAX: usize = 500;

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

/// Holds the members against each other and against the server's own position.
pub(crate) fn members(shard: &Shard, tops: &[u64]) {
    for member in &shard.members {
        let mut member = member.borrow_mut();
        let room = member.client.room as usize;
        let log = shard.logs[shard.log_of(&member)].borrow();
        // Events that nobody had seen when they were acknowledged.
        for (n, seq) in std::mem::take(&mut member.unseen) {
            match log.author(seq) {
                Some(author) if author == (member.client.index, n) => {}
                // A pool tells how many seats are taken without saying by whom; that event is then the command's last.
                None if shard.job.rooms[room].kind == RoomKind::Pool && log.saw_any(seq) => {}
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
            if member.seq != top {
                shard.broken(Fault::Order, &member, &format!("it is at {} and the room at {top}", member.seq));
            }
        } else if member.joined {
            shard.broken(Fault::Membership, &member, "it could not come back");
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

/// Looks at rooms afresh, as their owners: at trips that have replicas, which must be equal, and at pools, which must not be oversold.
pub(crate) async fn rooms(shard: &Shard) {
    let mut trips: BTreeSet<u32> = BTreeSet::new();
    let mut pools: BTreeSet<u32> = BTreeSet::new();
    for member in &shard.members {
        let member = member.borrow();
        if shard.job.rooms[member.client.room as usize].kind == RoomKind::Pool {
            pools.insert(member.client.room);
        } else if member.client.replica && member.place == Place::In {
            trips.insert(member.client.room);
        }
    }
    for room in pools.into_iter().take(POOLS_MAX) {
        let checked = look(shard, room).await.and_then(|(_, state)| seats(&state));
        shard.checked(Fault::Seats, 1);
        if let Err(error) = checked {
            shard.verified.borrow_mut().broken(Fault::Seats, format!("pool {}: {error:#}", shard.job.rooms[room as usize].id));
        }
    }
    for room in trips {
        match look(shard, room).await {
            Ok((seq, state)) => replicas(shard, room, seq, &state),
            Err(error) => {
                let how = format!("room {} could not be looked at: {error:#}", shard.job.rooms[room as usize].id);
                shard.verified.borrow_mut().broken(Fault::Replicas, how);
            }
        }
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
    anyhow::ensure!(claimed <= u32::from(seats), "{claimed} seats are claimed, and there are {seats}");
    Ok(())
}

fn replicas(shard: &Shard, room: u32, seq: u64, state: &[u8]) {
    for member in &shard.members {
        let mut member = member.borrow_mut();
        if member.client.room != room || member.seq != seq {
            continue;
        }
        let Some(replica) = &mut member.replica else { continue };
        let view = replica.view();
        match view {
            Ok(None) => {}
            Ok(Some(view)) => {
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
            Err(how) => shard.broken(Fault::Replicas, &member, &format!("its replica breaks an invariant: {how}")),
        }
    }
}

/// Joins as the owner, afresh.
async fn look(shard: &Shard, room: u32) -> anyhow::Result<(u64, Vec<u8>)> {
    let job = &shard.job;
    let about = &job.rooms[room as usize];
    let opening = Opening {
        address: &job.addresses[room as usize % job.addresses.len()],
        source: None,
        token: &job.accounts[about.owner as usize].token,
        run: job.run,
        index: u32::MAX - room,
        codec: Codec::Msgpack,
        reads: true,
    };
    timeout(LOOK_LIMIT, async {
        let mut socket = opening.open(&shard.meter).await?;
        socket.send(encode(Codec::Msgpack, &Out::Join { room: about.id, since: None })).await?;
        while let Some(message) = socket.next().await {
            if let Message::Binary(bytes) = message? {
                match Frame::read(&bytes) {
                    Some(Frame::Joined { seq, body: Body::State(state), .. }) => return Ok((seq, state.to_vec())),
                    Some(Frame::Left { code } | Frame::Bye { code, .. } | Frame::Error { code }) => bail!("the server said {code}"),
                    _ => {}
                }
            }
        }
        bail!("the server closed the socket")
    })
    .await
    .context("no state came in time")?
}
