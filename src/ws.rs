//! The live socket: from a request to open one to its last byte.
//!
//! Owns: the WebSocket handshake (answered by hand, so that the TCP stream can be taken back from hyper), reading, writing and the
//! closing of sockets. Promises: no credentials, no upgrade; a slow reader costs a bounded amount of memory and nobody else's time; every
//! socket ends with a typed close code as far as the connection lets it, within a bounded time, and its session leaves its rooms.
//! Deliberately does not know what frames mean; that is [`tripsync_actors::session`].

mod door;
mod handshake;
mod meters;
mod outbox;
mod reader;
mod socket;

use axum::body::Body;
use handshake::{Credentials, Opening, echo, judge};
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use meters::Meters;
use outbox::Outbox;
use reader::Reader;
use socket::Socket;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tripsync_actors::Engine;
use tripsync_actors::hub::{Hub, Registration};
use tripsync_actors::room::SessionInfo;
use tripsync_actors::session::{Authenticator, Credential, Session, SessionLimits, Shared};
use tripsync_domain::{ClientId, ErrorCode, Rejection, SessionId};

/// How long the client gets to take the answer to its handshake.
const UPGRADE_LIMIT: Duration = Duration::from_secs(10);
/// What clients are told to wait at least when the server goes away.
const RETURN_AFTER: Duration = Duration::from_millis(500);

/// Judges what a client shows when it opens a socket.
#[async_trait::async_trait]
pub trait Door: Authenticator {
    /// Whose single-use ticket it is; it is used up by this.
    ///
    /// # Errors
    /// `unauthorized` when it does not hold (any more), `retry`.
    async fn redeem(&self, ticket: &str) -> Result<Credential, Rejection>;
}

/// The live side of a server. Sockets are tasks of `tasks`; whoever shuts down calls [`Live::drain`] and waits for them.
pub struct Live {
    engine: Engine,
    hub: Arc<Hub>,
    shared: Arc<Shared>,
    door: Arc<dyn Door>,
    origins: Vec<String>,
    meters: Arc<Meters>,
    tasks: TaskTracker,
}

impl Live {
    /// The live side of an engine. Make it after the metrics recorder is installed.
    ///
    /// `hub` is the engine's notifier; `origins` are those of pages that may open sockets beside the server's own.
    #[must_use]
    pub fn new<D: Door>(
        engine: Engine,
        hub: Arc<Hub>,
        door: Arc<D>,
        limits: SessionLimits,
        origins: Vec<String>,
        tasks: TaskTracker,
    ) -> Arc<Self> {
        let shared = Arc::new(Shared {
            rooms: Arc::new(engine.clone()),
            authenticator: Arc::clone(&door) as _,
            clock: Arc::clone(engine.clock()),
            limits,
        });
        Arc::new(Self { engine, hub, shared, door, origins, meters: Arc::new(Meters::new()), tasks })
    }

    /// The sessions of this node.
    #[must_use]
    pub const fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Says goodbye to every socket and takes no more.
    pub fn drain(&self) {
        self.hub.drain(RETURN_AFTER);
    }

