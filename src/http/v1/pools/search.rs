//! Rides from near one place to near another.

use super::details::Summary;
use super::{Reader, schema};
use crate::app::App;
use crate::http::json::ApiQuery;
use crate::http::problem::{FieldError, Problem};
use crate::http::v1::page::{self, Wanted};
use crate::store::rooms;
use crate::store::search::{self, Found, Groups, Hit, HitCursor, Near, RADIUS_DEFAULT_M, RADIUS_MAX_M, Search};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use tripsync_domain::geo::Position;
use tripsync_domain::money::{Currency, MinorUnits, Money};
use tripsync_domain::pool::limits::SEATS_MAX;
use tripsync_domain::{ItemId, Pool, RoomId, RoomKind, Seq, Timestamp};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The smallest radius.
const RADIUS_MIN_M: u32 = 1;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(find))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SearchQuery {
    /// Where to start: latitude and longitude in degrees, with a comma between them. Needed, but beside a cursor.
    #[param(example = "38.7223,-9.1393", pattern = r"^-?\d+(\.\d+)?,-?\d+(\.\d+)?$")]
    from: Option<String>,
    /// Where to go; anywhere when absent.
    #[param(example = "41.1579,-8.6291", pattern = r"^-?\d+(\.\d+)?,-?\d+(\.\d+)?$")]
    to: Option<String>,
    /// How far around both, in metres; 5,000 unless told.
    #[param(minimum = 1, maximum = 50_000)]
    radius_m: Option<u32>,
    /// Departing at or after; never in the past.
    #[param(value_type = Option<String>, format = "date-time")]
    after: Option<Timestamp>,
    /// Departing at or before.
    #[param(value_type = Option<String>, format = "date-time")]
    before: Option<Timestamp>,
    /// With at least so many free seats; one unless told.
    #[param(minimum = 1, maximum = 16)]
    seats: Option<u8>,
    /// For at most this price per seat, in minor units of `currency`.
    #[param(minimum = 0)]
    price_max: Option<i64>,
    /// ISO 4217; of `price_max`.
    #[param(pattern = "^[A-Z]{3}$", example = "EUR")]
    currency: Option<String>,
    /// Items of the page.
    #[param(schema_with = page::limit_schema, required = false)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[param(schema_with = page::cursor_schema, required = false)]
    cursor: Option<String>,
}

/// What is looked for.
#[derive(Debug, Default, Deserialize, PartialEq, Serialize)]
struct Filter {
    from: Option<Position>,
    to: Option<Position>,
    radius_m: Option<u32>,
    after: Option<Timestamp>,
    before: Option<Timestamp>,
    seats: Option<u8>,
    price_max: Option<Money>,
}

impl Filter {
    fn of(query: &SearchQuery) -> Result<Self, Problem> {
        let refused = |parameter: &str, text: String| Problem::invalid(vec![FieldError::invalid(parameter, text)]);
        let point = |parameter: &str, text: &Option<String>| {
            let point = |text: &String| {
                let (lat, lon) = text.split_once(',')?;
                Position::new(lat.parse().ok()?, lon.parse().ok()?)
            };
            let wrong = || refused(parameter, "must be a latitude and a longitude such as 38.7223,-9.1393".into());
            text.as_ref().map(|text| point(text).ok_or_else(wrong)).transpose()
        };
        let (from, to) = (point("?from", &query.from)?, point("?to", &query.to)?);
        if from.is_none() && query.cursor.is_none() {
            return Err(refused("?from", "says where to start and is needed".into()));
        }
        if query.radius_m.is_some_and(|radius| !(RADIUS_MIN_M..=RADIUS_MAX_M).contains(&radius)) {
            return Err(refused("?radius_m", format!("must be {RADIUS_MIN_M} to {RADIUS_MAX_M}")));
        }
        if query.seats.is_some_and(|seats| !(1..=SEATS_MAX).contains(&seats)) {
            return Err(refused("?seats", format!("must be 1 to {SEATS_MAX}")));
        }
        if let (Some(after), Some(before)) = (query.after, query.before)
            && after > before
        {
            return Err(refused("?before", "must not be earlier than `after`".into()));
        }
        let price_max = match (query.price_max, &query.currency) {
            (None, None) => None,
            (Some(_), None) => return Err(refused("?currency", "is needed with `price_max`".into())),
            (None, Some(_)) => return Err(refused("?price_max", "is needed with `currency`".into())),
            (Some(minor), Some(currency)) => {
                let minor = MinorUnits::new(minor).filter(|minor| minor.get() >= 0);
                let minor = minor.ok_or_else(|| refused("?price_max", "must be an amount that is not negative".into()))?;
                let currency = Currency::new(currency).ok_or_else(|| refused("?currency", "must be a currency code such as EUR".into()))?;
                Some(Money { minor, currency })
            }
        };
        Ok(Self { from, to, radius_m: query.radius_m, after: query.after, before: query.before, seats: query.seats, price_max })
    }
}

