//! Expenses of a trip.

use super::docs::{Expense, ExpensesView};
use super::{Reader, Writer, schema};
use crate::app::App;
use crate::http::json::{ApiJson, ApiPath, ApiQuery};
use crate::http::problem::Problem;
use crate::http::v1::page::{Page, SkipQuery, cut};
use crate::http::v1::rooms::read::{Seen, Stop, see};
use crate::http::v1::rooms::write::{Answer, Body, Receipt, Written};
use axum::extract::State;
use serde_json::json;
use tripsync_domain::{ItemId, RoomId, Seq, Timestamp, Trip, UserId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(get, update, remove))
}

/// The expenses, in the order in which they were added.
#[utoipa::path(get, path = "/trips/{trip}/expenses", operation_id = "trips.expenses.list", params(SkipQuery),
    responses((status = 200, description = "A page.", body = schema::ExpensePage)))]
async fn list(
    State(app): State<App>,
    reader: Reader,
    ApiPath(room): ApiPath<RoomId>,
    ApiQuery(query): ApiQuery<SkipQuery>,
) -> Result<Answer<Page<Expense>>, Stop> {
    let list = reader.list(&app, "expenses", Some(room));
    let window = list.window::<(), (Timestamp, ItemId)>(query.into(), ())?;
    let Seen { seq, state, .. } = reader.see::<ExpensesView>(&app, room).await?;
    let key = |expense: &Expense| (expense.created_at, expense.id);
    let mut expenses: Vec<_> = state.expenses.into_values().collect();
    expenses.sort_unstable_by_key(key);
    let start = window.after.map_or(0, |after| expenses.partition_point(|expense| key(expense) <= after));
    Ok(Answer::ok(seq, cut(&list, &window, expenses, start, |_, expense| key(expense))?))
}

/// An expense.
#[utoipa::path(get, path = "/trips/{trip}/expenses/{expense}", operation_id = "trips.expenses.get",
    responses((status = 200, description = "The expense.", body = schema::Expense)))]
async fn get(State(app): State<App>, reader: Reader, ApiPath((room, id)): ApiPath<(RoomId, ItemId)>) -> Result<Answer<Expense>, Stop> {
    let Seen { seq, mut state, .. } = reader.see::<ExpensesView>(&app, room).await?;
    let found = state.expenses.remove(&id).ok_or_else(|| Problem::not_found("there is no such expense in the trip"))?;
    Ok(Answer::ok(seq, found))
}

/// Adds an expense: who paid what, and exactly whose it was.
#[utoipa::path(post, path = "/trips/{trip}/expenses", operation_id = "trips.expenses.add", request_body = schema::NewExpense,
    responses((status = 201, description = "The expense.", body = schema::WrittenExpense)))]
async fn add(
    State(app): State<App>,
    writer: Writer,
    ApiPath(room): ApiPath<RoomId>,
    ApiJson(mut body): ApiJson<Body>,
) -> Result<Answer<Written<Expense>>, Problem> {
    let id = writer.item_id(&app, &mut body)?;
    let outcome = writer.apply(&app, room, "add_expense", body, &[]).await?;
    let now = find(&app, room, writer.user, id).await;
    Ok(Answer::written(outcome, id, now).made(format!("/api/v1/trips/{room}/expenses/{id}")))
}

/// Changes an expense: absent fields stay, null empties. Of one that came from a pool only title and date can be changed.
#[utoipa::path(patch, path = "/trips/{trip}/expenses/{expense}", operation_id = "trips.expenses.update",
    request_body = schema::ExpensePatch,
    responses((status = 200, description = "The expense as it is now.", body = schema::WrittenExpense)))]
async fn update(
    State(app): State<App>,
    writer: Writer,
    ApiPath((room, id)): ApiPath<(RoomId, ItemId)>,
    ApiJson(body): ApiJson<Body>,
) -> Result<Answer<Written<Expense>>, Problem> {
    let outcome = writer.apply(&app, room, "update_expense", body, &[("expense", json!(id))]).await?;
    let now = find(&app, room, writer.user, id).await;
    Ok(Answer::written(outcome, id, now))
}

/// Removes an expense.
#[utoipa::path(delete, path = "/trips/{trip}/expenses/{expense}", operation_id = "trips.expenses.remove",
    responses((status = 200, description = "It is removed.", body = schema::Receipt)))]
async fn remove(
    State(app): State<App>,
    writer: Writer,
    ApiPath((room, id)): ApiPath<(RoomId, ItemId)>,
) -> Result<Answer<Receipt>, Problem> {
    writer.apply(&app, room, "remove_expense", Body::new(), &[("expense", json!(id))]).await.map(Answer::stored)
}

async fn find(app: &App, room: RoomId, user: UserId, id: ItemId) -> Option<(Seq, Expense)> {
    let Seen { seq, mut state, .. } = see::<Trip, ExpensesView>(app, room, user).await.ok()?;
    state.expenses.remove(&id).map(|found| (seq, found))
}
