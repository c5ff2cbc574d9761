//! Looking other users up: what rooms need to know of accounts.

use crate::db_read;
use crate::store::{Db, StoreError};
use async_trait::async_trait;
use tripsync_actors::ports::{Directory, JournalError};
use tripsync_domain::{Group, UserCard, UserId};
use uuid::Uuid;

/// Finds users by id, e-mail or user name.
#[derive(Debug, Clone)]
pub struct UserDirectory {
    db: Db,
}

impl UserDirectory {
    /// Over the given database.
    #[must_use]
    pub const fn new(db: Db) -> Self {
        Self { db }
    }

    /// The account behind an e-mail address (anything with `@`) or a user name, in whatever case. `None`: there is none.
    ///
    /// # Errors
    /// As for any query.
    pub async fn find(&self, handle: &str) -> Result<Option<UserCard>, StoreError> {
        let handle = handle.trim().to_lowercase();
        if !super::can_be_handle(&handle) {
            return Ok(None);
        }
        let row: Option<CardRow> = db_read!(&self.db, |pool| {
            let sql = if handle.contains('@') {
                "SELECT id, display_name, group_name FROM users WHERE email = $1"
            } else {
                "SELECT id, display_name, group_name FROM users WHERE username = $1"
            };
            sqlx::query_as(sql).bind(&handle).fetch_optional(pool).await
        })?;
        Ok(row.map(card))
    }

    /// The cards of those that exist, in any order.
    ///
    /// # Errors
    /// As for any query.
    pub async fn by_ids(&self, users: &[UserId]) -> Result<Vec<UserCard>, StoreError> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<CardRow> = match &self.db {
            Db::Postgres(db) => {
                let ids: Vec<Uuid> = users.iter().map(|user| user.0).collect();
                sqlx::query_as("SELECT id, display_name, group_name FROM users WHERE id = ANY($1)").bind(ids).fetch_all(db.pool()).await?
            }
            Db::Sqlite(db) => {
                let ids: Vec<String> = users.iter().map(|user| user.0.simple().to_string()).collect();
                sqlx::query_as("SELECT id, display_name, group_name FROM users WHERE id IN (SELECT unhex(value) FROM json_each($1))")
                    .bind(sqlx::types::Json(ids))
                    .fetch_all(db.reader())
                    .await?
            }
        };
        Ok(rows.into_iter().map(card).collect())
    }
}

type CardRow = (Uuid, String, Option<String>);

fn card((id, name, group): CardRow) -> UserCard {
    // A profile keeps a group as it was written. One that is none by today's rules, written before they were, is none to rooms.
    UserCard { user: UserId(id), name, group: group.and_then(|group| Group::new(&group).ok()) }
}

#[async_trait]
impl Directory for UserDirectory {
    async fn cards(&self, users: &[UserId]) -> Result<Vec<UserCard>, JournalError> {
        self.by_ids(users).await.map_err(|error| JournalError::Unavailable(Box::new(error)))
    }
}
