//! The activity log: who did what, from the journal.

use super::read::{Reader, Stop};
use super::schema;
use super::write::Answer;
use crate::app::App;
use crate::http::json::{ApiPath, ApiQuery};
use crate::http::problem::{FieldError, Problem};
use crate::http::v1::page::{self, Page, Wanted};
use crate::store::StoreError;
use crate::store::rooms::{self, EventFilter, EventRow};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use tripsync_domain::protocol::{EventRecord, to_json};
use tripsync_domain::trip::{Event, Trip};
use tripsync_domain::{ClientId, CommandNumber, Conflict, ItemId, Role, RoomId, RoomKind, Seq, Timestamp, UserId};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Characters of an event's type.
const TYPE_CHARS_MAX: usize = 64;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// An event in words.
#[derive(Debug, Serialize)]
struct LogEntry {
    seq: Seq,
    at: Timestamp,
    by: UserId,
    by_name: Option<String>,
    #[serde(rename = "type")]
    tag: String,
    text: String,
    entity: Option<ItemId>,
    client: Option<ClientId>,
    n: Option<CommandNumber>,
    conflicts: Vec<Conflict>,
    event: Value,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only by this user.
    #[param(value_type = Option<Uuid>)]
    author: Option<UserId>,
    /// Only of this type.
    #[serde(rename = "type")]
    #[param(max_length = 64, pattern = "^[a-z0-9_]{1,64}$", example = "activity_removed")]
    tag: Option<String>,
    /// Only about this activity, place, message or user.
    #[param(value_type = Option<Uuid>)]
    entity: Option<ItemId>,
    /// Items of the page.
    #[param(schema_with = page::limit_schema, required = false)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[param(schema_with = page::cursor_schema, required = false)]
    cursor: Option<String>,
}

/// Which events.
#[derive(Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
struct Filter {
    author: Option<UserId>,
    tag: Option<String>,
    entity: Option<ItemId>,
}

/// What happened in the trip, newest first.
#[utoipa::path(get, path = "/trips/{trip}/log", operation_id = "trips.log.list", params(ListQuery),
    responses((status = 200, description = "A page.", body = schema::LogPage)))]
async fn list(
    State(app): State<App>,
    reader: Reader,
    ApiPath(room): ApiPath<RoomId>,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<Answer<Page<LogEntry>>, Stop> {
    if query.tag.as_ref().is_some_and(|tag| !is_type(tag)) {
        let error = FieldError::invalid("?type", format!("must be the type of an event: 1 to {TYPE_CHARS_MAX} of a-z, 0-9 and _"));
        return Err(Problem::invalid(vec![error]).into());
    }
    let list = reader.list(&app, "log newest first", Some(room));
    let filter = Filter { author: query.author, tag: query.tag, entity: query.entity };
    let window = list.window::<Filter, Seq>(Wanted { limit: query.limit, cursor: query.cursor, skip: None }, filter)?;
    let here = reader.enter(&app, room).await?;
    let Filter { author, tag, entity } = &window.filter;
    let filter = EventFilter { before: window.after, author: *author, tag: tag.as_deref(), entity: *entity };
    let rows = rooms::events(&app.db, room, filter, window.limit).await?;
    let last = rows.last().filter(|_| rows.len() == window.len()).map(|row| row.seq);
    let next = last.map(|last| list.cursor(&window.filter, &last)).transpose()?;
    let names = names(&app, &rows).await?;
    // An event that is not for the caller's eyes is left out: a page may be shorter than it could be.
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        items.extend(entry(row, reader.user, here.role, &names)?);
    }
    Ok(Answer::ok(here.last_seq, Page { items, next }))
}

/// The present names of those who did it.
/// Whether an event can have this type, of whatever version.
fn is_type(text: &str) -> bool {
    (1..=TYPE_CHARS_MAX).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

async fn names(app: &App, rows: &[EventRow]) -> Result<HashMap<UserId, String>, Problem> {
    let authors: BTreeSet<UserId> = rows.iter().map(|row| row.author).collect();
    let cards = app.users.by_ids(&authors.into_iter().collect::<Vec<_>>()).await?;
    Ok(cards.into_iter().map(|card| (card.user, card.name)).collect())
}

fn entry(row: EventRow, reader: UserId, role: Role, names: &HashMap<UserId, String>) -> Result<Option<LogEntry>, Problem> {
    let broken = |error: StoreError| Problem::internal(&error);
    let record = EventRecord::<Event>::decode(&row.bytes).map_err(|error| broken(StoreError::decode(error)))?;
    if !Trip::audience(&record.ev).includes(reader, role) {
        return Ok(None);
    }
    // From the bytes and not from the typed event, which may know less than a newer version wrote.
    let json = to_json(&row.bytes).map_err(|error| broken(StoreError::decode(error)))?;
    let mut json: Value = serde_json::from_slice(&json).map_err(|error| broken(StoreError::decode(error)))?;
    let (client, n) = row.command.unzip();
    Ok(Some(LogEntry {
        seq: row.seq,
        at: row.at,
        by: row.author,
        by_name: names.get(&row.author).cloned(),
        tag: row.tag,
        text: Trip::describe(&record.ev),
        entity: row.entity,
        client,
        n,
        conflicts: record.conflicts,
        event: json["ev"].take(),
    }))
}
