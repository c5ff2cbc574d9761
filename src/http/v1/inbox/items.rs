//! What was delivered.

use super::docs::{Inbox, InboxView, Item};
use super::{Reader, Writer, own, schema};
use crate::app::App;
use crate::http::json::{ApiJson, ApiQuery};
use crate::http::problem::Problem;
use crate::http::v1::page::{Page, PageQuery};
use crate::http::v1::rooms::read::{Seen, Stop};
use crate::http::v1::rooms::write::{Answer, Body, Receipt};
use crate::store::StoreError;
use crate::store::rooms;
use axum::extract::State;
use serde::Deserialize as _;
use std::collections::HashMap;
use tripsync_domain::inbox::ITEMS;
use tripsync_domain::{ItemId, Seq};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get)).routes(routes!(list)).routes(routes!(read))
}

/// The caller's inbox with its newest items, newest first. Sockets join it by its `room`.
#[utoipa::path(get, path = "/me/inbox", operation_id = "me.inbox.get",
    responses((status = 200, description = "The inbox.", body = schema::Inbox)))]
async fn get(State(app): State<App>, reader: Reader) -> Result<Answer<Inbox>, Stop> {
    let room = own(&app, reader.user).await?;
    let Seen { seq, state, .. } = reader.see::<InboxView>(&app, room).await?;
    Ok(Answer::ok(seq, state.inbox(room, seq)))
}

/// Everything that was ever delivered, newest first; the next page goes back.
#[utoipa::path(get, path = "/me/inbox/items", operation_id = "me.inbox.items.list", params(PageQuery),
    responses((status = 200, description = "A page.", body = schema::InboxItemPage)))]
async fn list(State(app): State<App>, reader: Reader, ApiQuery(query): ApiQuery<PageQuery>) -> Result<Answer<Page<Item>>, Stop> {
    let room = own(&app, reader.user).await?;
    let list = reader.list(&app, "items newest first", Some(room));
    let window = list.window::<(), Seq>(query.into(), ())?;
    let Seen { seq, state, .. } = reader.see::<InboxView>(&app, room).await?;
    let known: HashMap<ItemId, Option<bool>> = state.items.iter().map(|item| (item.id, item.read)).collect();
    let rows = rooms::items(&app.db, room, ITEMS, window.after, window.limit).await?;
    let last = rows.last().filter(|_| rows.len() == window.len()).map(|row| row.seq);
    let next = last.map(|last| list.cursor(&(), &last)).transpose()?;
    let items = rows.into_iter().map(|row| {
        let mut item = Item::deserialize(row.doc).map_err(|error| Problem::internal(&StoreError::decode(error)))?;
        let read = (item.seq <= state.read_up_to).then_some(true);
        item.read = known.get(&item.id).copied().unwrap_or(read);
        Ok(item)
    });
    Ok(Answer::ok(seq, Page { items: items.collect::<Result<_, Problem>>()?, next }))
}

/// Marks as read: everything up to a seq, and single items; on all devices. What comes later stays unread.
#[utoipa::path(post, path = "/me/inbox/read", operation_id = "me.inbox.read", request_body = schema::Reading,
    responses((status = 200, description = "It is stored.", body = schema::Receipt)))]
async fn read(State(app): State<App>, writer: Writer, ApiJson(body): ApiJson<Body>) -> Result<Answer<Receipt>, Problem> {
    let room = own(&app, writer.user).await?;
    writer.apply(&app, room, "mark_read", body, &[]).await.map(Answer::stored)
}
