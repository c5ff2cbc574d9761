//! Searches that are kept: new pools that they find are delivered.

use super::docs::InboxView;
use super::{Reader, Writer, own, schema};
use crate::app::App;
use crate::http::json::{ApiJson, ApiPath};
use crate::http::problem::Problem;
use crate::http::v1::page::Page;
use crate::http::v1::rooms::read::{Seen, Stop, see};
use crate::http::v1::rooms::write::{Answer, Body, Receipt, Written};
use axum::extract::State;
use serde_json::json;
use tripsync_domain::inbox::SavedSearch;
use tripsync_domain::{Inbox, ItemId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, save)).routes(routes!(get, delete))
}

/// The searches that the caller keeps.
#[utoipa::path(get, path = "/me/searches", operation_id = "me.searches.list",
    responses((status = 200, description = "All of them.", body = schema::SavedSearchPage)))]
async fn list(State(app): State<App>, reader: Reader) -> Result<Answer<Page<SavedSearch>>, Stop> {
    let room = own(&app, reader.user).await?;
    let Seen { seq, state, .. } = reader.see::<InboxView>(&app, room).await?;
    Ok(Answer::ok(seq, Page { items: state.searches, next: None }))
}

/// A search that the caller keeps.
#[utoipa::path(get, path = "/me/searches/{search}", operation_id = "me.searches.get",
    responses((status = 200, description = "The search.", body = schema::SavedSearch)))]
async fn get(State(app): State<App>, reader: Reader, ApiPath(id): ApiPath<ItemId>) -> Result<Answer<SavedSearch>, Stop> {
    let room = own(&app, reader.user).await?;
    let Seen { seq, state, .. } = reader.see::<InboxView>(&app, room).await?;
    let found = state.searches.into_iter().find(|search| search.id == id);
    Ok(Answer::ok(seq, found.ok_or_else(|| Problem::not_found("there is no such search"))?))
}

/// Keeps a search, in place of the one with the same id.
#[utoipa::path(post, path = "/me/searches", operation_id = "me.searches.save", request_body = schema::NewSavedSearch,
    responses((status = 201, description = "The search.", body = schema::WrittenSavedSearch)))]
async fn save(State(app): State<App>, writer: Writer, ApiJson(mut body): ApiJson<Body>) -> Result<Answer<Written<SavedSearch>>, Problem> {
    let id = writer.item_id(&app, &mut body)?;
    let room = own(&app, writer.user).await?;
    let outcome = writer.apply(&app, room, "save_search", body, &[]).await?;
    let seen = see::<Inbox, InboxView>(&app, room, writer.user).await.ok();
    let now =
        seen.and_then(|Seen { seq, state, .. }| state.searches.into_iter().find(|search| search.id == id).map(|search| (seq, search)));
    Ok(Answer::written(outcome, id, now).made(format!("/api/v1/me/searches/{id}")))
}

/// Drops a search.
#[utoipa::path(delete, path = "/me/searches/{search}", operation_id = "me.searches.delete",
    responses((status = 200, description = "It is dropped.", body = schema::Receipt)))]
async fn delete(State(app): State<App>, writer: Writer, ApiPath(id): ApiPath<ItemId>) -> Result<Answer<Receipt>, Problem> {
    let room = own(&app, writer.user).await?;
    writer.apply(&app, room, "delete_search", Body::new(), &[("search", json!(id))]).await.map(Answer::stored)
}
