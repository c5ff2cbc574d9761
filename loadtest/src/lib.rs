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

use std::io::Write;
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
    /// Runs it, and says what is wrong with the exit code of usage, so that it is not taken for a verdict.
    #[must_use]
    pub fn run(&self) -> ExitCode {
        self.try_run().unwrap_or_else(|error| {
            // Nothing is left to be told where even this cannot be written.
            let _ = writeln!(std::io::stderr(), "tripsync-load: {error:#}");
            ExitCode::from(u8::from(results::Verdict::Usage))
        })
    }

    fn try_run(&self) -> anyhow::Result<ExitCode> {
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
