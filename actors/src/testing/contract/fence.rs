//! One owner at a time.

use super::{Room, append, node, opened, stored};
use crate::ports::{Journal, Refusal};
use tripsync_domain::{Epoch, Seq};

pub(super) async fn an_old_owner_is_refused_and_the_others_are_stored(journal: &dyn Journal) {
    let (before, old, after) = (opened(journal).await, opened(journal).await, opened(journal).await);
    assert_eq!(append(journal, &[old.plain(1..=2)]).await, [Ok(())]);
    let taken = journal.open(old.id, node()).await.expect("opened").expect("there");
    assert!(taken.epoch > old.epoch);
    assert_eq!(taken.last, Seq(2));

    let batch = [before.plain(1..=3), old.plain(3..=3), after.plain(1..=1)];
    assert_eq!(append(journal, &batch).await, [Ok(()), Err(Refusal::Fenced), Ok(())]);
    assert_eq!(old.all(journal).await, stored(1..=2));
    assert_eq!(before.all(journal).await, stored(1..=3));
    assert_eq!(after.all(journal).await, stored(1..=1));

    // An epoch that nobody got is no better than an old one.
    let never = Room { id: old.id, epoch: Epoch(taken.epoch.0 + 1) };
    assert_eq!(append(journal, &[never.plain(3..=3)]).await, [Err(Refusal::Fenced)]);
    let owner = Room { id: old.id, epoch: taken.epoch };
    assert_eq!(append(journal, &[owner.plain(3..=3)]).await, [Ok(())]);
    assert_eq!(owner.all(journal).await, stored(1..=3));
}

/// Owners take the room from each other while appending: whatever is stored is one history without gaps, and what was
/// acknowledged is in it.
pub(super) async fn owners_that_race_leave_one_history(journal: &dyn Journal) {
    let room = opened(journal).await;
    let owner = || async move {
        let mut stored = Vec::new();
        for _ in 0..10 {
            let opened = journal.open(room.id, node()).await.expect("opened").expect("there");
            let mine = Room { id: room.id, epoch: opened.epoch };
            let mut next = opened.last.0 + 1;
            while append(journal, &[mine.plain(next..=next + 1)]).await == [Ok(())] {
                stored.extend([next, next + 1]);
                next += 2;
                if stored.len().is_multiple_of(6) {
                    break;
                }
            }
        }
        stored
    };
    let (one, two, three) = tokio::join!(owner(), owner(), owner());
    let mut acknowledged = [one, two, three].concat();
    acknowledged.sort_unstable();
    let read: Vec<u64> = room.all(journal).await.into_iter().map(|record| record.seq.0).collect();
    assert_eq!(read, acknowledged, "every acknowledged seq once, and nothing else");
    assert_eq!(read, (1..=u64::try_from(read.len()).unwrap_or(0)).collect::<Vec<_>>(), "without gaps");
    assert!(!read.is_empty());
}