    /// Judges a request to open a socket. The socket runs by itself once the returned answer (101) is sent; `place` is kept until
    /// its end.
    ///
    /// # Errors
    /// Why there is no upgrade; to be answered as a problem.
    pub async fn open(
        self: &Arc<Self>,
        request: Request<Body>,
        place: Option<Arc<OwnedSemaphorePermit>>,
    ) -> Result<Response<Body>, Rejection> {
        let (mut parts, _) = request.into_parts();
        let opening = judge(&parts, &self.origins)?;
        let admitted = timeout(self.shared.limits.wait, self.admit(&opening)).await;
        let (info, credential, registration) = admitted
            .map_err(|_| Rejection::new(ErrorCode::Retry, "the credentials could not be checked in time").retry_after_ms(1_000))??;
        let Some(upgrade) = parts.extensions.remove::<OnUpgrade>() else {
            return Err(Rejection::new(ErrorCode::UpgradeRequired, "this connection cannot be upgraded"));
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        if let Ok(accept) = HeaderValue::from_str(&opening.accept) {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        if let Some(protocol) = echo(&opening) {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        self.tasks.spawn(Arc::clone(self).start(upgrade, info, credential, registration, place));
        Ok(response)
    }

    async fn admit(&self, opening: &Opening) -> Result<(Arc<SessionInfo>, Credential, Registration), Rejection> {
        let credential = match &opening.credentials {
            Credentials::Token(token) => self.shared.authenticator.check(token).await?,
            Credentials::Ticket(ticket) => self.door.redeem(ticket).await?,
            Credentials::None => {
                return Err(Rejection::new(ErrorCode::Unauthorized, "send a token in Authorization, a ticket, or a token as subprotocol"));
            }
        };
        // From here on a logout ends the socket; one that came since the check is asked for.
        let registration = self.hub.register(credential.user, credential.login)?;
        if self.shared.authenticator.is_ended(&credential) {
            return Err(Rejection::new(ErrorCode::SessionRevoked, "the login was ended; log in again"));
        }
        let card = self.shared.rooms.cards(&[credential.user]).await?.pop();
        let card = card.ok_or_else(|| Rejection::new(ErrorCode::AccountDisabled, "the account is disabled"))?;
        let client = opening.client.unwrap_or_else(|| ClientId(self.engine.new_id()));
        let info = SessionInfo { id: SessionId(self.engine.new_id()), card, client, codec: opening.codec };
        Ok((Arc::new(info), credential, registration))
    }

    /// Takes the TCP stream back from hyper and lets the socket run.
    async fn start(
        self: Arc<Self>,
        upgrade: OnUpgrade,
        info: Arc<SessionInfo>,
        credential: Credential,
        registration: Registration,
        place: Option<Arc<OwnedSemaphorePermit>>,
    ) {
        let Ok(Ok(upgraded)) = timeout(UPGRADE_LIMIT, upgrade).await else {
            tracing::debug!("a connection ended before it was upgraded");
            return;
        };
        let hyper::upgrade::Parts { io, read_buf: early, .. } = match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(parts) => parts,
            Err(_) => {
                tracing::error!("an upgraded connection is not the TCP stream that the accept loop serves");
                return;
            }
        };
        let stream = io.into_inner();
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY not set");
        }
        let socket = Box::new(self.socket(stream, &early, info, &credential, registration));
        // Its own task, sized for the socket alone.
        self.tasks.spawn(async move {
            socket.run().await;
            drop(place);
        });
    }

    fn socket(
        &self,
        stream: TcpStream,
        early: &[u8],
        info: Arc<SessionInfo>,
        credential: &Credential,
        registration: Registration,
    ) -> Socket {
        let limits = &self.shared.limits;
        let (read, write) = stream.into_split();
        let codec = info.codec;
        let control = Arc::clone(registration.control());
        let outbox = Arc::new(Outbox::new(
            write,
            codec,
            limits.outbound_bytes_max.try_into().unwrap_or(usize::MAX / 4),
            limits.drain_timeout,
            Arc::clone(&control),
            Arc::clone(&self.meters),
        ));
        let frame_bytes_max = limits.frame_bytes_max.try_into().unwrap_or(usize::MAX);
        let reader = Reader::new(read, early, Arc::clone(&outbox), frame_bytes_max);
        tracing::debug!(session.id = %info.id, user.id = %info.card.user, "socket open");
        let session = Session::start(info, credential, Arc::clone(&self.shared), Arc::clone(&outbox) as _, control);
        registration.open(Arc::clone(&outbox) as _);
        Socket { session, reader, outbox, registration, codec, meters: Arc::clone(&self.meters) }
    }
}

#[cfg(test)]
mod tests;
