//! What rooms learn of accounts, on both databases.

use super::Store;
use crate::harness::{TestDatabase, for_each_backend};
use tripsync::store::accounts::UserDirectory;
use tripsync::store::journal::JournalOptions;
use tripsync_domain::{Group, UserId};
use uuid::Uuid;

for_each_backend!(a_card_has_the_group_in_one_spelling);

async fn a_card_has_the_group_in_one_spelling(database: TestDatabase) {
    let store = Store::open(&database, JournalOptions::default()).await;
    let long = "x".repeat(120);
    let written = [Some(" TU Łódź "), Some(long.as_str()), None];
    let users = written.map(|group| (UserId(Uuid::now_v7()), group));
    for (user, group) in users {
        tripsync::db_write!(&store.db, |pool| {
            sqlx::query(
                "INSERT INTO users (id, email, username, password_hash, display_name, group_name, preferences, created_at, updated_at) \
                 VALUES ($1, $2, NULL, '', 'Ann', $3, '{}', 0, 0)",
            )
            .bind(user.0)
            .bind(format!("{}@example.org", user.0))
            .bind(group)
            .execute(pool)
            .await
            .map(drop)
        })
        .unwrap();
    }
    let directory = UserDirectory::new(store.db.clone());
    let cards = directory.by_ids(&users.map(|(user, _)| user)).await.unwrap();
    let groups = users.map(|(user, _)| cards.iter().find(|card| card.user == user).unwrap().group.clone());
    // What is no group by the rules of rooms is none, and no reason to fail either.
    assert_eq!(groups, [Some(Group::new("tu łódź").unwrap()), None, None]);
    let found = directory.find(&format!("{}@example.org", users[0].0.0)).await.unwrap().unwrap();
    assert_eq!(found.group, groups[0]);
    store.close().await;
}
