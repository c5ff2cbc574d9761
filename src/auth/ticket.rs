//! Socket tickets: a secret that opens one socket, once, soon. It may stand in a URL, where a token must not.
//!
//! Kept in memory by their SHA-256, bounded in all and per user; a ticket is good on the node that made it.

use super::{AuthError, AuthUser};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use rand::Rng;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use tripsync_domain::{Timestamp, UserId};

/// Unused tickets that one user may have; the oldest goes when there is one more.
const PER_USER_MAX: usize = 20;

/// A ticket on its way to the client.
#[derive(Clone)]
pub struct Ticket {
    /// For `?ticket=`.
    pub secret: String,
    /// When it stops being good.
    pub expires_at: Timestamp,
}

type Hash = [u8; 32];

pub(super) struct Tickets {
    state: Mutex<State>,
    max: usize,
    ttl: Duration,
}

#[derive(Default)]
struct State {
    by_hash: HashMap<Hash, (AuthUser, Timestamp)>,
    /// In the order they were made; may name tickets that are used already.
    by_user: HashMap<UserId, VecDeque<Hash>>,
}

impl Tickets {
    pub(super) fn new(max: usize, ttl: Duration) -> Self {
        Self { state: Mutex::default(), max, ttl }
    }

    pub(super) fn issue(&self, user: AuthUser, now: Timestamp) -> Result<Ticket, AuthError> {
        let mut bytes = [0_u8; 32];
        rand::rng().fill_bytes(&mut bytes);
        let secret = URL_SAFE_NO_PAD.encode(bytes);
        let expires_at = now.plus(self.ttl);

        let mut state = self.state.lock();
        if state.by_hash.len() >= self.max {
            state.forget_old(now);
        }
        let full = state.by_hash.len() >= self.max;
        let of_user = state.by_user.entry(user.user).or_default();
        let oldest = if of_user.len() >= PER_USER_MAX { of_user.pop_front() } else { None };
        if full && oldest.is_none() {
            return Err(AuthError::Overloaded);
        }
        let hash = hash(&secret);
        of_user.push_back(hash);
        if let Some(oldest) = oldest {
            state.by_hash.remove(&oldest);
        }
        state.by_hash.insert(hash, (user, expires_at));
        Ok(Ticket { secret, expires_at })
    }

    pub(super) fn redeem(&self, secret: &str, now: Timestamp) -> Result<AuthUser, AuthError> {
        let hash = hash(secret);
        let mut state = self.state.lock();
        let (user, expires_at) = state.by_hash.remove(&hash).ok_or(AuthError::Invalid)?;
        if let Some(of_user) = state.by_user.get_mut(&user.user) {
            of_user.retain(|other| *other != hash);
            if of_user.is_empty() {
                state.by_user.remove(&user.user);
            }
        }
        if expires_at > now { Ok(user) } else { Err(AuthError::Invalid) }
    }
}

impl State {
    fn forget_old(&mut self, now: Timestamp) {
        self.by_hash.retain(|_, (_, expires_at)| *expires_at > now);
        let left = &self.by_hash;
        self.by_user.retain(|_, hashes| {
            hashes.retain(|hash| left.contains_key(hash));
            !hashes.is_empty()
        });
    }
}

fn hash(secret: &str) -> Hash {
    Sha256::digest(secret.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::super::LoginId;
    use super::*;
    use uuid::Uuid;

    fn user(n: u128) -> AuthUser {
        AuthUser { user: UserId(Uuid::from_u128(n)), login: LoginId(Uuid::from_u128(n)), expires_at: Timestamp::from_ms(1_000_000) }
    }

    #[test]
    fn a_ticket_is_good_once_and_for_a_while() {
        let tickets = Tickets::new(10, Duration::from_secs(30));
        let now = Timestamp::from_ms(5_000);
        let ticket = tickets.issue(user(1), now).unwrap();
        assert_eq!(tickets.redeem(&ticket.secret, now).unwrap(), user(1));
        assert!(tickets.redeem(&ticket.secret, now).is_err());
        let ticket = tickets.issue(user(1), now).unwrap();
        assert!(tickets.redeem(&ticket.secret, ticket.expires_at).is_err());
        assert!(tickets.redeem("", now).is_err());
        assert!(tickets.state.lock().by_user.is_empty());
    }

    #[test]
    fn tickets_are_bounded_in_all_and_per_user() {
        let tickets = Tickets::new(PER_USER_MAX + 1, Duration::from_secs(30));
        let now = Timestamp::from_ms(0);
        let first = tickets.issue(user(1), now).unwrap();
        for _ in 0..PER_USER_MAX {
            tickets.issue(user(1), now).unwrap();
        }
        assert!(tickets.redeem(&first.secret, now).is_err(), "the oldest had to go");
        tickets.issue(user(2), now).unwrap();
        assert!(matches!(tickets.issue(user(3), now), Err(AuthError::Overloaded)));
        // Old ones make room.
        tickets.issue(user(3), now.plus(Duration::from_secs(31))).unwrap();
        assert_eq!(tickets.state.lock().by_hash.len(), 1);
    }
}
