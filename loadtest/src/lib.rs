//! What `tripsync-load` makes of a run, apart from making it: the result and its schema, what is shown of it, and the floor that a server is
//! held against.
//!
//! Nothing here knows how load is made; `main.rs` and the modules beside it do, and fill in a [`results::RunResult`].

pub mod compare;
pub mod floor;
pub mod report;
pub mod results;
pub mod show;
pub mod view;

use std::process::ExitCode;

/// The subcommands that measure nothing.
#[derive(Debug, clap::Subcommand)]
pub enum Tool {
    /// One HTML page of one or more results.
    Report(report::Options),
    /// Holds two results against each other; exits with 1 when something got worse.
    Compare(compare::Options),
    /// A bare server that only passes frames on, to hold the real one against.
    Floor(floor::Options),
}

impl Tool {
    /// Runs it.
    ///
    /// # Errors
    /// When a file cannot be read or written, or the floor cannot listen.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Report(options) => report::run(options).map(|()| ExitCode::SUCCESS),
            Self::Compare(options) => {
                let (text, worse) = compare::run(options)?;
                show::print(&text)?;
                Ok(if worse { ExitCode::FAILURE } else { ExitCode::SUCCESS })
            }
            Self::Floor(options) => floor::run(options).map(|()| ExitCode::SUCCESS),
        }
    }
}
