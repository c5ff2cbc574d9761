//! Logins that ended while access tokens of theirs are still about.
//!
//! In memory, so that authenticating needs no database; filled at once by this node, and from the database with what other nodes ended,
//! which on PostgreSQL is asked every [`POLL_SHARED`]. An entry is forgotten once no access token can be left.
//!
//! While the database cannot be read, what others end stays unknown: tokens and sockets of such logins are good until the tokens run out
//! (`auth.access_token_ttl`), because fresh ones come from the database. Afterwards everything missed is read at once. A node that merely
//! has not read for a while, because it stood still, believes nobody before it has ([`Revoked::caught_up`]).

use super::{Auth, LoginId};
use crate::store::{DbKind, StoreError, accounts};
use crate::telemetry::chain;
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tripsync_domain::{Timestamp, UserId};

/// How often logins that other nodes ended are read: their sockets are to close within a second.
const POLL_SHARED: Duration = Duration::from_millis(300);
/// The same for SQLite, which no other server shares: only to forget, and to tell whether the database is there.
const POLL_ALONE: Duration = Duration::from_secs(5);
/// A read that takes longer has failed: a connection that hangs must not keep the next one from being tried.
const READ_LIMIT: Duration = Duration::from_secs(2);
/// What others ended this long ago is known.
const FRESH: Duration = Duration::from_secs(1);
/// How long somebody with a token waits for the read that [`FRESH`] demands: until it has been read, or a read has failed.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(3);
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
    /// When the last read that succeeded began; what ended long before is known.
    read_at: Mutex<Option<Timestamp>>,
    /// How far what other nodes end is known here.
    known: watch::Sender<Known>,
}

/// How far what other nodes end is known, by this node's own clock, which goes on while the process stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// There are no other nodes, or this one is ending.
    Alone,
    /// All that had ended by then.
    Until(Instant),
    /// The last read failed.
    Unreadable,
}

impl Known {
    fn is_enough(self, now: Instant) -> bool {
        match self {
            Self::Until(then) => now.duration_since(then) <= FRESH,
            // Nothing better is to be had: see the module's text.
            Self::Alone | Self::Unreadable => true,
        }
    }
}

impl Revoked {
    pub(super) fn new(access_token_ttl: Duration) -> Self {
        let (announce, keep) = (broadcast::channel(BACKLOG).0, access_token_ttl + OVERLAP);
        Self { logins: RwLock::default(), announce, keep, read_at: Mutex::default(), known: watch::Sender::new(Known::Alone) }
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

    /// Waits until it is known what other nodes had ended a moment ago. That is nearly always known already; a node that stood still reads first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it is not read in time.
    pub(super) async fn caught_up(&self) -> Result<(), StoreError> {
        if self.known.borrow().is_enough(Instant::now()) {
            return Ok(());
        }
        let mut known = self.known.subscribe();
        let reading = known.wait_for(|known| known.is_enough(Instant::now()));
        match tokio::time::timeout(CATCH_UP_LIMIT, reading).await {
            Ok(_) => Ok(()),
            Err(_) => Err(StoreError::Unavailable { why: "ended logins were not read in time", source: None }),
        }
    }

    /// From when on ended logins are still to be read. Never from the future, into which a clock that was wrong may have looked.
    fn unread_since(&self, now: Timestamp) -> Timestamp {
        let read_at = self.read_at.lock().map_or(before(now, self.keep), |at| at.min(now));
        before(now, self.keep).max(before(read_at, OVERLAP))
    }

    fn forget(&self, now: Timestamp) {
        self.logins.write().retain(|_, until| *until > now);
    }
}

impl Auth {
    /// Reads what ended since the last read that succeeded; the first one reads whatever may still matter. Must have succeeded once before
    /// the first request is served.
    ///
    /// # Errors
    /// As for any query.
    pub async fn refresh_revoked(&self) -> Result<(), StoreError> {
        let revoked = &self.inner.revoked;
        let (now, began) = (self.inner.clock.now(), Instant::now());
        for (ended, at) in accounts::revoked_since(&self.inner.db, revoked.unread_since(now)).await? {
            revoked.add(ended, at);
        }
        *revoked.read_at.lock() = Some(now);
        revoked.forget(now);
        if self.is_shared() {
            revoked.known.send_replace(Known::Until(began));
        }
        Ok(())
    }

