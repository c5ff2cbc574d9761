//! A fresh look at a room: what a newcomer is shown, and what one is sent who asks for every event.

use super::harvest::{Fault, Verified};
use super::replica::Replica;
use super::shard::Shard;
use super::socket::{Opening, nobody_listens};
use crate::scenario::RoomKind;
use crate::wire::{Body, Codec, Frame, Out, Since, encode};
use anyhow::{Context, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::Message;

/// How long it may take.
const LOOK_LIMIT: Duration = Duration::from_secs(30);

/// What a room looks like.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) seq: u64,
    pub(super) state: Vec<u8>,
    /// Trips only: not everybody gets every event of a pool.
    pub(super) resumed: Option<Resumed>,
}

/// What somebody was sent who asked for everything from the first event on.
#[derive(Debug, Default)]
pub(super) struct Resumed {
    seq: u64,
    /// None when the state was shown instead.
    events: Option<Events>,
}

#[derive(Debug, Default)]
struct Events {
    seqs: Vec<u64>,
    replica: Replica,
}

impl Resumed {
    /// Holds it against the state that a newcomer was shown.
    pub(super) fn judge(mut self, verified: &mut Verified, seq: u64, state: &[u8], room: &str) {
        let Some(events) = &mut self.events else {
            return verified.left_out(Fault::Order, "newcomers who asked for every event were shown the state");
        };
        verified.checked(Fault::Order, events.seqs.len() as u64);
        if !events.seqs.iter().copied().eq(1..=self.seq) {
            let (count, first) = (events.seqs.len(), events.seqs.first().copied().unwrap_or_default());
            let how = format!("{room}: who asked for every event up to {} was sent {count}, from {first} on", self.seq);
            return verified.broken(Fault::Order, how);
        }
        if self.seq != seq {
            return verified.left_out(Fault::Replicas, "were of a room that went on while it was looked at");
        }
        verified.checked(Fault::Replicas, 1);
        match events.replica.view() {
            Ok(Ok(view)) if view == state => {}
            Ok(Ok(_)) => {
                verified.broken(Fault::Replicas, format!("{room}: its events up to {seq} do not make the state that a newcomer is shown"))
            }
            Ok(Err(why)) => verified.left_out(Fault::Replicas, &format!("gave up because {why}")),
            Err(how) => verified.broken(Fault::Replicas, format!("{room}: its events up to {seq}: {how}")),
        }
    }
}

/// Joins as the owner, afresh, when all looks together have not taken too long.
pub(super) async fn look(shard: &Shard, room: u32, end: Instant) -> anyhow::Result<Looked> {
    let began = Instant::now();
    ensure!(began < end, "looking at the rooms before it took all the time there is");
    let looking = async {
        let Seen { seq, state, .. } = join(shard, room, None).await?;
        let state = state.context("a newcomer was shown no state")?;
        let mut resumed = None;
        if shard.job.rooms[room as usize].kind == RoomKind::Trip {
            let again = join(shard, room, Some(Since { epoch: 1, seq: 0 })).await.context("asking for every event")?;
            resumed = Some(Resumed { seq: again.seq, events: again.state.is_none().then_some(again.events) });
        }
        Ok(Looked { seq, state, resumed })
    };
    timeout_at(end.min(began + LOOK_LIMIT), looking).await.context("no state came in time")?
}

/// What a `joined` brought.
#[derive(Default)]
struct Seen {
    seq: u64,
    state: Option<Vec<u8>>,
    events: Events,
}

async fn join(shard: &Shard, room: u32, since: Option<Since>) -> anyhow::Result<Seen> {
    let mut passed_over = 0;
    loop {
        match join_at(shard, room, since, room as usize + passed_over).await {
            Err(error) if nobody_listens(&error) && passed_over + 1 < shard.job.addresses.len() => passed_over += 1,
            seen => return seen,
        }
    }
}

async fn join_at(shard: &Shard, room: u32, since: Option<Since>, at: usize) -> anyhow::Result<Seen> {
    let job = &shard.job;
    let about = &job.rooms[room as usize];
    let opening = Opening {
        address: &job.addresses[at % job.addresses.len()],
        source: None,
        token: &job.accounts[about.owner as usize].token,
        run: job.run,
        index: u32::MAX - room,
        codec: Codec::Msgpack,
        reads: true,
    };
    let mut socket = opening.open(&shard.meter).await?;
    socket.send(encode(Codec::Msgpack, &Out::Join { room: about.id, since })).await?;
    while let Some(message) = socket.next().await {
        if let Message::Binary(bytes) = message? {
            match Frame::read(&bytes) {
                Some(Frame::Joined { seq, body, .. }) => {
                    let mut seen = Seen { seq, ..Seen::default() };
                    match body {
                        Body::State(state) => seen.state = Some(state.to_vec()),
                        Body::Events(events) => {
                            for record in events.iter() {
                                seen.events.seqs.push(record.seq);
                                seen.events.replica.push(record.bytes, record.whole);
                            }
                        }
                        Body::None => {}
                    }
                    return Ok(seen);
                }
                Some(Frame::Left { code } | Frame::Bye { code, .. } | Frame::Error { code }) => bail!("the server said {code}"),
                _ => {}
            }
        }
    }
    bail!("the server closed the socket")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found when a room at `seq` sends these and shows this.
    fn found(seq: u64, seqs: &[u64], state: &[u8]) -> Vec<Fault> {
        let events = Events { seqs: seqs.to_vec(), replica: Replica::default() };
        let mut verified = Verified::default();
        Resumed { seq, events: Some(events) }.judge(&mut verified, 3, state, "room");
        verified.of.into_iter().filter(|(_, count)| count.violations > 0).map(|(fault, _)| fault).collect()
    }

    #[test]
    fn events_from_the_first_on_make_the_state() {
        // The state of no event, as the events themselves are not looked at here.
        let state = Replica::default().view().unwrap().unwrap();
        assert_eq!(found(3, &[1, 2, 3], &state), []);
        assert_eq!(found(3, &[2, 3], &state), [Fault::Order]);
        assert_eq!(found(3, &[1, 2], &state), [Fault::Order]);
        assert_eq!(found(3, &[1, 2, 3], b"other"), [Fault::Replicas]);
        assert_eq!(found(4, &[1, 2, 3, 4], b"other"), [], "it went on");
        let mut verified = Verified::default();
        Resumed::default().judge(&mut verified, 3, &state, "room");
        assert_eq!(verified.of[&Fault::Order].left_out.len(), 1);
    }
}
