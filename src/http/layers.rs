//! What every request passes through: id, host check, time limit, panic guard, headers, log line and metrics.

use super::context::{REQUEST_ID_HEADER, RequestContext};
use super::problem::Problem;
use crate::app::App;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method};
use std::panic::AssertUnwindSafe;
use tokio::time::Instant;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tracing::Instrument;
use tripsync_domain::ErrorCode;

/// Nothing may be loaded by an API answer shown as a page, and nobody may frame it.
const POLICY_API: &str = "default-src 'none'; frame-ancestors 'none'";
/// The docs bring their scripts and styles from this origin.
const POLICY_DOCS: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/// The outermost layer of our own.
pub(super) async fn edge(State(app): State<App>, request: Request, next: Next) -> Response {
    let context = RequestContext::of(request.headers(), app.public_url.clone());
    let seen = Seen::of(&request, &context);
    let span = tracing::info_span!("request", id = %context.request_id);
    let is_api = request.uri().path().starts_with("/api/");
    let is_docs = request.uri().path().starts_with("/docs");

    let mut response = context
        .clone()
        .scope(async {
            if let Err(problem) = check_host(&app.config.http.trusted_hosts, &request) {
                return problem.into_response();
            }
            answer(app.config.http.request_timeout, next.run(request)).await
        })
        .instrument(span)
        .await;

    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&context.request_id) {
        headers.insert(HeaderName::from_static(REQUEST_ID_HEADER), id);
    }
    security_headers(headers, is_api, is_docs, app.public_url.starts_with("https://"));
    seen.finish(&response);
    response
}

/// Runs the handler within the time limit; a panic in it is one failed request, not a lost connection.
async fn answer(limit: std::time::Duration, work: impl Future<Output = Response>) -> Response {
    let guarded = AssertUnwindSafe(work).catch_unwind();
    match tokio::time::timeout(limit, guarded).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => {
            let text = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            tracing::error!(panic = text, "handler panicked");
            metrics::counter!("tripsync_http_panics_total").increment(1);
            Problem::new(ErrorCode::Internal, "the server failed; the request id finds it in the log").into_response()
        }
        Err(_) => Problem::new(ErrorCode::Timeout, "the request took too long").into_response(),
    }
}

fn check_host(trusted: &[String], request: &Request) -> Result<(), Problem> {
    if trusted.is_empty() {
        return Ok(());
    }
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<http::uri::Authority>().ok())
        .or_else(|| request.uri().authority().cloned());
    match host {
        Some(host) if trusted.iter().any(|name| name.eq_ignore_ascii_case(host.host())) => Ok(()),
        _ => Err(Problem::new(ErrorCode::HostRefused, "this server does not answer to that host name")),
    }
}

fn security_headers(headers: &mut HeaderMap, is_api: bool, is_docs: bool, is_https: bool) {
    let mut put = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    put(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(header::X_FRAME_OPTIONS, "DENY");
    put(header::REFERRER_POLICY, "no-referrer");
    put(header::CONTENT_SECURITY_POLICY, if is_docs { POLICY_DOCS } else { POLICY_API });
    if is_api {
        put(header::CACHE_CONTROL, "no-store");
    }
    if is_https {
        put(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
}

/// What the log line and the metrics say about a request. No query string: it may hold a ticket.
struct Seen {
    method: Method,
    path: String,
    route: String,
    id: std::sync::Arc<str>,
    begun: Instant,
}

impl Seen {
    fn of(request: &Request, context: &RequestContext) -> Self {
        let route = request.extensions().get::<MatchedPath>().map_or("(none)", MatchedPath::as_str);
        metrics::gauge!("tripsync_http_requests_running").increment(1.0);
        Self {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            route: route.to_owned(),
            id: context.request_id.clone(),
            begun: Instant::now(),
        }
    }

    fn finish(&self, response: &Response) {
        let status = response.status().as_u16();
        let took = self.begun.elapsed();
        metrics::histogram!(
            "tripsync_http_request_duration_seconds",
            "method" => method_label(&self.method), "route" => self.route.clone(), "status" => status.to_string()
        )
        .record(took.as_secs_f64());
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        if status >= 500 {
            tracing::warn!(request.id = %self.id, method = %self.method, path = self.path, status, ms, "request answered");
        } else {
            tracing::debug!(request.id = %self.id, method = %self.method, path = self.path, status, ms, "request answered");
        }
    }
}

impl Drop for Seen {
    /// Also when the client went away before the answer.
    fn drop(&mut self) {
        metrics::gauge!("tripsync_http_requests_running").decrement(1.0);
    }
}

/// A label from a closed set: a client may invent methods, but not time series.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Cross-origin rules from the configuration. Credentials travel in headers, never in cookies, so `*` is harmless to them.
pub(super) fn cors(origins: &[String]) -> CorsLayer {
    let allow = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().filter_map(|origin| origin.parse().ok()))
    };
    CorsLayer::new()
        .allow_origin(allow)
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static(REQUEST_ID_HEADER),
        ])
        .expose_headers([
            header::ETAG,
            header::LOCATION,
            header::RETRY_AFTER,
            HeaderName::from_static("idempotency-replayed"),
            HeaderName::from_static(REQUEST_ID_HEADER),
        ])
        .max_age(std::time::Duration::from_secs(3600))
}
