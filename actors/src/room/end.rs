//! How a room leaves memory: at rest, handed over to another node, or with its server.

use super::load::{SNAPSHOT_VERSION, caught};
use super::{Phase, Room};
use crate::ports::Snapshot;
use crate::room::gate::Output;
use crate::room::message::{Own, RoomMsg};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tripsync_domain::{NodeId, RoomKind, Seq};

/// How long a snapshot may take; without it the next start replays more events, nothing is lost.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(5);

/// A room with a deadline sooner than this stays in memory for it.
const STAYS_FOR: Duration = Duration::from_secs(10);

/// Whether a room is to end, whoever uses it.
#[derive(Default)]
pub(super) struct End {
    stage: Stage,
    /// Whom the room is handed over to; nobody in particular unless that was asked for.
    pub(super) heir: Option<NodeId>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Stays,
    /// It works on while a snapshot is kept, so that its next owner has few events to replay, and nobody waits for that.
    KeepsSnapshot(Seq),
    /// It takes no commands any more, and stops once everything decided is durable.
    Drains,
}

impl End {
    /// Whether commands are not taken any more.
    pub(super) fn is_near(&self) -> bool {
        self.stage == Stage::Drains
    }
}

impl<K: RoomKind> Room<K> {
    /// The server goes away, or the room is to be `heir`'s.
    pub(super) fn part(&mut self, heir: Option<NodeId>) {
        self.end.heir = heir.or(self.end.heir);
        if self.end.stage == Stage::Stays {
            // Without other nodes nobody can stay.
            let stays = self.shared.cluster.is_some() && self.phase == Phase::Live;
            let is_far = stays && self.unkept() > self.tail_max() && self.take_snapshot();
            self.end.stage = if is_far { Stage::KeepsSnapshot(self.snapshot) } else { Stage::Drains };
        }
    }

    /// Nothing is waited for before the room drains.
    pub(super) fn part_at_once(&mut self) {
        if let Stage::KeepsSnapshot(_) = self.end.stage {
            self.end.stage = Stage::Drains;
        }
    }

    /// Whether the room is to end, and can.
    pub(super) fn is_over(&self) -> bool {
        self.end.stage == Stage::Drains && self.phase == Phase::Live && self.is_settled()
    }

    /// Events that no snapshot has, by what was decided.
    pub(super) fn unkept(&self) -> u64 {
        self.log.decided().0.saturating_sub(self.snapshot.0)
    }

    /// So many events behind, the last snapshot of a room that another node is about to open will do: that one reads them in any case.
    fn tail_max(&self) -> u64 {
        if self.shared.cluster.is_some() { self.shared.config.hand_over_tail_max } else { 0 }
    }

    /// Has a snapshot kept as soon as what it shows is durable. Says whether there will be one.
    pub(super) fn take_snapshot(&mut self) -> bool {
        let Ok(state) = rmp_serde::to_vec_named(&self.log.state) else { return false };
        self.snapshot = self.log.decided();
        self.gate.push(self.log.decided(), Output::Snapshot(state.into()));
        true
    }

    pub(super) fn save_snapshot(&self, seq: Seq, state: Bytes) {
        let (shared, myself, room, epoch) = (Arc::clone(&self.shared), self.myself.clone(), self.id, self.log.epoch);
        tokio::spawn(async move {
            let snapshot = Snapshot { seq, version: SNAPSHOT_VERSION, state };
            let saved = timeout(SNAPSHOT_TIMEOUT, caught(shared.journal.save_snapshot(room, epoch, snapshot))).await;
            match &saved {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(room.id = %room, error = %crate::error_chain(error), "a snapshot was not kept; the next one will be");
                }
                Err(_) => tracing::warn!(room.id = %room, "a snapshot was not kept in time; the next one will be"),
            }
            // The room may wait for it before it ends.
            let _ = myself.cast(RoomMsg::Own(Own::SnapshotSaved { seq, ok: matches!(saved, Ok(Ok(()))) }));
        });
    }

    pub(super) fn snapshot_saved(&mut self, seq: Seq, ok: bool) {
        if !ok && self.snapshot == seq {
            self.snapshot = Seq(0);
        }
        if let Stage::KeepsSnapshot(awaited) = self.end.stage
            && seq >= awaited
        {
            self.part_at_once();
        }
    }

    fn is_idle(&self) -> bool {
        let soon = self.shared.clock.now().plus(STAYS_FOR);
        let waits = !self.deadlines_off && self.log.deadline().is_some_and(|due| due <= soon);
        self.phase == Phase::Live && self.members.is_empty() && self.board.is_empty() && self.is_settled() && !waits
    }

    pub(super) fn consider_rest(&mut self) {
        if !self.is_idle() {
            return;
        }
        self.slim();
        if !self.rest_armed {
            self.rest_armed = true;
            // Kept while it is asked for: reading over REST shares it too.
            self.views.forget();
            let wait = self.shared.config.idle_after.saturating_sub(self.last_use.elapsed());
            self.myself.send_after(wait, || RoomMsg::Own(Own::Rest));
        }
    }

    /// Gives back the memory that only a busy room needs; most rooms in memory are idle.
    fn slim(&mut self) {
        self.log.slim();
        self.gate.slim();
        self.held.shrink_to_fit();
    }

    /// Stops if nobody has used the room for long enough.
    pub(super) async fn rest(&mut self) {
        self.rest_armed = false;
        if self.is_idle() && self.last_use.elapsed() >= self.shared.config.idle_after {
            self.finish(0).await;
        }
    }

    /// The room is over ([`Self::is_over`]).
    pub(super) async fn conclude(&mut self) {
        self.finish(self.tail_max()).await;
    }

    /// Keeps a last snapshot unless the one that there is lacks at most `tail_max` events, leaves the registry, and stops once everybody who still has
    /// the address is sent back.
    async fn finish(&mut self, tail_max: u64) {
        let seq = self.log.durable();
        if seq.0.saturating_sub(self.snapshot.0) > tail_max
            && let Ok(state) = rmp_serde::to_vec_named(&self.log.state)
        {
            let snapshot = Snapshot { seq, version: SNAPSHOT_VERSION, state: state.into() };
            let saving = self.shared.journal.save_snapshot(self.id, self.log.epoch, snapshot);
            if !matches!(timeout(SNAPSHOT_TIMEOUT, saving).await, Ok(Ok(()))) {
                tracing::warn!(room.id = %self.id, "the last snapshot was not kept; the next start replays more events");
            }
        }
        // Where most of its members are, unless somebody else was named: they find it there, already opened.
        match (&self.shared.cluster, self.end.heir.or_else(|| self.members.busiest_node())) {
            (Some(cluster), Some(heir)) => cluster.pass(self.id, heir).await,
            (Some(cluster), None) => cluster.release(self.id).await,
            (None, _) => {}
        }
        self.go();
    }

    /// Leaves the registry; whoever still has the address is sent back until the mailbox is empty.
    pub(super) fn go(&mut self) {
        self.phase = Phase::Gone;
        self.shared.registry.retire(self.id, self.myself.get_id());
        if let Err(error) = self.myself.drain() {
            tracing::warn!(room.id = %self.id, %error, "a room could not drain its mailbox");
        }
    }
}
