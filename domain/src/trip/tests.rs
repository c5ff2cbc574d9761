//! Given events, when a command, then events or a rejection.

mod harness;

mod activities;
mod properties;
