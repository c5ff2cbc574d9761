//! The seal on messages between nodes: who sent it, to whom, unchanged.
//!
//! `version (1) ‖ sender (16) ‖ tag (32) ‖ body`. The tag is HMAC-SHA256 over the channel's length and name, the version, the sender and
//! the body, with a key that derives from `cluster.secret`. So nobody without the secret can say anything, and nobody can carry a message
//! to another node or another cluster. Bodies are not hidden: use `rediss://` or a private network for that.
//!
//! An old message that is sent again verifies. The receiver finds it by the number that every message of a relay has, as long as it remembers
//! the relay, and drops it as it drops one that the network doubled.

use crate::auth::keys::Master;
use crate::config::Secret;
use aws_lc_rs::{constant_time, hmac};
use bytes::Bytes;
use tripsync_domain::NodeId;
use uuid::Uuid;

/// Raised with every change of what is sealed or what bodies mean. Nodes with different ones do not hear each other.
const VERSION: u8 = 1;
const SENDER: usize = 1;
const TAG: usize = SENDER + 16;
const BODY: usize = TAG + 32;

/// Why a message is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Too short to be one.
    Malformed,
    /// From a node of another version.
    Version,
    /// Another secret, another addressee, or changed.
    Forged,
}

impl Refusal {
    /// In metrics.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Version => "version",
            Self::Forged => "forged",
        }
    }
}

/// Makes and checks seals.
pub(super) struct Seal(hmac::Key);

impl Seal {
    pub(super) fn new(secret: &Secret) -> Self {
        Self(Master::new(secret).hmac("bus"))
    }

    /// `body` as it travels from `sender` on `channel`.
    pub(super) fn close(&self, sender: NodeId, channel: &str, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(BODY + body.len());
        out.push(VERSION);
        out.extend_from_slice(sender.as_bytes());
        out.extend_from_slice(self.tag(channel.as_bytes(), &out[..TAG], body).as_ref());
        out.extend_from_slice(body);
        out
    }

    /// The sender and body of what came on `channel`.
    pub(super) fn open(&self, channel: &[u8], sealed: &Bytes) -> Result<(NodeId, Bytes), Refusal> {
        let Some((head, tag)) = sealed.get(..BODY).map(|start| start.split_at(TAG)) else {
            return Err(Refusal::Malformed);
        };
        if head[0] != VERSION {
            return Err(Refusal::Version);
        }
        let sender = Uuid::from_slice(&head[SENDER..]).map_err(|_| Refusal::Malformed)?;
        let body = sealed.slice(BODY..);
        let good = self.tag(channel, head, &body);
        constant_time::verify_slices_are_equal(good.as_ref(), tag).map_err(|_| Refusal::Forged)?;
        Ok((NodeId(sender), body))
    }

    fn tag(&self, channel: &[u8], head: &[u8], body: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&(channel.len() as u64).to_be_bytes());
        context.update(channel);
        context.update(head);
        context.update(body);
        context.sign()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANNEL: &str = "t:to:x";

    fn seal(secret: &str) -> Seal {
        Seal::new(&Secret::new(secret.repeat(8)))
    }

    fn node() -> NodeId {
        NodeId(Uuid::from_u128(7))
    }

    #[test]
    fn what_was_sealed_comes_out() {
        let seal = seal("good");
        for body in [&b""[..], b"x", &[0xff; 70_000]] {
            let sealed = Bytes::from(seal.close(node(), CHANNEL, body));
            assert_eq!(seal.open(CHANNEL.as_bytes(), &sealed), Ok((node(), Bytes::copy_from_slice(body))));
        }
    }

    #[test]
    fn every_bit_counts() {
        let seal = seal("good");
        let sealed = seal.close(node(), CHANNEL, b"body");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            let expected = if at == 0 { Refusal::Version } else { Refusal::Forged };
            assert_eq!(seal.open(CHANNEL.as_bytes(), &changed.into()), Err(expected), "byte {at}");
        }
        for len in 0..BODY {
            assert_eq!(seal.open(CHANNEL.as_bytes(), &sealed[..len].to_vec().into()), Err(Refusal::Malformed), "{len} bytes");
        }
        for len in BODY..sealed.len() {
            assert_eq!(seal.open(CHANNEL.as_bytes(), &sealed[..len].to_vec().into()), Err(Refusal::Forged), "{len} bytes");
        }
    }

    #[test]
    fn another_secret_or_addressee_is_noticed() {
        let sealed = Bytes::from(seal("good").close(node(), CHANNEL, b"body"));
        assert_eq!(seal("evil").open(CHANNEL.as_bytes(), &sealed), Err(Refusal::Forged));
        assert_eq!(seal("good").open(b"t:to:y", &sealed), Err(Refusal::Forged));
        assert_eq!(seal("good").open(b"t:all", &sealed), Err(Refusal::Forged));
    }

    /// Nodes of one version understand each other: a change here needs a new [`VERSION`].
    #[test]
    fn the_bytes_of_version_1_stay() {
        let sealed = seal("good").close(node(), CHANNEL, b"body");
        let hex: String = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
        // Computed beside it, with another HMAC.
        let head = "0100000000000000000000000000000007";
        let tag = "d5a6a0842c67181b39e95461214625da38fcd708df614921c7f51aca5d1f523a";
        assert_eq!(hex, format!("{head}{tag}626f6479"));
    }
}
