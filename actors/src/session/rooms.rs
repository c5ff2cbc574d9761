//! A session's dealings with its rooms.

use super::place::{Done, Place, Seat, Waiting, Work};
use super::{Ending, Session, Shared};
use crate::engine::{Needs, RoomRef, Turn};
use crate::ports::Detached;
use crate::room::{From, Join, Op, RoomMsg, SessionInfo};
use crate::spread::{spread_hint, spread_wait};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tripsync_domain::error_code::Advice;
use tripsync_domain::presence::PresenceState;
use tripsync_domain::protocol::{About, Position, ServerFrame};
use tripsync_domain::{CommandNumber, ErrorCode, Rejection, RoomId, Seq, UserId};

/// How often a session that was in a room asks for it again before it gives up.
const RETURN_ATTEMPTS: u32 = 6;
/// How often in a row a room may be lost soon after it was entered, before the session gives up; the waits in between sum up to 13 s at least.
const LOSSES_MAX: u32 = 8;
/// A room that let the session in and stayed for this long is forgiven earlier losses: it moved, or its owner died, which is no reason to wait.
/// One that fails again and again is sent to rest by its registry; one that is never heard of is not forgiven.
const CALM: Duration = Duration::from_millis(500);

/// When somebody who waited too long for a turn may come again, at the earliest.
const BUSY_MS: u64 = 2_000;

/// How the way of the first waiting command went on.
enum Next {
    /// It has reached the room or was refused.
    Done,
    /// The place waits for something.
    Wait,
}

impl Session {
    pub(super) fn join(&mut self, room: RoomId, since: Option<Position>) -> Result<(), Ending> {
        if let Some(index) = self.find(room) {
            let place = &mut self.places[index];
            place.since = since;
            // Asking again while in means: start me over. As a leave and a join, so that late words about the first joining end
            // with its seat.
            if let Some(address) = place.address.take() {
                let _ = address.tell(RoomMsg::Leave { session: self.info.id, dropped: true });
                place.seat = Seat::new(Arc::clone(&self.sink), Arc::clone(&self.control));
                place.cursor = Arc::default();
                place.work = Some(look_for(&self.shared, &self.info, room, 1, Duration::ZERO));
            }
            return Ok(());
        }
        let rooms_max = self.shared.limits.rooms_per_socket_max.try_into().unwrap_or(usize::MAX);
        if self.places.len() >= rooms_max {
            let text = format!("a socket holds at most {rooms_max} rooms; leave one first");
            return self.complain(Rejection::new(ErrorCode::TooManyRooms, text), Some(About { room, n: None }));
        }
        let work = look_for(&self.shared, &self.info, room, 1, Duration::ZERO);
        self.places.push(Place {
            room,
            address: None,
            seat: Seat::new(Arc::clone(&self.sink), Arc::clone(&self.control)),
            cursor: Arc::default(),
            since,
            work: Some(work),
            waiting: VecDeque::new(),
            presence: None,
            returning: false,
            losses: 0,
            entered_at: None,
        });
        Ok(())
    }

    pub(super) fn leave(&mut self, room: RoomId) -> Result<(), Ending> {
        let Some(index) = self.find(room) else {
            let rejection = Rejection::new(ErrorCode::NotJoined, "the room is not joined on this socket");
            return self.complain(rejection, Some(About { room, n: None }));
        };
        let place = self.remove(index);
        if let Some(address) = place.address {
            let _ = address.tell(RoomMsg::Leave { session: self.info.id, dropped: false });
        }
        Ok(())
    }

    pub(super) fn op(&mut self, room: RoomId, n: CommandNumber, cmd: Value, base: Option<Seq>) {
        let Some(index) = self.find(room) else {
            return self.reject(room, n, Rejection::new(ErrorCode::NotJoined, "join the room first"));
        };
        let now = Instant::now();
        if let Err(ready) = self.commands.take(now) {
            let ms = u64::try_from((ready - now).as_millis()).unwrap_or(u64::MAX).saturating_add(1);
            let text = "too many commands; send it again later under the same number";
            return self.reject(room, n, Rejection::new(ErrorCode::RateLimited, text).retry_after_ms(ms));
        }
        let Ok(permit) = Arc::clone(&self.in_flight).try_acquire_owned() else {
            let text = "too many commands are unanswered; send it again later under the same number";
            return self.reject(room, n, Rejection::new(ErrorCode::Overloaded, text).retry_after_ms(250));
        };
        self.places[index].waiting.push_back(Waiting { n, cmd, base, permit: Some(permit), ready: None, tried: false });
        self.pump(index);
    }

    pub(super) fn presence(&mut self, room: RoomId, state: PresenceState) -> Result<(), Ending> {
        let Some(index) = self.find(room) else {
            return self.complain(Rejection::new(ErrorCode::NotJoined, "join the room first"), Some(About { room, n: None }));
        };
        self.places[index].presence = Some(Box::new(state));
        self.tell_presence(Instant::now());
        Ok(())
    }

