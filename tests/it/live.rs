//! The live protocol end to end: real server processes, real sockets, both databases.

mod crash;
mod frozen;
mod hostile;
mod journal;
mod mixed;
mod people;
mod replica;
mod socket;
mod trip;
