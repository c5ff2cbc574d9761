//! Places of a trip.

use super::docs::{Place, PlacesView};
use super::{Reader, Writer, schema};
use crate::app::App;
use crate::http::json::{ApiJson, ApiPath, ApiQuery};
use crate::http::problem::{FieldError, Problem};
use crate::http::v1::page::{self, Page, Wanted, cut};
use crate::http::v1::rooms::read::{Seen, Stop, see};
use crate::http::v1::rooms::write::{Answer, Body, Receipt, Written};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tripsync_domain::trip::{PlaceKind, Position};
use tripsync_domain::{ItemId, RoomId, Seq, Timestamp, Trip, UserId};
use utoipa::{IntoParams, PartialSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(get, update, remove)).routes(routes!(vote, unvote))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only places of this kind.
    #[param(schema_with = schema::PlaceKind::schema, required = false)]
    kind: Option<PlaceKind>,
    /// Only places around this point, nearest first: latitude and longitude in degrees, with a comma between them.
    #[param(example = "38.7223,-9.1393", pattern = r"^-?\d+(\.\d+)?,-?\d+(\.\d+)?$")]
    near: Option<String>,
    /// How far `near` reaches, in metres; 5,000 unless told.
    #[param(minimum = 1, maximum = 20_100_000)]
    within_m: Option<u32>,
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

/// How far `near` reaches unless told, and at most: half way around.
const WITHIN_M_DEFAULT: u32 = 5_000;
const WITHIN_M_MAX: u32 = 20_100_000;

/// Which places.
#[derive(Debug, Default, Deserialize, PartialEq, Serialize)]
struct Filter {
    kind: Option<PlaceKind>,
    /// Around where, and how far from there.
    near: Option<(Position, u32)>,
}

impl Filter {
    fn of(query: &ListQuery) -> Result<Self, Problem> {
        let refused = |parameter: &str, text: String| Problem::invalid(vec![FieldError::invalid(parameter, text)]);
        if query.within_m.is_some_and(|within| !(1..=WITHIN_M_MAX).contains(&within)) {
            return Err(refused("?within_m", format!("must be 1 to {WITHIN_M_MAX}")));
        }
        let near = match &query.near {
            Some(text) => {
                let point = text.split_once(',').and_then(|(lat, lon)| Position::new(lat.parse().ok()?, lon.parse().ok()?));
                let point = point.ok_or_else(|| refused("?near", "must be a latitude and a longitude such as 38.7223,-9.1393".into()))?;
                Some((point, query.within_m.unwrap_or(WITHIN_M_DEFAULT)))
            }
            // A cursor knows where.
            None if query.within_m.is_some() && query.cursor.is_none() => {
                return Err(refused("?within_m", "says how far from `near`, which is missing".into()));
            }
            None => None,
        };
        Ok(Self { kind: query.kind, near })
    }

    /// The place as the list has it, if it belongs there.
    fn admit(&self, place: Place) -> Option<Listed> {
        if self.kind.is_some_and(|kind| kind != place.kind) {
            return None;
        }
        let distance_m = match self.near {
            Some((point, within)) => Some(place.position.map(|position| point.metres_to(position)).filter(|metres| *metres <= within)?),
            None => None,
        };
        Some(Listed { place, distance_m })
    }
}

/// A place in a list.
#[derive(Debug, Serialize)]
struct Listed {
    #[serde(flatten)]
    place: Place,
    #[serde(skip_serializing_if = "Option::is_none")]
    distance_m: Option<u32>,
}

impl Listed {
    /// By distance, then in the order of adding.
    const fn key(&self) -> (Option<u32>, Timestamp, ItemId) {
        (self.distance_m, self.place.created_at, self.place.id)
    }
}

/// The places, in the order in which they were added, or those near a point, nearest first.
#[utoipa::path(get, path = "/trips/{trip}/places", operation_id = "trips.places.list", params(ListQuery),
    responses((status = 200, description = "A page.", body = schema::PlacePage)))]
async fn list(
    State(app): State<App>,
    reader: Reader,
    ApiPath(room): ApiPath<RoomId>,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<Answer<Page<Listed>>, Stop> {
    let list = reader.list(&app, "places", Some(room));
    let filter = Filter::of(&query)?;
    let wanted = Wanted { limit: query.limit, cursor: query.cursor, skip: query.skip };
    let window = list.window::<Filter, (Option<u32>, Timestamp, ItemId)>(wanted, filter)?;
    let Seen { seq, state, .. } = reader.see::<PlacesView>(&app, room).await?;
    let mut places: Vec<_> = state.places.into_values().filter_map(|place| window.filter.admit(place)).collect();
    places.sort_unstable_by_key(Listed::key);
    let start = window.after.map_or(0, |after| places.partition_point(|listed| listed.key() <= after));
    Ok(Answer::ok(seq, cut(&list, &window, places, start, |_, listed| listed.key())?))
}

/// A place.
#[utoipa::path(get, path = "/trips/{trip}/places/{place}", operation_id = "trips.places.get",
    responses((status = 200, description = "The place.", body = schema::Place)))]
