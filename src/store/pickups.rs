//! Where exactly riders of pools want to be picked up.
//!
//! Owns the table `pool_pickups`, which no room knows of. Knows no access rules: callers ask the room who may see what.

use super::{Db, StoreError};
use crate::{db_read, db_write};
use tripsync_domain::{ItemId, RoomId, UserId};
use uuid::Uuid;

/// A rider's pick-up point.
#[derive(Debug, Clone, PartialEq)]
pub struct PickupRow {
    /// Whose.
    pub user: UserId,
    /// The claim that it was told for; with the claim it is over.
    pub claim: ItemId,
    /// What was told: a JSON object.
    pub doc: serde_json::Value,
}

/// Keeps a pick-up point in place of the rider's last one.
///
/// # Errors
/// As for any statement.
pub async fn put(db: &Db, room: RoomId, pickup: &PickupRow) -> Result<(), StoreError> {
    db_write!(db, |pool| {
        sqlx::query(
            "INSERT INTO pool_pickups (room, user_id, claim, doc) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (room, user_id) DO UPDATE SET claim = excluded.claim, doc = excluded.doc",
        )
        .bind(room.0)
        .bind(pickup.user.0)
        .bind(pickup.claim.0)
        .bind(pickup.doc.to_string())
        .execute(pool)
        .await
        .map(drop)
    })?;
    Ok(())
}

/// Forgets a rider's pick-up point; whether there was one.
///
/// # Errors
/// As for any statement.
pub async fn delete(db: &Db, room: RoomId, user: UserId) -> Result<bool, StoreError> {
    let gone = db_write!(db, |pool| {
        sqlx::query("DELETE FROM pool_pickups WHERE room = $1 AND user_id = $2")
            .bind(room.0)
            .bind(user.0)
            .execute(pool)
            .await
            .map(|done| done.rows_affected())
    })?;
    Ok(gone > 0)
}

/// All of a room, of claims that are over too.
///
/// # Errors
/// As for any query.
pub async fn of_room(db: &Db, room: RoomId) -> Result<Vec<PickupRow>, StoreError> {
    let rows: Vec<(Uuid, Uuid, String)> = db_read!(db, |pool| {
        sqlx::query_as("SELECT user_id, claim, doc FROM pool_pickups WHERE room = $1").bind(room.0).fetch_all(pool).await
    })?;
    rows.into_iter()
        .map(|(user, claim, doc)| {
            let doc = serde_json::from_str(&doc).map_err(StoreError::decode)?;
            Ok(PickupRow { user: UserId(user), claim: ItemId(claim), doc })
        })
        .collect()
}
