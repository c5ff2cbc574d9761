//! What one process is to do.

use crate::scenario::{RoomKind, Scenario};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use uuid::Uuid;

/// Everything that a process needs to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    /// When the run began; part of the clients' ids.
    pub(crate) run: u64,
    /// `host:port` of each node.
    pub(crate) addresses: Vec<String>,
    /// Source addresses of sockets; none: the system's choice.
    pub(crate) sources: Vec<Ipv4Addr>,
    /// Threads with sockets.
    pub(crate) threads: usize,
    pub(crate) scenario: Scenario,
    pub(crate) rooms: Vec<Room>,
    pub(crate) accounts: Vec<Account>,
    pub(crate) clients: Vec<Client>,
}

/// A room that is there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Room {
    pub(crate) id: Uuid,
    pub(crate) kind: RoomKind,
    /// Activities that can be edited.
    pub(crate) items: Vec<Uuid>,
    /// Its maker, as an index into the accounts.
    pub(crate) owner: u32,
    /// Who should be seen as present at the end, with how many sockets; empty when that is not to be checked.
    pub(crate) expected: Vec<(Uuid, u32)>,
}

/// Somebody who is logged in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Account {
    /// What it was registered as ([`crate::rest::Rest::register`]).
    pub(crate) name: String,
    pub(crate) user: Uuid,
    pub(crate) token: String,
}

/// One socket.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Client {
    /// Counted over all processes.
    pub(crate) index: u32,
    pub(crate) persona: u16,
    pub(crate) room: u32,
    pub(crate) account: u32,
    /// Its place among the clients of its persona, which are so many.
    pub(crate) place: u32,
    pub(crate) of: u32,
    /// Keeps a replica of the room.
    pub(crate) replica: bool,
    /// Will be removed from the room.
    pub(crate) doomed: bool,
    /// Stays while others drop.
    pub(crate) stays: bool,
}
