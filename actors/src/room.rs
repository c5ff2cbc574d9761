//! Rooms.

pub mod message;

pub use message::{Cursor, From, Join, Op, Outcome, Parsed, Read, RoomMsg, RoomView, SessionInfo};
