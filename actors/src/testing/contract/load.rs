//! Size and concurrency.

use super::{append, opened, stored};
use crate::ports::Journal;
use tripsync_domain::Seq;

pub(super) async fn a_large_batch_is_stored_whole(journal: &dyn Journal) {
    let (large, small) = (opened(journal).await, opened(journal).await);
    let batch = [large.plain(1..=10_000), small.plain(1..=1)];
    assert_eq!(append(journal, &batch).await, [Ok(()), Ok(())]);
    let tail = journal.read(large.id, Seq(9_990), Seq(u64::MAX), 100).await.expect("answered");
    assert_eq!(tail, stored(9_991..=10_000));
    assert_eq!(large.all(journal).await.len(), 10_000);
    assert_eq!(small.all(journal).await, stored(1..=1));
}

/// 200 appends over 50 rooms from 50 callers at a time, each with 1 to 3 records and some in common batches.
pub(super) async fn many_rooms_append_at_once(journal: &dyn Journal) {
    let mut rooms = Vec::new();
    for _ in 0..50 {
        rooms.push(opened(journal).await);
    }
    let callers = rooms.chunks(2).map(|pair| async move {
        let mut next = 1;
        for round in 0..8_u64 {
            let last = next + round % 3;
            let batch: Vec<_> = pair.iter().map(|room| room.plain(next..=last)).collect();
            assert!(append(journal, &batch).await.iter().all(Result::is_ok));
            next = last + 1;
        }
        next - 1
    });
    for last in futures_util::future::join_all(callers).await {
        assert_eq!(last, 15);
    }
    for room in rooms {
        assert_eq!(room.all(journal).await, stored(1..=15));
    }
}
