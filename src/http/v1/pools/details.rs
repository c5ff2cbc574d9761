//! Pools themselves.

use super::docs::{Pool, PoolView, Relation};
use super::{Reader, Writer, schema};
use crate::app::App;
use crate::http::json::{ApiJson, ApiPath, ApiQuery};
use crate::http::problem::Problem;
use crate::http::v1::page::{self, Page, Wanted};
use crate::http::v1::rooms::read::{Seen, Stop, see};
use crate::http::v1::rooms::write::{Answer, Body, Writer as RoomWriter, Written};
use crate::store::StoreError;
use crate::store::rooms::{self, RoomCursor, RoomFilter, RoomRow};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use tripsync_domain::money::Money;
use tripsync_domain::pool::{Booking, Departure, PoolStatus, Stop as PoolStop};
use tripsync_domain::{ErrorCode, Group, Pool as PoolKind, Role, RoomId, RoomKind, Seq, Timestamp, UserId};
use utoipa::{IntoParams, PartialSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Rooms that are asked at once for one list.
const AT_ONCE: usize = 8;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(get, update)).routes(routes!(state))
}

/// Offers a ride. The caller becomes its owner and drives.
#[utoipa::path(post, path = "/pools", operation_id = "pools.create", request_body = schema::NewPool,
    responses((status = 201, description = "The pool.", body = schema::WrittenPool)))]
async fn create(State(app): State<App>, writer: Writer, ApiJson(body): ApiJson<Body>) -> Result<Answer<Written<Pool>>, Problem> {
    let (room, outcome) = writer.create(&app, body).await?;
    let now = pool(&app, &writer, room).await;
    Ok(Answer::written(outcome, room, now).made(format!("/api/v1/pools/{room}")))
}

/// What lists show of a pool.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Summary {
    owner: UserId,
    owner_name: String,
    stops: Vec<PoolStop>,
    departure: Departure,
    seats: u8,
    seats_left: u8,
    price: Option<Money>,
    booking: Booking,
    group: Option<Group>,
}

impl Summary {
    pub(super) fn of(row: &RoomRow) -> Result<Self, Problem> {
        Self::deserialize(&row.summary).map_err(|error| Problem::internal(&StoreError::decode(error)))
    }
}

/// A pool in the list of the caller's.
#[derive(Debug, Serialize)]
struct PoolItem {
    id: RoomId,
    seq: Seq,
    role: Role,
    relation: Relation,
    title: String,
    status: String,
    #[serde(flatten)]
    summary: Summary,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only pools that stand there.
    #[param(schema_with = schema::PoolStatus::schema, required = false)]
    status: Option<PoolStatus>,
    /// Items of the page.
    #[param(schema_with = page::limit_schema, required = false)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[param(schema_with = page::cursor_schema, required = false)]
    cursor: Option<String>,
}

/// The pools that the caller owns, rides in or has a claim in, newest first. A page may be shorter than it could be.
#[utoipa::path(get, path = "/pools", operation_id = "pools.list", params(ListQuery),
    responses((status = 200, description = "A page.", body = schema::PoolPage)))]
async fn list(State(app): State<App>, reader: Reader, ApiQuery(query): ApiQuery<ListQuery>) -> Result<Json<Page<PoolItem>>, Problem> {
    let list = reader.list(&app, "pools newest first", None);
    let wanted = Wanted { limit: query.limit, cursor: query.cursor, skip: None };
    let window = list.window::<_, (Timestamp, RoomId)>(wanted, query.status)?;
    let filter = RoomFilter { user: reader.user, kind: Some(PoolKind::KIND), status: window.filter.map(PoolStatus::as_str) };
    let after = window.after.map(|(created_at, id)| RoomCursor { created_at, id });
    let rows = rooms::list(&app.db, filter, after, window.skip, window.limit).await?;
    let last = rows.last().filter(|_| rows.len() == window.len()).map(RoomRow::cursor);
    let next = last.map(|last| list.cursor(&window.filter, &(last.created_at, last.id))).transpose()?;
    let items = stream::iter(rows.into_iter().map(|row| item(&app, reader.user, row))).buffered(AT_ONCE);
    let items: Vec<Option<PoolItem>> = items.try_collect().await?;
    Ok(Json(Page { items: items.into_iter().flatten().collect(), next }))
}

/// The pool as the list shows it; `None` for whoever has nothing to do with it any more.
async fn item(app: &App, user: UserId, row: RoomRow) -> Result<Option<PoolItem>, Problem> {
    let relation = match row.role {
        Role::Organizer => Relation::Owner,
        Role::Participant => Relation::Rider,
        // Whoever had a claim once stays in the members table; the room knows whether there still is one.
        Role::Viewer => match see::<PoolKind, PoolView>(app, row.id, user).await {
            Ok(Seen { state, .. }) if state.relation != Relation::Visitor => state.relation,
            Ok(_) => return Ok(None),
            Err(problem) if problem.code() == ErrorCode::NotFound => return Ok(None),
            Err(problem) => return Err(problem),
        },
    };
    let summary = Summary::of(&row)?;
    let RoomRow { id, title, status, role, last_seq, created_at, updated_at, .. } = row;
    Ok(Some(PoolItem { id, seq: last_seq, role, relation, title, status, summary, created_at, updated_at }))
}

/// A pool.
#[utoipa::path(get, path = "/pools/{pool}", operation_id = "pools.get",
    responses((status = 200, description = "The pool.", body = schema::Pool)))]
async fn get(State(app): State<App>, reader: Reader, ApiPath(room): ApiPath<RoomId>) -> Result<Answer<Pool>, Stop> {
    let Seen { seq, role, state } = reader.see::<PoolView>(&app, room).await?;
    let pool = state.pool(room, seq, role).ok_or_else(|| Problem::not_found("there is no such pool"))?;
    Ok(Answer::ok(seq, pool))
}

/// Changes a pool: absent fields stay, null empties.
#[utoipa::path(patch, path = "/pools/{pool}", operation_id = "pools.update", request_body = schema::PoolPatch,
    responses((status = 200, description = "The pool as it is now.", body = schema::WrittenPool)))]
async fn update(
    State(app): State<App>,
    writer: Writer,
    ApiPath(room): ApiPath<RoomId>,
    ApiJson(body): ApiJson<Body>,
) -> Result<Answer<Written<Pool>>, Problem> {
    let outcome = writer.apply(&app, room, "update_details", body, &[]).await?;
    let now = pool(&app, &writer, room).await;
    Ok(Answer::written(outcome, room, now))
}

/// The pool as a socket that joins gets it; `{epoch, seq}` is a place from which a socket can resume.
#[utoipa::path(get, path = "/pools/{pool}/state", operation_id = "pools.state",
    responses((status = 200, description = "The pool as the caller sees it.", body = schema::PoolState)))]
async fn state(State(app): State<App>, reader: Reader, ApiPath(room): ApiPath<RoomId>) -> Result<Response, Stop> {
    reader.state(&app, room).await
}

/// The pool after a write. What is stored is stored: that it cannot be shown must not make the write look failed.
pub(super) async fn pool(app: &App, writer: &RoomWriter<PoolKind>, room: RoomId) -> Option<(Seq, Pool)> {
    let Seen { seq, role, state } = see::<PoolKind, PoolView>(app, room, writer.user).await.ok()?;
    state.pool(room, seq, role).map(|pool| (seq, pool))
}
