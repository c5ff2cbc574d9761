//! Given events, when a command, then events or a rejection: all through `Room::check`.

mod harness;

mod activities;
mod chat;
mod conflicts;
mod details;
mod expenses;
mod members;
mod places;
mod properties;
mod shapes;
