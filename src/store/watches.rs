//! Searches that people keep.
//!
//! Owns the table `watches`. Told by the outbox, so each change may come twice or late: the newest by seq stands.

use super::search::cover;
use super::{Db, StoreError};
use crate::db_write;
use tripsync_domain::geo::Position;
use tripsync_domain::inbox::SavedSearch;
use tripsync_domain::inbox::limits::RADIUS_MAX_M;
use tripsync_domain::{ItemId, RoomId, Seq, UserId};
use uuid::Uuid;

/// Kept searches that are looked at for one way; the rest are not told.
pub const WATCHES_MAX: u32 = 1_000;

/// Keeps a search, or drops it (`None`), unless something newer was said of it.
///
/// # Errors
/// As for any statement.
pub async fn put(db: &Db, room: RoomId, id: ItemId, seq: Seq, user: UserId, search: Option<&SavedSearch>) -> Result<(), StoreError> {
    let doc = search.map(serde_json::to_string).transpose().map_err(StoreError::decode)?;
    let cell = search.map_or(0, |search| super::search::cell_of(search.from.position));
    db_write!(db, |pool| {
        sqlx::query(
            "INSERT INTO watches (room, id, seq, user_id, search, from_cell) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (room, id) DO UPDATE SET seq = excluded.seq, search = excluded.search, from_cell = excluded.from_cell \
             WHERE watches.seq < excluded.seq",
        )
        .bind(room.0)
        .bind(id.0)
        .bind(seq.to_db())
        .bind(user.0)
        .bind(doc.as_deref())
        .bind(cell)
        .execute(pool)
        .await
        .map(drop)
    })?;
    Ok(())
}

/// The kept searches whose start and destination are near those of a way, at most [`WATCHES_MAX`].
///
/// # Errors
/// As for any query.
pub async fn along(db: &Db, from: Position, to: Position) -> Result<Vec<(UserId, SavedSearch)>, StoreError> {
    let cells = cover(from, f64::from(RADIUS_MAX_M));
    let rows: Vec<(Uuid, String)> = match db {
        Db::Postgres(db) => {
            let sql = "SELECT user_id, search FROM watches WHERE search IS NOT NULL AND from_cell = ANY($1) ORDER BY room, id LIMIT $2";
            sqlx::query_as(sql).bind(cells).bind(i64::from(WATCHES_MAX)).fetch_all(db.pool()).await?
        }
        Db::Sqlite(db) => {
            let sql = "SELECT user_id, search FROM watches WHERE search IS NOT NULL AND from_cell IN (SELECT value FROM json_each($1)) \
                       ORDER BY room, id LIMIT $2";
            sqlx::query_as(sql).bind(sqlx::types::Json(cells)).bind(i64::from(WATCHES_MAX)).fetch_all(db.reader()).await?
        }
    };
    let mut found = Vec::new();
    for (user, search) in rows {
        let search: SavedSearch = serde_json::from_str(&search).map_err(StoreError::decode)?;
        let radius = f64::from(search.radius_m);
        if search.from.position.distance_m(from) <= radius && search.to.position.distance_m(to) <= radius {
            found.push((UserId(user), search));
        }
    }
    Ok(found)
}
