//! Socket tickets: a secret that opens one socket, once, soon, on any node. It may stand in a URL, where a token must not.
//!
//! A ticket is 16 random bytes and a keyed hash over them, in base64url: a forged one is refused without asking the database, which
//! keeps of a real one its SHA-256 ([`crate::store::tickets`]).

use super::keys::Master;
use super::{Auth, AuthError, AuthUser};
use crate::store::tickets;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::Rng;
use sha2::{Digest, Sha256};
use tripsync_domain::Timestamp;

/// 16 bytes of chance, 32 of hash.
const BYTES: usize = 48;

/// A ticket on its way to the client.
#[derive(Clone)]
pub struct Ticket {
    /// For `?ticket=`.
    pub secret: String,
    /// When it stops being good.
    pub expires_at: Timestamp,
}

pub(super) struct Tickets {
    current: hmac::Key,
    previous: Option<hmac::Key>,
}

impl Tickets {
    pub(super) fn new(current: &Master, previous: Option<&Master>) -> Self {
        Self { current: current.hmac("socket-ticket"), previous: previous.map(|master| master.hmac("socket-ticket")) }
    }

    fn make(&self) -> String {
        let mut bytes = [0_u8; BYTES];
        rand::rng().fill_bytes(&mut bytes[..16]);
        let tag = hmac::sign(&self.current, &bytes[..16]);
        bytes[16..].copy_from_slice(tag.as_ref());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Whether a node of this cluster made it.
    fn is_genuine(&self, secret: &str) -> bool {
        // The length first, so that nothing long is decoded.
        if secret.len() != BYTES / 3 * 4 {
            return false;
        }
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(secret) else { return false };
        let Some((random, tag)) = bytes.split_at_checked(16) else { return false };
        std::iter::once(&self.current).chain(&self.previous).any(|key| hmac::verify(key, random, tag).is_ok())
    }
}

impl Auth {
    /// Makes a ticket that opens one socket in the name of `user`, on any node.
    ///
    /// # Errors
    /// [`AuthError::Store`].
    pub async fn issue_ticket(&self, user: &AuthUser) -> Result<Ticket, AuthError> {
        let secret = self.inner.tickets.make();
        let expires_at = self.inner.clock.now().plus(self.inner.config.ticket_ttl);
        tickets::keep(&self.inner.db, &hash(&secret), user, expires_at).await?;
        Ok(Ticket { secret, expires_at })
    }

    /// Uses a ticket up. The second time it is not valid, on whichever node.
    ///
    /// # Errors
    /// [`AuthError::Invalid`] for an unknown, used or old ticket, [`AuthError::Revoked`] when its login ended meanwhile,
    /// [`AuthError::Expired`] when the access token that asked for it has run out, [`AuthError::Store`]: it may be used up.
    pub async fn redeem_ticket(&self, secret: &str) -> Result<AuthUser, AuthError> {
        if !self.inner.tickets.is_genuine(secret) {
            return Err(AuthError::Invalid);
        }
        let taken = tickets::take(&self.inner.db, &hash(secret)).await?.ok_or(AuthError::Invalid)?;
        let now = self.inner.clock.now();
        if taken.expires_at <= now {
            return Err(AuthError::Invalid);
        }
        if taken.user.expires_at <= now {
            return Err(AuthError::Expired);
        }
        // The database knows of a logout on another node before this one does.
        if taken.login_lives { self.still_good(taken.user) } else { Err(AuthError::Revoked) }
    }
}

/// What the database keeps of a ticket.
fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn tickets(key: &str, previous: Option<&str>) -> Tickets {
        let master = |key: &str| Master::new(&Secret::new(key));
        Tickets::new(&master(key), previous.map(master).as_ref())
    }

    #[test]
    fn only_tickets_of_ours_are_asked_for() {
        let ours = tickets("a", None);
        let ticket = ours.make();
        assert!(ours.is_genuine(&ticket) && tickets("b", Some("a")).is_genuine(&ticket));
        assert_ne!(ticket, ours.make());
        let other = tickets("b", None);
        let foreign = other.make();
        let mixed = format!("{}{}", &ticket[..20], &foreign[20..]);
        for forged in ["", "nonsense", &ticket[1..], &format!("{ticket}A"), &foreign, &mixed, &"é".repeat(32)] {
            assert!(!ours.is_genuine(forged), "{forged}");
        }
        assert!(!other.is_genuine(&ticket));
    }
}
