//! The pure rules and wire types of TripSync.
//!
//! Owns: identities, times, error codes, the rules of every room kind (`decide` judges, `evolve` changes), and the frames of
//! the live protocol with their bytes. Deliberately does not know: clocks, randomness, tasks, sockets, databases. Time and new
//! ids come in as inputs, so equal input gives equal output and a replay equals what happened live.

pub mod civil;
pub mod command;
pub mod error_code;
pub mod geo;
#[cfg(test)]
mod golden;
pub mod group;
pub mod id;
pub mod inbox;
pub mod kind;
pub mod money;
pub mod pool;
pub mod presence;
pub mod protocol;
pub mod rejection;
pub mod sequence;
mod tags;
pub mod text;
pub mod time;
pub mod trip;

pub use error_code::ErrorCode;
pub use group::Group;
pub use id::{ClientId, ItemId, NodeId, RoomId, SessionId, UserId};
pub use inbox::Inbox;
pub use kind::{Audience, Conflict, Ctx, Decision, Effect, EventMeta, Listing, Projection, Quota, Role, RoomKind, Section, Task, UserCard};
pub use pool::Pool;
pub use rejection::Rejection;
pub use sequence::{CommandNumber, Epoch, Seq};
pub use time::Timestamp;
pub use trip::Trip;
