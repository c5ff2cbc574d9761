//! Logins that ended while access tokens of theirs are still about.
//!
//! In memory, so that authenticating needs no database; filled at once by this node and every [`POLL`] from the database with
//! what other nodes ended. An entry is forgotten once no access token can be left.

use super::{Auth, LoginId};
use crate::store::accounts;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tripsync_domain::{Timestamp, UserId};

/// How often logins that other nodes ended are read.
pub const POLL: Duration = Duration::from_secs(5);
/// Clocks of nodes may differ, and a revocation may commit later than its time says.
const OVERLAP: Duration = Duration::from_secs(30);
/// Announcements that a slow subscriber may be behind before it is told that it lagged.
const BACKLOG: usize = 1024;

/// A login has ended: its sockets are to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionRevoked {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub login: LoginId,
}

pub(super) struct Revoked {
    /// Login → when it may be forgotten.
    logins: RwLock<HashMap<LoginId, Timestamp>>,
    announce: broadcast::Sender<SessionRevoked>,
    keep: Duration,
}

impl Revoked {
    pub(super) fn new(access_token_ttl: Duration) -> Self {
        Self { logins: RwLock::default(), announce: broadcast::channel(BACKLOG).0, keep: access_token_ttl + OVERLAP }
    }

    pub(super) fn contains(&self, login: LoginId) -> bool {
        self.logins.read().contains_key(&login)
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<SessionRevoked> {
        self.announce.subscribe()
    }

    /// Refuses the login's tokens from now on; announces it the first time.
    pub(super) fn add(&self, ended: SessionRevoked, at: Timestamp) {
        let known = self.logins.write().insert(ended.login, at.plus(self.keep)).is_some();
        if !known {
            // Nobody may be listening.
            let _ = self.announce.send(ended);
        }
    }

    fn forget(&self, now: Timestamp) {
        self.logins.write().retain(|_, until| *until > now);
    }
}

impl Auth {
    /// Reads what ended lately. Must have succeeded once before the first request is served.
    ///
    /// # Errors
    /// As for any query.
    pub async fn refresh_revoked(&self, window: Duration) -> Result<(), crate::store::StoreError> {
        let now = self.inner.clock.now();
        let window_ms = i64::try_from((window + OVERLAP).as_millis()).unwrap_or(i64::MAX);
        let since = Timestamp::from_ms(now.as_ms().saturating_sub(window_ms));
        for (ended, at) in accounts::revoked_since(&self.inner.db, since).await? {
            self.inner.revoked.add(ended, at);
        }
        self.inner.revoked.forget(now);
        Ok(())
    }

    /// Everything that may still matter: for the first read.
    #[must_use]
    pub fn revoked_window(&self) -> Duration {
        self.inner.revoked.keep
    }

    /// Keeps reading until `stop`.
    pub async fn follow_revoked(self, stop: CancellationToken) {
        let mut window = POLL;
        loop {
            if stop.run_until_cancelled(tokio::time::sleep(POLL)).await.is_none() {
                return;
            }
            match self.refresh_revoked(window).await {
                Ok(()) => window = POLL,
                Err(error) => {
                    // Whatever ends while the database is away is caught up with afterwards.
                    window = (window + POLL).min(self.revoked_window());
                    tracing::warn!(cause = crate::telemetry::chain(&error), "ended sessions not read");
                }
            }
        }
    }
}
