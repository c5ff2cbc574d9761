//! A pool of two ride requests.

use crate::app::App;
use crate::app::sharing::{Sharing, share};
use crate::auth::AuthUser;
use crate::http::json::ApiJson;
use crate::http::problem::{Problem, ProblemBody};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tripsync_domain::civil::Moment;
use tripsync_domain::money::Money;
use tripsync_domain::{ErrorCode, RoomId, UserId};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(share_ride))
}

/// How to share a ride.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ShareRide {
    /// The other one, as the match in the inbox names them.
    with: Uuid,
    /// Seats for riders; as many as the other one needs when absent.
    #[schema(minimum = 1, maximum = 16)]
    seats: Option<u8>,
    /// When it leaves: a local time with its zone; in ten minutes when absent.
    #[schema(value_type = Option<Object>, example = json!({"local": "2027-05-02T09:30", "tz": "Europe/Lisbon"}))]
    departure: Option<Moment>,
    /// What a seat costs; nothing when absent.
    #[schema(value_type = Option<Object>, example = json!({"minor": 400, "currency": "EUR"}))]
    price: Option<Money>,
}

/// What came of it.
#[derive(Serialize, ToSchema)]
struct SharedRide {
    /// The pool.
    #[schema(value_type = Uuid)]
    pool: RoomId,
    /// Whether the caller offers the ride; otherwise the other one was faster, and the caller is invited or already in.
    owner: bool,
}

/// Makes a pool of the caller's ride request and a matching one: the caller drives, the other one is invited. When both ask, it is one
/// pool.
#[utoipa::path(post, path = "/me/ride/pool", operation_id = "me.ride.share", tag = "pools", security(("bearer" = [])),
    request_body = ShareRide,
    responses(
        (status = 200, description = "The pool.", body = SharedRide),
        (status = 409, description = "One of the requests is over, or they do not match.", body = ProblemBody,
            content_type = "application/problem+json")))]
async fn share_ride(State(app): State<App>, caller: AuthUser, ApiJson(wish): ApiJson<ShareRide>) -> Result<Json<SharedRide>, Problem> {
    let me = app.rooms.engine.cards(&[caller.user]).await?.pop();
    let me = me.ok_or_else(|| Problem::new(ErrorCode::Unauthorized, "the account does not exist any more"))?;
    let ShareRide { with, seats, departure, price } = wish;
    let shared = share(&app, me, &Sharing { with: UserId(with), seats, departure, price }).await?;
    Ok(Json(SharedRide { pool: shared.pool, owner: shared.owner }))
}
