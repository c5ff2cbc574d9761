//! What a client still sends when its request is answered already.
//!
//! A request may be refused by its head alone (no token, no such address). hyper closes a connection whose body was not read to its
//! end, and a client that is still sending then may never see the answer that says why. So the rest is read and thrown away
//! first, within bounds; beyond them the answer says that the connection closes.

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::header::{CONNECTION, EXPECT};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Bytes that are thrown away at most.
const DISCARD_BYTES_MAX: usize = 8 << 20;
/// How long the client may take to send them.
const DISCARD_TIME_MAX: Duration = Duration::from_secs(5);

/// Where a body that was not read to its end goes.
#[derive(Debug, Default)]
pub(super) struct Leftover(Option<Arc<Mutex<Option<Incoming>>>>);

/// A body that goes there when it is dropped.
struct Lent {
    body: Option<Incoming>,
    back: Arc<Mutex<Option<Incoming>>>,
}

/// Makes a request for handlers of one from a connection.
pub(super) fn lend(request: Request<Incoming>) -> (Request<Body>, Leftover) {
    let (parts, body) = request.into_parts();
    // A client that waits for leave to send its body has none under way.
    if body.is_end_stream() || parts.headers.contains_key(EXPECT) {
        return (Request::from_parts(parts, Body::new(body)), Leftover(None));
    }
    let back = Arc::default();
    let lent = Lent { body: Some(body), back: Arc::clone(&back) };
    (Request::from_parts(parts, Body::new(lent)), Leftover(Some(back)))
}

impl Leftover {
    /// Throws away what is left of the body, before the answer is sent.
    pub(super) async fn discard(self, response: &mut Response) {
        let Some(mut body) = self.0.and_then(|back| back.lock().take()) else { return };
        // Whoever was too slow already gets no more time.
        let is_discarded = response.status() != StatusCode::REQUEST_TIMEOUT
            && tokio::time::timeout(DISCARD_TIME_MAX, read_to_end(&mut body)).await.unwrap_or(false);
        if !is_discarded {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// False when there is too much of it, or the client went away.
async fn read_to_end(body: &mut Incoming) -> bool {
    let mut seen = 0_usize;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        seen = seen.saturating_add(frame.data_ref().map_or(0, Bytes::len));
        if seen > DISCARD_BYTES_MAX {
            return false;
        }
    }
    true
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            *self.back.lock() = Some(body);
        }
    }
}
