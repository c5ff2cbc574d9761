//! What the helper commands are made of; the integration tests use the parts for processes, Postgres and Redis too.
//!
//! Owns: throwaway instances of Postgres and Redis ([`postgres`], [`redis`]), processes that cannot outlive their owner ([`guardian`]), the test
//! run and its summary ([`test_run`]), the campaign of measurements ([`figures`]), the simulator over many seeds ([`sim`]),
//! a cluster to look at ([`cluster`]), the campaigns of faults ([`chaos`]), the dependency audit ([`audit`]). Promises: whatever is started here is stopped
//! again, also when the owner is killed. Knows nothing of TripSync's own code. Unix only.

mod apt;
pub mod audit;
pub mod chaos;
pub mod cluster;
pub mod figures;
pub mod guardian;
mod iproute;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod redis;
pub mod sim;
pub mod test_run;
pub mod throwaway;