/// A pool that was found, with the best of its sections.
#[derive(Debug, Serialize)]
struct PoolHit {
    id: RoomId,
    seq: Seq,
    title: String,
    status: String,
    #[serde(flatten)]
    summary: Summary,
    section: Section,
    /// Whole metres from the place where the search starts.
    from_m: u64,
    /// Whole metres to the place where the search goes.
    to_m: Option<u64>,
}

/// Where to get in and out, and how many seats are free there.
#[derive(Debug, Serialize)]
struct Section {
    from: ItemId,
    to: ItemId,
    seats: u8,
}

/// A page of what was found.
#[derive(Debug, Serialize)]
struct HitPage {
    items: Vec<PoolHit>,
    next: Option<String>,
    /// Whether everything that could fit was looked at.
    complete: bool,
}

/// Open pools that go from near one place to near another, nearest first, each with the section of its way that is nearest. Never the
/// caller's own.
#[utoipa::path(get, path = "/pools/search", operation_id = "pools.search", params(SearchQuery),
    responses((status = 200, description = "A page.", body = schema::PoolHitPage)))]
async fn find(State(app): State<App>, reader: Reader, ApiQuery(query): ApiQuery<SearchQuery>) -> Result<Json<HitPage>, Problem> {
    let list = reader.list(&app, "pools nearest first", None);
    let filter = Filter::of(&query)?;
    let wanted = Wanted { limit: query.limit, cursor: query.cursor, skip: None };
    let window = list.window::<Filter, (u64, RoomId)>(wanted, filter)?;
    let Filter { from, to, radius_m, after, before, seats, price_max } = &window.filter;
    let from = from.ok_or_else(|| Problem::invalid(vec![FieldError::invalid("?from", "says where to start and is needed")]))?;
    let near = |position| Near { position, radius_m: radius_m.unwrap_or(RADIUS_DEFAULT_M) };
    let now = app.clock.now();
    let card = app.users.by_ids(&[reader.user]).await?.pop();
    let search = Search {
        caller: reader.user,
        groups: Groups::Of(card.as_ref().and_then(|card| card.group.as_ref())),
        kind: Some(Pool::KIND),
        from: near(from),
        to: to.map(near),
        earliest: after.map_or(now, |after| after.max(now)),
        latest: before.unwrap_or(Timestamp::from_ms(i64::MAX)),
        seats: seats.unwrap_or(1),
        price_max: *price_max,
    };
    let after = window.after.map(|(distance_cm, room)| HitCursor { distance_cm, room });
    let Found { hits, more, complete } = search::search(&app.db, &search, after, window.limit).await?;
    let last = hits.last().filter(|_| more).map(Hit::cursor);
    let next = last.map(|last| list.cursor(&window.filter, &(last.distance_cm, last.room))).transpose()?;
    let rows = rooms::by_ids(&app.db, Pool::KIND, &hits.iter().map(|hit| hit.room).collect::<Vec<_>>()).await?;
    let mut rows: HashMap<RoomId, _> = rows.into_iter().map(|row| (row.id, row)).collect();
    let found = hits.into_iter().filter_map(|hit| rows.remove(&hit.room).map(|row| (hit, row)));
    let items = found.map(|(hit, row)| {
        let section = Section { from: hit.from_stop, to: hit.to_stop, seats: hit.seats };
        let (from_m, to_m) = (metres(hit.from_m), hit.to_m.map(metres));
        let summary = Summary::of(&row)?;
        Ok(PoolHit { id: row.id, seq: row.last_seq, title: row.title, status: row.status, summary, section, from_m, to_m })
    });
    Ok(Json(HitPage { items: items.collect::<Result<_, Problem>>()?, next, complete }))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "distances on the earth are not negative and have eight digits"
)]
fn metres(distance: f64) -> u64 {
    distance.round() as u64
}
