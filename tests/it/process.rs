//! The server as a process: how it starts, refuses, and ends.

use crate::harness::{Backend, Server, TestDatabase};

#[tokio::test]
async fn a_database_of_no_known_kind_is_refused() {
    let database = TestDatabase::create(Backend::Sqlite).await;
    let refused = Server::on(&database).set("database.url", "mysql://localhost/trips").try_start().await;
    assert!(refused.is_err(), "it started");
}
