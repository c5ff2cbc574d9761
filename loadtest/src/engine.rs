//! The load: many sockets, commands on schedule, and the judging of what comes back.
//!
//! One process has a thread that keeps the schedule ([`pacer`]) and a few threads with sockets ([`shard`]), each with a runtime of its own, so that a
//! delivery is read and judged without waking another thread. What is done is described by a [`Job`], which can be handed to another process;
//! what came of it by a [`Harvest`]. Knows nothing about scenarios' files or how servers are started.

pub(crate) mod acts;
mod burst;
pub(crate) mod clock;
mod entry;
pub(crate) mod harvest;
mod heard;
pub(crate) mod job;
mod json;
mod log;
mod look;
mod member;
pub(crate) mod pacer;
mod plan;
mod process;
mod replica;
mod shard;
mod shown;
mod slow;
mod socket;
mod tally;
#[cfg(test)]
mod tests;
mod verify;

pub(crate) use clock::Clock;
pub(crate) use harvest::{Fault, Harvest, RoomLog, twice};
pub(crate) use job::{Client, Job, Room};
pub(crate) use plan::starts;
pub(crate) use process::{Order, Report, STALLED, run};
pub(crate) use tally::{Sheet, Tick};
