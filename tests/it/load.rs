//! The load test, as a user runs it: its exit codes, and that its verdict notices a server that is broken on purpose.
//!
//! The tool starts this build's server itself, on data of its own. `TRIPSYNC_SABOTAGE` breaks the engine in debug builds.

mod scenarios;
mod smoke;
mod usage;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::SystemTime;
use tempfile::TempDir;

/// One run of the tool.
#[derive(Debug)]
struct Ran {
    output: Output,
    /// The result, when there was one.
    result: Option<Value>,
}

impl Ran {
    fn code(&self) -> Option<i32> {
        self.output.status.code()
    }

    /// One of the verdict's checks.
    fn check(&self, name: &str) -> &Value {
        let checks = self.result.as_ref().and_then(|result| result["checks"].as_array()).expect("a result with checks");
        checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no check {name} in {checks:?}"))
    }

    /// Everything that it said, for a failing test.
    fn said(&self) -> String {
        format!("{}\n{}", String::from_utf8_lossy(&self.output.stdout), String::from_utf8_lossy(&self.output.stderr))
    }
}

/// The tool, which `cargo test --workspace` builds beside the server; built here when fewer tests were asked for and it is missing or old.
fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let path = PathBuf::from(env!("CARGO_BIN_EXE_tripsync")).with_file_name("tripsync-load");
        let built = path.metadata().and_then(|about| about.modified()).ok();
        if built < newest(&Path::new(env!("CARGO_MANIFEST_DIR")).join("loadtest")) {
            let build = Command::new(env!("CARGO")).args(["build", "--workspace", "--bin", "tripsync-load"]).status().unwrap();
            assert!(build.success() && path.exists(), "tripsync-load was not built at {}", path.display());
        }
        path
    })
}

/// When a file below this folder was changed last.
fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| if entry.path().is_dir() { newest(&entry.path()) } else { entry.metadata().unwrap().modified().ok() })
        .max()
        .flatten()
}

/// Runs the tool; `sabotage` is what is broken.
fn load(arguments: &[&str], sabotage: Option<&str>) -> Ran {
    let folder = TempDir::new().unwrap();
    let json = folder.path().join("result.json");
    let mut command = Command::new(program());
    command.args(arguments).stdin(Stdio::null()).env_remove("TRIPSYNC_SABOTAGE");
    if let Some(name) = sabotage {
        command.env("TRIPSYNC_SABOTAGE", name);
    }
    let runs = !matches!(arguments.first(), Some(&("list" | "show")));
    if runs {
        command.arg("--json").arg(&json);
        if !arguments.contains(&"--server") {
            command.args(["--program", env!("CARGO_BIN_EXE_tripsync")]);
        }
    }
    let output = command.output().unwrap();
    let result = std::fs::read(&json).ok().map(|bytes| serde_json::from_slice(&bytes).unwrap());
    Ran { output, result }
}
