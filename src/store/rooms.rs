//! What lists, logs and chats show of rooms without waking them: pages read from the journal's tables.
//!
//! Promises that what is read is durable and that members, rows and documents are those of one moment of each room (they
//! commit with the events that cause them). Knows no access rules: callers ask [`membership`] first, and filter events by
//! their audience.

use super::{Db, DbKind, StoreError};
use crate::db_read;
use bytes::Bytes;
use sqlx::QueryBuilder;
use tripsync_domain::{ClientId, CommandNumber, ItemId, Role, RoomId, Seq, Timestamp, UserId};
use uuid::Uuid;

/// Rows that a page has at most.
pub const PAGE_ROWS_MAX: u32 = 100;

/// A room as a list shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct RoomRow {
    /// The room.
    pub id: RoomId,
    /// The kind's tag.
    pub kind: String,
    /// The title.
    pub title: String,
    /// The status tag.
    pub status: String,
    /// What else a list item shows: a JSON object that the kind's rules made.
    pub summary: serde_json::Value,
    /// The place of the user whose list it is.
    pub role: Role,
    /// The seq of the room's last event.
    pub last_seq: Seq,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its last event happened.
    pub updated_at: Timestamp,
}

/// Which of a user's rooms.
#[derive(Debug, Clone, Copy)]
pub struct RoomFilter<'a> {
    /// Whose.
    pub user: UserId,
    /// Only this kind.
    pub kind: Option<&'a str>,
    /// Only this status.
    pub status: Option<&'a str>,
}

/// A place in a list of rooms, which is ordered by creation, newest first. Stays good while rooms come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoomCursor {
    /// [`RoomRow::created_at`] of the last room seen.
    pub created_at: Timestamp,
    /// Its id.
    pub id: RoomId,
}

impl RoomRow {
    /// The place right after this row.
    #[must_use]
    pub const fn cursor(&self) -> RoomCursor {
        RoomCursor { created_at: self.created_at, id: self.id }
    }
}

/// The rooms that a user is a member of and that have not ended, newest first: at most `limit` (≤ [`PAGE_ROWS_MAX`]) after
/// `after` and a further `skip`. Fewer than `limit` means that there are no more.
///
/// # Errors
/// As for any query.
pub async fn list(db: &Db, filter: RoomFilter<'_>, after: Option<RoomCursor>, skip: u32, limit: u32) -> Result<Vec<RoomRow>, StoreError> {
    let rows: Vec<ListedRow> = db_read!(db, |pool| {
        let mut sql = QueryBuilder::new(
            "SELECT r.id, r.kind, r.title, r.status, r.summary, m.role, r.last_seq, r.created_at, r.updated_at \
             FROM members m JOIN rooms r ON r.id = m.room WHERE r.ended_at IS NULL AND m.user_id = ",
        );
        sql.push_bind(filter.user.0);
        if let Some(kind) = filter.kind {
            sql.push(" AND r.kind = ").push_bind(kind);
        }
        if let Some(status) = filter.status {
            sql.push(" AND r.status = ").push_bind(status);
        }
        if let Some(after) = after {
            sql.push(" AND (r.created_at, r.id) < (").push_bind(after.created_at.as_ms()).push(", ").push_bind(after.id.0).push(")");
        }
        sql.push(" ORDER BY r.created_at DESC, r.id DESC LIMIT ").push_bind(i64::from(limit.min(PAGE_ROWS_MAX)));
        sql.push(" OFFSET ").push_bind(i64::from(skip));
        sql.build_query_as().fetch_all(pool).await
    })?;
    rows.into_iter().map(room_row).collect()
}

/// Rooms of a kind that have not ended, by their ids, in no order; at most [`PAGE_ROWS_MAX`]. Nobody's list: the role is a viewer's.
///
/// # Errors
/// As for any query.
pub async fn by_ids(db: &Db, kind: &str, ids: &[RoomId]) -> Result<Vec<RoomRow>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<ListedRow> = db_read!(db, |pool| {
        let mut sql = QueryBuilder::new(
            "SELECT id, kind, title, status, summary, 'viewer', last_seq, created_at, updated_at FROM rooms WHERE ended_at IS NULL AND kind = ",
        );
        sql.push_bind(kind).push(" AND id IN (");
        let mut list = sql.separated(", ");
        for id in ids.iter().take(PAGE_ROWS_MAX as usize) {
            list.push_bind(id.0);
        }
        sql.push(")");
        sql.build_query_as().fetch_all(pool).await
    })?;
    rows.into_iter().map(room_row).collect()
}

type ListedRow = (Uuid, String, String, String, String, String, i64, i64, i64);

fn room_row((id, kind, title, status, summary, role, last_seq, created_at, updated_at): ListedRow) -> Result<RoomRow, StoreError> {
    Ok(RoomRow {
        id: RoomId(id),
        kind,
        title,
        status,
        summary: json(&summary)?,
        role: role_of(&role)?,
        last_seq: Seq::from_db(last_seq),
        created_at: Timestamp::from_ms(created_at),
        updated_at: Timestamp::from_ms(updated_at),
    })
}

