//! Getting the state back after a failed append.
//!
//! An append with an unknown outcome may have happened or not. The room takes itself over under a new epoch, which refuses the old
//! append for good if it has not happened yet, and reads what the journal has: then every waiting command can be answered truthfully.

use super::ops::{retry, unknown};
use super::{Loaded, Phase, Room, load};
use crate::cluster::Claimed;
use crate::engine::Shared;
use crate::room::gate::{Asker, Output};
use crate::room::load::caught;
use crate::room::message::{Own, RoomMsg};
use ractor::ActorProcessingErr;
use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tripsync_domain::{Epoch, RoomId, RoomKind, Seq};

/// Between attempts to read the journal: doubles from the first to the last of these.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(2);
/// A node that cannot read the journal for this long gives the room up if there are others, who may be able to.
const PATIENCE: Duration = Duration::from_secs(20);

impl<K: RoomKind> Room<K> {
    /// Gives up the working state and starts to read it back.
    pub(super) fn reload(&mut self) {
        tracing::warn!(room.id = %self.id, decided = %self.log.decided(), durable = %self.log.durable(), "the room reloads from the journal");
        metrics::counter!("tripsync_room_reloads_total").increment(1);
        self.phase = Phase::Reloading;
        // A snapshot on its way out is dropped with the state.
        self.part_at_once();
        for op in self.clients.reset() {
            self.answer(Asker::of(op, None).0, Err(retry()));
        }
        let (shared, myself, room, epoch) = (Arc::clone(&self.shared), self.myself.clone(), self.id, self.log.epoch);
        tokio::spawn(async move {
            // An attempt that failed after it had opened the room has raised the epoch.
            let mut own = epoch;
            let (mut wait, began) = (RETRY_FIRST, Instant::now());
            let loaded = loop {
                if is_lost(&shared, room, own).await {
                    let _ = myself.cast(RoomMsg::Own(Own::Lost));
                    return;
                }
                match caught(load::<K>(&*shared.journal, room, shared.node, &shared.config, &mut own)).await {
                    Ok(loaded) => break Ok(loaded),
                    Err(error @ crate::ports::JournalError::Broken(_)) => break Err(error),
                    Err(error) => {
                        tracing::warn!(room.id = %room, error = %crate::error_chain(&error), "the room cannot reload yet");
                        if let Some(cluster) = shared.cluster.as_ref().filter(|cluster| cluster.standing().nodes > 1)
                            && began.elapsed() >= PATIENCE
                        {
                            cluster.release(room).await;
                            let _ = myself.cast(RoomMsg::Own(Own::Lost));
                            return;
                        }
                        tokio::time::sleep(wait).await;
                        wait = (wait * 2).min(RETRY_LAST);
                    }
                }
            };
            let _ = myself.cast(RoomMsg::Own(Own::Reloaded(Box::new(loaded))));
        });
    }

    /// The state is back: what was stored unnoticed is announced, and everything that waited is answered.
    pub(super) fn reloaded(&mut self, loaded: Box<dyn Any + Send>) -> Result<(), ActorProcessingErr> {
        let loaded =
            loaded.downcast::<Result<Option<Loaded<K>>, crate::ports::JournalError>>().map_err(|_| "a room got another kind's state")?;
        let Some(Loaded { log, snapshot }) = (*loaded)? else {
            return Err("the room is not in the journal any more".into());
        };
        let announced = self.log.durable();
        let mut old = std::mem::replace(&mut self.log, log);
        let missed = self.log.since(announced, self.log.decided());
        self.snapshot = snapshot;
        self.views.forget();
        self.phase = Phase::Live;
        let sabotage = self.shared.sabotage;
        // All that came before counts: the last event of a command need not say whose it is, and may be just as another owner made it.
        let pairs = old.pending_after(announced).zip(missed.iter().flatten());
        let same = pairs.take_while(|(ours, theirs)| ours.seq == theirs.seq && ours.bytes == theirs.bytes);
        let stored = same.last().map_or(announced, |(ours, _)| ours.seq);
        let is_stored = |seq: Seq| seq <= stored || sabotage.trusts_lost();
        let (known, waiting) = (missed.is_some(), self.gate.take());
        let waiting: Vec<_> = waiting.into_iter().map(|(_, output)| judged(output, known, is_stored)).collect();
        match missed {
            Some(missed) => {
                self.log.prepend(&mut old.take_ring(), announced, &self.shared.config);
                let missed = if sabotage.forgets_missed() { Vec::new() } else { self.log.read_back(missed) };
                self.deliver(&missed, VecDeque::new());
                self.recheck_access();
            }
            // More was stored than the ring holds, which takes a very large append: everybody starts over with the state.
            None => {
                self.recheck_access();
                self.members.users().into_iter().for_each(|(session, _)| self.rejoin(session));
            }
        }
        for output in waiting {
            match output {
                Output::Applied(asker, outcome) => self.answer(asker, Ok(outcome)),
                Output::Refused(asker, rejection) => self.answer(asker, Err(rejection)),
                Output::Joined { session, ticket, since, .. } => self.join_anew(session, ticket, since),
                // It may be let in now, so it asks again.
                Output::Denied(link) => drop(link),
                Output::View { read, .. } => self.read(read),
                Output::Snapshot(_) => {}
            }
        }
        for message in std::mem::take(&mut self.held) {
            // It may have come long after the journal was read, as in a process that was stopped meanwhile.
            if let Some(message) = self.unless_in_doubt(message) {
                self.act(message);
            }
        }
        tracing::info!(room.id = %self.id, epoch = %self.log.epoch, seq = %self.log.decided(), "the room has reloaded");
        Ok(())
    }
}

/// Whether another node has opened or claimed the room since it was opened here; taking it over again would only take it away from there.
async fn is_lost(shared: &Shared, room: RoomId, epoch: Epoch) -> bool {
    let Some(cluster) = &shared.cluster else { return false };
    let of_another = matches!(cluster.claim(room).await, Ok(Claimed::Of(_)));
    of_another || matches!(shared.journal.epoch(room).await, Ok(Some(now)) if now > epoch)
}

/// What waited at the gate, now that it is known what is stored. A refusal may rest on what is lost.
fn judged(output: Output, known: bool, is_stored: impl Fn(Seq) -> bool) -> Output {
    match output {
        Output::Applied(asker, outcome) if !is_stored(outcome.seq) => {
            let rejection = if known { retry() } else { unknown() };
            Output::Refused(asker, rejection)
        }
        Output::Refused(asker, _) => Output::Refused(asker, retry()),
        Output::Applied(..) | Output::Joined { .. } | Output::Denied(_) | Output::View { .. } | Output::Snapshot(_) => output,
    }
}
