//! The REST API over real sockets, on both databases.

mod accounts;
mod client;
mod idempotency;
mod inbox;
mod logins;
mod odd;
mod openapi;
mod pools;
mod spec;
mod system;
mod trips;
mod walk;
mod wire;

pub(crate) use client::Api;
