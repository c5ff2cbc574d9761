//! The handle itself, on SQLite. What needs a PostgreSQL server is asked in `tests/it`, on both databases.

use super::*;

async fn sqlite() -> (tempfile::TempDir, Db) {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", dir.path().join("a/b/test.db").display());
    let db = Db::connect(&url, &DbOptions::default()).await.unwrap();
    (dir, db)
}

#[tokio::test]
async fn sqlite_is_durable_and_creates_its_folders() {
    let (_dir, db) = sqlite().await;
    let synchronous: i64 = crate::db_write!(&db, |pool| sqlx::query_scalar("PRAGMA synchronous").fetch_one(pool).await).unwrap_or(-1);
    assert_eq!(synchronous, 2);
    db.ping(Duration::from_secs(5)).await.unwrap();
}

/// Whoever commits when the write-ahead log is longer than its own limit copies all of it, also what the journal lets lie there.
#[tokio::test]
async fn writers_agree_when_the_write_ahead_log_is_copied() {
    let (_dir, db) = sqlite().await;
    let pages: i64 = crate::db_write!(&db, |pool| sqlx::query_scalar("PRAGMA wal_autocheckpoint").fetch_one(pool).await).unwrap();
    assert_eq!(pages, i64::from(sqlite::CHECKPOINT_PAGES));
}

#[tokio::test]
async fn readers_cannot_write() {
    let (_dir, db) = sqlite().await;
    db.migrate().await.unwrap();
    let refused = crate::db_read!(&db, |pool| sqlx::query("DELETE FROM users").execute(pool).await.map(|_| ()));
    assert!(refused.is_err());
}

#[tokio::test]
async fn migrations_run_twice_and_tell_their_state() {
    let (_dir, db) = sqlite().await;
    assert!(db.schema_state().await.unwrap().pending > 0);
    db.migrate().await.unwrap();
    db.migrate().await.unwrap();
    let state = db.schema_state().await.unwrap();
    assert_eq!(state.pending, 0);
    assert!(state.version >= 1);
}

#[tokio::test]
async fn a_transaction_left_early_changes_nothing_and_unique_keys_are_told() {
    let (_dir, db) = sqlite().await;
    crate::db_write!(&db, |pool| sqlx::query("CREATE TABLE t (k INTEGER PRIMARY KEY) STRICT").execute(pool).await.map(|_| ())).unwrap();

    async fn put(db: &Db, keys: &[i64]) -> Result<(), StoreError> {
        crate::db_tx!(db, |tx| {
            for key in keys {
                sqlx::query("INSERT INTO t (k) VALUES ($1)").bind(key).execute(&mut *tx).await?;
            }
        });
        Ok(())
    }
    put(&db, &[1, 2]).await.unwrap();
    let error = put(&db, &[3, 2]).await.unwrap_err();
    assert!(error.is_unique(), "{error:?}");
    let count: i64 = crate::db_read!(&db, |pool| sqlx::query_scalar("SELECT count(*) FROM t").fetch_one(pool).await).unwrap();
    assert_eq!(count, 2);
}

#[tokio::test]
async fn bad_urls_are_explained() {
    for url in ["mysql://x", "sqlite:", "sqlite::memory:", "sqlite://a?mode=ro"] {
        let error = Db::connect(url, &DbOptions::default()).await.unwrap_err();
        assert!(matches!(error, StoreError::Url(_)), "{url}: {error:?}");
    }
}

#[tokio::test]
async fn an_unreachable_server_is_waited_for_then_named_unavailable() {
    let options = DbOptions { wait: Duration::from_millis(100), acquire_timeout: Duration::from_millis(500), ..DbOptions::default() };
    // Port 9 (discard) of the loopback interface: nothing listens there.
    let error = Db::connect("postgres://u:p@127.0.0.1:9/x", &options).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    // The reason is the driver's, not that a pool was empty.
    let text = crate::telemetry::chain(&error);
    assert!(text.contains("connection failed") && text.contains("refused"), "{text}");
}
