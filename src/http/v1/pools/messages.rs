//! The talk in the car: everybody reads what was written while they were in it.

use super::docs::ChatMessage;
use super::{Reader, Writer, schema};
use crate::app::App;
use crate::http::json::{ApiJson, ApiPath, ApiQuery};
use crate::http::problem::Problem;
use crate::http::v1::page::{Page, PageQuery};
use crate::http::v1::rooms::read::Stop;
use crate::http::v1::rooms::stretch::{self, Span};
use crate::http::v1::rooms::write::{Answer, Body, Written};
use crate::store::StoreError;
use crate::store::rooms::{self, ItemRow, PAGE_ROWS_MAX};
use axum::extract::State;
use serde::Deserialize as _;
use tripsync_domain::pool::MESSAGES;
use tripsync_domain::{ItemId, RoomId, Seq, UserId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, send)).routes(routes!(get))
}

/// The messages that were written to the caller, newest first. A page may be shorter than it could be.
#[utoipa::path(get, path = "/pools/{pool}/messages", operation_id = "pools.messages.list", params(PageQuery),
    responses((status = 200, description = "A page.", body = schema::PoolMessagePage)))]
async fn list(
    State(app): State<App>,
    reader: Reader,
    ApiPath(room): ApiPath<RoomId>,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Answer<Page<ChatMessage>>, Stop> {
    let list = reader.list(&app, "messages newest first", Some(room));
    let window = list.window::<(), Seq>(query.into(), ())?;
    let here = reader.enter(&app, room).await?;
    let span = Span { newest: here.seq, after: window.after, len: window.len() };
    let rows = |before, from| rooms::items_between(&app.db, room, MESSAGES, Some(before), from, PAGE_ROWS_MAX);
    let found = stretch::seen(span, rows, |row: &ItemRow| row.seq, |row| message(row, reader.user)).await?;
    let next = found.next.map(|last| list.cursor(&(), &last)).transpose()?;
    Ok(Answer::ok(here.seq, Page { items: found.items, next }))
}

/// `None` for whom it was not written to.
fn message(row: ItemRow, reader: UserId) -> Result<Option<ChatMessage>, Problem> {
    let message = ChatMessage::deserialize(row.doc).map_err(|error| Problem::internal(&StoreError::decode(error)))?;
    Ok(Some(message).filter(|message| message.to.contains(&reader)))
}

/// A message that was written to the caller.
#[utoipa::path(get, path = "/pools/{pool}/messages/{message}", operation_id = "pools.messages.get",
    responses((status = 200, description = "The message.", body = schema::PoolMessage)))]
async fn get(State(app): State<App>, reader: Reader, ApiPath((room, id)): ApiPath<(RoomId, ItemId)>) -> Result<Answer<ChatMessage>, Stop> {
    let here = reader.enter(&app, room).await?;
    let found = find(&app, room, id, reader.user).await?;
    Ok(Answer::ok(here.seq, found.ok_or_else(|| Problem::not_found("there is no such message in the pool"))?))
}

/// Writes to everybody in the car.
#[utoipa::path(post, path = "/pools/{pool}/messages", operation_id = "pools.messages.send", request_body = schema::NewPoolMessage,
    responses((status = 201, description = "The message.", body = schema::WrittenPoolMessage)))]
async fn send(
    State(app): State<App>,
    writer: Writer,
    ApiPath(room): ApiPath<RoomId>,
    ApiJson(mut body): ApiJson<Body>,
) -> Result<Answer<Written<ChatMessage>>, Problem> {
    let id = writer.item_id(&app, &mut body)?;
    let outcome = writer.apply(&app, room, "send_message", body, &[]).await?;
    let now = find(&app, room, id, writer.user).await.ok().flatten().map(|found| (outcome.seq, found));
    Ok(Answer::written(outcome, id, now).made(format!("/api/v1/pools/{room}/messages/{id}")))
}

async fn find(app: &App, room: RoomId, id: ItemId, reader: UserId) -> Result<Option<ChatMessage>, Problem> {
    let row = rooms::item(&app.db, room, MESSAGES, id).await?;
    row.map_or(Ok(None), |row| message(row, reader))
}
