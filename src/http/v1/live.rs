//! The live socket's address.

use crate::app::App;
use crate::http::accept::Connection;
use crate::http::problem::Problem;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{SEC_WEBSOCKET_VERSION, UPGRADE};
use std::sync::Arc;
use tripsync_domain::{ErrorCode, Rejection};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(open))
}

/// Opens a live socket (WebSocket): join rooms, send commands, hear what happens. What is said on it: `docs/PROTOCOL.md`.
///
/// Subprotocols `tripsync.v1.msgpack` (default) and `tripsync.v1.json`. Credentials: `Authorization: Bearer`, or a ticket, or for
/// browsers the subprotocol list `tripsync.v1.json, token, <access token>`.
#[utoipa::path(get, path = "/live", operation_id = "live.open", tag = "live", security(("bearer" = []), ()),
    params(
        ("ticket" = Option<String>, Query, description = "A ticket of `POST /api/v1/live/tickets`; good once."),
        ("client" = Option<uuid::Uuid>, Query,
            description = "The client's own id, under which its commands count; made by the server when absent.")),
    responses(
        (status = 101, description = "The socket is open."),
        (status = 400, description = "Not a WebSocket handshake, or no known subprotocol.",
            body = crate::http::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No credentials, or they do not hold.",
            body = crate::http::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "A foreign origin, or a disabled account.",
            body = crate::http::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 426, description = "Not an upgrade to WebSocket version 13.",
            body = crate::http::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "The user has too many sockets.",
            body = crate::http::problem::ProblemBody, content_type = "application/problem+json")))]
async fn open(State(app): State<App>, request: Request) -> Response {
    let place = request.extensions().get::<Connection>().map(|connection| Arc::clone(&connection.place));
    match app.live.open(request, place).await {
        Ok(response) => response,
        Err(rejection) => refuse(rejection),
    }
}

fn refuse(rejection: Rejection) -> Response {
    let upgrade = rejection.code == ErrorCode::UpgradeRequired;
    let mut problem = Problem::from(rejection);
    if upgrade {
        problem = problem
            .with_header(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
            .with_header(UPGRADE, HeaderValue::from_static("websocket"));
    }
    problem.into_response()
}
