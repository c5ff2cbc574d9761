//! The chat of a trip.
//!
//! The room holds only the newest messages; all of them are read from the documents that are stored with the events.

use super::docs::{Message, ReadMark, ReadsView};
use super::{Reader, Writer, schema};
use crate::app::App;
use crate::http::json::{ApiJson, ApiPath, ApiQuery};
use crate::http::problem::Problem;
use crate::http::v1::page::{Page, PageQuery};
use crate::http::v1::rooms::read::{Seen, Stop};
use crate::http::v1::rooms::write::{Answer, Body, Receipt, Written};
use crate::store::StoreError;
use crate::store::rooms::{self, ItemRow};
use axum::extract::State;
use serde_json::{Value, json};
use tripsync_actors::room::Outcome;
use tripsync_domain::trip::MESSAGES;
use tripsync_domain::{ItemId, RoomId, Seq};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, send))
        .routes(routes!(get, edit, delete))
        .routes(routes!(react, unreact))
        .routes(routes!(read_marks, mark_read))
}

/// The chat, newest first; the next page goes back.
#[utoipa::path(get, path = "/trips/{trip}/messages", operation_id = "trips.messages.list", params(PageQuery),
    responses((status = 200, description = "A page.", body = schema::MessagePage)))]
async fn list(
    State(app): State<App>,
    reader: Reader,
    ApiPath(room): ApiPath<RoomId>,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Answer<Page<Message>>, Stop> {
    let list = reader.list(&app, "messages newest first", Some(room));
    let window = list.window::<(), Seq>(query.into(), ())?;
    let here = reader.enter(&app, room).await?;
    let rows = rooms::items(&app.db, room, MESSAGES, window.after, window.limit).await?;
    let last = rows.last().filter(|_| rows.len() == window.len()).map(|row| row.seq);
    let next = last.map(|last| list.cursor(&(), &last)).transpose()?;
    let items = rows.into_iter().map(message).collect::<Result<_, _>>()?;
    Ok(Answer::ok(here.seq, Page { items, next }))
}

fn message(row: ItemRow) -> Result<Message, Problem> {
    serde_json::from_value(row.doc).map_err(|error| Problem::internal(&StoreError::decode(error)))
}

/// A message.
#[utoipa::path(get, path = "/trips/{trip}/messages/{message}", operation_id = "trips.messages.get",
    responses((status = 200, description = "The message.", body = schema::Message)))]
async fn get(State(app): State<App>, reader: Reader, ApiPath((room, id)): ApiPath<(RoomId, ItemId)>) -> Result<Answer<Message>, Stop> {
    let here = reader.enter(&app, room).await?;
    let row = rooms::item(&app.db, room, MESSAGES, id).await?;
    let row = row.ok_or_else(|| Problem::not_found("there is no such message in the trip"))?;
    Ok(Answer::ok(here.seq, message(row)?))
}

/// Writes to the chat.
#[utoipa::path(post, path = "/trips/{trip}/messages", operation_id = "trips.messages.send", request_body = schema::NewMessage,
    responses((status = 201, description = "The message.", body = schema::WrittenMessage)))]
async fn send(
    State(app): State<App>,
    writer: Writer,
    ApiPath(room): ApiPath<RoomId>,
    ApiJson(mut body): ApiJson<Body>,
) -> Result<Answer<Written<Message>>, Problem> {
    let id = writer.item_id(&app, &mut body)?;
    let outcome = writer.apply(&app, room, "send_message", body, &[]).await?;
    Ok(written(&app, room, id, outcome).await.made(format!("/api/v1/trips/{room}/messages/{id}")))
}

/// Changes what one's own message says. Only the newest messages can be changed.
#[utoipa::path(patch, path = "/trips/{trip}/messages/{message}", operation_id = "trips.messages.edit",
    request_body = schema::MessagePatch,
    responses((status = 200, description = "The message as it is now.", body = schema::WrittenMessage)))]
