//! What happens because time has passed: deadlines of the rules, and presence once per tick.

use super::{Phase, Room, TIMER_MAX};
use crate::frame::frame_of;
use crate::room::log::Unsound;
use crate::room::message::{Own, RoomMsg};
use std::time::Duration;
use tokio::time::Instant;
use tripsync_domain::protocol::ServerFrame;
use tripsync_domain::{Ctx, ItemId, RoomKind, UserId};

/// Comings and droppings alone are told after at most so many ticks.
const COMINGS_TICKS_MAX: u32 = 5;

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

    /// Whether something is due by now.
    pub(super) fn is_due(&self) -> bool {
        self.log.deadline().is_some_and(|due| due <= self.log.time(self.shared.clock.now()))
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
        let gathered = self.tick_after(now);
        let due = if self.board.is_dirty() { Some(now + gathered) } else { self.board.next_expiry() };
        let Some(due) = due else { return };
        if self.tick_at.is_some_and(|(scheduled, _)| scheduled <= due) {
            return;
        }
        self.tick_at = Some((due, gathered));
        self.myself.send_after(due - now, || RoomMsg::Own(Own::Tick));
    }

    /// How long changes of presence are gathered. While sockets do nothing but come and drop, twice as long each time, up to a bound:
    /// everybody is told of everybody, so a storm that is told every tick costs more writes than its `joined` frames.
    fn tick_after(&self, now: Instant) -> Duration {
        let tick = self.shared.config.presence_tick;
        match self.told_comings {
            Some((at, gathered)) if !self.board.is_pressing() && now < at + 2 * gathered => (2 * gathered).min(tick * COMINGS_TICKS_MAX),
            _ => tick,
        }
    }

    /// Sends everybody what changed of presence since the last tick, in one frame.
    pub(super) fn tick(&mut self) {
        let now = Instant::now();
        let Some((_, gathered)) = self.tick_at.take_if(|(at, _)| *at <= now) else {
            // A timer that was overtaken by an earlier one.
            return;
        };
        self.board.expire();
        let is_pressing = self.board.is_pressing();
        if let Some(delta) = self.board.take_delta() {
            self.told_comings = (!is_pressing).then_some((now, gathered));
            self.members.broadcast(K::PRESENCE, &frame_of(&ServerFrame::Presence { room: self.id, delta }));
        }
        self.schedule_tick();
    }
}
