//! What nothing came of is swept, on both databases.

use super::Store;
use crate::harness::{TestDatabase, for_each_backend};
use std::time::Duration;
use tripsync::store::journal::JournalOptions;
use tripsync_actors::ports::{Journal as _, RESERVED_FOR, Reservation};
use tripsync_domain::{Quota, RoomId, Timestamp, UserId};
use uuid::Uuid;

for_each_backend!(what_nothing_came_of_is_swept);

const FIVE: Quota = Quota { what: "test", max: 5 };

async fn kept(store: &Store) -> Vec<Uuid> {
    let sql = "SELECT user_id FROM reservations UNION SELECT user_id FROM reservations_held ORDER BY user_id";
    tripsync::db_read!(&store.db, |pool| sqlx::query_scalar(sql).fetch_all(pool).await).unwrap()
}

async fn what_nothing_came_of_is_swept(database: TestDatabase) {
    let store = Store::open(&database, JournalOptions::default()).await;
    let (then, room) = (Timestamp::from_ms(1_000_000), RoomId(Uuid::now_v7()));
    let later = then.plus(RESERVED_FOR);
    let [lasting, fresh] = [Uuid::from_u128(1), Uuid::from_u128(2)];
    let reserve = async |user, at| {
        assert!({
            let reservation = Reservation { id: Uuid::now_v7(), room, user: UserId(user), quota: FIVE };
            store.journal.reserve(reservation, at).await.unwrap()
        })
    };
    reserve(lasting, then).await;
    let becomes = "INSERT INTO reservations (user_id, what, room) SELECT user_id, what, room FROM reservations_held";
    tripsync::db_write!(&store.db, |pool| sqlx::query(becomes).execute(pool).await.map(drop)).unwrap();
    reserve(fresh, then.plus(Duration::from_millis(1))).await;
    // More than one statement takes.
    for user in 0..1_005 {
        reserve(Uuid::from_u128(1_000 + user), then).await;
    }
    assert_eq!(store.journal.sweep(then).await.unwrap(), 0, "they are good for a while");
    assert_eq!(store.journal.sweep(later).await.unwrap(), 1_006, "what lasts was held too");
    assert_eq!(kept(&store).await, [lasting, fresh]);
    assert_eq!(store.journal.sweep(later.plus(Duration::from_millis(1))).await.unwrap(), 1);
    assert_eq!(kept(&store).await, [lasting]);
    store.close().await;
}
