//! Search by area: what goes from near one place to near another.
//!
//! Reads the table `listings`, which the journal writes. Promises that whatever is within the radius, by the great circle, is
//! found, also over the antimeridian and at the poles, and nothing beyond it; that a room is found at most once, with the nearest
//! of its sections that fit; and that pages neither repeat nor lose rooms that stay as they are. Knows no access rules but the
//! group's: callers show rooms to those who may see them.
//!
//! The index finds candidates by [`cells`]; distances are judged here. At most [`CANDIDATES_MAX`] candidates are looked at, those
//! that begin first: a search that has more says so ([`Found::complete`]), and its pages are the nearest of these.

mod cells;

pub use cells::cell_of;
pub(super) use cells::cover;

use super::{Db, StoreError};
use crate::db_read;
use sqlx::{AssertSqlSafe, FromRow};
use std::collections::HashMap;
use tripsync_domain::geo::Position;
use tripsync_domain::money::{Currency, MinorUnits, Money};
use tripsync_domain::{Group, ItemId, RoomId, Timestamp, UserId};
use uuid::Uuid;

/// How near is near, unless a search says otherwise.
pub const RADIUS_DEFAULT_M: u32 = 5_000;

/// How near may be at most: beyond, the cells would be thousands.
pub const RADIUS_MAX_M: u32 = 50_000;

/// Sections that one search looks at. From: a section costs some 5 µs to read and judge, so this is some 20 ms.
pub const CANDIDATES_MAX: u32 = 4_096;

/// Rooms that a page has at most.
pub const PAGE_ROOMS_MAX: u32 = 100;

/// Pairs of cells up to which both ends are looked up in the index; with more, only the start is, and the end is compared.
const CELL_PAIRS_MAX: usize = 1_024;

/// A place and what is near it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Near {
    /// The place.
    pub position: Position,
    /// Metres, up to [`RADIUS_MAX_M`]; more counts as that.
    pub radius_m: u32,
}

impl Near {
    /// With the default radius.
    #[must_use]
    pub const fn new(position: Position) -> Self {
        Self { position, radius_m: RADIUS_DEFAULT_M }
    }

    fn radius(self) -> f64 {
        f64::from(self.radius_m.min(RADIUS_MAX_M))
    }

    /// How far, if it is near.
    fn distance(self, to: Position) -> Option<f64> {
        let distance = self.position.distance_m(to);
        (distance <= self.radius()).then_some(distance)
    }
}

/// For which groups something may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Groups<'a> {
    /// For everybody, or for this group.
    Of(Option<&'a Group>),
    /// For whichever.
    All,
}

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// Who searches: does not find what is their own.
    pub caller: UserId,
    /// For which groups what is found may be.
    pub groups: Groups<'a>,
    /// Only rooms of this kind.
    pub kind: Option<&'a str>,
    /// Where to start.
    pub from: Near,
    /// Where to go; anywhere when absent.
    pub to: Option<Near>,
    /// Beginning at this instant or later.
    pub earliest: Timestamp,
    /// Beginning at this instant or before.
    pub latest: Timestamp,
    /// Seats needed.
    pub seats: u8,
    /// What a seat may cost; other currencies are not found, what is for nothing is.
    pub price_max: Option<Money>,
}

/// A room that was found, with the best of its sections.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The room.
    pub room: RoomId,
    /// Whose it is.
    pub owner: UserId,
    /// Who may find it; none: everybody.
    pub group: Option<Group>,
    /// When it begins.
    pub at: Timestamp,
    /// What a seat costs.
    pub price: Option<Money>,
    /// Where to get in.
    pub from_stop: ItemId,
    /// Where that is.
    pub from: Position,
    /// Metres from the place where the search starts.
    pub from_m: f64,
    /// Where to get out.
    pub to_stop: ItemId,
    /// Where that is.
    pub to: Position,
    /// Metres to the place where the search goes; `None` when it goes anywhere.
    pub to_m: Option<f64>,
    /// Free seats.
    pub seats: u8,
}

