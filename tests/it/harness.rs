//! What integration tests stand on: databases, the real server process, and waiting with a limit.
//!
//! A test that is to hold on both databases is a function over a [`TestDatabase`] and one line:
//!
//! ```ignore
//! for_each_backend!(a_trip_survives_kill_9);
//!
//! async fn a_trip_survives_kill_9(database: TestDatabase) {
//!     let mut server = Server::on(&database).start().await;
//!     // … talk to server.url("/api/v1/trips"), server.live_url() …
//!     server.kill().await;
//!     server.restart().await; // the same address, data and settings
//!     eventually("the trip is back", Duration::from_secs(10), || async { fetch(&server).await.is_ok() }).await;
//! }
//! ```
//!
//! It makes the tests `a_trip_survives_kill_9::sqlite` and `a_trip_survives_kill_9::postgres`. A test that harms Postgres
//! (kill, freeze) starts a [`PrivatePostgres`] and takes its database from there; likewise a [`PrivateRedis`], which may be
//! emptied, too, while on the shared one ([`shared_redis_url`]) a test keeps to a key prefix of its own. Everything is cleaned up on drop, also
//! when the test fails, and by a guardian process when the test binary itself is killed.

mod backend;
mod cable;
mod client;
mod inside;
mod namespace;
mod postgres;
mod private;
mod redis;
mod server;
mod sibling;
mod tests;
mod wait;

pub(crate) use self::redis::{PrivateRedis, shared_redis_url};
pub(crate) use backend::{Backend, TestDatabase, for_each_backend};
pub(crate) use cable::{Cable, Cut, address, through};
pub(crate) use client::{Client, Mirror};
pub(crate) use inside::Inside;
pub(crate) use namespace::{Namespace, Silence};
pub(crate) use postgres::PrivatePostgres;
pub(crate) use server::{Launch, Server};
pub(crate) use sibling::sibling;
pub(crate) use wait::{comes_true, eventually};

/// An HTTP client for the servers under test: no proxy, whatever the environment says.
pub(crate) fn http_client() -> reqwest::Client {
    // The server closes connections that are idle for 10 s, perhaps while a request is on its way: a client gives them up before.
    let idle = std::time::Duration::from_secs(4);
    reqwest::Client::builder().no_proxy().pool_idle_timeout(idle).timeout(std::time::Duration::from_secs(30)).build().unwrap()
}