/// How many rooms [`list`] has in all. Reads every membership of the user: a few hundred at most.
///
/// # Errors
/// As for any query.
pub async fn count(db: &Db, filter: RoomFilter<'_>) -> Result<u64, StoreError> {
    let count: i64 = db_read!(db, |pool| {
        let mut sql =
            QueryBuilder::new("SELECT count(*) FROM members m JOIN rooms r ON r.id = m.room WHERE r.ended_at IS NULL AND m.user_id = ");
        sql.push_bind(filter.user.0);
        if let Some(kind) = filter.kind {
            sql.push(" AND r.kind = ").push_bind(kind);
        }
        if let Some(status) = filter.status {
            sql.push(" AND r.status = ").push_bind(status);
        }
        sql.build_query_scalar().fetch_one(pool).await
    })?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// A member of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRow {
    /// Who.
    pub user: UserId,
    /// As what.
    pub role: Role,
    /// The account's present name; `None` when the account is gone.
    pub display_name: Option<String>,
    /// The account's username, where it has one.
    pub username: Option<String>,
    /// A seq by which the user was a member.
    pub since_seq: Seq,
    /// When that was.
    pub since: Timestamp,
}

/// The members of a room, longest first; all of them, because rooms bound how many they take. Empty for a room that there is
/// not.
///
/// # Errors
/// As for any query.
pub async fn members(db: &Db, room: RoomId) -> Result<Vec<MemberRow>, StoreError> {
    type Row = (Uuid, String, Option<String>, Option<String>, i64, i64);
    let rows: Vec<Row> = db_read!(db, |pool| {
        sqlx::query_as(
            "SELECT m.user_id, m.role, u.display_name, u.username, m.since_seq, m.since \
             FROM members m LEFT JOIN users u ON u.id = m.user_id WHERE m.room = $1 ORDER BY m.since_seq, m.user_id",
        )
        .bind(room.0)
        .fetch_all(pool)
        .await
    })?;
    rows.into_iter()
        .map(|(user, role, display_name, username, since_seq, since)| {
            Ok(MemberRow {
                user: UserId(user),
                role: role_of(&role)?,
                display_name,
                username,
                since_seq: Seq::from_db(since_seq),
                since: Timestamp::from_ms(since),
            })
        })
        .collect()
}

/// A user's place in a room that has not ended, with what a reader needs to know of the room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The kind's tag.
    pub kind: String,
    /// The user's role.
    pub role: Role,
    /// The seq of the room's last event.
    pub last_seq: Seq,
}

/// The user's place in the room; `None` when there is no such room, it has ended, or the user is no member: callers answer
/// all three alike.
///
/// # Errors
/// As for any query.
pub async fn membership(db: &Db, room: RoomId, user: UserId) -> Result<Option<Membership>, StoreError> {
    let row: Option<(String, String, i64)> = db_read!(db, |pool| {
        sqlx::query_as(
            "SELECT r.kind, m.role, r.last_seq FROM rooms r JOIN members m ON m.room = r.id \
             WHERE r.id = $1 AND m.user_id = $2 AND r.ended_at IS NULL",
        )
        .bind(room.0)
        .bind(user.0)
        .fetch_optional(pool)
        .await
    })?;
    row.map(|(kind, role, last_seq)| Ok(Membership { kind, role: role_of(&role)?, last_seq: Seq::from_db(last_seq) })).transpose()
}

/// An event in a room's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Its seq.
    pub seq: Seq,
    /// When the room judged the command.
    pub at: Timestamp,
    /// Whose command it was.
    pub author: UserId,
    /// The event's type.
    pub tag: String,
    /// What it is about.
    pub entity: Option<ItemId>,
    /// On the last event of a numbered command: its client and number.
    pub command: Option<(ClientId, CommandNumber)>,
    /// The encoded record (MessagePack).
    pub bytes: Bytes,
}

/// Which events of a room.
#[derive(Debug, Clone, Copy, Default)]
pub struct EventFilter<'a> {
    /// Only before this seq (exclusive); the newest when absent.
    pub before: Option<Seq>,
    /// Only from this seq on (inclusive).
    pub from: Seq,
    /// Only by this author.
    pub author: Option<UserId>,
    /// Only of this type.
    pub tag: Option<&'a str>,
    /// Only about this thing.
    pub entity: Option<ItemId>,
}

