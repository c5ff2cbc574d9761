//! How the owner and the riders of a pool reach each other: phone, e-mail and exact pick-up points.
//!
//! None of this is ever in a room. Who sees what is decided by the room's durable state at the moment of asking: the owner and the rider of
//! a confirmed claim, each the other's; nobody else anything, and nobody any more once the claim is over.

use super::docs::{PoolView, Relation};
use super::{Reader, schema};
use crate::app::App;
use crate::http::json::{ApiJson, ApiPath};
use crate::http::problem::Problem;
use crate::http::v1::page::Page;
use crate::http::v1::rooms::read::{Seen, see};
use crate::store::StoreError;
use crate::store::accounts::{self, ProfileRow};
use crate::store::pickups::{self, PickupRow};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tripsync_domain::geo::Position;
use tripsync_domain::pool::{Claim, Stage, StopName, Words};
use tripsync_domain::{ErrorCode, ItemId, Pool, RoomId, UserId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(contacts)).routes(routes!(pickup, set_pickup, delete_pickup))
}

/// Where exactly a rider wants to be picked up. Not in any log: it says where somebody lives.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Pickup {
    name: StopName,
    position: Position,
    note: Option<Words>,
}

/// How to reach somebody. No `Debug`, so that it cannot get into a log.
#[derive(Serialize)]
struct Contact {
    user: UserId,
    name: String,
    /// The rider's, also beside the owner's contact.
    claim: ItemId,
    email: String,
    phone: Option<String>,
    pickup: Option<Pickup>,
}

impl Contact {
    fn new(claim: ItemId, profile: ProfileRow, pickup: Option<Pickup>) -> Self {
        let ProfileRow { id, display_name, email, phone, .. } = profile;
        Self { user: UserId(id), name: display_name, claim, email, phone, pickup }
    }
}

/// How to reach each other: the owner gets every confirmed rider, a confirmed rider gets the owner. Nobody else gets anything.
#[utoipa::path(get, path = "/pools/{pool}/contacts", operation_id = "pools.contacts",
    responses(
        (status = 200, description = "All of them.", body = schema::ContactPage),
        (status = 403, description = "The caller neither offers the ride nor has a confirmed seat.", body = crate::http::problem::ProblemBody,
            content_type = "application/problem+json")))]
async fn contacts(State(app): State<App>, reader: Reader, ApiPath(room): ApiPath<RoomId>) -> Result<Json<Page<Contact>>, Problem> {
    let Seen { state, .. } = see::<Pool, PoolView>(&app, room, reader.user).await?;
    let confirmed = |claim: &Claim| claim.stage == Stage::Confirmed {};
    let mut items = Vec::new();
    match (state.relation, state.owner, state.claim) {
        (Relation::Owner, _, _) => {
            let pickups = pickups::of_room(&app.db, room).await?;
            for claim in state.claims.unwrap_or_default().into_iter().filter(confirmed) {
                let pickup = pickups.iter().find(|pickup| (pickup.user, pickup.claim) == (claim.user, claim.id)).map(read).transpose()?;
                let profile = accounts::profile(&app.db, claim.user).await?;
                items.extend(profile.map(|profile| Contact::new(claim.id, profile, pickup)));
            }
        }
        (Relation::Rider, Some(owner), Some(claim)) if confirmed(&claim) => {
            let profile = accounts::profile(&app.db, owner).await?;
            items.extend(profile.map(|profile| Contact::new(claim.id, profile, None)));
        }
        (Relation::Rider | Relation::Claimant | Relation::Visitor, _, _) => {
            return Err(Problem::new(ErrorCode::Forbidden, "Contacts are for the owner and the riders with a confirmed seat"));
        }
    }
    Ok(Json(Page { items, next: None }))
}

fn read(row: &PickupRow) -> Result<Pickup, Problem> {
    Pickup::deserialize(&row.doc).map_err(|error| Problem::internal(&StoreError::decode(error)))
}

/// The caller's own pick-up point.
#[utoipa::path(get, path = "/pools/{pool}/pickup", operation_id = "pools.pickup.get",
    responses(
        (status = 200, description = "The pick-up point.", body = schema::Pickup),
        (status = 403, description = "The caller has no claim in the pool.", body = crate::http::problem::ProblemBody,
            content_type = "application/problem+json")))]
async fn pickup(State(app): State<App>, reader: Reader, ApiPath(room): ApiPath<RoomId>) -> Result<Json<Pickup>, Problem> {
    let claim = own_claim(&app, &reader, room).await?;
    let pickups = pickups::of_room(&app.db, room).await?;
    let mine = pickups.iter().find(|pickup| (pickup.user, pickup.claim) == (reader.user, claim)).map(read).transpose()?;
    mine.map(Json).ok_or_else(|| Problem::not_found("no pick-up point was set"))
}

/// Says where exactly the caller wants to be picked up, in place of what was said before. The owner sees it once the claim is confirmed.
#[utoipa::path(put, path = "/pools/{pool}/pickup", operation_id = "pools.pickup.set", request_body = schema::Pickup,
    responses((status = 200, description = "It is kept as long as the claim.", body = schema::Pickup)))]
async fn set_pickup(
    State(app): State<App>,
    reader: Reader,
    ApiPath(room): ApiPath<RoomId>,
    ApiJson(pickup): ApiJson<Pickup>,
) -> Result<Json<Pickup>, Problem> {
    let claim = own_claim(&app, &reader, room).await?;
    let row = PickupRow { user: reader.user, claim, doc: serde_json::json!(pickup) };
    pickups::put(&app.db, room, &row).await?;
    Ok(Json(pickup))
}

/// Forgets the caller's pick-up point.
#[utoipa::path(delete, path = "/pools/{pool}/pickup", operation_id = "pools.pickup.delete",
    responses((status = 204, description = "There is none any more.")))]
async fn delete_pickup(State(app): State<App>, reader: Reader, ApiPath(room): ApiPath<RoomId>) -> Result<StatusCode, Problem> {
    own_claim(&app, &reader, room).await?;
    pickups::delete(&app.db, room, reader.user).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn own_claim(app: &App, reader: &Reader, room: RoomId) -> Result<ItemId, Problem> {
    let Seen { state, .. } = see::<Pool, PoolView>(app, room, reader.user).await?;
    let claim =
        state.claim.ok_or_else(|| Problem::new(ErrorCode::Forbidden, "Pick-up points are for those who have a claim in the pool"))?;
    Ok(claim.id)
}
