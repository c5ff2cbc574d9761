//! Refresh tokens: `tsr_` and the base64url of login id, generation and a keyed hash over both.
//!
//! The keyed hash makes a token unguessable and lets a forged one be refused without asking the database; and it makes the
//! *successor* of a token computable, so that two tabs that refresh at the same moment, or a client that lost the answer, get
//! the same one without any token being stored in clear. The database holds the newest generation and the SHA-256 of its
//! token. What happens to a token that is not the newest is decided in [`crate::store::accounts::rotate`].

use super::LoginId;
use super::keys::Master;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use uuid::Uuid;

const PREFIX: &str = "tsr_";
/// 16 bytes of login, 8 of generation, 32 of hash.
const BYTES: usize = 56;

pub(super) struct RefreshTokens {
    current: hmac::Key,
    previous: Option<hmac::Key>,
}

/// A token that this server made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Genuine {
    pub(super) login: LoginId,
    pub(super) generation: i64,
}

impl RefreshTokens {
    pub(super) fn new(current: &Master, previous: Option<&Master>) -> Self {
        Self { current: current.hmac("refresh-token"), previous: previous.map(|master| master.hmac("refresh-token")) }
    }

    pub(super) fn make(&self, login: LoginId, generation: i64) -> String {
        let mut bytes = [0_u8; BYTES];
        bytes[..16].copy_from_slice(login.0.as_bytes());
        bytes[16..24].copy_from_slice(&generation.to_be_bytes());
        let tag = hmac::sign(&self.current, &bytes[..24]);
        bytes[24..].copy_from_slice(tag.as_ref());
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// None for anything that this server did not make.
    pub(super) fn read(&self, token: &str) -> Option<Genuine> {
        let bytes: [u8; BYTES] =
            URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX).filter(|rest| rest.len() <= 2 * BYTES)?).ok()?.try_into().ok()?;
        let (signed, tag) = bytes.split_at(24);
        let genuine = std::iter::once(&self.current).chain(&self.previous).any(|key| hmac::verify(key, signed, tag).is_ok());
        let (login, generation) = signed.split_at(16);
        genuine.then_some(Genuine {
            login: LoginId(Uuid::from_slice(login).ok()?),
            generation: i64::from_be_bytes(generation.try_into().ok()?),
        })
    }
}

/// What the database keeps of a token.
pub(super) fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
