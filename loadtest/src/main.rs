//! `tripsync-load`: load on a real server, over real sockets, with a verdict.
//!
//! A scenario says who does what and how often ([`scenario`]); [`run`] makes accounts and rooms, lets the [`engine`] do it in an open model, and
//! judges what came of it; the result is a file that can be drawn and compared. Without a server given, a release build is started on data of its own
//! and stopped again. `docs/LOADTEST.md` is the manual, `docs/BENCHMARKS.md` has the figures.

mod bench;
mod cli;
mod client;
mod encode;
mod engine;
mod many;
mod measure;
mod proc;
mod rest;
mod run;
mod scenario;
mod search;
mod server;
mod target;
mod wire;

use std::process::ExitCode;
use tripsync_loadtest::results::Verdict;

fn main() -> ExitCode {
    match cli::main() {
        Ok(code) => code,
        Err(error) => {
            cli::complain(&error);
            ExitCode::from(u8::from(Verdict::Usage))
        }
    }
}
