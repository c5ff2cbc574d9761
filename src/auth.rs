//! Accounts at work: passwords, tokens, sessions, socket tickets.
//!
//! [`Auth`] is the one door: it proves who calls ([`Auth::authenticate`], [`Auth::redeem_ticket`]), opens, renews and ends
//! login sessions, and tells subscribers when a session ends ([`Auth::subscribe`]) so that sockets can be dropped at once.
//!
//! Promises: a password check costs one hash whether or not the account exists; hashing takes a bounded amount of memory and
//! never starves other requests (`password`); an access token is refused at once after logout on this node and within a second on
//! others (`revoked`); a ticket opens one socket on one node (`ticket`); a refresh token that is used twice outside its grace ends its
//! session (`refresh`).

pub(crate) mod extract;
pub(crate) mod keys;
mod password;
mod refresh;
mod revoked;
mod seal;
mod sessions;
mod ticket;
mod token;

pub use password::PasswordError;
pub use revoked::SessionRevoked;
pub use seal::Sealer;
pub use sessions::{Login, SessionTokens};
pub use ticket::Ticket;

use crate::config::{AuthConfig, Registration, Secret};
use crate::store::{Db, StoreError};
use std::fmt;
use std::sync::Arc;
use tokio::sync::broadcast;
use tripsync_actors::ports::Clock;
use tripsync_domain::{ErrorCode, Timestamp, UserId};
use uuid::Uuid;

/// A login: lives from login to logout, across refreshes; the `sid` of its tokens. (A socket is a
/// [`tripsync_domain::SessionId`].)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LoginId(pub Uuid);

impl fmt::Display for LoginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// Somebody who proved who they are. As an extractor it answers 401 with `WWW-Authenticate` otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthUser {
    /// The account.
    pub user: UserId,
    /// The login.
    pub login: LoginId,
    /// When the proof runs out: a socket must show a fresh token by then.
    pub expires_at: Timestamp,
}

/// Why somebody was not believed.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// No token, or not one of ours.
    #[error("the token is not valid")]
    Invalid,
    /// It was good once.
    #[error("the token has expired")]
    Expired,
    /// Its session has ended: logout, or a refresh token that was used twice.
    #[error("the session has ended")]
    Revoked,
    /// The refresh token had been used before; the session is ended now.
    #[error("the refresh token was used before")]
    Reused,
    /// User name or password is wrong. Which of them is not told.
    #[error("the credentials are wrong")]
    BadCredentials,
    /// More password checks are waiting than allowed.
    #[error("too many logins at once")]
    Overloaded,
    /// The database failed.
    #[error("the accounts cannot be read")]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for AuthError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl AuthError {
    /// The public code, the same on HTTP and on sockets.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid => ErrorCode::Unauthorized,
            Self::Expired => ErrorCode::TokenExpired,
            Self::Revoked => ErrorCode::SessionRevoked,
            Self::Reused => ErrorCode::TokenReused,
            Self::BadCredentials => ErrorCode::BadCredentials,
            Self::Overloaded => ErrorCode::Overloaded,
            Self::Store(error) => {
                if error.is_unavailable() {
                    ErrorCode::Retry
                } else {
                    ErrorCode::Internal
                }
            }
        }
    }
}

/// Passwords, tokens, sessions and tickets. Cheap to clone.
#[derive(Clone)]
pub struct Auth {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    clock: Arc<dyn Clock>,
    config: AuthConfig,
    tokens: token::Tokens,
    refresh: refresh::RefreshTokens,
    passwords: password::Passwords,
    revoked: revoked::Revoked,
    tickets: ticket::Tickets,
    sealer: Sealer,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Auth")
    }
}

impl Auth {
    /// Starts the password threads and derives every key from `signing_key`.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub fn new(db: Db, clock: Arc<dyn Clock>, config: &AuthConfig, signing_key: &Secret) -> std::io::Result<Self> {
        let current = keys::Master::new(signing_key);
        let previous = (!config.previous_signing_key.is_empty()).then(|| keys::Master::new(&config.previous_signing_key));
        Ok(Self {
            inner: Arc::new(Inner {
                tokens: token::Tokens::new(config, &current, previous.as_ref()),
                refresh: refresh::RefreshTokens::new(&current, previous.as_ref()),
                passwords: password::Passwords::start(config.password_threads, config.password_queue_max)?,
                revoked: revoked::Revoked::new(config.access_token_ttl),
                tickets: ticket::Tickets::new(&current, previous.as_ref()),
                sealer: Sealer::new(&current),
                config: config.clone(),
                db,
                clock,
            }),
        })
    }

    /// Believes an access token, or says why not. Needs no database, unless this node stood still: then it waits until what others ended
    /// meanwhile has been read.
    ///
    /// # Errors
    /// [`AuthError::Invalid`], [`AuthError::Expired`], [`AuthError::Revoked`]; [`AuthError::Store`] when that is not read in time.
    pub async fn authenticate(&self, token: &str) -> Result<AuthUser, AuthError> {
        let user = self.authenticate_now(token)?;
        self.inner.revoked.caught_up().await?;
        self.still_good(user)
    }

    /// What [`Auth::authenticate`] says before it has read anything.
    fn authenticate_now(&self, token: &str) -> Result<AuthUser, AuthError> {
        let user = self.inner.tokens.verify(token, self.inner.clock.now())?;
        self.still_good(user)
    }

    fn still_good(&self, user: AuthUser) -> Result<AuthUser, AuthError> {
        if self.is_revoked(user.login) { Err(AuthError::Revoked) } else { Ok(user) }
    }

    /// Whether a login has ended so recently that its access tokens would still be good otherwise.
    #[must_use]
    pub fn is_revoked(&self, login: LoginId) -> bool {
        self.inner.revoked.contains(login)
    }

    /// Tells of every login that ends from now on, on any node. A receiver that lagged has missed some: it must ask
    /// [`Auth::is_revoked`] for each login it serves. Subscribe *before* authenticating, or ask once more afterwards.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<SessionRevoked> {
        self.inner.revoked.subscribe()
    }

    /// Whether strangers may make accounts.
    #[must_use]
    pub fn registration_open(&self) -> bool {
        self.inner.config.registration == Registration::Open
    }

    /// Encrypts what is stored for replay.
    #[must_use]
    pub fn sealer(&self) -> &Sealer {
        &self.inner.sealer
    }

    /// Passwords hashed so far, dummies included.
    #[must_use]
    pub fn hashes_done(&self) -> u64 {
        self.inner.passwords.done()
    }
}

#[cfg(test)]
mod tests;
