//! Tickets on both databases: taken once, bounded per user, swept.

use super::Store;
use crate::harness::{Backend, TestDatabase, for_each_backend};
use futures_util::future::join_all;
use tripsync::auth::{AuthUser, LoginId};
use tripsync::store::journal::JournalOptions;
use tripsync::store::{Db, DbOptions, tickets};
use tripsync_domain::{Timestamp, UserId};
use uuid::Uuid;

const RACES: u32 = 100;
/// Who tries to take the same ticket.
const TAKERS: usize = 6;

for_each_backend!(a_ticket_is_taken_once, tickets_are_bounded_and_swept);

fn somebody() -> AuthUser {
    AuthUser { user: UserId(Uuid::now_v7()), login: LoginId(Uuid::now_v7()), expires_at: Timestamp::from_ms(900_000) }
}

fn hash(n: u32) -> [u8; 32] {
    let mut hash = [0; 32];
    hash[..4].copy_from_slice(&n.to_be_bytes());
    hash
}

async fn a_ticket_is_taken_once(database: TestDatabase) {
    let store = Store::open(&database, JournalOptions::default()).await;
    // As two nodes have it; SQLite belongs to one process.
    let other = match database.backend() {
        Backend::Sqlite => store.db.clone(),
        Backend::Postgres => Db::connect(database.url(), &DbOptions::default()).await.unwrap(),
    };
    let user = somebody();
    for race in 0..RACES {
        tickets::keep(&store.db, &hash(race), &user, Timestamp::from_ms(30_000)).await.unwrap();
        let takers = (0..TAKERS).map(|taker| {
            let db = if taker % 2 == 0 { &store.db } else { &other }.clone();
            tokio::spawn(async move { tickets::take(&db, &hash(race)).await.unwrap() })
        });
        let taken: Vec<_> = join_all(takers).await.into_iter().filter_map(Result::unwrap).collect();
        assert_eq!(taken.len(), 1, "in race {race}");
        // There is no such login.
        assert_eq!((taken[0].user, taken[0].expires_at, taken[0].login_lives), (user, Timestamp::from_ms(30_000), false));
    }
    other.close().await;
    store.close().await;
}

async fn tickets_are_bounded_and_swept(database: TestDatabase) {
    let store = Store::open(&database, JournalOptions::default()).await;
    let (ann, ben) = (somebody(), somebody());
    let at = |n: u32| Timestamp::from_ms(i64::from(n));
    let more = tickets::PER_USER_MAX + 5;
    tickets::keep(&store.db, &hash(0), &ben, at(0)).await.unwrap();
    for n in 1..=more {
        tickets::keep(&store.db, &hash(n), &ann, at(n)).await.unwrap();
    }
    for gone in 1..=5 {
        assert_eq!(tickets::take(&store.db, &hash(gone)).await.unwrap(), None);
    }
    assert!(tickets::take(&store.db, &hash(6)).await.unwrap().is_some());
    // Of Ben the one that ends at 0, of Ann those that end by 10, without the one that was taken.
    assert_eq!(tickets::sweep(&store.db, at(10)).await.unwrap(), 1 + 4);
    assert_eq!(tickets::take(&store.db, &hash(10)).await.unwrap(), None);
    assert!(tickets::take(&store.db, &hash(11)).await.unwrap().is_some());
    store.close().await;
}
