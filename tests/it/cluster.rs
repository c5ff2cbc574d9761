//! Several real nodes on a real Postgres and a real Redis, and what they do when any of these is killed, paused or cut off.
//!
//! One test per fault, each a short campaign; `cargo xtask chaos` runs the same with many rounds and prints a table of them. The seeded
//! simulator (`actors/src/sim`) looks for rare interleavings; here it is shown that what it simulates is what processes, sockets and
//! databases do.

mod chaos;
mod client;
mod compose;
mod everywhere;
mod fan_out;
mod faults;
mod fleet;
mod load;
mod plan;
mod reads;
mod rebalance;
mod rest;
mod script;
mod seats;
mod storm;
mod table;
mod verdict;
mod wiring;
