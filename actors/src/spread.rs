//! Hints that many clients may be told at the same moment, spread so that they do not come back at the same moment.

use std::time::Duration;
use tripsync_domain::Rejection;
use uuid::Uuid;

/// A hint grows by this much at most, so that one of minutes does not become one of twice that.
const MORE_MAX_MS: u64 = 5_000;

/// Something between `ms` and twice that, which depends on `who` alone.
pub(crate) fn spread(ms: u64, who: Uuid) -> u64 {
    ms.saturating_add(mix(who) % (ms.min(MORE_MAX_MS) + 1))
}

/// The same for a wait.
pub(crate) fn spread_wait(wait: Duration, who: Uuid, turn: u32) -> Duration {
    let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(spread(ms, Uuid::from_u128(who.as_u128() ^ (u128::from(turn) << 96))))
}

/// The rejection with its hint, if it has one, spread.
pub(crate) fn spread_hint(rejection: Rejection, who: Uuid) -> Rejection {
    Rejection { retry_after_ms: rejection.retry_after_ms.map(|ms| spread(ms, who)), ..rejection }
}

/// Ids that follow each other, or were made in the same millisecond, come out far apart (splitmix64).
fn mix(id: Uuid) -> u64 {
    let (high, low) = id.as_u64_pair();
    let mut z = high.rotate_left(32) ^ low;
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn hints_fill_the_time_between_once_and_twice_evenly() {
        let hints: Vec<_> = (0..10_000).map(|n| spread(500, Uuid::from_u128(n))).collect();
        assert!(hints.iter().all(|hint| (500..=1_000).contains(hint)));
        for tenth in 0..10 {
            let in_it = hints.iter().filter(|hint| (500 + tenth * 50..550 + tenth * 50).contains(*hint)).count();
            assert!((900..1_100).contains(&in_it), "{in_it} of 10,000 in tenth {tenth}");
        }
        assert_eq!(spread(500, Uuid::from_u128(7)), spread(500, Uuid::from_u128(7)), "the same for the same");
    }

    #[test]
    fn none_stays_none_and_long_ones_are_not_doubled() {
        assert_eq!((spread(0, Uuid::from_u128(7)), spread(u64::MAX, Uuid::from_u128(7))), (0, u64::MAX));
        assert!((0..1_000).all(|n| (300_000..=305_000).contains(&spread(300_000, Uuid::from_u128(n)))));
        assert_eq!(spread_hint(Rejection::not_found("no"), Uuid::from_u128(7)).retry_after_ms, None);
        let turns: BTreeSet<_> = (0..20).map(|turn| spread_wait(Duration::from_secs(1), Uuid::from_u128(7), turn)).collect();
        assert!(turns.len() > 15, "another one each time: {turns:?}");
    }
}
