//! Claims: what somebody has asked for, holds, was offered, waits for or has.

use super::docs::{Claim, PoolView};
use super::{Reader, Writer, schema};
use crate::app::App;
use crate::http::json::{ApiJson, ApiPath, ApiQuery, OptionalJson};
use crate::http::problem::Problem;
use crate::http::v1::page::{Page, PageQuery, cut};
use crate::http::v1::rooms::read::{Seen, Stop, see};
use crate::http::v1::rooms::write::{Answer, Body, Receipt, Written};
use axum::extract::State;
use serde_json::json;
use tripsync_domain::{ItemId, Pool, RoomId, Seq, Timestamp};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(request))
        .routes(routes!(hold))
        .routes(routes!(invite))
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(accept))
        .routes(routes!(withdraw))
        .routes(routes!(approve))
        .routes(routes!(reject))
        .routes(routes!(remove))
        .routes(routes!(board))
}

/// The claims of the pool, first come first: the owner sees all, everybody else their own.
#[utoipa::path(get, path = "/pools/{pool}/claims", operation_id = "pools.claims.list", params(PageQuery),
    responses((status = 200, description = "A page.", body = schema::ClaimPage)))]
async fn list(
    State(app): State<App>,
    reader: Reader,
    ApiPath(room): ApiPath<RoomId>,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Answer<Page<Claim>>, Stop> {
    let list = reader.list(&app, "claims by asking", Some(room));
    let window = list.window::<(), (Timestamp, ItemId)>(query.into(), ())?;
    let Seen { seq, state, .. } = reader.see::<PoolView>(&app, room).await?;
    let claims = state.claims();
    let start = window.after.map_or(0, |after| claims.partition_point(|claim| claim.cursor() <= after));
    Ok(Answer::ok(seq, cut(&list, &window, claims, start, |_, claim| claim.cursor())?))
}

/// A claim: the owner sees each, everybody else their own.
#[utoipa::path(get, path = "/pools/{pool}/claims/{claim}", operation_id = "pools.claims.get",
    responses((status = 200, description = "The claim.", body = schema::Claim)))]
async fn get(State(app): State<App>, reader: Reader, ApiPath((room, id)): ApiPath<(RoomId, ItemId)>) -> Result<Answer<Claim>, Stop> {
    let Seen { seq, state, .. } = reader.see::<PoolView>(&app, room).await?;
    let found = state.claims().into_iter().find(|claim| claim.id == id);
    Ok(Answer::ok(seq, found.ok_or_else(|| Problem::not_found("there is no such claim in the pool"))?))
}

/// Asks for seats: books them at once or asks the owner, as the pool has it.
#[utoipa::path(post, path = "/pools/{pool}/requests", operation_id = "pools.request", request_body = schema::SeatRequest,
    responses((status = 201, description = "The claim.", body = schema::WrittenClaim)))]
async fn request(
    State(app): State<App>,
    writer: Writer,
    ApiPath(room): ApiPath<RoomId>,
    ApiJson(body): ApiJson<Body>,
) -> Result<Answer<Written<Claim>>, Problem> {
    ask(&app, &writer, room, "request", body).await
}

/// Takes seats while the caller decides; in pools with instant booking.
#[utoipa::path(post, path = "/pools/{pool}/holds", operation_id = "pools.hold", request_body = schema::SeatHold,
    responses((status = 201, description = "The claim.", body = schema::WrittenClaim)))]
async fn hold(
    State(app): State<App>,
    writer: Writer,
    ApiPath(room): ApiPath<RoomId>,
    ApiJson(body): ApiJson<Body>,
) -> Result<Answer<Written<Claim>>, Problem> {
    ask(&app, &writer, room, "hold", body).await
}

/// Offers seats to somebody who has not asked; they are taken while the invited decides. For the owner.
#[utoipa::path(post, path = "/pools/{pool}/invitations", operation_id = "pools.invite", request_body = schema::SeatInvitation,
    responses((status = 201, description = "The claim.", body = schema::WrittenClaim)))]
async fn invite(
    State(app): State<App>,
    writer: Writer,
    ApiPath(room): ApiPath<RoomId>,
    ApiJson(body): ApiJson<Body>,
) -> Result<Answer<Written<Claim>>, Problem> {
    ask(&app, &writer, room, "invite", body).await
}

async fn ask(app: &App, writer: &Writer, room: RoomId, command: &'static str, mut body: Body) -> Result<Answer<Written<Claim>>, Problem> {
    let id = writer.item_id(app, &mut body)?;
    let outcome = writer.apply(app, room, command, body, &[]).await?;
    let now = claim(app, writer, room, id).await;
    Ok(Answer::written(outcome, id, now).made(format!("/api/v1/pools/{room}/claims/{id}")))
}

