//! What a room does, shown on a small kind of room; the random-room suite ([`crate::sim`]) looks for what nobody thought of.

mod audience;
mod balance;
mod deadlines;
mod defects;
mod gate;
mod kind;
mod leaving;
mod lookout;
mod nodes;
mod once;
mod presence;
mod reload;
mod reservations;
mod rest;
mod resume;
mod shim;
mod stage;
mod storm;
