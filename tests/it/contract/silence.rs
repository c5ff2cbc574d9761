//! Connections that die without a word: a machine lost power, or a network swallows what is sent. No end of the connection ever comes.

use super::{Store, append, record};
use crate::harness::{Backend, Cable, Cut, PrivatePostgres, TestDatabase, address, eventually, through};
use sqlx::PgPool;
use std::net::Ipv4Addr;
use std::time::Duration;
use tripsync::store::journal::JournalOptions;
use tripsync::store::{Db, DbOptions};
use tripsync_actors::ports::{Journal as _, Refusal};
use tripsync_domain::NodeId;
use uuid::Uuid;

/// All connections that a node has.
const CONNECTIONS: u32 = 2;
const LIMIT: Duration = Duration::from_secs(30);

/// A node's pool that reaches Postgres through a cable.
async fn node(database: &TestDatabase) -> (Cable, PgPool) {
    let cable = Cable::lay(Ipv4Addr::LOCALHOST.into(), address(database.url())).await;
    let options = DbOptions { connections_max: CONNECTIONS, ..DbOptions::default() };
    let Db::Postgres(db) = Db::connect(&through(database.url(), cable.address), &options).await.unwrap() else { panic!("not Postgres") };
    (cable, db.pool().clone())
}

/// From now on nothing comes over the connections that there are; new ones work.
fn all_die_silently(cable: &Cable) {
    cable.set(Cut::Both);
    cable.forsake();
}

/// As many questions at once as there are connections.
fn questions(pool: &PgPool, question: &'static str) -> Vec<tokio::task::JoinHandle<sqlx::Result<()>>> {
    let ask = |pool: PgPool| async move { sqlx::query(question).execute(&pool).await.map(drop) };
    (0..CONNECTIONS).map(|_| tokio::spawn(ask(pool.clone()))).collect()
}

async fn sleeping(postgres: &PgPool) -> i64 {
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(300)' AND state = 'active'";
    sqlx::query_scalar(sleeping).fetch_one(postgres).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_died_in_use_are_replaced() {
    let postgres = PrivatePostgres::start().await;
    let database = postgres.database().await;
    let (cable, pool) = node(&database).await;
    let asking = questions(&pool, "SELECT pg_sleep(300)");
    let direct = PgPool::connect(database.url()).await.unwrap();
    eventually("all connections are in use", LIMIT, async || sleeping(&direct).await == i64::from(CONNECTIONS)).await;
    all_die_silently(&cable);
    // Whoever asked does not wait any longer, as a request whose time is over.
    asking.iter().for_each(tokio::task::JoinHandle::abort);
    eventually("the node asks again", LIMIT, async || sqlx::query("SELECT 1").execute(&pool).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_died_idle_fail_nobody() {
    let database = TestDatabase::create(Backend::Postgres).await;
    let (cable, pool) = node(&database).await;
    for answer in questions(&pool, "SELECT pg_sleep(0.1)") {
        answer.await.unwrap().unwrap();
    }
    eventually("all connections are idle", LIMIT, async || pool.num_idle() == CONNECTIONS as usize).await;
    all_die_silently(&cable);
    for answer in questions(&pool, "SELECT 1") {
        answer.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_is_taken_over_from_a_node_that_died_in_a_transaction() {
    let database = TestDatabase::create(Backend::Postgres).await;
    let store = Store::open(&database, JournalOptions::default()).await;
    let room = store.room(0).await;
    let (cable, pool) = node(&database).await;
    let mut transaction = pool.begin().await.unwrap();
    sqlx::query("UPDATE rooms SET title = 'not committed' WHERE id = $1").bind(room.0.0).execute(&mut *transaction).await.unwrap();
    all_die_silently(&cable);

    // Within what the journal waits, so it is Postgres that ends the transaction.
    let opened = store.journal.open(room.0, NodeId(Uuid::now_v7())).await.unwrap().unwrap();
    let append_under = |epoch| store.journal.append([append((room.0, epoch), vec![record(1)], Vec::new())].into());
    assert_eq!(append_under(room.1).await.unwrap(), [Err(Refusal::Fenced)]);
    assert_eq!(append_under(opened.epoch).await.unwrap(), [Ok(())]);
    store.close().await;
}
