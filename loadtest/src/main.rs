//! `tripsync-load`: figures of a real server, over real sockets.
//!
//! Each subcommand starts a release build of the server on its own data, measures one thing, and prints a table. Latencies at a rate are
//! counted from the moment at which a command was due, whatever came back before (an open model), so that a stall is seen by every command that it
//! delays. The method and the figures are in `docs/BENCHMARKS.md`.

mod client;
mod encode;
mod measure;
mod scenarios;
mod search;
mod server;

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use std::time::Duration;

/// Figures of a real server, over real sockets.
#[derive(Parser)]
#[command(name = "tripsync-load", version)]
struct Arguments {
    /// `sqlite`, or `postgres` with the maintenance database's URL in TRIPSYNC_TEST_POSTGRES_URL (`cargo xtask postgres -- …` sets it).
    #[arg(long, default_value = "sqlite", global = true)]
    database: server::Database,
    /// The server's program; built when absent.
    #[arg(long, global = true)]
    server: Option<std::path::PathBuf>,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Acknowledgement latency of one client that waits for each answer, beside one durable append of the same size.
    Ack {
        /// Commands.
        #[arg(long, default_value_t = 2_000)]
        commands: u32,
    },
    /// Acknowledgement latency at a fixed rate over many rooms.
    Rate {
        /// Rooms, each with one client.
        #[arg(long, default_value_t = 200)]
        rooms: u32,
        /// Commands per second over all rooms.
        #[arg(long, default_value_t = 1_000)]
        per_second: u32,
        /// Seconds.
        #[arg(long, default_value_t = 20)]
        seconds: u64,
    },
    /// The most durable commands per second: every client keeps a window of commands unanswered.
    Throughput {
        /// Rooms, each with one client.
        #[arg(long, default_value_t = 64)]
        rooms: u32,
        /// Unanswered commands per client.
        #[arg(long, default_value_t = 64)]
        window: u32,
        /// Seconds.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// Deliveries: rooms with members who all get every command, at a fixed rate.
    FanOut {
        /// Rooms.
        #[arg(long, default_value_t = 20)]
        rooms: u32,
        /// Members of each room.
        #[arg(long, default_value_t = 10)]
        members: u32,
        /// Commands per second over all rooms.
        #[arg(long, default_value_t = 1_000)]
        per_second: u32,
        /// Seconds.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// Resident memory per idle joined session and per idle room.
    Idle {
        /// Sessions in one room.
        #[arg(long, default_value_t = 5_000)]
        sessions: u32,
        /// Rooms in memory.
        #[arg(long, default_value_t = 2_000)]
        rooms: u32,
    },
    /// Time to restore a trip with a long history.
    Hydrate {
        /// Events of history.
        #[arg(long, default_value_t = 10_000)]
        events: u32,
    },
    /// Searching among many open pools, over REST.
    Search {
        /// Open pools.
        #[arg(long, default_value_t = 100_000)]
        pools: u32,
        /// Searches of each kind.
        #[arg(long, default_value_t = 2_000)]
        searches: u32,
    },
    #[command(flatten)]
    Tool(tripsync_loadtest::Tool),
    /// Time to encode, decode and turn into JSON one event; no server.
    Encode,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if let What::Tool(tool) = &arguments.what {
        return Ok(tool.run());
    }
    if matches!(arguments.what, What::Encode) {
        encode::run();
        return Ok(ExitCode::SUCCESS);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(arguments)).map(|()| ExitCode::SUCCESS)
}

async fn run(Arguments { database, server, what }: Arguments) -> anyhow::Result<()> {
    let program = server::program(server)?;
    // Rooms that are made and left do not fill the memory.
    let more: &[_] = if matches!(what, What::Search { .. }) { &[("TRIPSYNC__LIVE__IDLE_AFTER", "5s")] } else { &[] };
    let mut server = server::Server::start(&program, database, more).await?;
    match what {
        What::Ack { commands } => scenarios::ack(&mut server, commands).await,
        What::Rate { rooms, per_second, seconds } => scenarios::rate(&mut server, rooms, 1, per_second, Duration::from_secs(seconds)).await,
        What::FanOut { rooms, members, per_second, seconds } => {
            scenarios::rate(&mut server, rooms, members, per_second, Duration::from_secs(seconds)).await
        }
        What::Throughput { rooms, window, seconds } => {
            scenarios::throughput(&mut server, rooms, window, Duration::from_secs(seconds)).await
        }
        What::Idle { sessions, rooms } => scenarios::idle(&mut server, sessions, rooms).await,
        What::Hydrate { events } => scenarios::hydrate(&mut server, events).await,
        What::Search { pools, searches } => search::run(&mut server, pools, searches).await,
        What::Encode | What::Tool(_) => Ok(()),
    }
}
