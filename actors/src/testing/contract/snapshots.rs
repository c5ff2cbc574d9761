//! Snapshots are a shortcut and never a lie.

use super::{Room, append, node, opened};
use crate::ports::{Journal, Snapshot};
use bytes::Bytes;
use tripsync_domain::Seq;

fn snapshot(seq: u64, version: u16) -> Snapshot {
    Snapshot { seq: Seq(seq), version, state: Bytes::from(vec![u8::try_from(seq).unwrap_or(0); 300]) }
}

async fn kept(journal: &dyn Journal, room: Room) -> (Room, Option<Snapshot>) {
    let opened = journal.open(room.id, node()).await.expect("opened").expect("there");
    (Room { id: room.id, epoch: opened.epoch }, opened.snapshot)
}

async fn save(journal: &dyn Journal, room: Room, snapshot: Snapshot) {
    journal.save_snapshot(room.id, room.epoch, snapshot).await.expect("the journal is available");
}

pub(super) async fn a_snapshot_never_goes_back(journal: &dyn Journal) {
    let room = opened(journal).await;
    assert_eq!(append(journal, &[room.plain(1..=20)]).await, [Ok(())]);
    save(journal, room, snapshot(5, 1)).await;
    save(journal, room, snapshot(12, 1)).await;
    save(journal, room, snapshot(9, 2)).await;
    let (room, found) = kept(journal, room).await;
    assert_eq!(found, Some(snapshot(12, 1)));
    // The same state in another encoding does replace it.
    save(journal, room, snapshot(12, 2)).await;
    let (room, found) = kept(journal, room).await;
    assert_eq!(found, Some(snapshot(12, 2)));
    save(journal, room, snapshot(20, u16::MAX)).await;
    assert_eq!(kept(journal, room).await.1, Some(snapshot(20, u16::MAX)));
}

pub(super) async fn a_snapshot_needs_the_epoch_and_the_events(journal: &dyn Journal) {
    let old = opened(journal).await;
    assert_eq!(append(journal, &[old.plain(1..=4)]).await, [Ok(())]);
    let (new, found) = kept(journal, old).await;
    assert_eq!(found, None);
    save(journal, old, snapshot(4, 1)).await;
    save(journal, new, snapshot(5, 1)).await;
    let (new, found) = kept(journal, new).await;
    assert_eq!(found, None, "neither an old owner's snapshot nor one beyond the journal is kept");
    save(journal, new, snapshot(3, 1)).await;
    assert_eq!(kept(journal, new).await.1, Some(snapshot(3, 1)));
}
