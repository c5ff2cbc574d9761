//! The live socket, from the handshake to its end.

mod close;
mod frames;
mod handshake;
mod slow;
