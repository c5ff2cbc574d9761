//! Helper commands: `cargo xtask --help`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::cluster::Build;

/// Helper commands of TripSync's repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run every test, with the services they need started and stopped here.
    ///
    /// Ends with the line `N passed, N failed`, summed over all test binaries.
    Test {
        /// Handed to `cargo test --workspace`: a filter, `--test it`, `-- --nocapture` …
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Run a command with a throwaway Postgres, its address in `TRIPSYNC_TEST_POSTGRES_URL`.
    Postgres {
        /// The command and its arguments; it inherits the terminal.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<String>,
    },
    /// Run a command with a throwaway Postgres and a throwaway Redis, their addresses in `TRIPSYNC_TEST_POSTGRES_URL` and
    /// `TRIPSYNC_TEST_REDIS_URL`.
    Services {
        /// The command and its arguments; it inherits the terminal.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<String>,
    },
    /// Measure the figures of docs/BENCHMARKS.md on this machine, which should do nothing else: two hours and a half.
    ///
    /// What the folder has already is not measured again.
    Figures {
        /// Where texts and results go.
        #[arg(long, default_value = "target/figures")]
        folder: PathBuf,
        /// Some of them, by name; a wrong name lists all.
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
        /// Runs of each.
        #[arg(long, default_value_t = 5)]
        runs: u32,
    },
    /// Simulate a cluster of three nodes on virtual time, with every fault that a seed makes up, in an optimised build.
    ///
    /// A seed that fails is printed, saved in target/failed-plans and made short.
    Sim {
        /// How many seeds (default 20,000; one with --seed).
        #[arg(long)]
        seeds: Option<u64>,
        /// The first one, or the only one.
        #[arg(long)]
        seed: Option<u64>,
        /// A saved plan.
        #[arg(long, conflicts_with_all = ["seeds", "seed"])]
        plan: Option<PathBuf>,
    },
    /// Start several nodes on free ports with a throwaway Postgres and Redis, and say what to try; Ctrl-C ends all of it.
    Cluster {
        /// How many.
        #[arg(long, default_value_t = 3)]
        nodes: usize,
        /// An optimised build, which takes longer to make.
        #[arg(long)]
        release: bool,
        /// This server, instead of building one.
        #[arg(long, conflicts_with = "release")]
        program: Option<PathBuf>,
        /// A setting of every node, as in --set live.sockets_per_user_max=1000; repeated.
        #[arg(long = "set", value_name = "KEY=VALUE")]
        settings: Vec<String>,
    },
    /// Break things under three nodes at work (optimised servers, real Postgres and Redis) and print what was lost, which must be
    /// nothing, and how long rooms paused. All of it takes about an hour.
    Chaos {
        /// Rounds of each fault, instead of its own number.
        #[arg(long)]
        rounds: Option<u32>,
        /// No round of a fault begins later than this.
        #[arg(long, default_value_t = 3_600)]
        seconds: u32,
        /// Some of kill, stop, term, redis, postgres, partition, seats.
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
        /// Rooms.
        #[arg(long, default_value_t = 50)]
        rooms: u32,
        /// Commands per second, over all rooms.
        #[arg(long, default_value_t = 500)]
        commands: u32,
        /// People who race for seats.
        #[arg(long, default_value_t = 1_000)]
        claims: u32,
    },
    /// Check the dependencies: duplicates, banned crates, sources, licences, versions with known holes.
    Audit,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Test { args } => xtask::test_run::run(&args),
        Command::Postgres { command } => xtask::test_run::with_postgres(&command),
        Command::Services { command } => xtask::test_run::with_services(&command),
        Command::Figures { folder, only, runs } => xtask::figures::run(&folder, &only, runs),
        Command::Sim { seeds, seed, plan } => xtask::sim::run(&xtask::sim::Seeds { count: seeds, first: seed, plan }),
        Command::Cluster { nodes, release, program, settings } => {
            xtask::cluster::run(nodes, &program.map_or(Build::Fresh { release }, Build::Program), &settings)
        }
        Command::Chaos { rounds, seconds, only, rooms, commands, claims } => {
            xtask::chaos::run(&xtask::chaos::Campaign { rounds, seconds, only, rooms, commands, claims })
        }
        Command::Audit => xtask::audit::run(),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // A sentence with its causes; a backtrace would bury it.
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
