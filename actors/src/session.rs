//! One socket's session: what a client says, judged and passed on to rooms.
//!
//! A [`Session`] is a plain struct that the socket's task drives; it knows neither sockets nor bytes. It promises:
//!
//! - *Order.* Commands of one session reach a room in the order in which they came, also when one of them waits for a user
//!   look-up or for the room itself.
//! - *No room holds up another.* What a room makes the session wait for is waited for in that room's [`Place`] only, at most
//!   [`SessionLimits::wait`] at a time; commands to it queue meanwhile (bounded by what a session may have unanswered), everything
//!   else goes on.
//! - *An answer.* Each command gets one `ack` or `rejected`, unless the room is lost under it or was left: then the `joined`, `left` or `bye` that
//!   follows says so, and the client sends again what is unanswered.
//! - *Coming back.* A room that is lost is joined again, from where the session was, with a growing delay.
//! - *An end.* Dropping a session leaves its rooms, however that happens.

mod bucket;
mod control;
mod limits;
mod place;
mod ports;
mod rooms;

pub use control::{Control, Ending};
pub use limits::SessionLimits;
pub use ports::{Authenticator, Credential, Rooms, Shared};

use crate::frame::frame_of;
use crate::ports::SessionSink;
use crate::room::{RoomMsg, SessionInfo};
use bucket::Bucket;
use futures_util::future::BoxFuture;
use place::Place;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tripsync_domain::error_code::Advice;
use tripsync_domain::protocol::{About, ClientFrame, FrameError, ServerFrame};
use tripsync_domain::{CommandNumber, ErrorCode, Rejection, RoomId};
use uuid::Uuid;

/// A live session. Start it with [`Session::start`], then drive it.
pub struct Session {
    info: Arc<SessionInfo>,
    login: Uuid,
    shared: Arc<Shared>,
    sink: Arc<dyn SessionSink>,
    control: Arc<Control>,
    /// Bounds the commands that are unanswered.
    in_flight: Arc<Semaphore>,
    /// At most [`SessionLimits::rooms_per_socket_max`]; few enough to be searched one by one.
    places: Vec<Place>,
    /// A fresh token that is being checked.
    renewal: Option<BoxFuture<'static, Result<Credential, Rejection>>>,
    commands: Bucket,
    presences: Bucket,
    messages: Bucket,
    errors: Bucket,
    heard_at: Instant,
    pinged_at: Instant,
    expires_at: Instant,
    /// Whether the client went without a goodbye, so that its presence is kept for the grace.
    dropped: bool,
}

/// What is due when [`Session::deadline`] has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing for the socket.
    Nothing,
    /// Ping the client.
    Ping,
    /// End.
    End(Ending),
}

impl Session {
    /// Starts a session, and greets the client.
    #[must_use]
    pub fn start(
        info: Arc<SessionInfo>,
        credential: &Credential,
        shared: Arc<Shared>,
        sink: Arc<dyn SessionSink>,
        control: Arc<Control>,
    ) -> Self {
        let now = Instant::now();
        let limits = &shared.limits;
        let server_time = shared.clock.now();
        sink.send_always(&[frame_of(&ServerFrame::Welcome {
            session: info.id,
            user: info.card.user,
            client: info.client,
            server_time,
            limits: limits.told(),
            resume: "epoch_seq",
        })]);
        let second = Duration::from_secs(1);
        Self {
            login: credential.login,
            in_flight: Arc::new(Semaphore::new(limits.commands_in_flight_max.try_into().unwrap_or(Semaphore::MAX_PERMITS))),
            places: Vec::new(),
            renewal: None,
            commands: Bucket::new(limits.commands_per_s, second, limits.commands_burst, now),
            presences: Bucket::new(limits.presence_per_s, second, limits.presence_per_s, now),
            messages: Bucket::new(limits.messages_per_s, second, limits.messages_per_s.saturating_mul(8), now),
            errors: Bucket::new(limits.errors_per_min, Duration::from_secs(60), limits.errors_per_min, now),
            heard_at: now,
            pinged_at: now,
            expires_at: now + credential.expires_at.since(server_time),
            dropped: true,
            info,
            shared,
            sink,
            control,
        }
    }

    /// Something came from the client, a WebSocket ping or pong included; call it once per message, before [`Self::receive`].
    pub fn heard(&mut self) {
        let now = Instant::now();
        self.heard_at = now;
        // A full bucket is no error here: the caller does not read before `readable_at`.
        let _ = self.messages.take(now);
    }

    /// When the next message may be read; in the past unless the client sends more than it may.
    #[must_use]
    pub fn readable_at(&self) -> Instant {
        self.messages.ready_at()
    }

    /// Acts on a frame. Never waits: what takes time goes on in [`Self::work`].
    ///
    /// # Errors
    /// The session's end, when the client has broken the protocol too often.
    pub fn receive(&mut self, frame: Result<ClientFrame, FrameError>) -> Result<(), Ending> {
        match frame {
            Ok(ClientFrame::Join { room, since }) => self.join(room, since),
            Ok(ClientFrame::Leave { room }) => self.leave(room),
            Ok(ClientFrame::Op { room, n, cmd, base }) => {
                self.op(room, n, cmd, base);
                Ok(())
            }
            Ok(ClientFrame::Presence { room, state }) => self.presence(room, state),
            Ok(ClientFrame::Auth { token }) => self.renew(token),
            Ok(ClientFrame::Ping { n }) => {
                self.say(&ServerFrame::Pong { n, server_time: self.shared.clock.now() });
                Ok(())
            }
            Err(FrameError { rejection, about }) => self.complain(rejection, about.map(|(room, n)| About { room, n: Some(n) })),
        }
    }

