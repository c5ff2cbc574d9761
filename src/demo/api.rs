//! REST as a user of the demo calls it: plain requests to the server's own address.

use super::DemoError;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, LOCATION};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(30);
/// More than the trip of the demo takes.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The server to call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Api {
    address: SocketAddr,
}

/// What it said.
#[derive(Debug)]
pub(super) struct Answer {
    /// The status.
    pub(super) status: StatusCode,
    /// The address of what was made.
    pub(super) location: Option<String>,
    /// The body; null when there is none.
    pub(super) body: Value,
}

impl Answer {
    /// Itself when it says that all went well.
    pub(super) fn good(self, what: &str) -> Result<Self, DemoError> {
        if self.status.is_success() {
            return Ok(self);
        }
        let said = |key: &str| self.body[key].as_str().unwrap_or_default().to_owned();
        Err(DemoError::Refused { what: what.to_owned(), status: self.status.as_u16(), code: said("code"), detail: said("detail") })
    }
}

impl Api {
    pub(super) const fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// Where it is.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks and reads the answer.
    pub(super) async fn get(&self, path: &str, token: &str) -> Result<Answer, DemoError> {
        self.send(Method::GET, path, &[(AUTHORIZATION.as_str(), &format!("Bearer {token}"))], Value::Null).await
    }

    /// Sends a body with further headers and reads the answer.
    pub(super) async fn post(&self, path: &str, headers: &[(&str, &str)], body: Value) -> Result<Answer, DemoError> {
        self.send(Method::POST, path, headers, body).await
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Value) -> Result<Answer, DemoError> {
        let unreachable = |reason: String| DemoError::Unreachable { what: format!("{method} {path}"), reason };
        let mut request = Request::builder().method(method.clone()).uri(path).header(HOST, self.address.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let bytes = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        if !bytes.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(bytes)).map_err(|error| unreachable(error.to_string()))?;
        match timeout(LIMIT, exchange(self.address, request)).await {
            Ok(answer) => answer.map_err(|error| unreachable(error.to_string())),
            Err(_) => Err(unreachable("no answer in time".to_owned())),
        }
    }
}

/// One request on a connection of its own.
async fn exchange(address: SocketAddr, request: Request<Full<Bytes>>) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let answering = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let bytes = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
        let location = head.headers.get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Answer { status: head.status, location, body: serde_json::from_slice(&bytes).unwrap_or_default() })
    };
    // The connection is driven here; it ends with the answer.
    tokio::pin!(connection);
    tokio::pin!(answering);
    tokio::select! {
        answer = &mut answering => answer,
        ended = &mut connection => {
            ended?;
            answering.await
        }
    }
}
