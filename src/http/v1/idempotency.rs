//! `Idempotency-Key` on every POST of the API: the first answer is kept for 24 hours and given again.
//!
//! Keys belong to the user whose token comes with the request; without a valid token they belong to the request itself (the
//! same key with the same body), so that strangers cannot meet in one key, and count only where strangers can do something:
//! everything else is refused without them. The same key with another request is 422, while
//! the first is running 409. What is not worth keeping is not kept: 401, 408, 429 and 5xx give the key free, and so does what
//! costs a stranger nothing, lest strangers fill the disk. The request
//! runs to its end even when the client goes away. If the node dies under it, the key is free again after a while; what the
//! request had done by then is done, which is why commands to rooms carry an identity of their own.

use crate::app::App;
use crate::auth::extract::bearer;
use crate::http::context::RequestContext;
use crate::http::json;
use crate::http::openapi::problem;
use crate::http::problem::Problem;
use crate::store::idempotency::{self, Claim};
use crate::telemetry::chain;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, IF_MATCH};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::time::Duration;
use tracing::Instrument;
use tripsync_domain::{ErrorCode, Timestamp};
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Header, RefOr, Required};

/// Where those without a token have something to do.
const STRANGERS: &str = "/api/v1/auth/";
/// The request header.
pub const KEY: &str = "idempotency-key";
/// On an answer that was kept.
pub const REPLAYED: &str = "idempotency-replayed";
/// How long an answer is kept.
const KEEP: Duration = Duration::from_secs(24 * 60 * 60);
/// Beyond the request's own time limit, before a request without an answer counts as dead.
const LOCK_MARGIN: Duration = Duration::from_secs(30);
/// Bytes of an answer at most; none of ours comes near.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// A kept answer.
#[derive(Serialize, Deserialize)]
struct Kept {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

/// Passes everything but POSTs to the API with a key straight on.
pub(crate) async fn layer(State(app): State<App>, request: Request, next: Next) -> Response {
    let applies = request.method() == Method::POST && request.uri().path().starts_with("/api/");
    let Some(key) = request.headers().get(KEY).filter(|_| applies).cloned() else {
        return next.run(request).await;
    };
    match keyed(&app, key.as_bytes(), request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn keyed(app: &App, key: &[u8], request: Request, next: Next) -> Result<Response, Problem> {
    if !(1..=255).contains(&key.len()) || !key.iter().all(u8::is_ascii_graphic) {
        return Err(Problem::invalid(vec![crate::http::problem::FieldError::invalid(
            "Idempotency-Key",
            "must have 1 to 255 visible ASCII characters",
        )]));
    }
    let user = match bearer(request.headers()) {
        Some(token) => app.auth.authenticate(token).await.ok(),
        None => None,
    };
    if user.is_none() && !request.uri().path().starts_with(STRANGERS) {
        // Refused by whoever handles it, whatever it says.
        return Ok(next.run(request).await);
    }
    let (parts, body) = request.into_parts();
    let body = match &user {
        Some(_) => json::body(body, app.config.http.body_bytes_max).await?,
        None => json::strangers_body(body, app).await?,
    };

    let address = parts.uri.path_and_query().map_or("", |whole| whole.as_str());
    let media = parts.headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let condition = parts.headers.get_all(IF_MATCH).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b',');
    let request_hash = app.auth.sealer().fingerprint(&[address.as_bytes(), media, &condition, &body]);
    let mut id = Sha256::new();
    match &user {
        Some(user) => id.update(user.user.as_bytes()),
        None => id.update(request_hash),
    }
    id.update(key);
    let id: [u8; 32] = id.finalize().into();

    let now = app.clock.now();
    let locked_until = now.plus(app.config.http.request_timeout + LOCK_MARGIN);
    match idempotency::claim(&app.db, &id, &request_hash, now, locked_until, now.plus(KEEP)).await? {
        Claim::First => {}
        Claim::Running => {
            let detail = "the first request with this key is still running; try again";
            return Err(Problem::new(ErrorCode::IdempotencyKeyInUse, detail).retry_after(Duration::from_secs(1)));
        }
        Claim::Other => {
            let detail = "this key was used for another request; take a new key";
            return Err(Problem::new(ErrorCode::IdempotencyKeyReused, detail));
        }
        Claim::Answered(sealed) => return replay(app, &id, &sealed),
    }

    // Its own task: the client may go away, but what was begun is finished and its answer kept. Bounded, because
    // connections are and each waits here for one request.
    let keeps = if user.is_some() { keeps_for_users } else { keeps_for_strangers };
    let run = run(app.clone(), Claimed { id, locked_until }, keeps, next, Request::from_parts(parts, Body::from(body))).in_current_span();
    let task = match RequestContext::current() {
        Some(context) => tokio::spawn(context.scope(run)),
        None => tokio::spawn(run),
    };
    task.await.map_err(|error| Problem::internal(&error))
}

/// What trying again may mend is not kept.
fn keeps_for_users(status: StatusCode) -> bool {
    !status.is_server_error() && !matches!(status.as_u16(), 401 | 408 | 429)
}

/// Only what has cost a password check or a valid token, and a stranger is told the rest again anyway.
fn keeps_for_strangers(status: StatusCode) -> bool {
    status.is_success() || status == StatusCode::CONFLICT
}

/// A key that this request has.
#[derive(Clone, Copy)]
struct Claimed {
    id: [u8; 32],
    locked_until: Timestamp,
}

async fn run(app: App, claimed: Claimed, keeps: fn(StatusCode) -> bool, next: Next, request: Request) -> Response {
    // A panic must give the key free too; it is caught again, and reported, by whoever waits for this task.
    let guard = Unanswered { app: &app, claimed };
    let response = next.run(request).await;
    let status = response.status();
    let (parts, body) = response.into_parts();
    let body = match to_bytes(body, ANSWER_BYTES_MAX).await {
        Ok(body) => body,
        Err(error) => return Problem::internal(&error).into_response(),
    };
    std::mem::forget(guard);
    if keeps(status) {
        let kept = Kept {
            status: status.as_u16(),
            headers: parts.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect(),
            body: body.to_vec(),
        };
        keep(&app, &claimed, &kept).await;
    } else {
        free(&app, &claimed).await;
    }
    Response::from_parts(parts, Body::from(body))
}

/// Gives the key free when dropped, which happens only in a panic.
struct Unanswered<'a> {
    app: &'a App,
    claimed: Claimed,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        let (app, claimed) = (self.app.clone(), self.claimed);
        tokio::spawn(async move { free(&app, &claimed).await });
    }
}

