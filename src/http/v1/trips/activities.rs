//! The itinerary.

use super::docs::{ActivitiesView, Activity, ItineraryView};
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
use tripsync_domain::civil::Date;
use tripsync_domain::{ItemId, RoomId, Seq, Trip, UserId};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(get, update, remove)).routes(routes!(relocate))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only this day's, or `unscheduled`.
    #[param(example = "2027-05-02", pattern = r"^(\d{4}-\d{2}-\d{2}|unscheduled)$")]
    day: Option<String>,
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

/// Which activities.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
enum Filter {
    #[default]
    All,
    Day(Date),
    Unscheduled,
}

impl Filter {
    fn takes(self, day: Option<Date>) -> bool {
        match self {
            Self::All => true,
            Self::Day(only) => day == Some(only),
            Self::Unscheduled => day.is_none(),
        }
    }
}

fn filter(day: Option<&str>) -> Result<Filter, Problem> {
    match day {
        None => Ok(Filter::All),
        Some("unscheduled") => Ok(Filter::Unscheduled),
        Some(day) => match day.parse() {
            Ok(day) => Ok(Filter::Day(day)),
            Err(_) => Err(Problem::invalid(vec![FieldError::invalid("?day", "must be a date such as 2027-05-02, or `unscheduled`")])),
        },
    }
}

/// Where an activity stands in the itinerary, for cursors: its list (days first, then the unscheduled ones), its index there, itself.
#[derive(Debug, Deserialize, Serialize)]
struct Place {
    unscheduled: bool,
    day: Option<Date>,
    index: usize,
    id: ItemId,
}

impl Place {
    const fn list(&self) -> (bool, Option<Date>) {
        (self.unscheduled, self.day)
    }
}

/// All that pass, in the itinerary's order.
fn places(view: &ItineraryView, filter: Filter) -> Vec<Place> {
    let days = view.days.iter().map(|(day, ids)| (Some(*day), ids)).chain([(None, &view.unscheduled)]);
    let wanted = days.filter(|(day, _)| filter.takes(*day));
    wanted
        .flat_map(|(day, ids)| ids.iter().enumerate().map(move |(index, id)| Place { unscheduled: day.is_none(), day, index, id: *id }))
        .collect()
}

/// Where the page behind an activity begins: behind it, or, when others moved or removed it meanwhile, at the place where it stood.
fn start(places: &[Place], after: &Place) -> usize {
    match places.iter().position(|place| place.id == after.id && place.list() == after.list()) {
        Some(index) => index + 1,
        None => places.partition_point(|place| (place.list(), place.index) < (after.list(), after.index)),
    }
}

/// The activities in the order of the itinerary: day by day, at last the unscheduled ones.
#[utoipa::path(get, path = "/trips/{trip}/activities", operation_id = "trips.activities.list", params(ListQuery),
    responses((status = 200, description = "A page.", body = schema::ActivityPage)))]
async fn list(
    State(app): State<App>,
    reader: Reader,
    ApiPath(room): ApiPath<RoomId>,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<Answer<Page<Activity>>, Stop> {
    let list = reader.list(&app, "activities by itinerary", Some(room));
    let wanted = Wanted { limit: query.limit, cursor: query.cursor, skip: query.skip };
    let window = list.window::<Filter, Place>(wanted, filter(query.day.as_deref())?)?;
    let Seen { seq, mut state, .. } = reader.see::<ItineraryView>(&app, room).await?;
    let places = places(&state, window.filter);
    let start = window.after.as_ref().map_or(0, |after| start(&places, after));
    let Page { items, next } = cut(&list, &window, places, start, |_, place| Place { ..*place })?;
    let items = items.iter().filter_map(|place| state.activities.remove(&place.id)).collect();
    Ok(Answer::ok(seq, Page { items, next }))
}

/// An activity.
#[utoipa::path(get, path = "/trips/{trip}/activities/{activity}", operation_id = "trips.activities.get",
    responses((status = 200, description = "The activity.", body = schema::Activity)))]
async fn get(State(app): State<App>, reader: Reader, ApiPath((room, id)): ApiPath<(RoomId, ItemId)>) -> Result<Answer<Activity>, Stop> {
    let Seen { seq, mut state, .. } = reader.see::<ActivitiesView>(&app, room).await?;
    let found = state.activities.remove(&id).ok_or_else(|| Problem::not_found("there is no such activity in the trip"))?;
    Ok(Answer::ok(seq, found))
}

/// Adds an activity.
#[utoipa::path(post, path = "/trips/{trip}/activities", operation_id = "trips.activities.add", request_body = schema::NewActivity,
    responses((status = 201, description = "The activity.", body = schema::WrittenActivity)))]
async fn add(
    State(app): State<App>,
    writer: Writer,
    ApiPath(room): ApiPath<RoomId>,
    ApiJson(mut body): ApiJson<Body>,
) -> Result<Answer<Written<Activity>>, Problem> {
    let id = writer.item_id(&app, &mut body)?;
    let outcome = writer.apply(&app, room, "add_activity", body, &[]).await?;
    let now = find(&app, room, writer.user, id).await;
    Ok(Answer::written(outcome, id, now).made(format!("/api/v1/trips/{room}/activities/{id}")))
}

