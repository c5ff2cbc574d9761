//! The ride: it leaves, it arrives, or it is off.

use super::details::pool;
use super::docs::Pool;
use super::{Writer, schema};
use crate::app::App;
use crate::http::json::{ApiPath, OptionalJson};
use crate::http::problem::Problem;
use crate::http::v1::rooms::write::{Answer, Body, Written};
use axum::extract::State;
use tripsync_domain::RoomId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(depart)).routes(routes!(complete)).routes(routes!(cancel))
}

/// The ride begins: what is not settled ends. For the owner.
#[utoipa::path(post, path = "/pools/{pool}/depart", operation_id = "pools.depart",
    responses((status = 200, description = "The pool as it is now.", body = schema::WrittenPool)))]
async fn depart(State(app): State<App>, writer: Writer, ApiPath(room): ApiPath<RoomId>) -> Result<Answer<Written<Pool>>, Problem> {
    tell(&app, &writer, room, "depart", Body::new()).await
}

/// The ride is over, and those in the car learn what it costs. For the owner.
#[utoipa::path(post, path = "/pools/{pool}/complete", operation_id = "pools.complete",
    responses((status = 200, description = "The pool as it is now.", body = schema::WrittenPool)))]
async fn complete(State(app): State<App>, writer: Writer, ApiPath(room): ApiPath<RoomId>) -> Result<Answer<Written<Pool>>, Problem> {
    tell(&app, &writer, room, "complete", Body::new()).await
}

/// Calls the ride off: every claim ends, and everybody concerned is told. For the owner.
#[utoipa::path(post, path = "/pools/{pool}/cancel", operation_id = "pools.cancel", request_body = Option<schema::Reason>,
    responses((status = 200, description = "The pool as it is now.", body = schema::WrittenPool)))]
async fn cancel(
    State(app): State<App>,
    writer: Writer,
    ApiPath(room): ApiPath<RoomId>,
    OptionalJson(body): OptionalJson<Body>,
) -> Result<Answer<Written<Pool>>, Problem> {
    tell(&app, &writer, room, "cancel", body).await
}

async fn tell(app: &App, writer: &Writer, room: RoomId, command: &'static str, body: Body) -> Result<Answer<Written<Pool>>, Problem> {
    let outcome = writer.apply(app, room, command, body, &[]).await?;
    let now = pool(app, writer, room).await;
    Ok(Answer::written(outcome, room, now))
}