    /// Whether other nodes may end logins.
    fn is_shared(&self) -> bool {
        self.inner.db.kind() == DbKind::Postgres
    }

    /// How long an ended login is remembered.
    #[must_use]
    pub fn revoked_kept(&self) -> Duration {
        self.inner.revoked.keep
    }

    /// Keeps reading until `stop`.
    pub async fn follow_revoked(self, stop: CancellationToken) {
        let poll = if self.is_shared() { POLL_SHARED } else { POLL_ALONE };
        let known = &self.inner.revoked.known;
        let mut was_read = true;
        loop {
            let reading = async {
                tokio::time::sleep(poll).await;
                let (began, unavailable) = (Instant::now(), StoreError::Unavailable { why: "no answer in time", source: None });
                let read = tokio::time::timeout(READ_LIMIT, self.refresh_revoked()).await.unwrap_or(Err(unavailable));
                (began, read)
            };
            let Some((began, read)) = stop.run_until_cancelled(reading).await else { break };
            // One that took longer than it may stood still with this process: the next one tells.
            if read.is_err() && self.is_shared() && began.elapsed() < READ_LIMIT + FRESH {
                known.send_replace(Known::Unreadable);
            }
            metrics::gauge!("tripsync_database_reached").set(if read.is_ok() { 1.0 } else { 0.0 });
            match &read {
                // Once, not several times a second.
                Err(error) if was_read => {
                    tracing::warn!(cause = chain(error), "ended logins cannot be read: those of other nodes are unknown")
                }
                Ok(()) if !was_read => tracing::info!("ended logins are read again"),
                Err(_) | Ok(()) => {}
            }
            was_read = read.is_ok();
        }
        known.send_replace(Known::Alone);
    }
}

fn before(at: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_ms(at.as_ms().saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_read_over_and_a_wrong_clock_forgiven() {
        let keep = Duration::from_secs(900) + OVERLAP;
        let revoked = Revoked::new(Duration::from_secs(900));
        let at = |s: i64| Timestamp::from_ms(s * 1_000);
        assert_eq!(revoked.unread_since(at(10_000)), before(at(10_000), keep), "everything that may matter");
        *revoked.read_at.lock() = Some(at(10_000));
        assert_eq!(revoked.unread_since(at(10_001)), before(at(10_000), OVERLAP));
        assert_eq!(revoked.unread_since(at(10_600)), before(at(10_000), OVERLAP), "ten minutes without an answer");
        assert_eq!(revoked.unread_since(at(99_999)), before(at(99_999), keep), "no token is left of what ended before");
        assert_eq!(revoked.unread_since(at(5_000)), before(at(5_000), OVERLAP), "the clock was ahead and is set back");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_stood_still_reads_before_anybody_is_believed() {
        let revoked = Revoked::new(Duration::from_secs(900));
        let took = async || {
            let from = Instant::now();
            let caught_up = revoked.caught_up().await.is_ok();
            (caught_up, from.elapsed())
        };
        assert_eq!(took().await, (true, Duration::ZERO), "nobody else ends logins");
        let before = Instant::now();
        revoked.known.send_replace(Known::Until(before));
        tokio::time::advance(FRESH).await;
        assert_eq!(took().await, (true, Duration::ZERO), "just read");

        tokio::time::advance(Duration::from_millis(1)).await;
        let read = async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            // Asked before it stood still.
            revoked.known.send_replace(Known::Until(before));
            tokio::time::sleep(Duration::from_millis(10)).await;
            revoked.known.send_replace(Known::Until(Instant::now()));
        };
        assert_eq!(tokio::join!(took(), read).0, (true, Duration::from_millis(20)));

        tokio::time::advance(FRESH * 2).await;
        assert_eq!(took().await, (false, CATCH_UP_LIMIT), "nobody reads");
        revoked.known.send_replace(Known::Unreadable);
        assert_eq!(took().await, (true, Duration::ZERO), "what is ended elsewhere cannot be known");
    }
}
