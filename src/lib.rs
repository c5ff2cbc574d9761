//! The edge: HTTP, accounts, storage and configuration around the live engine.

pub mod store;
pub mod telemetry;
