//! What the ride cost, brought into a trip of those who rode.

use super::Reader;
use crate::app::App;
use crate::app::costs::{Exported, export};
use crate::http::json::{ApiJson, ApiPath};
use crate::http::problem::{Problem, ProblemBody};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::LOCATION;
use serde::{Deserialize, Serialize};
use tripsync_domain::{ErrorCode, ItemId, RoomId};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(bring))
}

/// Where the costs shall go.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CostsInto {
    /// A trip that the caller may edit, and where all whom the costs concern are members.
    #[schema(value_type = Uuid)]
    trip: RoomId,
}

/// Where the costs are.
#[derive(Debug, Serialize, ToSchema)]
struct CostsIn {
    /// The trip.
    #[schema(value_type = Uuid)]
    trip: RoomId,
    /// The expense in it; `Location` has its address.
    #[schema(value_type = Uuid)]
    expense: ItemId,
    /// Whether it was there already.
    repeated: bool,
}

/// Brings what the completed ride cost into a trip as an expense: paid by the owner, shared as the ride settled it. For the owner and the
/// riders who may edit that trip. Once per pool and trip: whoever asks again gets the same one.
#[utoipa::path(post, path = "/pools/{pool}/expense", operation_id = "pools.expense", request_body = CostsInto,
    responses(
        (status = 201, description = "It is in the trip.", body = CostsIn, headers(("Location" = String, description = "The expense's address."))),
        (status = 200, description = "It was in the trip already.", body = CostsIn,
            headers(("Location" = String, description = "The expense's address."))),
        (status = 403, description = "The caller was not in the car, or may not edit the trip.", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 409, description = "The ride is not completed or cost nothing, somebody whom it concerns is no member of the trip \
            (`details.not_members`), or the expense was removed there.", body = ProblemBody, content_type = "application/problem+json")))]
async fn bring(
    State(app): State<App>,
    caller: Reader,
    ApiPath(pool): ApiPath<RoomId>,
    ApiJson(CostsInto { trip }): ApiJson<CostsInto>,
) -> Result<Response, Problem> {
    let me = app.rooms.engine.cards(&[caller.user]).await?.pop();
    let me = me.ok_or_else(|| Problem::new(ErrorCode::Unauthorized, "the account does not exist any more"))?;
    let Exported { expense, repeated } = export(&app, me, pool, trip).await?;
    let status = if repeated { StatusCode::OK } else { StatusCode::CREATED };
    let location = [(LOCATION, format!("/api/v1/trips/{trip}/expenses/{expense}"))];
    Ok((status, location, Json(CostsIn { trip, expense, repeated })).into_response())
}
