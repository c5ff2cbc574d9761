//! One configured secret, many keys: each purpose gets its own, so that none can be used for another.

use crate::config::Secret;
use aws_lc_rs::hmac;

/// A configured secret.
pub(crate) struct Master(hmac::Key);

impl Master {
    pub(crate) fn new(secret: &Secret) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes()))
    }

    /// A key for one purpose (HMAC-SHA256 as a key derivation function, NIST SP 800-108 in feedback-free form).
    pub(super) fn derive(&self, purpose: &str) -> [u8; 32] {
        let tag = hmac::sign(&self.0, format!("tripsync.v1.{purpose}").as_bytes());
        let mut key = [0_u8; 32];
        key.copy_from_slice(tag.as_ref());
        key
    }

    /// A keyed hash for one purpose.
    pub(crate) fn hmac(&self, purpose: &str) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.derive(purpose))
    }
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing into a String cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}
