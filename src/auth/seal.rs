//! Encrypting what is stored only to be replayed: answers to logins hold tokens, which are not to lie in the database.

use super::keys::Master;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;

/// Encrypts with AES-256-GCM and a random nonce, and makes keyed fingerprints. The keys derive from the signing key.
pub struct Sealer {
    key: [u8; 32],
    fingerprints: hmac::Key,
}

impl Sealer {
    pub(super) fn new(master: &Master) -> Self {
        Self { key: master.derive("seal"), fingerprints: master.hmac("fingerprint") }
    }

    /// Nonce, ciphertext and tag in one. `context` is not hidden but must be the same to open. None only if the
    /// cryptographic library fails.
    #[must_use]
    pub fn seal(&self, context: &[u8], mut clear: Vec<u8>) -> Option<Vec<u8>> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, &self.key).ok()?;
        let nonce = key.seal_in_place_append_tag(Aad::from(context), &mut clear).ok()?;
        let mut out = Vec::with_capacity(NONCE_LEN + clear.len());
        out.extend_from_slice(nonce.as_ref());
        out.append(&mut clear);
        Some(out)
    }

    /// None when it was not sealed with this key and context, or was changed.
    #[must_use]
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, &self.key).ok()?;
        let mut buffer = rest.to_vec();
        let length = key.open_in_place(nonce, Aad::from(context), &mut buffer).ok()?.len();
        buffer.truncate(length);
        Some(buffer)
    }

    /// A keyed hash over parts, each with its length, so that no two lists of parts look the same.
    #[must_use]
    pub fn fingerprint(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.fingerprints);
        for part in parts {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            context.update(&length.to_be_bytes());
            context.update(part);
        }
        let mut out = [0_u8; 32];
        out.copy_from_slice(context.sign().as_ref());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn only_the_same_key_and_context_open() {
        let sealer = |key: &str| Sealer::new(&Master::new(&Secret::new(key)));
        let one = sealer("one");
        let sealed = one.seal(b"ctx", b"hello".to_vec()).unwrap();
        assert_eq!(one.open(b"ctx", &sealed).unwrap(), b"hello");
        assert!(one.open(b"other", &sealed).is_none());
        assert!(sealer("two").open(b"ctx", &sealed).is_none());
        assert!(one.open(b"ctx", &sealed[..sealed.len() - 1]).is_none());
        assert!(one.open(b"ctx", b"short").is_none());
        assert_ne!(one.fingerprint(&[b"ab", b"c"]), one.fingerprint(&[b"a", b"bc"]));
    }
}
