//! Members of a trip.

use super::{Reader, Writer, schema};
use crate::app::App;
use crate::http::json::{ApiJson, ApiPath, ApiQuery};
use crate::http::problem::{FieldError, Problem};
use crate::http::v1::page::{Page, SkipQuery, cut};
use crate::http::v1::rooms::read::{Stop, member};
use crate::http::v1::rooms::write::{Answer, Body, Receipt, Written};
use crate::store::rooms::{self, MemberRow};
use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};
use tripsync_domain::trip::{Action, may};
use tripsync_domain::{ErrorCode, Role, RoomId, Seq, Timestamp, Trip, UserId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Characters of a user name or an e-mail address (RFC 5321 §4.5.3.1).
pub(super) const HANDLE_CHARS_MAX: usize = 254;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(get, update, remove)).routes(routes!(leave))
}

/// A member of a trip.
#[derive(Debug, Serialize)]
struct Member {
    user: UserId,
    role: Role,
    name: Option<String>,
    username: Option<String>,
    joined_at: Timestamp,
}

impl From<MemberRow> for Member {
    fn from(MemberRow { user, role, display_name, username, since, .. }: MemberRow) -> Self {
        Self { user, role, name: display_name, username, joined_at: since }
    }
}

/// The members, in the order in which they came.
#[utoipa::path(get, path = "/trips/{trip}/members", operation_id = "trips.members.list", params(SkipQuery),
    responses((status = 200, description = "A page.", body = schema::MemberPage)))]
async fn list(
    State(app): State<App>,
    reader: Reader,
    ApiPath(room): ApiPath<RoomId>,
    ApiQuery(query): ApiQuery<SkipQuery>,
) -> Result<Answer<Page<Member>>, Stop> {
    let list = reader.list(&app, "members by joining", Some(room));
    let window = list.window::<(), (Seq, UserId)>(query.into(), ())?;
    let here = reader.enter(&app, room).await?;
    let rows = rooms::members(&app.db, room).await?;
    let start = window.after.map_or(0, |after| rows.partition_point(|row| (row.since_seq, row.user) <= after));
    let Page { items, next } = cut(&list, &window, rows, start, |_, row| (row.since_seq, row.user))?;
    Ok(Answer::ok(here.seq, Page { items: items.into_iter().map(Member::from).collect(), next }))
}

/// A member.
#[utoipa::path(get, path = "/trips/{trip}/members/{user}", operation_id = "trips.members.get",
    responses((status = 200, description = "The member.", body = schema::Member)))]
async fn get(State(app): State<App>, reader: Reader, ApiPath((room, user)): ApiPath<(RoomId, UserId)>) -> Result<Answer<Member>, Stop> {
    let here = reader.enter(&app, room).await?;
    let found = find(&app, room, user).await?.ok_or_else(|| Problem::not_found("there is no such member of the trip"))?;
    Ok(Answer::ok(here.seq, found))
}

/// Takes a user in, by account, user name or e-mail address.
#[utoipa::path(post, path = "/trips/{trip}/members", operation_id = "trips.members.add", request_body = schema::NewMember,
    responses((status = 201, description = "The member.", body = schema::WrittenMember)))]
async fn add(
    State(app): State<App>,
    writer: Writer,
    ApiPath(room): ApiPath<RoomId>,
    ApiJson(mut body): ApiJson<Body>,
) -> Result<Answer<Written<Member>>, Problem> {
    let handle = handle(&mut body)?;
    if let Some((name, handle)) = handle {
        // Asked first, so that accounts are looked up for those only who may add them.
        let here = member::<Trip>(&app, room, writer.user).await?;
        if !may(here.role, Action::ManageMembers) {
            return Err(Problem::new(ErrorCode::Forbidden, "Only organizers may do this"));
        }
        let user = app.users.find(&handle).await?.ok_or_else(|| no_such_user(name))?;
        body.insert("user".into(), json!(user.user));
    }
    let user = body.get("user").and_then(Value::as_str).and_then(|text| text.parse().ok());
    let outcome = writer.apply(&app, room, "add_member", body, &[]).await?;
    // The room has read the same field.
    let user = user.unwrap_or(UserId(uuid::Uuid::nil()));
    let now = find(&app, room, user).await.ok().flatten().map(|found| (outcome.seq, found));
    Ok(Answer::written(outcome, user, now).made(format!("/api/v1/trips/{room}/members/{user}")))
}

