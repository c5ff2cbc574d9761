//! The rules of pools.

mod claims;
mod details;
mod harness;
mod privacy;
mod properties;
mod ride;
mod shapes;
mod timers;