    /// Waits until something that the session waits for has come, and acts on it; for ever when it waits for nothing. May be
    /// dropped and called again.
    ///
    /// # Errors
    /// The session's end.
    pub async fn work(&mut self) -> Result<(), Ending> {
        enum Came {
            Room(usize, place::Done),
            Token(Result<Credential, Rejection>),
        }
        let came = poll_fn(|cx| {
            if let Some(renewal) = &mut self.renewal
                && let Poll::Ready(result) = renewal.as_mut().poll(cx)
            {
                return Poll::Ready(Came::Token(result));
            }
            for (index, place) in self.places.iter_mut().enumerate() {
                if let Some(work) = &mut place.work
                    && let Poll::Ready(done) = work.as_mut().poll(cx)
                {
                    return Poll::Ready(Came::Room(index, done));
                }
            }
            Poll::Pending
        })
        .await;
        match came {
            Came::Room(index, done) => self.worked(index, done),
            Came::Token(result) => {
                self.renewal = None;
                self.renewed(result)
            }
        }
    }

    /// When [`Self::tick`] should be called.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        let limits = &self.shared.limits;
        let ping = self.heard_at.max(self.pinged_at) + limits.heartbeat;
        let silence = self.heard_at + limits.heartbeat_timeout;
        let held = self.places.iter().any(|place| place.presence.is_some() && place.address.is_some() && place.work.is_none());
        let deadline = ping.min(silence).min(self.expires_at);
        if held { deadline.min(self.presences.ready_at()) } else { deadline }
    }

    /// Does what is due.
    pub fn tick(&mut self) -> Due {
        let now = Instant::now();
        let limits = &self.shared.limits;
        if now >= self.expires_at {
            return Due::End(Ending::new(ErrorCode::TokenExpired, "the access token ran out; connect again with a fresh one"));
        }
        if now >= self.heard_at + limits.heartbeat_timeout {
            return Due::End(
                Ending::new(ErrorCode::HeartbeatMissed, "nothing was heard for too long; connect again and resume").retry_after_ms(0),
            );
        }
        let ping = now >= self.heard_at.max(self.pinged_at) + limits.heartbeat;
        self.tell_presence(now);
        if ping {
            self.pinged_at = now;
            return Due::Ping;
        }
        Due::Nothing
    }

    /// The sink has nothing waiting any more after it was full: rooms that stopped sending may go on.
    pub fn drained(&self) {
        for address in self.places.iter().filter_map(|place| place.address.as_ref()) {
            // A room that is gone says so to the seat.
            let _ = address.tell(RoomMsg::Drained { session: self.info.id });
        }
    }

    /// The client said goodbye: its presence need not be kept.
    pub const fn goodbye(&mut self) {
        self.dropped = false;
    }

    /// How many rooms the session is in or on its way into.
    #[must_use]
    pub const fn rooms_count(&self) -> usize {
        self.places.len()
    }

    fn renew(&mut self, token: String) -> Result<(), Ending> {
        if self.renewal.is_some() {
            let text = "the token before is still being checked";
            return self.complain(Rejection::new(ErrorCode::RateLimited, text).retry_after_ms(1_000), None);
        }
        let (shared, wait) = (Arc::clone(&self.shared), self.shared.limits.wait);
        self.renewal = Some(Box::pin(async move {
            match timeout(wait, shared.authenticator.check(&token)).await {
                Ok(result) => result,
                Err(_) => Err(Rejection::new(ErrorCode::Retry, "the token could not be checked in time").retry_after_ms(1_000)),
            }
        }));
        Ok(())
    }

    fn renewed(&mut self, result: Result<Credential, Rejection>) -> Result<(), Ending> {
        match result {
            Ok(fresh) if fresh.user == self.info.card.user && fresh.login == self.login => {
                self.expires_at = Instant::now() + fresh.expires_at.since(self.shared.clock.now());
                self.say(&ServerFrame::AuthOk { expires_at: fresh.expires_at });
                Ok(())
            }
            Ok(_) => self.complain(Rejection::forbidden("the token belongs to another login; open a socket with it"), None),
            Err(rejection) => self.complain(rejection, None),
        }
    }

    fn say(&self, frame: &ServerFrame) {
        self.sink.send_always(&[frame_of(frame)]);
    }

    fn reject(&self, room: RoomId, n: CommandNumber, rejection: Rejection) {
        metrics::counter!("tripsync_session_rejected_total", "code" => rejection.code.as_str()).increment(1);
        self.say(&ServerFrame::Rejected { room, n, rejection });
    }

    /// Answers something that is not a command with an `error`; what the client could have known counts as abuse.
    fn complain(&mut self, rejection: Rejection, about: Option<About>) -> Result<(), Ending> {
        let abuse = rejection.code.advice() != Advice::RetryLater;
        metrics::counter!("tripsync_session_errors_total", "code" => rejection.code.as_str()).increment(1);
        self.say(&ServerFrame::Error { rejection, about });
        if abuse && self.errors.take(Instant::now()).is_err() {
            return Err(Ending::new(ErrorCode::ProtocolViolation, "too many frames could not be understood; mend the client"));
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for address in self.places.iter().filter_map(|place| place.address.as_ref()) {
            let _ = address.tell(RoomMsg::Leave { session: self.info.id, dropped: self.dropped });
        }
    }
}

#[cfg(test)]
mod tests;
