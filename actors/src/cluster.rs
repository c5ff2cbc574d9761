//! Several nodes: one owner per room, sessions anywhere.
//!
//! Owns: this node's lease ([`tenure`]), relays (a room's stand-in on a node whose sessions are in a room that another node owns), and
//! the desks at which the owner serves them. Promises that nothing here can make an event leave before it is durable or twice: relays only
//! carry what the owner's room let out, in its order, and give up when a message is missing. Deliberately does not know Redis.

mod config;
mod ports;

pub use config::ClusterConfig;
pub use ports::{Bus, BusError, LeaseError, Leases};
