//! User rows.

use super::{NewSession, can_be_handle};
use crate::store::{Db, StoreError};
use crate::{db_read, db_tx};
use tripsync_domain::{Timestamp, UserId};
use uuid::Uuid;

/// An account about to be made.
#[derive(Clone)]
pub struct NewUser {
    /// Its id.
    pub id: UserId,
    /// Normalised.
    pub email: String,
    /// Normalised.
    pub username: Option<String>,
    /// The name that others see.
    pub display_name: String,
    /// IANA name.
    pub time_zone: Option<String>,
}

/// A user's own data, without the password.
#[derive(Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ProfileRow {
    /// The account.
    pub id: Uuid,
    /// Normalised.
    pub email: String,
    /// Normalised.
    pub username: Option<String>,
    /// The name that others see.
    pub display_name: String,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// E.164.
    pub phone: Option<String>,
    /// About oneself.
    pub bio: Option<String>,
    /// IANA name.
    pub time_zone: Option<String>,
    /// BCP 47 tag.
    pub locale: Option<String>,
    /// ISO 4217 code.
    pub currency: Option<String>,
    /// Address of a picture.
    pub avatar_url: Option<String>,
    /// The group or college that the user belongs to.
    pub group_name: Option<String>,
    /// A JSON object: addresses by site.
    pub social_links: String,
    /// A JSON object.
    pub emergency_contact: Option<String>,
    /// A JSON object.
    pub preferences: String,
    /// Unix milliseconds.
    pub created_at: i64,
    /// Unix milliseconds.
    pub updated_at: i64,
}

/// The columns of a [`ProfileRow`], between the two ends of a statement.
macro_rules! with_profile_columns {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            "id, email, username, display_name, first_name, last_name, phone, bio, time_zone, locale, currency, avatar_url, group_name, ",
            "social_links, emergency_contact, preferences, created_at, updated_at",
            $after
        )
    };
}

/// Inserts a session row; a macro, because the statement's type depends on the database.
macro_rules! insert_session {
    ($tx:ident, $user:expr, $session:expr, $now:expr) => {
        sqlx::query(
            "INSERT INTO sessions (id, user_id, generation, refresh_hash, rotated_at, client_label, created_at, expires_at) \
             VALUES ($1, $2, 1, $3, $4, $5, $4, $6)",
        )
        .bind($session.login.0)
        .bind($user.0)
        .bind(&$session.refresh_hash[..])
        .bind($now.as_ms())
        .bind($session.client_label.as_deref())
        .bind($session.expires_at.as_ms())
        .execute(&mut *$tx)
        .await?
    };
}
pub(super) use insert_session;

/// Makes an account and its first session, both or neither.
///
/// # Errors
/// [`StoreError::Unique`] when e-mail or user name is taken.
pub async fn create_user(db: &Db, user: &NewUser, password_hash: &str, session: &NewSession, now: Timestamp) -> Result<(), StoreError> {
    db_tx!(db, |tx| {
        sqlx::query(
            "INSERT INTO users (id, email, username, password_hash, display_name, time_zone, preferences, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, '{}', $7, $7)",
        )
        .bind(user.id.0)
        .bind(&user.email)
        .bind(user.username.as_deref())
        .bind(password_hash)
        .bind(&user.display_name)
        .bind(user.time_zone.as_deref())
        .bind(now.as_ms())
        .execute(&mut *tx)
        .await?;
        insert_session!(tx, user.id, session, now);
    });
    Ok(())
}

/// The account behind an e-mail address (anything with `@`) or a user name, with its password hash.
///
/// # Errors
/// As for any query.
pub async fn credentials(db: &Db, handle: &str) -> Result<Option<(UserId, String)>, StoreError> {
    if !can_be_handle(handle) {
        return Ok(None);
    }
    let row: Option<(Uuid, String)> = db_read!(db, |pool| {
        let sql = if handle.contains('@') {
            "SELECT id, password_hash FROM users WHERE email = $1"
        } else {
            "SELECT id, password_hash FROM users WHERE username = $1"
        };
        sqlx::query_as(sql).bind(handle).fetch_optional(pool).await
    })?;
    Ok(row.map(|(id, hash)| (UserId(id), hash)))
}

/// A user's own data.
///
/// # Errors
/// As for any query.
pub async fn profile(db: &Db, user: UserId) -> Result<Option<ProfileRow>, StoreError> {
    Ok(db_read!(db, |pool| {
        sqlx::query_as(with_profile_columns!("SELECT ", " FROM users WHERE id = $1")).bind(user.0).fetch_optional(pool).await
    })?)
}

/// Changes a profile: `change` gets the present one and says what it becomes, under the row's lock, so that two changes at
/// once both count. `None`: there is no such user.
///
/// # Errors
/// [`StoreError::Unique`] when the user name is taken; whatever `change` refuses with.
pub async fn update_profile<E: From<StoreError> + From<sqlx::Error>>(
    db: &Db,
    user: UserId,
    now: Timestamp,
    mut change: impl FnMut(&mut ProfileRow) -> Result<(), E>,
) -> Result<Option<ProfileRow>, E> {
    let changed = db_tx!(db, |tx| {
        // Writing first takes the lock on both databases (SQLite has no FOR UPDATE).
        let row: Option<ProfileRow> =
            sqlx::query_as(with_profile_columns!("UPDATE users SET updated_at = $1 WHERE id = $2 RETURNING ", ""))
                .bind(now.as_ms())
                .bind(user.0)
                .fetch_optional(&mut *tx)
                .await?;
        match row {
            None => None,
            Some(mut row) => {
                change(&mut row)?;
                sqlx::query(
                    "UPDATE users SET username = $1, display_name = $2, first_name = $3, last_name = $4, phone = $5, bio = $6, \
                     time_zone = $7, locale = $8, currency = $9, preferences = $10, avatar_url = $11, group_name = $12, \
                     social_links = $13, emergency_contact = $14 WHERE id = $15",
                )
                .bind(row.username.as_deref())
                .bind(&row.display_name)
                .bind(row.first_name.as_deref())
                .bind(row.last_name.as_deref())
                .bind(row.phone.as_deref())
                .bind(row.bio.as_deref())
                .bind(row.time_zone.as_deref())
                .bind(row.locale.as_deref())
                .bind(row.currency.as_deref())
                .bind(&row.preferences)
                .bind(row.avatar_url.as_deref())
                .bind(row.group_name.as_deref())
                .bind(&row.social_links)
                .bind(row.emergency_contact.as_deref())
                .bind(user.0)
                .execute(&mut *tx)
                .await?;
                Some(row)
            }
        }
    });
    Ok(changed)
}
