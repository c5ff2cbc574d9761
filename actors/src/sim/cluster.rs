//! Seeded clusters: three nodes, each the real engine with sessions and relays, on one journal, one place of leases and one bus.
//!
//! Every node is a runtime of its own on virtual time ([`machine`]), so that it can stand still while time goes on, as a stopped process does,
//! and die from one moment to the next with everything that it was doing. The world moves all of them on in small steps in an order that the seed
//! decides; whatever they say to each other, to the journal and to the place of leases passes through doubles that lose, double, delay, reorder
//! and refuse as the plan says. After the plan everything is healed, and within bounded time everybody must agree with the journal.
//!
//! Time differs between machines by no more than a step ([`machine::STEP_MAX`]) and, where the plan says so, by the drift of their clocks; both are
//! well within the margin of a lease.

mod far;
mod journal;
mod machine;
mod node;
mod plan;
mod world;

mod tests;

pub(super) use machine::place_and_time;
