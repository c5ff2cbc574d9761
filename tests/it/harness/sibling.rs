//! The workspace's other programs, which lie beside the server.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::SystemTime;

/// A program of this build, whose sources are in `folder`: `cargo test --workspace` makes it; made here when fewer tests were asked for and it
/// is missing or old.
///
/// # Panics
/// It cannot be built.
pub(crate) fn sibling(name: &str, folder: &str) -> PathBuf {
    // One test looks, and builds if need be, while the others wait.
    static LOOKING: Mutex<()> = Mutex::new(());
    let path = PathBuf::from(env!("CARGO_BIN_EXE_tripsync")).with_file_name(name);
    let _looking = LOOKING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let built = path.metadata().and_then(|about| about.modified()).ok();
    if built < newest(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)) {
        let build = Command::new(env!("CARGO")).args(["build", "--workspace", "--bin", name]).status().unwrap();
        assert!(build.success() && path.exists(), "{name} was not built at {}", path.display());
    }
    path
}

/// When a file below this folder was changed last.
fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| if entry.path().is_dir() { newest(&entry.path()) } else { entry.metadata().unwrap().modified().ok() })
        .max()
        .flatten()
}