    /// Tells rooms what was held back, as far as the rate allows.
    pub(super) fn tell_presence(&mut self, now: Instant) {
        for place in &mut self.places {
            if place.presence.is_none() || place.work.is_some() {
                continue;
            }
            let Some(address) = &place.address else { continue };
            if self.presences.take(now).is_err() {
                return;
            }
            if let Some(state) = place.presence.take() {
                // A room that is gone says so to the seat; after joining again the client tells its presence anew.
                let _ = address.tell(RoomMsg::Presence { session: self.info.id, state: *state });
            }
        }
    }

    /// Looks at what rooms said of the session's place in them. Call it after each wake-up.
    pub fn sweep(&mut self) {
        let mut index = 0;
        while let Some(place) = self.places.get(index) {
            match place.seat.verdict() {
                None => index += 1,
                Some(Detached::Ended) => {
                    let place = self.remove(index);
                    self.refuse_waiting(place, &Rejection::new(ErrorCode::NotJoined, "the session is not in the room any more"));
                }
                Some(Detached::Lost) => {
                    self.come_back(index);
                    index += 1;
                }
            }
        }
    }

    /// A place's work is done.
    pub(super) fn worked(&mut self, index: usize, done: Done) -> Result<(), Ending> {
        let place = &mut self.places[index];
        place.work = None;
        match done {
            Done::Found(Ok((address, turn))) => {
                self.enter(index, address, turn);
                Ok(())
            }
            Done::Found(Err(rejection)) => self.not_entered(index, rejection),
            Done::Ready(Ok(ready)) => {
                if let Some(first) = place.waiting.front_mut() {
                    first.ready = Some(ready);
                }
                self.pump(index);
                Ok(())
            }
            Done::Ready(Err(rejection)) => {
                let (room, first) = (place.room, place.waiting.pop_front());
                if let Some(first) = first {
                    self.reject(room, first.n, rejection);
                }
                self.pump(index);
                Ok(())
            }
        }
    }

    /// Joins a room that was found, and goes on with what waited for that.
    fn enter(&mut self, index: usize, address: RoomRef, turn: Turn) {
        let place = &mut self.places[index];
        let join = Join::new(place.room, Arc::clone(&self.info), Arc::clone(&place.seat) as _, Arc::clone(&place.cursor), place.since);
        if address.tell(RoomMsg::Join(join.with(turn))).is_err() {
            return self.come_back(index);
        }
        place.address = Some(address);
        place.entered_at = Some(Instant::now());
        place.returning = true;
        self.pump(index);
        self.tell_presence(Instant::now());
    }

    /// The room could not be had.
    fn not_entered(&mut self, index: usize, rejection: Rejection) -> Result<(), Ending> {
        let place = self.remove(index);
        let (room, returning) = (place.room, place.returning);
        let refusal = if rejection.code.advice() == Advice::RetryLater {
            rejection.clone()
        } else {
            Rejection::new(ErrorCode::NotJoined, "the room could not be joined")
        };
        if returning {
            self.say(&ServerFrame::Left {
                room,
                code: rejection.code,
                message: rejection.message.clone().into_owned(),
                retry_after_ms: rejection.retry_after_ms,
            });
            self.refuse_waiting(place, &refusal);
            return Ok(());
        }
        let told = self.complain(rejection, Some(About { room, n: None }));
        self.refuse_waiting(place, &refusal);
        told
    }

    /// The room is gone: look for it again, the more slowly the more often that happens. Commands that have not reached it wait.
    fn come_back(&mut self, index: usize) {
        let now = Instant::now();
        let place = &mut self.places[index];
        let was_in = place.cursor.get().is_some();
        if place.entered_at.take().is_some_and(|at| was_in && now - at >= CALM) {
            place.losses = 0;
        }
        if place.losses == LOSSES_MAX {
            let place = self.remove(index);
            let (room, message) = (place.room, "the room is lost again and again");
            let rejection = spread_hint(Rejection::new(ErrorCode::Retry, message).retry_after_ms(5_000), self.info.id.0);
            self.say(&ServerFrame::Left {
                room,
                code: rejection.code,
                message: message.to_owned(),
                retry_after_ms: rejection.retry_after_ms,
            });
            return self.refuse_waiting(place, &rejection);
        }
        // At once the first time: turns keep those who were in the room together from all coming at once.
        let delay = match place.losses {
            0 => Duration::ZERO,
            losses => spread_wait(Duration::from_millis(50) * 2_u32.pow(losses.min(7)), self.info.id.0, losses),
        };
        place.losses += 1;
        place.address = None;
        place.since = place.cursor.get().or(place.since);
        place.cursor = Arc::default();
        place.seat = Seat::new(Arc::clone(&self.sink), Arc::clone(&self.control));
        let attempts = if place.returning { RETURN_ATTEMPTS } else { 2 };
        place.work = Some(look_for(&self.shared, &self.info, place.room, attempts, delay));
        metrics::counter!("tripsync_session_rejoins_total").increment(1);
    }

