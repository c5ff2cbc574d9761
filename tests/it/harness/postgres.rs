//! Postgres for tests: the one that all share, and private ones that may be harmed.

use std::path::PathBuf;

use xtask::postgres::{BIN_VARIABLE, Instance, URL_VARIABLE};

use super::TestDatabase;
use super::private::Private;

/// URL of the Postgres that all tests share (superuser, maintenance database).
///
/// # Panics
/// It is not set: a test that cannot run must not look as if it had passed.
pub(super) fn shared_url() -> String {
    std::env::var(URL_VARIABLE).unwrap_or_else(|_| {
        panic!("this test needs Postgres, and {URL_VARIABLE} is not set: run `cargo xtask test`, which starts one (arguments are handed to `cargo test`)")
    })
}

/// A Postgres of the test's own; takes about a second to start, keeps its data.
pub(crate) type PrivatePostgres = Private<Instance>;

impl Private<Instance> {
    /// # Panics
    /// There is no Postgres; the text names the command that brings one. Or it does not start; the text has its log.
    pub(crate) async fn start() -> Self {
        let bin = std::env::var_os(BIN_VARIABLE).map(PathBuf::from).unwrap_or_else(|| {
            panic!(
                "this test starts a Postgres of its own, and {BIN_VARIABLE} is not set: run `cargo xtask test`, which finds or installs one"
            )
        });
        Self::of(move || Instance::start(&bin), |instance| instance.url("postgres")).await
    }

    /// A new database in it.
    pub(crate) async fn database(&self) -> TestDatabase {
        TestDatabase::create_in(&self.url).await
    }

    /// An orderly stop; connections are cut.
    pub(crate) async fn stop(&mut self) {
        self.with(Instance::stop).await;
    }
}

mod tests {
    use std::time::Duration;

    use sqlx::{Connection as _, Executor as _, PgConnection};

    use crate::harness::PrivatePostgres;

    async fn count(url: &str) -> i64 {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::query_scalar("SELECT count(*) FROM kept").fetch_one(&mut connection).await.unwrap()
    }

    #[tokio::test]
    async fn what_was_committed_survives_kill_and_stop() {
        let mut postgres = PrivatePostgres::start().await;
        let database = postgres.database().await;
        let mut connection = PgConnection::connect(database.url()).await.unwrap();
        connection.execute("CREATE TABLE kept (n BIGINT)").await.unwrap();
        connection.execute("INSERT INTO kept VALUES (1)").await.unwrap();
        let durable: String = sqlx::query_scalar("SELECT current_setting('fsync') || current_setting('synchronous_commit')")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(durable, "onon");

        postgres.kill().await;
        assert!(connection.execute("INSERT INTO kept VALUES (2)").await.is_err());
        assert!(PgConnection::connect(database.url()).await.is_err());
        postgres.restart().await;
        assert_eq!(count(database.url()).await, 1);

        postgres.stop().await;
        assert!(PgConnection::connect(database.url()).await.is_err());
        postgres.restart().await;
        assert_eq!(count(database.url()).await, 1);
    }

    #[tokio::test]
    async fn a_frozen_postgres_answers_only_when_thawed() {
        let mut postgres = PrivatePostgres::start().await;
        let database = postgres.database().await;
        let mut connection = PgConnection::connect(database.url()).await.unwrap();
        postgres.freeze().await;
        let mut query = tokio::spawn(async move { connection.execute("SELECT 1").await.map(drop) });
        assert!(tokio::time::timeout(Duration::from_millis(300), &mut query).await.is_err(), "answered while frozen");
        postgres.thaw().await;
        tokio::time::timeout(Duration::from_secs(30), query).await.expect("answers").unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_frozen_postgres_can_be_killed_and_dropped() {
        let mut postgres = PrivatePostgres::start().await;
        postgres.freeze().await;
        postgres.kill().await;
        postgres.restart().await;
        postgres.freeze().await;
        drop(postgres);
    }
}
