//! HTTP: the accept loop, what every request passes through, and the routes.
//!
//! `accept` turns TCP connections into requests, `layers` is what every request passes through (id, log, metrics, time
//! limit, headers), `problem` is the one form of errors, `json` reads bodies, `v1/<resource>.rs` holds the API, `system` the
//! pages about the server itself, `ready` whether new clients should come, `openapi` the document.

pub mod accept;
pub mod context;
pub mod json;
mod layers;
mod leftover;
pub mod openapi;
pub mod problem;
mod ready;
mod router;
mod system;
pub mod v1;

pub use problem::Problem;
pub use router::router;
