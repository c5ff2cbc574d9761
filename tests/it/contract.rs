//! The journal's contract on both databases, the cluster's on Redis, and what only the real ones can show: settings, outages,
//! one schema.

mod accounts;
mod cluster;
mod matching;
mod outage;
mod reservations;
mod roads;
mod rooms;
mod schema;
mod search;
mod seats;
mod silence;
mod tasks;
mod tickets;

use crate::harness::{TestDatabase, for_each_backend};
use async_trait::async_trait;
use tripsync::store::journal::{DbJournal, JournalOptions};
use tripsync::store::{Db, DbOptions, rooms as read};
use tripsync_actors::ports::{Append, Journal, NewRecord};
use tripsync_actors::testing::contract::{Projected, Subject, journal_contract};
use tripsync_domain::{Epoch, ItemId, NodeId, Projection, RoomId, Seq, Timestamp, UserId};
use uuid::Uuid;

/// A migrated database and a journal on it.
struct Store {
    db: Db,
    journal: DbJournal,
}

impl Store {
    async fn open(database: &TestDatabase, options: JournalOptions) -> Self {
        let db = Db::connect(database.url(), &DbOptions::default()).await.unwrap();
        db.migrate().await.unwrap();
        Self { journal: DbJournal::new(&db, options), db }
    }

    async fn close(self) {
        self.journal.close().await;
        self.db.close().await;
    }

    /// A fresh room and its owner's epoch.
    async fn room(&self, created_at: i64) -> (RoomId, Epoch) {
        let room = RoomId(Uuid::now_v7());
        self.journal.create(room, "trip", Timestamp::from_ms(created_at)).await.unwrap();
        (room, self.journal.open(room, NodeId(Uuid::now_v7())).await.unwrap().unwrap().epoch)
    }
}

/// An append of records made by a function of their seq.
fn append((room, epoch): (RoomId, Epoch), records: Vec<NewRecord>, projections: Vec<Projection>) -> Append {
    Append { room, epoch, records, projections, deadline: None }
}

fn record(seq: u64) -> NewRecord {
    NewRecord {
        seq: Seq(seq),
        at: Timestamp::from_ms(1_000 + i64::try_from(seq).unwrap()),
        by: UserId(Uuid::nil()),
        tag: "thing_happened",
        entity: None,
        command: None,
        bytes: seq.to_string().into(),
    }
}

#[async_trait]
impl Subject for Store {
    fn journal(&self) -> &dyn Journal {
        &self.journal
    }

    async fn projected(&self, room: RoomId) -> Projected {
        let members = read::members(&self.db, room).await.unwrap();
        let messages = read::items(&self.db, room, "messages", None, 100).await.unwrap();
        Projected {
            row: self.row(room).await,
            members: members.into_iter().map(|member| (member.user, member.role)).collect(),
            messages: messages.into_iter().map(|item| (item.id, (item.seq, item.doc))).collect(),
        }
    }
}

impl Store {
    async fn row(&self, room: RoomId) -> Option<(String, String, serde_json::Value)> {
        let row: Option<(String, String, String)> = tripsync::db_read!(&self.db, |pool| {
            sqlx::query_as("SELECT title, status, summary FROM rooms WHERE id = $1 AND ended_at IS NULL")
                .bind(room.0)
                .fetch_optional(pool)
                .await
        })
        .unwrap();
        row.map(|(title, status, summary)| (title, status, serde_json::from_str(&summary).unwrap()))
    }
}

for_each_backend!(the_journal_keeps_its_contract, a_row_that_cannot_be_stored_harms_nobody_else);

async fn the_journal_keeps_its_contract(database: TestDatabase) {
    let store = Store::open(&database, JournalOptions::default()).await;
    journal_contract(&store).await;
    store.close().await;
}

/// PostgreSQL has no U+0000 in text and bounds the size of an index entry; neither may fail the batch that such a row is in.
async fn a_row_that_cannot_be_stored_harms_nobody_else(database: TestDatabase) {
    let store = Store::open(&database, JournalOptions::default()).await;
    let (odd, bad, good) = (store.room(0).await, store.room(0).await, store.room(0).await);
    let row = Projection::Room { title: "a\0b".into(), status: String::new(), summary: serde_json::json!({"t": "a\0b"}) };
    let collection: &'static str = Box::leak(noise(60_000).into_boxed_str());
    let huge = Projection::Item { collection, id: ItemId(Uuid::now_v7()), seq: Seq(1), doc: serde_json::json!({}) };
    let batch = [
        append(odd, vec![record(1)], vec![row]),
        append(bad, vec![record(1)], vec![huge]),
        append(good, vec![record(1), record(2)], Vec::new()),
    ];
    let results = store.journal.append(batch.into()).await.unwrap();
    assert_eq!((results[0], results[2]), (Ok(()), Ok(())));
    assert_eq!(store.row(odd.0).await.unwrap().0, "a\u{fffd}b");
    assert_eq!(store.row(odd.0).await.unwrap().2, serde_json::json!({"t": "a\0b"}));
    for (room, result, seqs) in [(bad, results[1], 1), (good, results[2], 2)] {
        let read = store.journal.read(room.0, Seq(0), Seq(9), 9).await.unwrap();
        assert_eq!(read.len(), if result.is_ok() { seqs } else { 0 });
    }
    store.close().await;
}

/// Text that does not compress.
fn noise(len: usize) -> String {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'!' + u8::try_from((state >> 33) % 90).unwrap())
    };
    std::iter::repeat_with(&mut next).take(len).collect()
}