/// Takes the seats that are held for the caller or offered.
#[utoipa::path(post, path = "/pools/{pool}/claims/{claim}/accept", operation_id = "pools.claims.accept",
    responses((status = 200, description = "The claim as it is now.", body = schema::WrittenClaim)))]
async fn accept(State(app): State<App>, writer: Writer, ApiPath(at): ApiPath<(RoomId, ItemId)>) -> Result<Answer<Written<Claim>>, Problem> {
    change(&app, &writer, at, "accept", Body::new()).await
}

/// Says yes to a request. For the owner.
#[utoipa::path(post, path = "/pools/{pool}/claims/{claim}/approve", operation_id = "pools.claims.approve",
    responses((status = 200, description = "The claim as it is now.", body = schema::WrittenClaim)))]
async fn approve(
    State(app): State<App>,
    writer: Writer,
    ApiPath(at): ApiPath<(RoomId, ItemId)>,
) -> Result<Answer<Written<Claim>>, Problem> {
    change(&app, &writer, at, "approve", Body::new()).await
}

/// Says whether a rider got in. For the owner.
#[utoipa::path(post, path = "/pools/{pool}/claims/{claim}/board", operation_id = "pools.claims.board", request_body = schema::Boarding,
    responses((status = 200, description = "The claim as it is now.", body = schema::WrittenClaim)))]
async fn board(
    State(app): State<App>,
    writer: Writer,
    ApiPath(at): ApiPath<(RoomId, ItemId)>,
    ApiJson(body): ApiJson<Body>,
) -> Result<Answer<Written<Claim>>, Problem> {
    change(&app, &writer, at, "board", body).await
}

/// Gives back what the caller has asked for, holds, was offered or has.
#[utoipa::path(post, path = "/pools/{pool}/claims/{claim}/withdraw", operation_id = "pools.claims.withdraw",
    responses((status = 200, description = "It is over.", body = schema::Receipt)))]
async fn withdraw(State(app): State<App>, writer: Writer, ApiPath(at): ApiPath<(RoomId, ItemId)>) -> Result<Answer<Receipt>, Problem> {
    end(&app, &writer, at, "withdraw", Body::new()).await
}

/// Says no to a request. For the owner.
#[utoipa::path(post, path = "/pools/{pool}/claims/{claim}/reject", operation_id = "pools.claims.reject",
    request_body = Option<schema::Reason>,
    responses((status = 200, description = "It is over.", body = schema::Receipt)))]
async fn reject(
    State(app): State<App>,
    writer: Writer,
    ApiPath(at): ApiPath<(RoomId, ItemId)>,
    OptionalJson(body): OptionalJson<Body>,
) -> Result<Answer<Receipt>, Problem> {
    end(&app, &writer, at, "reject", body).await
}

/// Takes seats back from a rider. For the owner.
#[utoipa::path(post, path = "/pools/{pool}/claims/{claim}/remove", operation_id = "pools.claims.remove",
    request_body = Option<schema::Reason>,
    responses((status = 200, description = "It is over.", body = schema::Receipt)))]
async fn remove(
    State(app): State<App>,
    writer: Writer,
    ApiPath(at): ApiPath<(RoomId, ItemId)>,
    OptionalJson(body): OptionalJson<Body>,
) -> Result<Answer<Receipt>, Problem> {
    end(&app, &writer, at, "remove", body).await
}

async fn change(
    app: &App,
    writer: &Writer,
    (room, id): (RoomId, ItemId),
    command: &'static str,
    body: Body,
) -> Result<Answer<Written<Claim>>, Problem> {
    let outcome = writer.apply(app, room, command, body, &[("claim", json!(id))]).await?;
    let now = claim(app, writer, room, id).await;
    Ok(Answer::written(outcome, id, now))
}

async fn end(
    app: &App,
    writer: &Writer,
    (room, id): (RoomId, ItemId),
    command: &'static str,
    body: Body,
) -> Result<Answer<Receipt>, Problem> {
    writer.apply(app, room, command, body, &[("claim", json!(id))]).await.map(Answer::stored)
}

/// The claim after a write, as the caller sees it.
async fn claim(app: &App, writer: &Writer, room: RoomId, id: ItemId) -> Option<(Seq, Claim)> {
    let Seen { seq, state, .. } = see::<Pool, PoolView>(app, room, writer.user).await.ok()?;
    state.claims().into_iter().find(|claim| claim.id == id).map(|claim| (seq, claim))
}
