//! The load test, as a user runs it: its exit codes, and that its verdict notices a server that is broken on purpose.
//!
//! The tool starts this build's server itself, on data of its own. `TRIPSYNC_SABOTAGE` breaks the engine in debug builds.

mod scenarios;
mod smoke;
mod usage;

use serde_json::Value;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

use crate::harness::sibling;

/// One run of the tool.
#[derive(Debug)]
pub(crate) struct Ran {
    output: Output,
    /// The result, when there was one.
    pub(crate) result: Option<Value>,
}

impl Ran {
    pub(crate) fn code(&self) -> Option<i32> {
        self.output.status.code()
    }

    /// One of the verdict's checks.
    pub(crate) fn check(&self, name: &str) -> &Value {
        let checks = self.result.as_ref().and_then(|result| result["checks"].as_array()).expect("a result with checks");
        checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no check {name} in {checks:?}"))
    }

    /// Everything that it said, for a failing test.
    pub(crate) fn said(&self) -> String {
        format!("{}\n{}", String::from_utf8_lossy(&self.output.stdout), String::from_utf8_lossy(&self.output.stderr))
    }
}

/// Runs the tool; `sabotage` is what is broken.
pub(crate) fn load(arguments: &[&str], sabotage: Option<&str>) -> Ran {
    let folder = TempDir::new().unwrap();
    let json = folder.path().join("result.json");
    let mut command = Command::new(sibling("tripsync-load", "loadtest"));
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
