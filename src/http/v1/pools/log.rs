//! The activity log of a pool.

use super::{Reader, schema};
use crate::app::App;
use crate::http::json::{ApiPath, ApiQuery};
use crate::http::v1::page::Page;
use crate::http::v1::rooms::log::{self, LogEntry, LogQuery};
use crate::http::v1::rooms::read::Stop;
use crate::http::v1::rooms::write::Answer;
use axum::extract::State;
use tripsync_domain::RoomId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// What happened in the pool as far as the caller may see it, newest first. A page may be shorter than it could be.
#[utoipa::path(get, path = "/pools/{pool}/log", operation_id = "pools.log.list", params(LogQuery),
    responses((status = 200, description = "A page.", body = schema::LogPage)))]
async fn list(
    State(app): State<App>,
    reader: Reader,
    ApiPath(room): ApiPath<RoomId>,
    ApiQuery(query): ApiQuery<LogQuery>,
) -> Result<Answer<Page<LogEntry>>, Stop> {
    log::page(&app, &reader, room, query).await
}
