//! Both migration sets make the same tables, and every connection is durable.

use super::Store;
use crate::harness::{Backend, TestDatabase};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use std::collections::{BTreeMap, BTreeSet};
use tripsync::store::journal::JournalOptions;
use tripsync::store::{Db, DbOptions};

/// Tables with their columns, and of each column its type and whether it takes nulls.
type Schema = BTreeMap<String, BTreeMap<String, (String, bool)>>;

async fn schema(backend: Backend) -> (Schema, BTreeSet<String>) {
    let database = TestDatabase::create(backend).await;
    let db = Db::connect(database.url(), &DbOptions::default()).await.unwrap();
    db.migrate().await.unwrap();
    let columns = match &db {
        Db::Postgres(_) => {
            "SELECT table_name::text, column_name::text, data_type::text, is_nullable = 'YES' FROM information_schema.columns \
             WHERE table_schema = current_schema()"
        }
        Db::Sqlite(_) => {
            "SELECT t.name, c.name, c.type, c.\"notnull\" = 0 FROM pragma_table_list t JOIN pragma_table_info(t.name) c \
             WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite_%'"
        }
    };
    let indexes = match &db {
        Db::Postgres(_) => {
            "SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = current_schema() AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid)"
        }
        Db::Sqlite(_) => "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL",
    };
    let rows: Vec<(String, String, String, bool)> = tripsync::db_read!(&db, |pool| sqlx::query_as(columns).fetch_all(pool).await).unwrap();
    let indexes: Vec<String> = tripsync::db_read!(&db, |pool| sqlx::query_scalar(indexes).fetch_all(pool).await).unwrap();
    db.close().await;
    let mut schema = Schema::new();
    // The migrations' own table is sqlx's.
    for (table, column, kind, nullable) in rows.into_iter().filter(|(table, ..)| table != "_sqlx_migrations") {
        schema.entry(table).or_default().insert(column, (same_type(&kind).to_owned(), nullable));
    }
    (schema, indexes.into_iter().collect())
}

/// The conventions of `src/store.rs`, as SQLite spells them.
fn same_type(kind: &str) -> &str {
    match kind {
        "bigint" => "INTEGER",
        "text" => "TEXT",
        "uuid" | "bytea" => "BLOB",
        "double precision" => "REAL",
        other => other,
    }
}

#[tokio::test]
async fn both_migration_sets_make_the_same_tables() {
    let (sqlite, sqlite_indexes) = schema(Backend::Sqlite).await;
    let (postgres, postgres_indexes) = schema(Backend::Postgres).await;
    assert!(
        ["rooms", "events", "snapshots", "members", "room_items", "room_takers", "listings", "tasks", "users"]
            .iter()
            .all(|table| sqlite.contains_key(*table))
    );
    assert_eq!(sqlite, postgres);
    assert_eq!(sqlite_indexes, postgres_indexes);
}

#[tokio::test]
async fn sqlite_syncs_every_commit() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let store = Store::open(&database, JournalOptions::default()).await;
    let mode: String = tripsync::db_write!(&store.db, |pool| sqlx::query_scalar("PRAGMA journal_mode").fetch_one(pool).await).unwrap();
    let synchronous: i64 =
        tripsync::db_write!(&store.db, |pool| sqlx::query_scalar("SELECT synchronous FROM pragma_synchronous").fetch_one(pool).await)
            .unwrap();
    assert_eq!((mode.as_str(), synchronous), ("wal", 2));
    store.close().await;
}

#[tokio::test]
async fn postgres_commits_synchronously_whatever_the_database_says() {
    let database = TestDatabase::create(Backend::Postgres).await;
    let mut admin = PgConnection::connect(database.url()).await.unwrap();
    let (_, name) = database.url().rsplit_once('/').unwrap();
    admin.execute(AssertSqlSafe(format!("ALTER DATABASE {name} SET synchronous_commit = off"))).await.unwrap();
    admin.close().await.unwrap();

    let store = Store::open(&database, JournalOptions::default()).await;
    let room = store.room(0).await;
    // The setting under which an append ran, told by a trigger on the table that it writes.
    tripsync::db_write!(&store.db, |pool| {
        sqlx::raw_sql(
            "CREATE TABLE seen (setting text);
             CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$;
             CREATE TRIGGER see AFTER INSERT ON events EXECUTE FUNCTION see();",
        )
        .execute(pool)
        .await
        .map(drop)
    })
    .unwrap();
    use tripsync_actors::ports::Journal as _;
    let batch = [super::append(room, vec![super::record(1)], Vec::new())];
    assert_eq!(store.journal.append(batch.into()).await.unwrap(), [Ok(())]);
    let seen: Vec<String> =
        tripsync::db_read!(&store.db, |pool| sqlx::query_scalar("SELECT setting FROM seen").fetch_all(pool).await).unwrap();
    assert_eq!(seen, ["on"]);
    store.close().await;
}
