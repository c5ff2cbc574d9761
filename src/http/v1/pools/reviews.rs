//! What people think of those with whom they rode.

use super::docs::PoolView;
use super::{Reader, Writer, schema};
use crate::app::App;
use crate::http::json::{ApiJson, ApiPath};
use crate::http::problem::Problem;
use crate::http::v1::page::Page;
use crate::http::v1::rooms::read::{Seen, Stop, see};
use crate::http::v1::rooms::write::{Answer, Body, Written};
use axum::extract::State;
use serde_json::Value;
use tripsync_domain::pool::Review;
use tripsync_domain::{Pool, RoomId, UserId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, write))
}

/// The reviews of the ride, in the order in which they were written.
#[utoipa::path(get, path = "/pools/{pool}/reviews", operation_id = "pools.reviews.list",
    responses((status = 200, description = "All of them.", body = schema::ReviewPage)))]
async fn list(State(app): State<App>, reader: Reader, ApiPath(room): ApiPath<RoomId>) -> Result<Answer<Page<Review>>, Stop> {
    let Seen { seq, state, .. } = reader.see::<PoolView>(&app, room).await?;
    Ok(Answer::ok(seq, Page { items: state.reviews, next: None }))
}

/// Says what the caller thinks of somebody after the ride: riders of the driver, the driver of riders; once each.
#[utoipa::path(post, path = "/pools/{pool}/reviews", operation_id = "pools.reviews.write", request_body = schema::NewReview,
    responses((status = 201, description = "The review; its `id` is the user whom it is of.", body = schema::WrittenReview)))]
async fn write(
    State(app): State<App>,
    writer: Writer,
    ApiPath(room): ApiPath<RoomId>,
    ApiJson(body): ApiJson<Body>,
) -> Result<Answer<Written<Review>>, Problem> {
    let of = body.get("of").and_then(Value::as_str).and_then(|text| text.parse().ok());
    let outcome = writer.apply(&app, room, "review", body, &[]).await?;
    // The room has read the same field.
    let of = of.unwrap_or(UserId(Uuid::nil()));
    let seen = see::<Pool, PoolView>(&app, room, writer.user).await.ok();
    let now = seen.and_then(|Seen { seq, state, .. }| {
        let mine = |review: &Review| (review.by, review.of) == (writer.user, of);
        state.reviews.into_iter().find(mine).map(|review| (seq, review))
    });
    Ok(Answer::written(outcome, of, now).made(format!("/api/v1/pools/{room}/reviews")))
}
