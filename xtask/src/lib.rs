//! What the helper commands are made of; the integration tests use the process and Postgres parts too.
//!
//! Owns: throwaway Postgres instances ([`postgres`]), processes that cannot outlive their owner ([`guardian`]), the test
//! run and its summary ([`test_run`]), the campaign of measurements ([`figures`]), the simulator over many seeds ([`sim`]),
//! the dependency audit ([`audit`]). Promises: whatever is started here is stopped
//! again, also when the owner is killed. Knows nothing of TripSync's own code. Unix only.

pub mod audit;
pub mod figures;
pub mod guardian;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod sim;
pub mod test_run;
