//! The way in: rooms by id.

mod room_ref;

#[cfg(test)]
pub(crate) use room_ref::KindInfo;
pub use room_ref::{Gone, ParsedFor, RoomRef};
