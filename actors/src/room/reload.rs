//! Getting the state back after a failed append.
//!
//! An append with an unknown outcome may have happened or not. The room takes itself over under a new epoch, which refuses the old
//! append for good if it has not happened yet, and reads what the journal has: then every waiting command can be answered truthfully.

use super::ops::retry;
use super::{Loaded, Phase, Room, load};
use crate::ports::Detached;
use crate::room::gate::{Asker, Output};
use crate::room::log::Recent;
use crate::room::members::Answers;
use crate::room::message::{From, Outcome, Own, RoomMsg};
use ractor::ActorProcessingErr;
use serde::de::IgnoredAny;
use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tripsync_domain::protocol::EventRecord;
use tripsync_domain::{ClientId, CommandNumber, ErrorCode, Rejection, RoomKind, Seq, UserId};

/// Between attempts to read the journal: doubles from the first to the last of these.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(2);

impl<K: RoomKind> Room<K> {
    /// Gives up the working state and starts to read it back.
    pub(super) fn reload(&mut self) {
        tracing::warn!(room.id = %self.id, decided = %self.log.decided(), durable = %self.log.durable(), "the room reloads from the journal");
        metrics::counter!("tripsync_room_reloads_total").increment(1);
        self.phase = Phase::Reloading;
        for op in self.clients.reset() {
            self.answer(Asker::of(op, None).0, Err(retry()));
        }
        let (shared, myself, room) = (Arc::clone(&self.shared), self.myself.clone(), self.id);
        tokio::spawn(async move {
            let mut wait = RETRY_FIRST;
            let loaded = loop {
                match load::<K>(&*shared.journal, room, shared.node, &shared.config).await {
                    Ok(loaded) => break Ok(loaded),
                    Err(error @ crate::ports::JournalError::Broken(_)) => break Err(error),
                    Err(error) => {
                        tracing::warn!(room.id = %room, error = %crate::error_chain(&error), "the room cannot reload yet");
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
        self.view = None;
        self.phase = Phase::Live;
        let waiting = self.gate.take();
        let stored = missed.as_ref().map(|missed| stored_commands(missed)).unwrap_or_default();
        match missed {
            Some(missed) => {
                self.log.prepend(&mut old.take_ring(), announced, &self.shared.config);
                self.members.deliver(self.log.epoch, &missed, Answers::new());
            }
            // More was stored than the ring holds, which takes a very large append: everybody starts over with the state.
            None => self.members.users().into_iter().for_each(|(session, _)| self.rejoin(session)),
        }
        self.recheck_access();
        for (_, output) in waiting {
            match output {
                Output::Applied(asker, outcome) => {
                    let seq = asker.id.and_then(|id| stored.get(&(asker.user, id.0, id.1)));
                    let answer = match seq {
                        Some(seq) => Ok(Outcome { seq: *seq, ..outcome }),
                        None if outcome.repeated && outcome.seq <= announced => Ok(outcome),
                        None => Err(unknown(&asker)),
                    };
                    self.answer(asker, answer);
                }
                Output::Refused(asker, _) => self.answer(asker, Err(retry())),
                Output::Joined { session, .. } => self.rejoin(session),
                Output::Denied(sink) => sink.detached(self.id, Detached::Lost),
                Output::View { read, .. } => self.read(read),
                Output::Snapshot(_) => {}
            }
        }
        for message in std::mem::take(&mut self.held) {
            match message {
                RoomMsg::Join(join) => self.join(join),
                RoomMsg::Read(read) => self.read(read),
                RoomMsg::Drained { session } => self.drained(session),
                RoomMsg::Op(_) | RoomMsg::Leave { .. } | RoomMsg::Presence { .. } | RoomMsg::Own(_) => {}
            }
        }
        tracing::info!(room.id = %self.id, epoch = %self.log.epoch, seq = %self.log.decided(), "the room has reloaded");
        Ok(())
    }
}

/// The numbered commands among records: whose, and the seq of the last event of each.
fn stored_commands(records: &[Recent]) -> HashMap<(UserId, ClientId, CommandNumber), Seq> {
    let mut stored = HashMap::new();
    for recent in records {
        if let Ok(EventRecord { seq, by, client: Some(client), n: Some(n), .. }) = EventRecord::<IgnoredAny>::decode(&recent.bytes) {
            stored.insert((by, client, n), seq);
        }
    }
    stored
}

/// A command that is not in the journal. Without a number the caller cannot tell whether it was applied, and must look.
fn unknown(asker: &Asker) -> Rejection {
    match (&asker.from, asker.id) {
        (From::Caller { .. }, None) => {
            Rejection::new(ErrorCode::Retry, "the journal failed; the command was not applied").retry_after_ms(500)
        }
        _ => retry(),
    }
}