/// A failure here leaves the key locked for a while.
async fn free(app: &App, claimed: &Claimed) {
    if let Err(error) = idempotency::forget(&app.db, &claimed.id, claimed.locked_until).await {
        tracing::warn!(cause = chain(&error), "idempotency key not given free");
    }
}

/// A failure here costs the replay, not the answer: the key stays locked for a while, then is free.
async fn keep(app: &App, Claimed { id, locked_until }: &Claimed, kept: &Kept) {
    let Some(sealed) = rmp_serde::to_vec_named(kept).ok().and_then(|clear| app.auth.sealer().seal(id, clear)) else {
        tracing::error!("an answer was not sealed");
        return;
    };
    if let Err(error) = idempotency::finish(&app.db, id, *locked_until, kept.status, &sealed).await {
        tracing::warn!(cause = chain(&error), "an answer was not kept");
    }
}

fn replay(app: &App, id: &[u8; 32], sealed: &[u8]) -> Result<Response, Problem> {
    let kept: Option<Kept> = app.auth.sealer().open(id, sealed).and_then(|clear| rmp_serde::from_slice(&clear).ok());
    let Some(kept) = kept else {
        // The signing key was changed since.
        let detail = "the first answer to this key cannot be read any more; take a new key";
        return Err(Problem::new(ErrorCode::IdempotencyKeyReused, detail));
    };
    let mut response = Response::new(Body::from(kept.body));
    *response.status_mut() = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    for (name, value) in kept.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response.headers_mut().insert(HeaderName::from_static(REPLAYED), HeaderValue::from_static("true"));
    Ok(response)
}

/// Adds the header, its problems and the mark of a replay to an operation.
pub(crate) fn document(operation: &mut Operation) {
    let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255)).pattern(Some("^[!-~]+$"));
    let parameter = ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "A text of the client's choice. Sent again with the same request within 24 hours, it gives the first answer again.",
        ))
        .schema(Some(text))
        .build();
    operation.parameters.get_or_insert_default().push(RefOr::T(parameter));
    // With a key the whole body is read, whether the operation wants one or not.
    problem(operation, "400", "The request could not be understood.");
    problem(operation, "413", "The body is too large.");
    problem(operation, "409", "The first request with this `Idempotency-Key` is still running.");
    problem(operation, "422", "The `Idempotency-Key` was used for another request.");
    for (status, response) in &mut operation.responses.responses {
        if let (true, RefOr::T(response)) = (status.starts_with('2'), response) {
            let mut header = Header::new(ObjectBuilder::new().schema_type(Type::String));
            header.description = Some("`true` on an answer that was kept.".to_owned());
            response.headers.insert("Idempotency-Replayed".to_owned(), RefOr::T(header));
        }
    }
}