/// Changes an activity: absent fields stay, null empties. A start on another day takes it to the end of that day.
#[utoipa::path(patch, path = "/trips/{trip}/activities/{activity}", operation_id = "trips.activities.update",
    request_body = schema::ActivityPatch,
    responses((status = 200, description = "The activity as it is now.", body = schema::WrittenActivity)))]
async fn update(
    State(app): State<App>,
    writer: Writer,
    ApiPath((room, id)): ApiPath<(RoomId, ItemId)>,
    ApiJson(body): ApiJson<Body>,
) -> Result<Answer<Written<Activity>>, Problem> {
    let outcome = writer.apply(&app, room, "update_activity", body, &[("activity", json!(id))]).await?;
    let now = find(&app, room, writer.user, id).await;
    Ok(Answer::written(outcome, id, now))
}

/// Moves an activity within its day or to another; its times move along.
#[utoipa::path(post, path = "/trips/{trip}/activities/{activity}/move", operation_id = "trips.activities.move",
    request_body = schema::ActivityMove,
    responses((status = 200, description = "The activity as it is now.", body = schema::WrittenActivity)))]
async fn relocate(
    State(app): State<App>,
    writer: Writer,
    ApiPath((room, id)): ApiPath<(RoomId, ItemId)>,
    ApiJson(body): ApiJson<Body>,
) -> Result<Answer<Written<Activity>>, Problem> {
    let outcome = writer.apply(&app, room, "move_activity", body, &[("activity", json!(id))]).await?;
    let now = find(&app, room, writer.user, id).await;
    Ok(Answer::written(outcome, id, now))
}

/// Removes an activity.
#[utoipa::path(delete, path = "/trips/{trip}/activities/{activity}", operation_id = "trips.activities.remove",
    responses((status = 200, description = "It is removed.", body = schema::Receipt)))]
async fn remove(
    State(app): State<App>,
    writer: Writer,
    ApiPath((room, id)): ApiPath<(RoomId, ItemId)>,
) -> Result<Answer<Receipt>, Problem> {
    writer.apply(&app, room, "remove_activity", Body::new(), &[("activity", json!(id))]).await.map(Answer::stored)
}

async fn find(app: &App, room: RoomId, user: UserId, id: ItemId) -> Option<(Seq, Activity)> {
    let Seen { seq, mut state, .. } = see::<Trip, ActivitiesView>(app, room, user).await.ok()?;
    state.activities.remove(&id).map(|found| (seq, found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn view(days: &[(&str, &[u128])], unscheduled: &[u128]) -> ItineraryView {
        let ids = |ids: &[u128]| ids.iter().map(|id| ItemId(Uuid::from_u128(*id))).collect::<Vec<_>>();
        ItineraryView {
            days: days.iter().map(|(day, list)| (day.parse().unwrap(), ids(list))).collect(),
            unscheduled: ids(unscheduled),
            activities: Default::default(),
        }
    }

    fn order(view: &ItineraryView) -> Vec<u128> {
        places(view, Filter::All).iter().map(|place| place.id.0.as_u128()).collect()
    }

    #[test]
    fn a_page_goes_on_where_the_last_one_ended_whatever_others_did() {
        let before = view(&[("2027-05-02", &[1, 2]), ("2027-05-03", &[3, 4, 5])], &[6]);
        assert_eq!(order(&before), [1, 2, 3, 4, 5, 6]);
        let seen = places(&before, Filter::All).remove(3);
        let rest = |after: &ItineraryView| {
            let places = places(after, Filter::All);
            places[start(&places, &seen)..].iter().map(|place| place.id.0.as_u128()).collect::<Vec<_>>()
        };
        assert_eq!(rest(&before), [5, 6]);
        // Others insert before and behind it.
        assert_eq!(rest(&view(&[("2027-05-02", &[1, 7, 2]), ("2027-05-03", &[3, 8, 4, 9, 5])], &[6])), [9, 5, 6]);
        // It is moved away or removed.
        assert_eq!(rest(&view(&[("2027-05-02", &[4, 1, 2]), ("2027-05-03", &[3, 5])], &[6])), [5, 6]);
        assert_eq!(rest(&view(&[("2027-05-02", &[1, 2])], &[6])), [6]);
        assert_eq!(rest(&view(&[("2027-05-02", &[1, 2])], &[])), [0_u128; 0]);
    }

    #[test]
    fn days_are_filtered() {
        let view = view(&[("2027-05-02", &[1, 2]), ("2027-05-03", &[3])], &[6]);
        let only = |text: Option<&str>| places(&view, filter(text).unwrap()).len();
        assert_eq!((only(None), only(Some("2027-05-02")), only(Some("unscheduled")), only(Some("2027-05-04"))), (4, 2, 1, 0));
        assert!(filter(Some("tomorrow")).is_err());
    }
}
