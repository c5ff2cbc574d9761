//! Pages about the server itself: health, readiness, problems.

use super::problem::Problem;
use crate::app::App;
use crate::http::json::{ApiPath, ApiQuery};
use axum::Json;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tripsync_domain::ErrorCode;
use tripsync_domain::error_code::Advice;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(livez)).routes(routes!(readyz)).routes(routes!(problem_page))
}

/// The answer that the replaced systems gave.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    #[schema(example = "healthy")]
    status: &'static str,
    #[schema(example = "tripsync")]
    service: &'static str,
}

/// Is the process there?
#[utoipa::path(get, path = "/health", operation_id = "system.health", tag = "system", security(),
    responses((status = 200, description = "It is.", body = Health)))]
async fn health() -> Json<Health> {
    Json(Health { status: "healthy", service: "tripsync" })
}

/// Should the process be left alive? Says nothing about what it depends on.
#[utoipa::path(get, path = "/livez", operation_id = "system.livez", tag = "system", security(),
    responses((status = 200, description = "It should.", body = String, content_type = "text/plain")))]
async fn livez() -> &'static str {
    "ok\n"
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ReadyQuery {
    /// Any value: list every check.
    verbose: Option<String>,
}

/// Should new clients be sent here? 503 while shutting down, without the database, and, for one of several nodes, without its lease.
///
/// Plain text: a line `[-] check: reason` for each check that failed (`accepting requests`, `database`, `redis`, `lease`), with `verbose`
/// also `[+] check` for the others; `cut off: …` when neither the database nor Redis can be reached; at last `ready` or `not ready`.
#[utoipa::path(get, path = "/readyz", operation_id = "system.readyz", tag = "system", security(), params(ReadyQuery),
    responses(
        (status = 200, description = "They should.", body = String, content_type = "text/plain"),
        (status = 503, description = "They should not, and why.", body = String, content_type = "text/plain")))]
async fn readyz(State(app): State<App>, ApiQuery(query): ApiQuery<ReadyQuery>) -> Response {
    super::ready::answer(&app, query.verbose.is_some()).await.into_response()
}

/// What a problem's `type` links to.
#[utoipa::path(get, path = "/problems/{code}", operation_id = "system.problem", tag = "system", security(),
    params(("code" = String, Path, description = "An error code")),
    responses(
        (status = 200, description = "About this kind of problem.", body = String, content_type = "text/html"),
        (status = 404, description = "There is no such code.", body = super::problem::ProblemBody, content_type = "application/problem+json")))]
async fn problem_page(ApiPath(code): ApiPath<String>) -> Result<Html<String>, Problem> {
    let code =
        ErrorCode::ALL.iter().find(|known| known.as_str() == code).ok_or_else(|| Problem::not_found("there is no such error code"))?;
    let advice = match code.advice() {
        Advice::RetryLater => "The same request may succeed later: wait for the time in Retry-After, then send it again unchanged.",
        Advice::Authenticate => "Get fresh credentials (POST /api/v1/auth/refresh or /api/v1/auth/login), then send the request again.",
        Advice::Change => "Change the request: sending it again unchanged gives the same answer until something else changes.",
    };
    Ok(Html(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{tag}</title><h1>{title}</h1>\
         <p>Code <code>{tag}</code>, HTTP status {status}, WebSocket close code {close}.</p><p>{advice}</p></html>",
        tag = code.as_str(),
        title = code.title(),
        status = code.http_status(),
        close = code.close_code(),
    )))
}
