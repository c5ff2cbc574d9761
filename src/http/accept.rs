//! The accept loop: TCP connections into requests.
//!
//! Own, because `axum::serve` has no time limit for a request's head (2,000 half-open handshakes were still there after 36 s),
//! no cap, and leaves Nagle's algorithm on (42 ms per small frame instead of 0.1 ms). HTTP/1.1 only, served directly by hyper,
//! so that an upgraded connection can be taken back as the `TokioIo<TcpStream>` that it is.

use super::leftover;
use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// Bytes that the lines of a request's head may take together.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Header fields at most.
const HEADERS_MAX: usize = 100;
/// Pause after a failed accept (out of file descriptors, mostly): ends when other connections end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bounds of a listener.
#[derive(Debug, Clone, Copy)]
pub struct AcceptLimits {
    /// Open connections at most, sockets included.
    pub connections_max: usize,
    /// Time for a request's head to arrive; also the longest idle time between two requests.
    pub header_timeout: Duration,
}

/// In the extensions of every request: the connection that it came by.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The other end, as TCP knows it.
    pub peer: SocketAddr,
    /// The connection's place under the cap. Whoever takes over an upgraded connection keeps a clone until it closes.
    pub place: Arc<OwnedSemaphorePermit>,
}

/// Accepts until `drain` is cancelled, then lets running requests finish and closes idle connections.
///
/// Every connection is a task of `tasks`; waiting for them (and for how long) is the caller's business, as is ending upgraded
/// connections, which this loop no longer knows.
pub async fn accept(listener: TcpListener, router: Router, limits: AcceptLimits, drain: CancellationToken, tasks: TaskTracker) {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    loop {
        let Some(Ok(place)) = drain.run_until_cancelled(places.clone().acquire_owned()).await else {
            return;
        };
        let (stream, peer) = match drain.run_until_cancelled(listener.accept()).await {
            None => return,
            Some(Ok(accepted)) => accepted,
            Some(Err(error)) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let connection = Connection { peer, place: Arc::new(place) };
        tasks.spawn(serve(stream, connection, router.clone(), limits, drain.clone()));
    }
}

async fn serve(stream: TcpStream, connection: Connection, router: Router, limits: AcceptLimits, drain: CancellationToken) {
    // Without it a small frame waits for the acknowledgement of the one before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY not set");
    }
    let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
        let (mut request, leftover) = leftover::lend(request);
        request.extensions_mut().insert(connection.clone());
        let answering = router.clone().oneshot(request);
        async move {
            let mut response = answering.await?;
            leftover.discard(&mut response).await;
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_header_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut serving = pin!(serving);
    let served = tokio::select! {
        served = serving.as_mut() => served,
        () = drain.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(error = crate::telemetry::chain(&error), "connection ended");
    }
}
