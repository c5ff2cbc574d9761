//! The contract on memory, and the faults to order.

use super::*;
use crate::ports::NewRecord;
use crate::testing::contract::{Projected, Subject, journal_contract};
use bytes::Bytes;
use uuid::Uuid;

struct Memory(MemoryJournal);

#[async_trait]
impl Subject for Memory {
    fn journal(&self) -> &dyn Journal {
        &self.0
    }

    async fn projected(&self, room: RoomId) -> Projected {
        Projected { row: self.0.row(room), members: self.0.members(room), messages: self.0.items(room, "messages") }
    }
}

#[tokio::test]
async fn contract() {
    journal_contract(&Memory(MemoryJournal::new())).await;
}

async fn room(journal: &MemoryJournal) -> (RoomId, Epoch) {
    let room = RoomId(Uuid::now_v7());
    journal.create(room, "trip", Timestamp::from_ms(0)).await.unwrap();
    (room, journal.open(room, NodeId(Uuid::now_v7())).await.unwrap().unwrap().epoch)
}

fn one((room, epoch): (RoomId, Epoch), seq: u64) -> Vec<Append> {
    let record = NewRecord {
        seq: Seq(seq),
        at: Timestamp::from_ms(0),
        by: UserId(Uuid::nil()),
        tag: "t",
        entity: None,
        command: None,
        bytes: Bytes::from_static(b"r"),
    };
    vec![Append { room, epoch, records: vec![record], projections: Vec::new(), deadline: None }]
}

#[tokio::test]
async fn a_frozen_journal_stores_nothing_until_it_thaws() {
    let journal = MemoryJournal::new();
    let room = room(&journal).await;
    journal.freeze();
    let append = tokio::spawn({
        let journal = journal.clone();
        async move { journal.append(one(room, 1).into()).await }
    });
    journal.until_waiting(1).await;
    assert!(journal.records(room.0).is_empty());
    assert!(!append.is_finished());
    journal.thaw();
    assert_eq!(append.await.unwrap().unwrap(), [Ok(())]);
    assert_eq!(journal.records(room.0).len(), 1);

    // A caller that gives up while it waits has stored nothing.
    journal.freeze();
    let append = tokio::spawn({
        let journal = journal.clone();
        async move { journal.append(one(room, 2).into()).await.map(|_| ()) }
    });
    journal.until_waiting(1).await;
    append.abort();
    assert!(append.await.unwrap_err().is_cancelled());
    journal.thaw();
    assert_eq!(journal.records(room.0).len(), 1);
}

#[tokio::test]
async fn faults_come_in_the_order_they_were_planned() {
    let journal = MemoryJournal::new();
    let room = room(&journal).await;
    journal.plan_faults([Some(Fault::Lost), None, Some(Fault::StoredUnanswered)]);
    assert!(journal.append(one(room, 1).into()).await.is_err());
    assert_eq!(journal.records(room.0).len(), 0);
    assert!(journal.append(one(room, 1).into()).await.is_ok());
    assert!(journal.append(one(room, 2).into()).await.is_err());
    assert_eq!(journal.records(room.0).len(), 2);
    journal.set_lasting_fault(Some(Fault::Lost));
    assert!(journal.append(one(room, 3).into()).await.is_err());
    assert!(journal.append(one(room, 3).into()).await.is_err());
    journal.set_lasting_fault(None);
    assert_eq!(journal.append(one(room, 3).into()).await.unwrap(), [Ok(())]);
    journal.set_away(true);
    assert!(journal.open(room.0, NodeId(Uuid::nil())).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_slow_journal_takes_its_time() {
    let journal = MemoryJournal::new();
    let room = room(&journal).await;
    journal.set_append_delay(Duration::from_millis(300));
    let before = tokio::time::Instant::now();
    assert!(journal.append(one(room, 1).into()).await.is_ok());
    assert_eq!(before.elapsed(), Duration::from_millis(300));
    journal.until_appends(1).await;
}

#[tokio::test]
async fn a_journal_without_its_fence_knows_what_was_overtaken() {
    let journal = MemoryJournal::new();
    let (room, old) = room(&journal).await;
    journal.append(one((room, old), 1).into()).await.unwrap();
    let new = journal.open(room, NodeId(Uuid::now_v7())).await.unwrap().unwrap().epoch;
    assert_eq!(journal.append(one((room, old), 2).into()).await.unwrap(), [Err(Refusal::Fenced)]);
    journal.remove_fence();
    journal.append(one((room, old), 2).into()).await.unwrap();
    journal.append(one((room, new), 3).into()).await.unwrap();
    assert_eq!((journal.epochs(room), journal.overtaken(room)), (vec![old, old, new], vec![Seq(2)]));
    assert_eq!(journal.last(room), Seq(3));
    journal.take_epochs_from(|_| Epoch(1));
    assert_eq!(journal.open(room, NodeId(Uuid::now_v7())).await.unwrap().unwrap().epoch, Epoch(1));
    journal.append(one((room, Epoch(1)), 4).into()).await.unwrap();
    assert_eq!(journal.overtaken(room), [Seq(2), Seq(4)]);
}
