//! The way in: rooms by id.

mod room_ref;

pub use room_ref::{Gone, ParsedFor, RoomRef};
