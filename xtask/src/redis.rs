//! Throwaway Redis instances: found or installed, run on a free port in a temporary directory, always stopped.
//!
//! They keep nothing on disk: whatever is killed comes back empty, which is the worst that a cluster may meet. An [`Instance`]
//! can also be killed, frozen, emptied and started again, for tests that do so to their own.

mod find;
mod instance;
mod talk;

pub use instance::Instance;

/// Names the URL of an instance that all tests share; each uses a key prefix of its own there, and none empties it.
pub const URL_VARIABLE: &str = "TRIPSYNC_TEST_REDIS_URL";

/// Names the program `redis-server`, for tests that start an instance of their own.
pub const PROGRAM_VARIABLE: &str = "TRIPSYNC_TEST_REDIS_PROGRAM";

/// The oldest major version that is good enough: it speaks RESP3.
const OLDEST: u32 = 6;

/// Starts an instance, after having installed Redis where that is possible (Debian, as root).
///
/// # Errors
/// There is no Redis and it cannot be installed (the text says what to do), or it does not start (the text has its log).
pub fn start() -> anyhow::Result<Instance> {
    let program = match find::find()? {
        Some(program) => program,
        None => find::install()?,
    };
    Instance::start(&program)
}
