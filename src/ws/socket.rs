//! One socket's task: drives its session, its reader and what waits in its outbox, until one of them ends.

use super::meters::{self, Meters};
use super::outbox::{Flushed, Outbox};
use super::reader::Reader;
use bytes::Bytes;
use std::net::Shutdown;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::{Error, Message};
use tripsync_actors::frame::frame_of;
use tripsync_actors::hub::Registration;
use tripsync_actors::session::{Due, Ending, Session};
use tripsync_domain::protocol::{ClientFrame, Codec, FrameError};
use tripsync_domain::{ErrorCode, Rejection};

/// How long a client gets to take the last frames, and then to close.
const GOODBYE_LIMIT: Duration = Duration::from_secs(2);
/// A ping without payload (RFC 6455, 5.5.2).
const PING: Bytes = Bytes::from_static(&[0x89, 0]);

/// An open socket.
pub(crate) struct Socket {
    pub(crate) session: Session,
    pub(crate) reader: Reader,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) registration: Registration,
    pub(crate) codec: Codec,
    pub(crate) meters: Arc<Meters>,
}

/// How a socket ended.
#[derive(Debug)]
enum Over {
    /// By the server, with a close code that may be one of the RFC's.
    Ended(Ending, u16),
    /// The client has closed, with this code.
    Closed(u16),
    /// The connection broke.
    Gone,
}

impl From<Ending> for Over {
    fn from(ending: Ending) -> Self {
        let code = ending.code.close_code();
        Self::Ended(ending, code)
    }
}

impl Socket {
    /// Runs until the socket is closed and its session has left its rooms.
    ///
    /// Boxed, because a future holds what it is given twice; and so is its end, for which an idle socket need not have room.
    pub(crate) async fn run(mut self: Box<Self>) {
        let over = self.serve().await;
        Box::pin(self.close(over)).await;
    }

    async fn serve(&mut self) -> Over {
        let control = Arc::clone(self.registration.control());
        // One timer for everything, moved only when something is due earlier: messages mostly put things off.
        let mut timer = pin!(sleep_until(self.session.deadline()));
        loop {
            if let Some(ending) = control.ending() {
                return ending.clone().into();
            }
            self.session.sweep();
            if self.outbox.is_gone() {
                return Over::Gone;
            }
            let stuck_at = self.outbox.stuck_at();
            let readable_at = self.session.readable_at();
            let now = Instant::now();
            let mut due = stuck_at.map_or_else(|| self.session.deadline(), |at| at.min(self.session.deadline()));
            if readable_at > now {
                due = due.min(readable_at);
            }
            if due < timer.deadline() {
                timer.as_mut().reset(due);
            }
            tokio::select! {
                biased;
                () = control.woken() => {}
                flushed = self.outbox.flushed(), if stuck_at.is_some() => match flushed {
                    Flushed::Drained => self.session.drained(),
                    Flushed::Empty | Flushed::Blocked => {}
                    Flushed::Gone => return Over::Gone,
                },
                worked = self.session.work() => if let Err(ending) = worked {
                    return ending.into();
                },
                () = timer.as_mut() => {
                    let now = Instant::now();
                    if stuck_at.is_some_and(|at| at <= now) {
                        let text = "the connection took nothing for too long; connect again and resume";
                        return Ending::new(ErrorCode::Slow, text).retry_after_ms(1_000).into();
                    }
                    match self.session.tick() {
                        Due::Nothing => {}
                        Due::Ping => self.outbox.control_frame(PING),
                        Due::End(ending) => return ending.into(),
                    }
                    timer.as_mut().reset(self.session.deadline().max(now + Duration::from_millis(1)));
                }
                message = self.reader.next(), if readable_at <= now => if let Err(over) = self.message(message) {
                    return over;
                },
            }
        }
    }

