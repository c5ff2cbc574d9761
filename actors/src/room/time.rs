//! What happens because time has passed: deadlines of the rules, and presence once per tick.

use super::{Phase, Room, TIMER_MAX};
use crate::frame::frame_of;
use crate::room::log::Unsound;
use crate::room::message::{Own, RoomMsg};
use tokio::time::Instant;
use tripsync_domain::protocol::ServerFrame;
use tripsync_domain::{Ctx, ItemId, RoomKind, UserId};

impl<K: RoomKind> Room<K> {
    /// Lets happen what is due. Says whether the state can be used; if not, the room is reloading.
    pub(super) fn expire(&mut self) -> bool {
        let now = self.log.time(self.shared.clock.now());
        if self.phase != Phase::Live || self.deadlines_off || self.log.deadline().is_none_or(|due| due > now) {
            return self.phase == Phase::Live;
        }
        let new_id = ItemId(self.shared.new_id());
        let mut ctx = Ctx { room: self.id, author: UserId::ROOM, at: now, base: None, new_id, users: &[], reserved: true, origin: None };
        match self.log.expire(&mut ctx) {
            Ok(_) => {
                metrics::counter!("tripsync_deadlines_total").increment(1);
                true
            }
            Err(Unsound) => {
                metrics::counter!("tripsync_rules_panics_total").increment(1);
                tracing::error!(room.id = %self.id, "a deadline broke the rules of the room; it has none until it is restored");
                self.deadlines_off = true;
                self.reload();
                false
            }
        }
    }

    /// The deadline may have passed.
    pub(super) fn wake(&mut self) {
        self.wake = None;
        self.expire();
    }

    /// Sets a timer for the deadline, when the state has changed since the last one was set. A timer that was overtaken finds nothing due.
    /// Timers follow the runtime's clock; when the wall clock jumps, the engine's look-out ([`crate::engine`]) wakes the room.
    pub(super) fn schedule_wake(&mut self) {
        let decided = self.log.decided();
        if self.phase != Phase::Live || self.deadlines_off || self.wake.is_some_and(|(seq, _)| seq == decided) {
            return;
        }
        let due = self.log.deadline();
        let known = self.wake.replace((decided, due)).and_then(|(_, due)| due);
        if let Some(due) = due.filter(|due| known != Some(*due)) {
            let wait = due.since(self.shared.clock.now());
            if wait <= TIMER_MAX {
                self.myself.send_after(wait, || RoomMsg::Own(Own::Wake));
            }
        }
    }

    pub(super) fn schedule_tick(&mut self) {
        let now = Instant::now();
        let due = if self.board.is_dirty() { Some(now + self.shared.config.presence_tick) } else { self.board.next_expiry() };
        let Some(due) = due else { return };
        if self.tick_at.is_some_and(|scheduled| scheduled <= due) {
            return;
        }
        self.tick_at = Some(due);
        self.myself.send_after(due - now, || RoomMsg::Own(Own::Tick));
    }

    /// Sends everybody what changed of presence since the last tick, in one frame.
    pub(super) fn tick(&mut self) {
        if self.tick_at.is_none_or(|at| at > Instant::now()) {
            // A timer that was overtaken by an earlier one.
            return;
        }
        self.tick_at = None;
        self.board.expire();
        if let Some(delta) = self.board.take_delta() {
            self.members.broadcast(K::PRESENCE, &frame_of(&ServerFrame::Presence { room: self.id, delta }));
        }
        self.schedule_tick();
    }
}