async fn get(State(app): State<App>, reader: Reader, ApiPath((room, id)): ApiPath<(RoomId, ItemId)>) -> Result<Answer<Place>, Stop> {
    let Seen { seq, mut state, .. } = reader.see::<PlacesView>(&app, room).await?;
    let found = state.places.remove(&id).ok_or_else(|| Problem::not_found("there is no such place in the trip"))?;
    Ok(Answer::ok(seq, found))
}

/// Adds a place.
#[utoipa::path(post, path = "/trips/{trip}/places", operation_id = "trips.places.add", request_body = schema::NewPlace,
    responses((status = 201, description = "The place.", body = schema::WrittenPlace)))]
async fn add(
    State(app): State<App>,
    writer: Writer,
    ApiPath(room): ApiPath<RoomId>,
    ApiJson(mut body): ApiJson<Body>,
) -> Result<Answer<Written<Place>>, Problem> {
    let id = writer.item_id(&app, &mut body)?;
    let outcome = writer.apply(&app, room, "add_place", body, &[]).await?;
    let now = find(&app, room, writer.user, id).await;
    Ok(Answer::written(outcome, id, now).made(format!("/api/v1/trips/{room}/places/{id}")))
}

/// Changes a place: absent fields stay, null empties.
#[utoipa::path(patch, path = "/trips/{trip}/places/{place}", operation_id = "trips.places.update", request_body = schema::PlacePatch,
    responses((status = 200, description = "The place as it is now.", body = schema::WrittenPlace)))]
async fn update(
    State(app): State<App>,
    writer: Writer,
    ApiPath((room, id)): ApiPath<(RoomId, ItemId)>,
    ApiJson(body): ApiJson<Body>,
) -> Result<Answer<Written<Place>>, Problem> {
    let outcome = writer.apply(&app, room, "update_place", body, &[("place", json!(id))]).await?;
    let now = find(&app, room, writer.user, id).await;
    Ok(Answer::written(outcome, id, now))
}

/// Removes a place; activities there lose it.
#[utoipa::path(delete, path = "/trips/{trip}/places/{place}", operation_id = "trips.places.remove",
    responses((status = 200, description = "It is removed.", body = schema::Receipt)))]
async fn remove(
    State(app): State<App>,
    writer: Writer,
    ApiPath((room, id)): ApiPath<(RoomId, ItemId)>,
) -> Result<Answer<Receipt>, Problem> {
    writer.apply(&app, room, "remove_place", Body::new(), &[("place", json!(id))]).await.map(Answer::stored)
}

/// Votes for a place; once, however often it is sent.
#[utoipa::path(put, path = "/trips/{trip}/places/{place}/vote", operation_id = "trips.places.vote",
    responses((status = 200, description = "The place as it is now.", body = schema::WrittenPlace)))]
async fn vote(
    State(app): State<App>,
    writer: Writer,
    ApiPath((room, id)): ApiPath<(RoomId, ItemId)>,
) -> Result<Answer<Written<Place>>, Problem> {
    voted(&app, &writer, room, id, true).await
}

/// Takes the vote for a place back.
#[utoipa::path(delete, path = "/trips/{trip}/places/{place}/vote", operation_id = "trips.places.unvote",
    responses((status = 200, description = "The place as it is now.", body = schema::WrittenPlace)))]
async fn unvote(
    State(app): State<App>,
    writer: Writer,
    ApiPath((room, id)): ApiPath<(RoomId, ItemId)>,
) -> Result<Answer<Written<Place>>, Problem> {
    voted(&app, &writer, room, id, false).await
}

async fn voted(app: &App, writer: &Writer, room: RoomId, id: ItemId, on: bool) -> Result<Answer<Written<Place>>, Problem> {
    let outcome = writer.apply(app, room, "vote_place", Body::new(), &[("place", json!(id)), ("on", json!(on))]).await?;
    let now = find(app, room, writer.user, id).await;
    Ok(Answer::written(outcome, id, now))
}

async fn find(app: &App, room: RoomId, user: UserId, id: ItemId) -> Option<(Seq, Place)> {
    let Seen { seq, mut state, .. } = see::<Trip, PlacesView>(app, room, user).await.ok()?;
    state.places.remove(&id).map(|found| (seq, found))
}