    /// Passes on what waits, in order, as far as it goes without waiting.
    fn pump(&mut self, index: usize) {
        while let Some(place) = self.places.get_mut(index)
            && place.work.is_none()
            && place.address.is_some()
            && !place.waiting.is_empty()
        {
            match self.first(index) {
                Ok(Next::Done) => {}
                Ok(Next::Wait) => return,
                Err(rejection) => {
                    let place = &mut self.places[index];
                    if let (room, Some(first)) = (place.room, place.waiting.pop_front()) {
                        self.reject(room, first.n, rejection);
                    }
                }
            }
        }
    }

    /// Tries to pass on the first waiting command.
    fn first(&mut self, index: usize) -> Result<Next, Rejection> {
        let place = &mut self.places[index];
        let (Some(address), Some(first)) = (&place.address, place.waiting.front_mut()) else { return Ok(Next::Wait) };
        let (command, needed) = address.parse(&first.cmd)?;
        if !needed.is_empty() && first.ready.is_none() {
            place.work = Some(look_up(&self.shared, (place.room, self.info.card.user), needed));
            return Ok(Next::Wait);
        }
        let place_in_room = address.admit().map_err(|full| spread_hint(full, self.info.id.0))?;
        let own = match first.permit.take() {
            Some(permit) => Ok(permit),
            None => Arc::clone(&self.in_flight).try_acquire_owned(),
        };
        let own = own.map_err(|_| Rejection::new(ErrorCode::Overloaded, "too many commands are unanswered").retry_after_ms(250))?;
        let op = Op {
            from: From::Session { id: self.info.id, sink: Arc::clone(&self.sink) },
            id: Some((self.info.client, first.n)),
            command,
            base: first.base,
            if_match: None,
            origin: None,
            // Got ready again when the room is gone.
            ready: first.ready.take().unwrap_or_default(),
            permits: vec![own, place_in_room],
            receipt: None,
        };
        if address.tell(RoomMsg::Op(op)).is_ok() {
            place.waiting.pop_front();
            return Ok(Next::Done);
        }
        if first.tried {
            return Err(Rejection::new(ErrorCode::Retry, "the room went away; send it again under the same number").retry_after_ms(500));
        }
        first.tried = true;
        self.come_back(index);
        Ok(Next::Wait)
    }

    fn refuse_waiting(&self, place: Place, rejection: &Rejection) {
        for waiting in place.waiting {
            self.reject(place.room, waiting.n, rejection.clone());
        }
    }

    fn find(&self, room: RoomId) -> Option<usize> {
        self.places.iter().position(|place| place.room == room)
    }

    fn remove(&mut self, index: usize) -> Place {
        self.places.swap_remove(index)
    }
}

/// Gets a turn and a room, after a delay and with some attempts, each with a limit.
fn look_for(shared: &Arc<Shared>, info: &SessionInfo, room: RoomId, attempts: u32, delay: Duration) -> Work {
    let (shared, user, who) = (Arc::clone(shared), info.card.user, info.id.0);
    Box::pin(async move {
        if !delay.is_zero() {
            sleep(delay).await;
        }
        let wait = shared.limits.wait;
        for attempt in 1.. {
            let Ok(turn) = timeout(wait, shared.rooms.turn()).await else {
                metrics::counter!("tripsync_joins_refused_total").increment(1);
                let refused = Rejection::new(ErrorCode::Overloaded, "too many sessions are on their way into rooms; join again later");
                return Done::Found(Err(spread_hint(refused.retry_after_ms(BUSY_MS), who)));
            };
            let rejection = match timeout(wait, shared.rooms.room(room, user)).await {
                Ok(Ok(address)) => return Done::Found(Ok((address, turn))),
                Ok(Err(rejection)) => rejection,
                Err(_) => spread_hint(Rejection::new(ErrorCode::Retry, "the room did not open in time").retry_after_ms(1_000), who),
            };
            if attempt >= attempts || rejection.code.advice() != Advice::RetryLater {
                return Done::Found(Err(rejection));
            }
            // Nobody need wait for a wait.
            drop(turn);
            let hint = Duration::from_millis(rejection.retry_after_ms.unwrap_or(250));
            let (least, most) = (Duration::from_millis(100), Duration::from_secs(2));
            sleep(hint.clamp(spread_wait(least, who, attempt), spread_wait(most, who, attempt))).await;
        }
        Done::Found(Err(Rejection::new(ErrorCode::Retry, "the room did not open").retry_after_ms(1_000)))
    })
}

/// Gets ready what a command of a user to a room needs.
fn look_up(shared: &Arc<Shared>, (room, user): (RoomId, UserId), needs: Needs) -> Work {
    let shared = Arc::clone(shared);
    Box::pin(async move {
        Done::Ready(match timeout(shared.limits.wait, shared.rooms.prepare(room, user, &needs)).await {
            Ok(result) => result,
            Err(_) => Err(Rejection::new(ErrorCode::Retry, "the users could not be looked up in time").retry_after_ms(1_000)),
        })
    })
}
