//! The live engine of TripSync.
//!
//! Owns: rooms (one actor each, with the live state, its members' sessions, presence and a ring of recent frames), sessions, the
//! registry that gives every room one actor, the supervisor, and the journal lanes. Promises order, the output gate (nothing about
//! an event leaves before it is durable) and exactly-once by `(user, client, n)`. Deliberately does not know: HTTP, sockets, SQL.
//! What it needs of the world are the interfaces in [`ports`], implemented at the edge.

#![expect(dead_code, reason = "the room that uses the rest lands next")]

pub mod engine;
pub mod frame;
pub mod hub;
pub mod ports;
pub mod room;
pub mod session;

pub use frame::Frame;