/// Takes `username` or `email` out of the body, and sees that exactly one way to name the user is used.
fn handle(body: &mut Body) -> Result<Option<(&'static str, String)>, Problem> {
    body.retain(|name, value| !(value.is_null() && ["user", "username", "email"].contains(&name.as_str())));
    let given = ["user", "username", "email"].into_iter().filter(|name| body.contains_key(*name)).collect::<Vec<_>>();
    let name = match given.as_slice() {
        ["user"] => return Ok(None),
        [one] => *one,
        _ => {
            let text = "exactly one of `user`, `username` and `email` is needed";
            return Err(Problem::new(ErrorCode::Invalid, text).with_error(FieldError::invalid("", text)));
        }
    };
    match body.remove(name) {
        Some(Value::String(text)) if text.chars().count() <= HANDLE_CHARS_MAX && (name == "email") == text.contains('@') => {
            Ok(Some((name, text)))
        }
        _ => {
            let what = if name == "email" { "must be an e-mail address" } else { "must be a user name" };
            Err(Problem::invalid(vec![FieldError::invalid(format!("/{name}"), what)]))
        }
    }
}

fn no_such_user(name: &str) -> Problem {
    let text = "There is no such user";
    Problem::not_found(text).with_error(FieldError { pointer: format!("/{name}"), code: ErrorCode::NotFound, detail: text.into() })
}

/// Changes a member's rights.
#[utoipa::path(patch, path = "/trips/{trip}/members/{user}", operation_id = "trips.members.update", request_body = schema::MemberPatch,
    responses((status = 200, description = "The member as it is now.", body = schema::WrittenMember)))]
async fn update(
    State(app): State<App>,
    writer: Writer,
    ApiPath((room, user)): ApiPath<(RoomId, UserId)>,
    ApiJson(body): ApiJson<Body>,
) -> Result<Answer<Written<Member>>, Problem> {
    let outcome = writer.apply(&app, room, "set_role", body, &[("user", json!(user))]).await?;
    let now = find(&app, room, user).await.ok().flatten().map(|found| (outcome.seq, found));
    Ok(Answer::written(outcome, user, now))
}

/// Puts a member out.
#[utoipa::path(delete, path = "/trips/{trip}/members/{user}", operation_id = "trips.members.remove",
    responses((status = 200, description = "It is done.", body = schema::Receipt)))]
async fn remove(
    State(app): State<App>,
    writer: Writer,
    ApiPath((room, user)): ApiPath<(RoomId, UserId)>,
) -> Result<Answer<Receipt>, Problem> {
    writer.apply(&app, room, "remove_member", Body::new(), &[("user", json!(user))]).await.map(Answer::stored)
}

/// Leaves the trip. Its creator cannot.
#[utoipa::path(post, path = "/trips/{trip}/leave", operation_id = "trips.leave",
    responses((status = 200, description = "It is done.", body = schema::Receipt)))]
async fn leave(State(app): State<App>, writer: Writer, ApiPath(room): ApiPath<RoomId>) -> Result<Answer<Receipt>, Problem> {
    writer.apply(&app, room, "leave", Body::new(), &[]).await.map(Answer::stored)
}

async fn find(app: &App, room: RoomId, user: UserId) -> Result<Option<Member>, Problem> {
    let rows = rooms::members(&app.db, room).await?;
    Ok(rows.into_iter().find(|row| row.user == user).map(Member::from))
}
