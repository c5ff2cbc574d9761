//! What the resources of all kinds of rooms share.
//!
//! Every write is a command to the room, made of the body and of what the address says and judged by the same parser and rules as a
//! socket's ([`write`]); it answers once the command is durable, with its seq. Reads of what a room holds go to the room, long collections
//! (lists, chat, log) are read from the tables that are written with its events ([`read`]). Whoever may not know of a room is told that
//! there is none. Holds no rules: what somebody may do or see is decided in the domain.

pub(super) mod commands;
pub(super) mod condition;
pub(super) mod document;
pub(super) mod log;
pub(super) mod read;
pub(super) mod schema;
pub(super) mod stretch;
pub(super) mod write;

use crate::http::problem::Problem;
use tripsync_domain::RoomKind;

/// A kind of room that has resources.
pub(super) trait Served: RoomKind {
    /// Who knows whether somebody may know of a room.
    const DOOR: Door;

    /// Under which the id of a room is made that a keyed request makes (RFC 9562 §5.5); never to be changed, and another for each kind.
    const KEYED_ROOM: &'static [u8];

    /// Whether there are events that not everybody in the room may see.
    const HAS_SECRETS: bool = false;
}

/// Who is asked whether somebody may know of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// The members table, which holds everybody who may.
    Members,
    /// The room itself: some who may are no members.
    Room,
}

fn no_such_room<K: Served>() -> Problem {
    Problem::not_found(format!("there is no such {}", K::KIND))
}
