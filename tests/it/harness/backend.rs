//! The two databases, and one of them per test.

use std::fmt;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;

use super::postgres::shared_url;

/// Which database a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        })
    }
}

/// An empty database of the test's own, without tables; gone when dropped.
#[derive(Debug)]
pub(crate) struct TestDatabase {
    backend: Backend,
    url: String,
    /// Only here to be dropped.
    _cleanup: Cleanup,
}

impl TestDatabase {
    /// A new file, or a new database in the Postgres that all tests share.
    ///
    /// # Panics
    /// There is no Postgres; the text names the command that brings one.
    pub(crate) async fn create(backend: Backend) -> Self {
        match backend {
            Backend::Sqlite => {
                let dir = tempfile::tempdir().unwrap();
                let url = format!("sqlite://{}", dir.path().join("tripsync.db").display());
                Self { backend, url, _cleanup: Cleanup::Directory(dir) }
            }
            Backend::Postgres => {
                let server = shared_url();
                let name = unique_name();
                create_database(&server, &name).await;
                Self { backend, url: at(&server, &name), _cleanup: Cleanup::Drop { server, name } }
            }
        }
    }

    /// A new database in a Postgres that goes away as a whole; `server` is a URL of that Postgres.
    pub(super) async fn create_in(server: &str) -> Self {
        let name = unique_name();
        create_database(server, &name).await;
        Self { backend: Backend::Postgres, url: at(server, &name), _cleanup: Cleanup::Nothing }
    }

    pub(crate) fn backend(&self) -> Backend {
        self.backend
    }

    /// As `database.url` takes it: `sqlite:///…` or `postgres://…` (with password).
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

#[derive(Debug)]
enum Cleanup {
    Directory(#[expect(dead_code, reason = "held to be dropped")] TempDir),
    Drop { server: String, name: String },
    Nothing,
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        let Self::Drop { server, name } = self else { return };
        let (server, name) = (std::mem::take(server), std::mem::take(name));
        // A runtime of its own, since the test's cannot be waited on from inside a destructor.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(drop_database(&server, &name));
        });
        if dropping.join().is_err() {
            eprintln!("could not drop a test's database; it goes when the shared Postgres stops");
        }
    }
}

async fn create_database(server: &str, name: &str) {
    let mut connection = PgConnection::connect(server).await.expect("connects to the tests' Postgres");
    // `template0`, since nobody can be connected to it: that would make the command fail.
    connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE template0"))).await.unwrap();
    connection.close().await.unwrap();
}

async fn drop_database(server: &str, name: &str) {
    let mut connection = PgConnection::connect(server).await.unwrap();
    // By force: a server under test, or a pool that nobody closed, may still be connected.
    connection.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await.unwrap();
    connection.close().await.unwrap();
}

fn unique_name() -> String {
    format!("t_{}", uuid::Uuid::now_v7().simple())
}

/// The same server and user, another database.
fn at(server: &str, database: &str) -> String {
    let (server, _) = server.rsplit_once('/').expect("a Postgres URL ends in /database");
    format!("{server}/{database}")
}

/// Turns functions `async fn name(database: TestDatabase)` into the tests `name::sqlite` and `name::postgres`.
macro_rules! for_each_backend {
    ($($name:ident),+ $(,)?) => { $(
        mod $name {
            use $crate::harness::{Backend, TestDatabase};

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name(TestDatabase::create(Backend::Sqlite).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$name(TestDatabase::create(Backend::Postgres).await).await;
            }
        }
    )+ };
}
pub(crate) use for_each_backend;

mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dropped_database_is_gone_though_somebody_is_connected() {
        let database = TestDatabase::create(Backend::Postgres).await;
        let url = database.url().to_owned();
        let _connected = PgConnection::connect(&url).await.unwrap();
        drop(database);
        let error = PgConnection::connect(&url).await.unwrap_err();
        assert!(error.to_string().contains("does not exist"), "{error}");
    }
}
