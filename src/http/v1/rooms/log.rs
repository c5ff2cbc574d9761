//! The activity log of a room: who did what, from the journal, as far as the reader may see it.

use super::Served;
use super::read::{Reader, Stop};
use super::stretch::{self, Seen, Span};
use super::write::Answer;
use crate::app::App;
use crate::http::problem::{FieldError, Problem};
use crate::http::v1::page::{self, Page, Wanted};
use crate::store::StoreError;
use crate::store::rooms::{self, EventFilter, EventRow, PAGE_ROWS_MAX};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use tripsync_domain::protocol::{EventRecord, to_json};
use tripsync_domain::{ClientId, CommandNumber, Conflict, ItemId, Role, RoomId, Seq, Timestamp, UserId};
use utoipa::IntoParams;

/// Characters of an event's type.
const TYPE_CHARS_MAX: usize = 64;

/// An event in words.
#[derive(Debug, Serialize)]
pub(in crate::http::v1) struct LogEntry {
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
pub(in crate::http::v1) struct LogQuery {
    /// Only by this user.
    #[param(value_type = Option<Uuid>)]
    author: Option<UserId>,
    /// Only of this type.
    #[serde(rename = "type")]
    #[param(max_length = 64, pattern = "^[a-z0-9_]{1,64}$", example = "message_sent")]
    tag: Option<String>,
    /// Only about this thing of the room.
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

impl Filter {
    fn rows(&self, before: Option<Seq>, from: Seq) -> EventFilter<'_> {
        EventFilter { before, from, author: self.author, tag: self.tag.as_deref(), entity: self.entity }
    }
}

/// A page of what happened in a room, newest first.
pub(in crate::http::v1) async fn page<K: Served>(
    app: &App,
    reader: &Reader<K>,
    room: RoomId,
    query: LogQuery,
) -> Result<Answer<Page<LogEntry>>, Stop> {
    if query.tag.as_ref().is_some_and(|tag| !is_type(tag)) {
        let error = FieldError::invalid("?type", format!("must be the type of an event: 1 to {TYPE_CHARS_MAX} of a-z, 0-9 and _"));
        return Err(Problem::invalid(vec![error]).into());
    }
    let list = reader.list(app, "log newest first", Some(room));
    let filter = Filter { author: query.author, tag: query.tag, entity: query.entity };
    let window = list.window::<Filter, Seq>(Wanted { limit: query.limit, cursor: query.cursor, skip: None }, filter)?;
    let here = reader.enter(app, room).await?;
    let eyes = Eyes { user: reader.user, role: here.role };
    let found = if K::HAS_SECRETS {
        let span = Span { newest: here.seq, after: window.after, len: window.len() };
        let filter = &window.filter;
        let rows = |before, from| rooms::events(&app.db, room, filter.rows(Some(before), from), PAGE_ROWS_MAX);
        // Whoever looks for what somebody did must not find what that is hidden of.
        let look = |row| Ok(eyes.read::<K>(row)?.filter(|event| filter.author.is_none_or(|author| author == event.by)));
        stretch::seen(span, rows, |row: &EventRow| row.seq, look).await?
    } else {
        let rows = rooms::events(&app.db, room, window.filter.rows(window.after, Seq(0)), window.limit).await?;
        let next = rows.last().filter(|_| rows.len() == window.len()).map(|row| row.seq);
        let items = rows.into_iter().filter_map(|row| eyes.read::<K>(row).transpose()).collect::<Result<_, _>>()?;
        Seen { items, next }
    };
    let next = found.next.map(|last| list.cursor(&window.filter, &last)).transpose()?;
    let names = names(app, &found.items).await?;
    let items = found.items.into_iter().map(|event| event.entry(&names)).collect::<Result<_, _>>()?;
    Ok(Answer::ok(here.seq, Page { items, next }))
}

/// Whether an event can have this type, of whatever version.
fn is_type(text: &str) -> bool {
    (1..=TYPE_CHARS_MAX).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// Who reads.
#[derive(Clone, Copy)]
struct Eyes {
    user: UserId,
    role: Role,
}

/// An event as the reader may see it.
struct Event {
    row: EventRow,
    /// Nobody, when that is a secret.
    by: UserId,
    text: String,
    conflicts: Vec<Conflict>,
}

impl Eyes {
    /// `None` for what is not for these eyes.
    fn read<K: Served>(self, row: EventRow) -> Result<Option<Event>, Problem> {
        let record = EventRecord::<K::Event>::decode(&row.bytes).map_err(|error| Problem::internal(&StoreError::decode(error)))?;
        if !K::audience(&record.ev).includes(self.user, self.role) {
            return Ok(None);
        }
        let hidden = K::is_anonymous(&record.ev) && self.role < Role::Organizer && row.author != self.user;
        let by = if hidden { UserId::ROOM } else { row.author };
        Ok(Some(Event { by, text: K::describe(&record.ev), conflicts: record.conflicts, row }))
    }
}

impl Event {
    fn entry(self, names: &HashMap<UserId, String>) -> Result<LogEntry, Problem> {
        let Self { row, by, text, conflicts } = self;
        let broken = |error: StoreError| Problem::internal(&error);
        // From the bytes and not from the typed event, which may know less than a newer version wrote.
        let json = to_json(&row.bytes).map_err(|error| broken(StoreError::decode(error)))?;
        let mut json: Value = serde_json::from_slice(&json).map_err(|error| broken(StoreError::decode(error)))?;
        let (client, n) = row.command.filter(|_| by == row.author).unzip();
        Ok(LogEntry {
            seq: row.seq,
            at: row.at,
            by,
            by_name: names.get(&by).cloned(),
            tag: row.tag,
            text,
            entity: row.entity,
            client,
            n,
            conflicts,
            event: json["ev"].take(),
        })
    }
}

/// The present names of those who did it.
async fn names(app: &App, events: &[Event]) -> Result<HashMap<UserId, String>, Problem> {
    let authors: BTreeSet<UserId> = events.iter().map(|event| event.by).collect();
    let cards = app.users.by_ids(&authors.into_iter().collect::<Vec<_>>()).await?;
    Ok(cards.into_iter().map(|card| (card.user, card.name)).collect())
}
