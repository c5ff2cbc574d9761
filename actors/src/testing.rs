//! The ports in memory, for tests: of this crate, and with the feature `testing` of others.
//!
//! [`MemoryJournal`] keeps the promises of [`crate::ports::Journal`] within one process and can be frozen, slowed and made to
//! fail; [`contract`] is the suite that it and the databases' journals pass alike. [`MemoryCluster`] is what several nodes share.

pub mod checker;
mod clock;
mod cluster;
pub mod contract;
mod directory;
mod journal;
mod random;

pub use crate::sabotage::Sabotage;
pub use clock::TestClock;
pub use cluster::{Away, BusFaults, MemoryCluster, MemoryNode};
pub use directory::MemoryDirectory;
pub use journal::{Fault, MemoryJournal};
pub use random::Random;
