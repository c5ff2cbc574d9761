//! The life of a login: register or log in, refresh, log out.

use super::password::PasswordError;
use super::revoked::SessionRevoked;
use super::{Auth, AuthError, AuthUser, LoginId, refresh};
use crate::store::accounts::{self, NewSession, NewUser, Rotation};
use crate::telemetry::chain;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tripsync_domain::{Timestamp, UserId};
use uuid::Uuid;

/// Why a login ended, as stored.
const LOGOUT: &str = "logout";
const LOGOUT_ALL: &str = "logout_all";
/// Characters of a client's description that are kept.
const LABEL_CHARS_MAX: usize = 200;
/// How often old rows are deleted.
const SWEEP: Duration = Duration::from_secs(3600);

/// Who logs in.
#[derive(Clone)]
pub struct Login {
    /// A normalised e-mail address (with `@`) or user name.
    pub handle: String,
    /// The password as typed.
    pub password: String,
    /// The client's description of itself.
    pub client_label: Option<String>,
}

/// What a client gets.
#[derive(Clone)]
pub struct SessionTokens {
    /// The account.
    pub user: UserId,
    /// A JWT.
    pub access_token: String,
    /// How long it is good.
    pub access_ttl: Duration,
    /// Opaque; good once, for [`SessionTokens::refresh_ttl`].
    pub refresh_token: String,
    /// How long the session lasts without a refresh.
    pub refresh_ttl: Duration,
}

impl From<PasswordError> for AuthError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Overloaded => Self::Overloaded,
            PasswordError::Broken => Self::Store(crate::store::StoreError::decode(error)),
        }
    }
}

impl Auth {
    /// Makes an account and its first session. The password is hashed before anything is looked up, so a taken address
    /// costs what a free one does.
    ///
    /// # Errors
    /// [`AuthError::Store`] with [`crate::store::StoreError::Unique`] when e-mail or user name is taken,
    /// [`AuthError::Overloaded`].
    pub async fn register(&self, user: NewUser, password: String, client_label: Option<String>) -> Result<SessionTokens, AuthError> {
        let password_hash = self.inner.passwords.hash(password).await?;
        let now = self.inner.clock.now();
        let (session, tokens) = self.new_session(user.id, client_label, now)?;
        accounts::create_user(&self.inner.db, &user, &password_hash, &session, now).await?;
        Ok(tokens)
    }

    /// Opens a session.
    ///
    /// # Errors
    /// [`AuthError::BadCredentials`] after exactly one hash, whether the account exists or not; [`AuthError::Overloaded`].
    pub async fn login(&self, login: Login) -> Result<SessionTokens, AuthError> {
        let found = accounts::credentials(&self.inner.db, &login.handle).await?;
        let (user, stored) = match found {
            Some((user, hash)) => (Some(user), Some(hash)),
            None => (None, None),
        };
        let right = self.inner.passwords.verify(login.password, stored).await?;
        let Some(user) = user.filter(|_| right) else {
            metrics::counter!("tripsync_logins_total", "outcome" => "refused").increment(1);
            return Err(AuthError::BadCredentials);
        };
        let now = self.inner.clock.now();
        let (session, tokens) = self.new_session(user, login.client_label, now)?;
        accounts::create_session(&self.inner.db, user, &session, now).await?;
        metrics::counter!("tripsync_logins_total", "outcome" => "accepted").increment(1);
        Ok(tokens)
    }