impl Hit {
    /// The place right after this one.
    #[must_use]
    pub fn cursor(&self) -> HitCursor {
        HitCursor { distance_cm: centimetres(self.from_m + self.to_m.unwrap_or(0.0)), room: self.room }
    }
}

/// A place in what a search finds, which is ordered by the sum of both distances, nearest first, then by room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HitCursor {
    /// The sum of the distances; whole centimetres, so that it can be written down exactly.
    pub distance_cm: u64,
    /// The room.
    pub room: RoomId,
}

/// A page of what a search finds.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Nearest first.
    pub hits: Vec<Hit>,
    /// Whether there are more after the last one.
    pub more: bool,
    /// Whether everything that could fit was looked at. Otherwise a smaller radius or window finds what is missing.
    pub complete: bool,
}

/// The rooms that fit, nearest first: at most `limit` (≤ [`PAGE_ROOMS_MAX`]) after `after`.
///
/// # Errors
/// As for any query.
pub async fn search(db: &Db, search: &Search<'_>, after: Option<HitCursor>, limit: u32) -> Result<Found, StoreError> {
    let rows = candidates(db, search).await?;
    let bound = usize::try_from(CANDIDATES_MAX).unwrap_or(usize::MAX);
    let complete = rows.len() <= bound;
    let mut best: HashMap<RoomId, (HitCursor, Hit)> = HashMap::new();
    for row in rows.into_iter().take(bound) {
        let Some(hit) = row.judged(search)? else { continue };
        let place = hit.cursor();
        // Of those that are equally near, which all are when any destination is right, the one that goes farthest along the way.
        if best.get(&hit.room).is_none_or(|(known, _)| place <= *known) {
            best.insert(hit.room, (place, hit));
        }
    }
    let mut hits: Vec<_> = best.into_values().filter(|(place, _)| after.is_none_or(|after| *place > after)).collect();
    hits.sort_unstable_by_key(|(place, _)| *place);
    let limit = usize::try_from(limit.min(PAGE_ROOMS_MAX)).unwrap_or(usize::MAX);
    let more = hits.len() > limit;
    hits.truncate(limit);
    Ok(Found { hits: hits.into_iter().map(|(_, hit)| hit).collect(), more, complete })
}

/// What a room is listed as: its kind and its sections, each at no distance. `None`: it is not listed.
///
/// # Errors
/// As for any query.
pub async fn listed(db: &Db, room: RoomId) -> Result<Option<(String, Vec<Hit>)>, StoreError> {
    let kind: Option<String> = db_read!(db, |pool| {
        sqlx::query_scalar("SELECT kind FROM listings WHERE room = $1 LIMIT 1").bind(room.0).fetch_optional(pool).await
    })?;
    let Some(kind) = kind else { return Ok(None) };
    let rows: Vec<Row> = db_read!(db, |pool| {
        let sql = "SELECT room, owner, group_name, at, price_minor, currency, from_stop, to_stop, from_lat, from_lon, to_lat, to_lon, seats \
                   FROM listings WHERE room = $1 ORDER BY idx";
        sqlx::query_as(sql).bind(room.0).fetch_all(pool).await
    })?;
    Ok(Some((kind, rows.into_iter().map(|row| row.hit(0.0, Some(0.0))).collect::<Result<_, _>>()?)))
}

/// Binds what a search says besides its cells, the same for each statement: the parameters 1 to 10.
macro_rules! bound {
    ($statement:expr, $search:expr) => {{
        let search: &Search<'_> = $search;
        let group = if let Groups::Of(group) = search.groups { group } else { None };
        let (price, currency) = search.price_max.map_or((None, None), |price| (Some(price.minor.get()), Some(price.currency.to_string())));
        $statement
            .bind(search.caller.0)
            .bind(group.map(Group::as_str))
            .bind(search.earliest.as_ms())
            .bind(search.latest.as_ms())
            .bind(i64::from(search.seats))
            .bind(search.kind)
            .bind(price)
            .bind(currency)
            .bind(i64::from(CANDIDATES_MAX) + 1)
            .bind(search.groups == Groups::All)
    }};
}

