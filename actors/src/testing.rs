//! The ports in memory, for tests: of this crate, and with the feature `testing` of others.
//!
//! [`MemoryJournal`] keeps the promises of [`crate::ports::Journal`] within one process and can be frozen, slowed and made to
//! fail; [`contract`] is the suite that it and the databases' journals pass alike.

pub mod checker;
mod clock;
pub mod contract;
mod directory;
mod journal;

pub use crate::sabotage::Sabotage;
pub use clock::TestClock;
pub use directory::MemoryDirectory;
pub use journal::{Fault, MemoryJournal};