    /// Trades a refresh token for a new pair.
    ///
    /// The newest token is good once. Used again within `auth.refresh_grace` (two tabs, a lost answer) it gives the same
    /// successor; used again later, or after its successor was used, it ends the session.
    ///
    /// # Errors
    /// [`AuthError::Invalid`], [`AuthError::Expired`], [`AuthError::Revoked`], [`AuthError::Reused`].
    pub async fn refresh(&self, token: &str) -> Result<SessionTokens, AuthError> {
        let inner = &self.inner;
        let old = inner.refresh.read(token).ok_or(AuthError::Invalid)?;
        let next = old.generation.checked_add(1).ok_or(AuthError::Invalid)?;
        let successor = inner.refresh.make(old.login, next);
        let now = inner.clock.now();
        let attempt = accounts::Refresh {
            login: old.login,
            generation: old.generation,
            hash: refresh::hash(token),
            next_hash: refresh::hash(&successor),
            now,
            grace: inner.config.refresh_grace,
            expires_at: now.plus(inner.config.session_ttl),
        };
        match accounts::rotate(&inner.db, &attempt).await? {
            Rotation::Rotated(user) | Rotation::Again(user) => self.tokens(user, old.login, successor, now),
            Rotation::Reused(user) => {
                tracing::warn!(user.id = %user, login.id = %old.login, "refresh token reused: session ended");
                metrics::counter!("tripsync_refresh_reused_total").increment(1);
                self.inner.revoked.add(SessionRevoked { user, login: old.login }, now);
                Err(AuthError::Reused)
            }
            Rotation::Revoked => Err(AuthError::Revoked),
            Rotation::Expired => Err(AuthError::Expired),
            Rotation::Unknown => Err(AuthError::Invalid),
        }
    }

    /// Ends the caller's session.
    ///
    /// # Errors
    /// [`AuthError::Store`].
    pub async fn logout(&self, user: &AuthUser) -> Result<(), AuthError> {
        let now = self.inner.clock.now();
        accounts::revoke(&self.inner.db, user.user, Some(user.login), LOGOUT, now).await?;
        let ended = SessionRevoked { user: user.user, login: user.login };
        self.inner.revoked.add(ended, now);
        Ok(())
    }

    /// Ends every session of the caller, this one included. Gives their number.
    ///
    /// # Errors
    /// [`AuthError::Store`].
    pub async fn logout_everywhere(&self, user: UserId) -> Result<usize, AuthError> {
        let now = self.inner.clock.now();
        let ended = accounts::revoke(&self.inner.db, user, None, LOGOUT_ALL, now).await?;
        for login in &ended {
            self.inner.revoked.add(SessionRevoked { user, login: *login }, now);
        }
        Ok(ended.len())
    }

    /// Deletes what nobody needs any more, every hour, until `stop`.
    pub async fn sweep(self, stop: CancellationToken) {
        loop {
            let now = self.inner.clock.now();
            if let Err(error) = accounts::sweep(&self.inner.db, now).await {
                tracing::warn!(cause = chain(&error), "old sessions not deleted");
            }
            if let Err(error) = crate::store::idempotency::sweep(&self.inner.db, now).await {
                tracing::warn!(cause = chain(&error), "old answers not deleted");
            }
            if let Err(error) = crate::store::tickets::sweep(&self.inner.db, now).await {
                tracing::warn!(cause = chain(&error), "old tickets not deleted");
            }
            if stop.run_until_cancelled(tokio::time::sleep(SWEEP)).await.is_none() {
                return;
            }
        }
    }

    fn new_session(&self, user: UserId, client_label: Option<String>, now: Timestamp) -> Result<(NewSession, SessionTokens), AuthError> {
        let login = LoginId(Uuid::now_v7());
        let refresh_token = self.inner.refresh.make(login, 1);
        let session = NewSession {
            login,
            refresh_hash: refresh::hash(&refresh_token),
            client_label: client_label.map(|label| label.chars().take(LABEL_CHARS_MAX).collect()),
            expires_at: now.plus(self.inner.config.session_ttl),
        };
        Ok((session, self.tokens(user, login, refresh_token, now)?))
    }

    fn tokens(&self, user: UserId, login: LoginId, refresh_token: String, now: Timestamp) -> Result<SessionTokens, AuthError> {
        Ok(SessionTokens {
            user,
            access_token: self.inner.tokens.issue(user, login, now)?,
            access_ttl: self.inner.config.access_token_ttl,
            refresh_token,
            refresh_ttl: self.inner.config.session_ttl,
        })
    }
}
