//! The floor as a process of its own, so that its CPU and memory are counted apart.

use anyhow::Context;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A floor that runs until it is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// `host:port`.
    pub address: String,
}

impl Process {
    /// Starts this program again as the floor.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(state_bytes: usize) -> anyhow::Result<Self> {
        Self::start_program(&std::env::current_exe()?, state_bytes)
    }

    /// Starts `tripsync-load` at this path as the floor.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_program(program: &Path, state_bytes: usize) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .args(["floor", "--until-input-ends", "--listen", "127.0.0.1:0", "--state-bytes", &state_bytes.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let output = child.stdout.take().context("no output")?;
        let mut process = Self { child, address: String::new() };
        // Blocks for as long as a process takes to start.
        BufReader::new(output).read_line(&mut process.address)?;
        process.address.truncate(process.address.trim_end().len());
        anyhow::ensure!(!process.address.is_empty(), "the floor ended before it listened");
        Ok(process)
    }

    /// The process' id, for `/proc`.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It holds nothing that could be lost.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
