//! Seeded random rooms: the real engine and sessions on virtual time, driven by a plan, judged by checkers.
//!
//! A [`plan::Plan`] is made from a seed and says everything that happens: what clients do, which sockets drop, what the journal
//! suffers. One thread and paused time make one plan one trace. After the plan comes a quiet time, and then everybody must agree with the
//! journal. A failing plan is saved and can be replayed: see [`tests`]. [`cluster`] does the same with several nodes.

mod acts;
mod calls;
mod client;
mod cluster;
mod judge;
mod kinds;
mod log;
mod names;
mod node;
mod parts;
mod people;
mod plan;
mod pools;
mod suite;
mod ward;
mod world;

mod tests;