    fn message(&mut self, message: Result<Message, Error>) -> Result<(), Over> {
        let message = message.map_err(over)?;
        self.session.heard();
        self.meters.messages_in.increment(1);
        let frame = match (&message, self.codec) {
            (Message::Ping(_) | Message::Pong(_) | Message::Frame(_), _) => return Ok(()),
            (Message::Close(close), _) => return Err(Over::Closed(close.as_ref().map_or(1005, |close| close.code.into()))),
            (Message::Text(text), Codec::Json) => ClientFrame::decode(Codec::Json, text.as_bytes()),
            (Message::Binary(bytes), Codec::MessagePack) => ClientFrame::decode(Codec::MessagePack, bytes),
            (Message::Text(_), Codec::MessagePack) => Err(wrong_sort("this socket speaks MessagePack in binary messages")),
            (Message::Binary(_), Codec::Json) => Err(wrong_sort("this socket speaks JSON in text messages")),
        };
        self.session.receive(frame).map_err(Over::from)
    }

    /// Says goodbye as far as possible, and lets go of everything within a bounded time.
    async fn close(self: Box<Self>, over: Over) {
        let Self { mut session, mut reader, outbox, codec, registration, .. } = *self;
        match &over {
            Over::Ended(ending, code) => {
                if !ending.comes_back() {
                    session.goodbye();
                }
                tracing::debug!(code = ending.code.as_str(), close = code, "a socket is closed");
                meters::closed(*code);
                let bye = frame_of(&ending.bye()).wire(codec).clone();
                outbox.finish([bye, close_frame(*code, ending.code.as_str())].into_iter(), ending.code == ErrorCode::Slow);
            }
            Over::Closed(code) => {
                if *code == 1000 {
                    session.goodbye();
                }
                meters::closed(*code);
            }
            Over::Gone => meters::closed(0),
        }
        // Leaves its rooms.
        drop(session);
        if !matches!(over, Over::Gone) {
            let goodbye = async {
                if matches!(over, Over::Closed(_)) {
                    // Lets tungstenite answer the close.
                    let _ = reader.next().await;
                }
                while outbox.is_waiting() && outbox.flushed().await == Flushed::Blocked {}
                outbox.shutdown(Shutdown::Write);
                // Closing while something unread is there would take the last frames back from the client's side.
                reader.discard().await;
            };
            let _ = timeout(GOODBYE_LIMIT, goodbye).await;
        }
        outbox.shutdown(Shutdown::Both);
        // Until here the socket counts as the user's.
        drop(registration);
    }
}

fn wrong_sort(text: &'static str) -> FrameError {
    FrameError { rejection: Rejection::new(ErrorCode::Malformed, text), about: None }
}

/// What an error of the reader means. tungstenite itself mostly drops the connection without a close frame, so closing is ours.
fn over(error: Error) -> Over {
    match error {
        Error::Capacity(_) => Over::Ended(Ending::new(ErrorCode::TooLarge, "the message is larger than `frame_bytes_max`"), 1009),
        Error::Utf8(_) => Over::Ended(Ending::new(ErrorCode::Malformed, "a text message must be UTF-8"), 1007),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
        | Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Io(_)
        | Error::Tls(_)
        | Error::WriteBufferFull(_)
        | Error::AttackAttempt
        | Error::Url(_)
        | Error::Http(_)
        | Error::HttpFormat(_) => Over::Gone,
        Error::Protocol(error) => {
            Over::Ended(Ending::new(ErrorCode::ProtocolViolation, format!("the WebSocket protocol was violated: {error}")), 1002)
        }
    }
}

/// A close frame (RFC 6455, 5.5.1); the reason is a code's tag, far shorter than the 123 bytes that fit.
fn close_frame(code: u16, reason: &str) -> Bytes {
    let reason = &reason.as_bytes()[..reason.len().min(123)];
    let mut frame = vec![0x88, u8::try_from(reason.len() + 2).unwrap_or(2)];
    frame.extend_from_slice(&code.to_be_bytes());
    frame.extend_from_slice(reason);
    frame.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of the future that a function gives.
    const fn future_bytes<T, F: Future>(_: &impl Fn(T) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_socket_is_small() {
        let bytes = future_bytes(&Socket::run) + size_of::<Socket>();
        assert!(bytes <= 1_536, "a socket's task has {bytes} bytes; its read buffer is 4 KiB besides");
    }
}
