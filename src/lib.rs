//! The edge: HTTP, accounts, storage and configuration around the live engine.

pub mod app;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod config;
mod demo;
pub mod distance;
pub mod http;
pub mod store;
pub mod telemetry;
pub mod ws;
