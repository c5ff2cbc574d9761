//! Making rooms, appending to them and reading back.

use super::{Append, append, node, opened, record, stored};
use crate::ports::{Journal, JournalError, Refusal};
use bytes::Bytes;
use tripsync_domain::{ClientId, CommandNumber, Epoch, RoomId, Seq, Timestamp, UserId};
use uuid::Uuid;

pub(super) async fn rooms_are_made_once(journal: &dyn Journal) {
    let room = RoomId(Uuid::now_v7());
    let at = Timestamp::from_ms(7);
    journal.create(room, "trip", at).await.expect("made");
    let first = journal.open(room, node()).await.expect("opened").expect("there");
    assert_eq!((first.kind.as_str(), first.epoch, first.last, first.snapshot), ("trip", Epoch(1), Seq(0), None));

    journal.create(room, "trip", at).await.expect("made again");
    let again = journal.open(room, node()).await.expect("opened").expect("there");
    assert_eq!(again.epoch, Epoch(2), "making a room again must not reset it");
    assert_eq!(journal.kind(room).await.expect("answered").as_deref(), Some("trip"));

    let other = journal.create(room, "pool", at).await;
    assert!(matches!(other, Err(JournalError::Broken(_))), "{other:?}");
    assert_eq!(journal.kind(room).await.expect("answered").as_deref(), Some("trip"));
}

pub(super) async fn an_unknown_room_is_nowhere(journal: &dyn Journal) {
    let room = RoomId(Uuid::now_v7());
    let (user, client) = (UserId(Uuid::now_v7()), ClientId(Uuid::now_v7()));
    assert_eq!(journal.kind(room).await.expect("answered"), None);
    assert_eq!(journal.open(room, node()).await.expect("answered"), None);
    assert_eq!(journal.read(room, Seq(0), Seq(9), 9).await.expect("answered"), []);
    assert_eq!(journal.last_command(room, user, client).await.expect("answered"), None);
    assert_eq!(journal.find_command(room, user, client, CommandNumber(1)).await.expect("answered"), None);
    let part = Append { room, epoch: Epoch(0), records: vec![record(1, None)], projections: Vec::new(), deadline: None };
    assert_eq!(append(journal, &[part]).await, [Err(Refusal::Fenced)]);
    assert_eq!(journal.read(room, Seq(0), Seq(9), 9).await.expect("answered"), []);
    assert_eq!(append(journal, &[]).await, []);
}

pub(super) async fn records_come_back_in_order_and_in_pages(journal: &dyn Journal) {
    let room = opened(journal).await;
    assert_eq!(append(journal, &[room.plain(1..=1)]).await, [Ok(())]);
    assert_eq!(append(journal, &[room.plain(2..=9)]).await, [Ok(())]);
    assert_eq!(room.all(journal).await, stored(1..=9));
    let page = |after, up_to, limit| async move { journal.read(room.id, Seq(after), Seq(up_to), limit).await.expect("answered") };
    assert_eq!(page(3, 6, 100).await, stored(4..=6));
    assert_eq!(page(3, 6, 2).await, stored(4..=5));
    assert_eq!(page(0, 9, 0).await, []);
    assert_eq!(page(9, 9, 5).await, []);
    assert_eq!(page(8, u64::MAX, 5).await, stored(9..=9));
    assert_eq!(page(7, 3, 5).await, []);
    let reopened = journal.open(room.id, node()).await.expect("opened").expect("there");
    assert_eq!(reopened.last, Seq(9));
}

pub(super) async fn gaps_and_repeats_are_refused(journal: &dyn Journal) {
    let room = opened(journal).await;
    assert_eq!(append(journal, &[room.plain(1..=3)]).await, [Ok(())]);
    let inner_gap = {
        let mut part = room.plain(4..=6);
        part.records.remove(1);
        part
    };
    let wrong = [room.plain(3..=4), room.plain(1..=1), room.plain(5..=5), inner_gap, room.plain(0..=1)];
    for part in wrong {
        let other = opened(journal).await;
        let results = append(journal, &[part, other.plain(1..=2)]).await;
        assert_eq!(results, [Err(Refusal::Duplicate), Ok(())]);
        assert_eq!(room.all(journal).await, stored(1..=3), "a refused append stores nothing");
        assert_eq!(other.all(journal).await, stored(1..=2), "the others are stored");
    }
    assert_eq!(append(journal, &[room.plain(4..=4)]).await, [Ok(())], "a refusal does not spoil the room");
}

pub(super) async fn odd_bytes_are_kept(journal: &dyn Journal) {
    let room = opened(journal).await;
    let contents = [vec![], vec![0], (0..=255).collect::<Vec<u8>>(), vec![0xc1; 70_000]].map(Bytes::from);
    let mut part = room.plain(1..=4);
    for (record, bytes) in part.records.iter_mut().zip(&contents) {
        record.bytes = bytes.clone();
    }
    assert_eq!(append(journal, &[part]).await, [Ok(())]);
    let read: Vec<Bytes> = room.all(journal).await.into_iter().map(|record| record.bytes).collect();
    assert_eq!(read, contents);
}