#[derive(FromRow)]
struct Row {
    room: Uuid,
    owner: Uuid,
    group_name: Option<String>,
    at: i64,
    price_minor: Option<i64>,
    currency: Option<String>,
    from_stop: Uuid,
    to_stop: Uuid,
    from_lat: f64,
    from_lon: f64,
    to_lat: f64,
    to_lon: f64,
    seats: i64,
}

/// One more than are looked at, to tell whether there are more. In an order that does not depend on the database.
async fn candidates(db: &Db, search: &Search<'_>) -> Result<Vec<Row>, StoreError> {
    Ok(match db {
        Db::Postgres(db) => {
            let cells = Cells::of(search);
            let statement = sqlx::query_as(AssertSqlSafe(candidates_sql(&cells, Lists::Bound)));
            bound!(statement, search).bind(cells.from).bind(cells.to).fetch_all(db.pool()).await?
        }
        Db::Sqlite(db) => {
            let statement = sqlx::query_as(AssertSqlSafe(candidates_sql(&Cells::of(search), Lists::Written)));
            // The text hardly recurs.
            bound!(statement, search).persistent(false).fetch_all(db.reader()).await?
        }
    })
}

/// How the database would find the candidates of a search: the lines of its plan. For tests, which see to it that it uses the index.
///
/// # Errors
/// As for any query.
pub async fn plan(db: &Db, search: &Search<'_>) -> Result<Vec<String>, StoreError> {
    let cells = Cells::of(search);
    Ok(match db {
        Db::Postgres(db) => {
            let mut connection = db.pool().begin().await?;
            // As a prepared statement is planned that is used again and again, for whatever values.
            let text = format!("PREPARE candidates {TYPES} AS {}", candidates_sql(&cells, Lists::Bound));
            let execute = format!("EXPLAIN EXECUTE candidates ({})", vec!["NULL"; TYPES.split(',').count()].join(", "));
            for text in ["SET LOCAL plan_cache_mode = force_generic_plan".to_owned(), text] {
                sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut *connection).await?;
            }
            let generic: Vec<String> = sqlx::query_scalar(AssertSqlSafe(execute)).persistent(false).fetch_all(&mut *connection).await?;
            sqlx::raw_sql("DEALLOCATE candidates").execute(&mut *connection).await?;
            let text = format!("EXPLAIN {}", candidates_sql(&cells, Lists::Bound));
            let statement = bound!(sqlx::query_scalar(AssertSqlSafe(text)), search).bind(cells.from).bind(cells.to);
            let custom: Vec<String> = statement.persistent(false).fetch_all(&mut *connection).await?;
            [generic, custom].concat()
        }
        Db::Sqlite(db) => {
            let text = format!("EXPLAIN QUERY PLAN {}", candidates_sql(&cells, Lists::Written));
            let statement = bound!(sqlx::query_as(AssertSqlSafe(text)), search);
            let steps: Vec<(i64, i64, i64, String)> = statement.persistent(false).fetch_all(db.reader()).await?;
            steps.into_iter().map(|(.., step)| step).collect()
        }
    })
}

/// The cells of both ends; no destination: anywhere.
struct Cells {
    from: Vec<i64>,
    to: Option<Vec<i64>>,
}

impl Cells {
    fn of(search: &Search<'_>) -> Self {
        let cover = |near: Near| cells::cover(near.position, near.radius());
        Self { from: cover(search.from), to: search.to.map(cover) }
    }
}

/// How lists of cells get to the database.
#[derive(Clone, Copy)]
enum Lists {
    /// As two more parameters, so that there are few texts and each is prepared once. PostgreSQL: preparing takes longer than searching.
    Bound,
    /// As numbers in the text. SQLite has no lists, and prepares within the process.
    Written,
}

