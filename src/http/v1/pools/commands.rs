//! Any command of the live protocol as one request.

use super::{Writer, schema};
use crate::app::App;
use crate::http::json::{ApiJson, ApiPath};
use crate::http::problem::Problem;
use crate::http::v1::rooms::commands::{self, SentCommand};
use crate::http::v1::rooms::write::{Answer, Receipt};
use axum::extract::State;
use tripsync_domain::RoomId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(send))
}

/// Sends a command as a socket would. With `client` and `n` it is applied once, on whatever surface it is sent again.
#[utoipa::path(post, path = "/pools/{pool}/commands", operation_id = "pools.commands.send", request_body = schema::SentPoolCommand,
    responses((status = 200, description = "It is stored.", body = schema::Receipt)))]
async fn send(
    State(app): State<App>,
    writer: Writer,
    ApiPath(room): ApiPath<RoomId>,
    ApiJson(sent): ApiJson<SentCommand>,
) -> Result<Answer<Receipt>, Problem> {
    commands::send(&app, &writer, room, sent).await
}
