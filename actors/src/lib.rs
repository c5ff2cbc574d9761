//! The live engine of TripSync.
//!
//! Owns: rooms (one actor each, with the live state, its members' sessions, presence and a ring of recent frames), sessions, the
//! registry that gives every room one actor, the supervisor, and the journal lanes. Promises order, the output gate (nothing about
//! an event leaves before it is durable) and exactly-once by `(user, client, n)`. Deliberately does not know: HTTP, sockets, SQL.
//! What it needs of the world are the interfaces in [`ports`], implemented at the edge.

pub mod cluster;
pub mod config;
pub mod engine;
pub mod frame;
pub mod hub;
mod lane;
pub mod ports;
pub mod room;
mod sabotage;
pub mod session;
#[cfg(test)]
mod sim;
mod spread;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use cluster::ClusterPorts;
pub use config::EngineConfig;
pub use engine::{Engine, Kinds, Ports, RoomRef};
pub use frame::{Frame, View, frame_of};
#[cfg(any(test, feature = "testing", debug_assertions))]
pub use sabotage::Sabotage;

/// An error and its causes in one line, for logs.
#[must_use]
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
