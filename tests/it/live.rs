//! The live protocol end to end: real server processes, real sockets, both databases.

mod crash;
mod drain;
mod frozen;
mod hostile;
mod inbox;
mod journal;
mod logins;
mod mixed;
mod people;
mod pools;
mod presence;
pub(crate) mod replica;
mod sessions;
mod slow;
mod socket;
mod tickets;
mod trip;