/// What PostgreSQL takes the parameters of [`candidates_sql`] for.
const TYPES: &str = "(uuid, text, bigint, bigint, bigint, text, bigint, text, bigint, boolean, bigint[], bigint[])";

fn candidates_sql(cells: &Cells, lists: Lists) -> String {
    let text = |cells: &[i64]| cells.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
    let within = |column: &str, parameter: &str, cells: &[i64]| match lists {
        Lists::Bound => format!("{column} = ANY({parameter})"),
        Lists::Written => format!("{column} IN ({})", text(cells)),
    };
    let from = within("from_cell", "$11", &cells.from);
    let to = cells.to.as_ref().map(|to| {
        // A sum is not what the index has, so that it looks for the start only, instead of for every pair.
        let column = if cells.from.len() * to.len() <= CELL_PAIRS_MAX { "to_cell" } else { "to_cell + 0" };
        format!("AND {}", within(column, "$12", to))
    });
    // A parameter that is not looked at still has its type.
    let to = to.unwrap_or_else(|| if matches!(lists, Lists::Bound) { "AND $12::bigint[] IS NULL".into() } else { String::new() });
    format!(
        "SELECT room, owner, group_name, at, price_minor, currency, from_stop, to_stop, from_lat, from_lon, to_lat, to_lon, seats FROM listings \
         WHERE seats > 0 AND {from} {to} AND owner <> $1 AND (group_name IS NULL OR group_name = $2 OR $10) \
         AND at >= $3 AND at <= $4 AND seats >= $5 AND ($6 IS NULL OR kind = $6) \
         AND ($7 IS NULL OR price_minor IS NULL OR (price_minor <= $7 AND currency = $8)) ORDER BY at, room, idx LIMIT $9"
    )
}

impl Row {
    /// The section as it was found; `None` when it is too far away.
    fn judged(self, search: &Search<'_>) -> Result<Option<Hit>, StoreError> {
        let (from, to) = self.ends()?;
        let Some(from_m) = search.from.distance(from) else { return Ok(None) };
        let to_m = match search.to.map(|near| near.distance(to)) {
            None => None,
            Some(Some(to_m)) => Some(to_m),
            Some(None) => return Ok(None),
        };
        self.hit(from_m, to_m).map(Some)
    }

    fn ends(&self) -> Result<(Position, Position), StoreError> {
        Ok((position(self.from_lat, self.from_lon)?, position(self.to_lat, self.to_lon)?))
    }

    fn hit(self, from_m: f64, to_m: Option<f64>) -> Result<Hit, StoreError> {
        let (from, to) = self.ends()?;
        Ok(Hit {
            room: RoomId(self.room),
            owner: UserId(self.owner),
            group: self.group_name.as_deref().map(Group::new).transpose().map_err(StoreError::decode)?,
            at: Timestamp::from_ms(self.at),
            price: price(self.price_minor, self.currency.as_deref())?,
            from_stop: ItemId(self.from_stop),
            from,
            from_m,
            to_stop: ItemId(self.to_stop),
            to,
            to_m,
            seats: u8::try_from(self.seats).map_err(StoreError::decode)?,
        })
    }
}

fn position(lat: f64, lon: f64) -> Result<Position, StoreError> {
    Position::new(lat, lon).ok_or_else(|| StoreError::decode(Odd("a position beyond the earth")))
}

fn price(minor: Option<i64>, currency: Option<&str>) -> Result<Option<Money>, StoreError> {
    let Some((minor, currency)) = minor.zip(currency) else { return Ok(None) };
    let price = MinorUnits::new(minor).zip(Currency::new(currency)).map(|(minor, currency)| Money { minor, currency });
    price.map(Some).ok_or_else(|| StoreError::decode(Odd("a price in no currency")))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "distances on the earth are not negative and have ten digits")]
fn centimetres(metres: f64) -> u64 {
    (metres * 100.0).round() as u64
}

/// A listing in the database that this binary cannot read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Odd(&'static str);
