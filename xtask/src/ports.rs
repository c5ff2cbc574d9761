//! Free TCP ports for servers that must keep their address over a restart.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

/// Where ports are looked for: below the range that Linux hands to outgoing connections (32768 to 60999), whose
/// leftovers in `TIME_WAIT` would make a later bind fail.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// A port of 127.0.0.1 that nobody listens on now and that this process has not handed out before.
///
/// # Errors
/// No port of the range is free.
pub fn free_port() -> anyhow::Result<u16> {
    static TAKEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let taken = taken.get_or_insert_default();
    let span = RANGE.end - RANGE.start;
    let start = random_u64() % u64::from(span);
    for step in 0..span {
        let offset = (start + u64::from(step)) % u64::from(span);
        let port = RANGE.start + u16::try_from(offset)?;
        if !taken.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            taken.insert(port);
            return Ok(port);
        }
    }
    anyhow::bail!("no free port on 127.0.0.1 between {} and {}", RANGE.start, RANGE.end)
}

/// 64 bits from the seed that the standard library takes from the system for its hash maps.
pub(crate) fn random_u64() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hands_out_different_free_ports() {
        let ports: HashSet<u16> = (0..20).map(|_| free_port().unwrap()).collect();
        assert_eq!(ports.len(), 20);
        for port in ports {
            assert!(RANGE.contains(&port));
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        }
    }
}