async fn edit(
    State(app): State<App>,
    writer: Writer,
    ApiPath((room, id)): ApiPath<(RoomId, ItemId)>,
    ApiJson(body): ApiJson<Body>,
) -> Result<Answer<Written<Message>>, Problem> {
    let outcome = writer.apply(&app, room, "edit_message", body, &[("message", json!(id))]).await?;
    Ok(written(&app, room, id, outcome).await)
}

/// Deletes a message: one's own, or as an organizer anybody's. It keeps its place, without its text.
#[utoipa::path(delete, path = "/trips/{trip}/messages/{message}", operation_id = "trips.messages.delete",
    responses((status = 200, description = "It is deleted.", body = schema::Receipt)))]
async fn delete(
    State(app): State<App>,
    writer: Writer,
    ApiPath((room, id)): ApiPath<(RoomId, ItemId)>,
) -> Result<Answer<Receipt>, Problem> {
    writer.apply(&app, room, "delete_message", Body::new(), &[("message", json!(id))]).await.map(Answer::stored)
}

/// Reacts to a message; once, however often it is sent.
#[utoipa::path(put, path = "/trips/{trip}/messages/{message}/reactions/{emoji}", operation_id = "trips.messages.react",
    responses((status = 200, description = "The message as it is now.", body = schema::WrittenMessage)))]
async fn react(
    State(app): State<App>,
    writer: Writer,
    ApiPath((room, id, emoji)): ApiPath<(RoomId, ItemId, String)>,
) -> Result<Answer<Written<Message>>, Problem> {
    reacted(&app, &writer, room, id, emoji, true).await
}

/// Takes a reaction back.
#[utoipa::path(delete, path = "/trips/{trip}/messages/{message}/reactions/{emoji}", operation_id = "trips.messages.unreact",
    responses((status = 200, description = "The message as it is now.", body = schema::WrittenMessage)))]
async fn unreact(
    State(app): State<App>,
    writer: Writer,
    ApiPath((room, id, emoji)): ApiPath<(RoomId, ItemId, String)>,
) -> Result<Answer<Written<Message>>, Problem> {
    reacted(&app, &writer, room, id, emoji, false).await
}

async fn reacted(
    app: &App,
    writer: &Writer,
    room: RoomId,
    id: ItemId,
    emoji: String,
    on: bool,
) -> Result<Answer<Written<Message>>, Problem> {
    let fixed = [("message", json!(id)), ("emoji", Value::String(emoji)), ("on", json!(on))];
    let outcome = writer.apply(app, room, "react", Body::new(), &fixed).await?;
    Ok(written(app, room, id, outcome).await)
}

/// How far each member has read the chat.
#[utoipa::path(get, path = "/trips/{trip}/read_marks", operation_id = "trips.read_marks.list",
    responses((status = 200, description = "All of them.", body = schema::ReadMarkPage)))]
async fn read_marks(State(app): State<App>, reader: Reader, ApiPath(room): ApiPath<RoomId>) -> Result<Answer<Page<ReadMark>>, Stop> {
    let Seen { seq, state, .. } = reader.see::<ReadsView>(&app, room).await?;
    let items = state.reads.into_iter().map(|(user, seq)| ReadMark { user, seq }).collect();
    Ok(Answer::ok(seq, Page { items, next: None }))
}

/// Says up to where the caller has read the chat. A smaller seq than before changes nothing.
#[utoipa::path(put, path = "/trips/{trip}/read_marks", operation_id = "trips.read_marks.set", request_body = schema::NewReadMark,
    responses((status = 200, description = "It is stored.", body = schema::Receipt)))]
async fn mark_read(
    State(app): State<App>,
    writer: Writer,
    ApiPath(room): ApiPath<RoomId>,
    ApiJson(body): ApiJson<Body>,
) -> Result<Answer<Receipt>, Problem> {
    writer.apply(&app, room, "mark_read", body, &[]).await.map(Answer::stored)
}

async fn written(app: &App, room: RoomId, id: ItemId, outcome: Outcome) -> Answer<Written<Message>> {
    let row = rooms::item(&app.db, room, MESSAGES, id).await.ok().flatten();
    let now = row.and_then(|row| message(row).ok()).map(|found| (outcome.seq, found));
    Answer::written(outcome, id, now)
}
