//! Trips themselves.

use super::docs::{Trip, TripView};
use super::{Reader, Writer, schema};
use crate::app::App;
use crate::http::json::{ApiJson, ApiPath, ApiQuery};
use crate::http::problem::Problem;
use crate::http::v1::page::{self, Page, Wanted};
use crate::http::v1::rooms::read::{Seen, Stop, see};
use crate::http::v1::rooms::write::{Answer, Body, Receipt, Written};
use crate::store::StoreError;
use crate::store::rooms::{self, RoomCursor, RoomFilter, RoomRow};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tripsync_domain::civil::Date;
use tripsync_domain::trip::{Privacy, Trip as TripKind, TripStatus, TripType};
use tripsync_domain::{Role, RoomId, RoomKind, Seq, Timestamp, UserId};
use utoipa::{IntoParams, PartialSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, update, delete)).routes(routes!(state))
}

/// Makes a trip. The caller becomes its creator: an organizer for ever.
#[utoipa::path(post, path = "/trips", operation_id = "trips.create", request_body = schema::NewTrip,
    responses((status = 201, description = "The trip.", body = schema::WrittenTrip)))]
async fn create(State(app): State<App>, writer: Writer, ApiJson(body): ApiJson<Body>) -> Result<Answer<Written<Trip>>, Problem> {
    let (room, outcome) = writer.create(&app, body).await?;
    let now = trip(&app, room, writer.user).await;
    Ok(Answer::written(outcome, room, now).made(format!("/api/v1/trips/{room}")))
}

/// A trip in a list.
#[derive(Debug, Serialize)]
struct TripItem {
    id: RoomId,
    seq: Seq,
    role: Role,
    title: String,
    #[serde(flatten)]
    summary: Summary,
    status: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// What the trip's rules tell lists.
#[derive(Debug, Deserialize, Serialize)]
struct Summary {
    destination: Option<String>,
    start_date: Option<Date>,
    end_date: Option<Date>,
    trip_type: TripType,
    privacy: Privacy,
    members: u64,
    activities: u64,
}

impl TryFrom<RoomRow> for TripItem {
    type Error = Problem;

    fn try_from(row: RoomRow) -> Result<Self, Problem> {
        let RoomRow { id, title, status, summary, role, last_seq, created_at, updated_at, .. } = row;
        let summary = serde_json::from_value(summary).map_err(|error| Problem::internal(&StoreError::decode(error)))?;
        Ok(Self { id, seq: last_seq, role, title, summary, status, created_at, updated_at })
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only trips that stand there.
    #[param(schema_with = schema::TripStatus::schema, required = false)]
    status: Option<TripStatus>,
    /// Items of the page.
    #[param(schema_with = page::limit_schema, required = false)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[param(schema_with = page::cursor_schema, required = false)]
    cursor: Option<String>,
    /// Items to leave out; not beside a cursor.
    #[param(schema_with = page::skip_schema, required = false)]
    skip: Option<u32>,
}

/// The caller's trips, newest first.
#[utoipa::path(get, path = "/trips", operation_id = "trips.list", params(ListQuery),
    responses((status = 200, description = "A page.", body = schema::TripPage)))]
async fn list(State(app): State<App>, reader: Reader, ApiQuery(query): ApiQuery<ListQuery>) -> Result<Json<Page<TripItem>>, Problem> {
    let list = reader.list(&app, "trips newest first", None);
    let wanted = Wanted { limit: query.limit, cursor: query.cursor, skip: query.skip };
    let window = list.window::<_, (Timestamp, RoomId)>(wanted, query.status)?;
    let filter = RoomFilter { user: reader.user, kind: Some(TripKind::KIND), status: window.filter.map(TripStatus::as_str) };
    let after = window.after.map(|(created_at, id)| RoomCursor { created_at, id });
    let rows = rooms::list(&app.db, filter, after, window.skip, window.limit).await?;
    let last = rows.last().filter(|_| rows.len() == window.len()).map(RoomRow::cursor);
    let next = last.map(|last| list.cursor(&window.filter, &(last.created_at, last.id))).transpose()?;
    let items = rows.into_iter().map(TripItem::try_from).collect::<Result<_, _>>()?;
    Ok(Json(Page { items, next }))
}

/// A trip.
#[utoipa::path(get, path = "/trips/{trip}", operation_id = "trips.get",
    responses((status = 200, description = "The trip.", body = schema::Trip)))]
async fn get(State(app): State<App>, reader: Reader, ApiPath(room): ApiPath<RoomId>) -> Result<Answer<Trip>, Stop> {
    let Seen { seq, role, state } = reader.see::<TripView>(&app, room).await?;
    let trip = state.trip(room, seq, role).ok_or_else(|| Problem::not_found("there is no such trip"))?;
    Ok(Answer::ok(seq, trip))
}

/// Changes a trip: absent fields stay, null empties.
#[utoipa::path(patch, path = "/trips/{trip}", operation_id = "trips.update", request_body = schema::TripPatch,
    responses((status = 200, description = "The trip as it is now.", body = schema::WrittenTrip)))]
async fn update(
    State(app): State<App>,
    writer: Writer,
    ApiPath(room): ApiPath<RoomId>,
    ApiJson(body): ApiJson<Body>,
) -> Result<Answer<Written<Trip>>, Problem> {
    let command = if body.len() == 1 && body.contains_key("status") { "set_status" } else { "update_details" };
    let outcome = writer.apply(&app, room, command, body, &[]).await?;
    let now = trip(&app, room, writer.user).await;
    Ok(Answer::written(outcome, room, now))
}

/// Deletes a trip for everybody.
#[utoipa::path(delete, path = "/trips/{trip}", operation_id = "trips.delete",
    responses((status = 200, description = "It is deleted.", body = schema::Receipt)))]
async fn delete(State(app): State<App>, writer: Writer, ApiPath(room): ApiPath<RoomId>) -> Result<Answer<Receipt>, Problem> {
    writer.apply(&app, room, "delete", Body::new(), &[]).await.map(Answer::stored)
}

/// The whole trip as a socket that joins gets it; `{epoch, seq}` is a place from which a socket can resume.
#[utoipa::path(get, path = "/trips/{trip}/state", operation_id = "trips.state",
    responses((status = 200, description = "The trip with its collections.", body = schema::TripState)))]
async fn state(State(app): State<App>, reader: Reader, ApiPath(room): ApiPath<RoomId>) -> Result<Response, Stop> {
    reader.state(&app, room).await
}

/// The trip after a write. What is stored is stored: that it cannot be shown must not make the write look failed.
async fn trip(app: &App, room: RoomId, user: UserId) -> Option<(Seq, Trip)> {
    let Seen { seq, role, state } = see::<TripKind, TripView>(app, room, user).await.ok()?;
    state.trip(room, seq, role).map(|trip| (seq, trip))
}
