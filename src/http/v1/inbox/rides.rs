//! "I am going there now, who shares the ride?"

use super::docs::InboxView;
use super::{Reader, Writer, own, schema};
use crate::app::App;
use crate::http::json::ApiJson;
use crate::http::problem::Problem;
use crate::http::v1::rooms::read::{Seen, Stop, see};
use crate::http::v1::rooms::write::{Answer, Body, Receipt, Written};
use axum::extract::State;
use serde_json::json;
use tripsync_domain::Inbox;
use tripsync_domain::inbox::RideRequest;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get, request, cancel))
}

fn none() -> Problem {
    Problem::not_found("there is no ride request; it may have run out, been replaced or become a pool")
}

/// The caller's ride request.
#[utoipa::path(get, path = "/me/ride", operation_id = "me.ride.get",
    responses((status = 200, description = "The ride request.", body = schema::RideRequest)))]
async fn get(State(app): State<App>, reader: Reader) -> Result<Answer<RideRequest>, Stop> {
    let room = own(&app, reader.user).await?;
    let Seen { seq, state, .. } = reader.see::<InboxView>(&app, room).await?;
    Ok(Answer::ok(seq, state.ride.ok_or_else(none)?))
}

/// Says that the caller is going there now. Lives 15 minutes, and takes the place of the ride request before.
#[utoipa::path(put, path = "/me/ride", operation_id = "me.ride.request", request_body = schema::NewRideRequest,
    responses((status = 200, description = "The ride request.", body = schema::WrittenRideRequest)))]
async fn request(
    State(app): State<App>,
    writer: Writer,
    ApiJson(mut body): ApiJson<Body>,
) -> Result<Answer<Written<RideRequest>>, Problem> {
    let id = writer.item_id(&app, &mut body)?;
    let room = own(&app, writer.user).await?;
    let outcome = writer.apply(&app, room, "request_ride", body, &[]).await?;
    let seen = see::<Inbox, InboxView>(&app, room, writer.user).await.ok();
    let now = seen.and_then(|Seen { seq, state, .. }| state.ride.filter(|ride| ride.id == id).map(|ride| (seq, ride)));
    Ok(Answer::written(outcome, id, now))
}

/// Takes the ride request back.
#[utoipa::path(delete, path = "/me/ride", operation_id = "me.ride.cancel",
    responses((status = 200, description = "It is over.", body = schema::Receipt)))]
async fn cancel(State(app): State<App>, writer: Writer) -> Result<Answer<Receipt>, Problem> {
    let room = own(&app, writer.user).await?;
    let Seen { state, .. } = see::<Inbox, InboxView>(&app, room, writer.user).await?;
    let ride = state.ride.ok_or_else(none)?.id;
    writer.apply(&app, room, "cancel_ride", Body::new(), &[("ride", json!(ride))]).await.map(Answer::stored)
}
