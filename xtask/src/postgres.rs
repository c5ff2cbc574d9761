//! Throwaway Postgres instances: found or installed, run on a free port in a temporary directory, always stopped.
//!
//! Durability stays on (`fsync`, `synchronous_commit`, `full_page_writes`): the tests are about what survives. An
//! [`Instance`] can also be killed, frozen and started again, for tests that do so to their own.

use std::path::Path;

mod account;
mod find;
mod install;
mod instance;

pub use instance::Instance;

/// Names the URL of a superuser on the maintenance database of an instance that all tests share; each test makes its own
/// database there.
pub const URL_VARIABLE: &str = "TRIPSYNC_TEST_POSTGRES_URL";

/// Names the directory of Postgres' programs, for tests that start an instance of their own.
pub const BIN_VARIABLE: &str = "TRIPSYNC_TEST_PG_BIN";

/// The oldest major version that is good enough.
const OLDEST: u32 = 14;

/// Starts an instance, after having installed Postgres where that is possible (Debian, as root).
///
/// # Errors
/// There is no Postgres and it cannot be installed (the text says what to do), or it does not start (the text has its log).
pub fn start() -> anyhow::Result<Instance> {
    let bin = match find::find()? {
        Some(bin) => bin,
        None => install::install()?,
    };
    Instance::start(Path::new(&bin))
}