/// A page of a room's events, newest first, at most `limit` (≤ [`PAGE_ROWS_MAX`]). The next page is before the seq of the last
/// row. Holds events of every audience.
///
/// # Errors
/// As for any query.
pub async fn events(db: &Db, room: RoomId, filter: EventFilter<'_>, limit: u32) -> Result<Vec<EventRow>, StoreError> {
    // Without statistics SQLite reads the whole room instead of the index that has the answer.
    let index = match (db.kind(), filter.entity) {
        (DbKind::Sqlite, Some(_)) => " INDEXED BY events_entity",
        (DbKind::Sqlite | DbKind::Postgres, _) => "",
    };
    type Row = (i64, i64, Uuid, String, Option<Uuid>, Option<Uuid>, Option<i64>, Vec<u8>);
    let rows: Vec<Row> = db_read!(db, |pool| {
        let mut sql = QueryBuilder::new("SELECT seq, at, author, tag, entity, client, n, bytes FROM events");
        sql.push(index).push(" WHERE room = ").push_bind(room.0);
        if let Some(before) = filter.before {
            sql.push(" AND seq < ").push_bind(before.to_db());
        }
        if filter.from > Seq(0) {
            sql.push(" AND seq >= ").push_bind(filter.from.to_db());
        }
        if let Some(author) = filter.author {
            sql.push(" AND author = ").push_bind(author.0);
        }
        if let Some(tag) = filter.tag {
            sql.push(" AND tag = ").push_bind(tag);
        }
        if let Some(entity) = filter.entity {
            sql.push(" AND entity = ").push_bind(entity.0);
        }
        sql.push(" ORDER BY seq DESC LIMIT ").push_bind(i64::from(limit.min(PAGE_ROWS_MAX)));
        sql.build_query_as().fetch_all(pool).await
    })?;
    let row = |(seq, at, author, tag, entity, client, n, bytes): Row| EventRow {
        seq: Seq::from_db(seq),
        at: Timestamp::from_ms(at),
        author: UserId(author),
        tag,
        entity: entity.map(ItemId),
        command: client.zip(n).map(|(client, n)| (ClientId(client), CommandNumber::from_db(n))),
        bytes: Bytes::from(bytes),
    };
    Ok(rows.into_iter().map(row).collect())
}

/// A document of a room's collection.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemRow {
    /// Its id.
    pub id: ItemId,
    /// The seq of the event that made it.
    pub seq: Seq,
    /// The document: a JSON object that the kind's rules made.
    pub doc: serde_json::Value,
}

/// A page of a collection (such as `messages`), newest first, at most `limit` (≤ [`PAGE_ROWS_MAX`]), before a seq (exclusive).
/// The next page is before the seq of the last row.
///
/// # Errors
/// As for any query.
pub async fn items(db: &Db, room: RoomId, collection: &str, before: Option<Seq>, limit: u32) -> Result<Vec<ItemRow>, StoreError> {
    items_between(db, room, collection, before, Seq(0), limit).await
}

/// The same, from a seq on (inclusive).
///
/// # Errors
/// As for any query.
pub async fn items_between(
    db: &Db,
    room: RoomId,
    collection: &str,
    before: Option<Seq>,
    from: Seq,
    limit: u32,
) -> Result<Vec<ItemRow>, StoreError> {
    let rows: Vec<(Uuid, i64, String)> = db_read!(db, |pool| {
        sqlx::query_as(
            "SELECT id, seq, doc FROM room_items WHERE room = $1 AND collection = $2 AND seq < $3 AND seq >= $4 \
             ORDER BY seq DESC, id DESC LIMIT $5",
        )
        .bind(room.0)
        .bind(collection)
        .bind(before.map_or(i64::MAX, Seq::to_db))
        .bind(from.to_db())
        .bind(i64::from(limit.min(PAGE_ROWS_MAX)))
        .fetch_all(pool)
        .await
    })?;
    rows.into_iter().map(|(id, seq, doc)| Ok(ItemRow { id: ItemId(id), seq: Seq::from_db(seq), doc: json(&doc)? })).collect()
}

/// One document of a collection; `None` when there is none.
///
/// # Errors
/// As for any query.
pub async fn item(db: &Db, room: RoomId, collection: &str, id: ItemId) -> Result<Option<ItemRow>, StoreError> {
    let row: Option<(i64, String)> = db_read!(db, |pool| {
        sqlx::query_as("SELECT seq, doc FROM room_items WHERE room = $1 AND collection = $2 AND id = $3")
            .bind(room.0)
            .bind(collection)
            .bind(id.0)
            .fetch_optional(pool)
            .await
    })?;
    row.map(|(seq, doc)| Ok(ItemRow { id, seq: Seq::from_db(seq), doc: json(&doc)? })).transpose()
}

fn json(text: &str) -> Result<serde_json::Value, StoreError> {
    serde_json::from_str(text).map_err(StoreError::decode)
}

fn role_of(tag: &str) -> Result<Role, StoreError> {
    [Role::Viewer, Role::Participant, Role::Organizer]
        .into_iter()
        .find(|role| role.as_str() == tag)
        .ok_or_else(|| StoreError::decode(UnknownRole(tag.to_owned())))
}

/// A role in the database that this binary does not know.
#[derive(Debug, thiserror::Error)]
#[error("unknown role {0:?}")]
struct UnknownRole(String);
