//! The command line.
//!
//! One module per subcommand; `main` only calls [`run`]. Answers go to standard output, logs and complaints to standard error.

mod config;
mod demo;
mod healthcheck;
mod migrate;
mod openapi;
mod rebalance;
mod serve;

use crate::app::{StartError, explain};
use crate::config::{Config, ConfigError, Loaded, Sources};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Plan trips and share rides together, live.
///
/// Without a subcommand it serves. Nothing needs to be configured: data goes to ./data, the API listens on 127.0.0.1:8080.
#[derive(Debug, Parser)]
#[command(name = "tripsync", version)]
pub struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What every subcommand takes.
#[derive(Debug, Clone, Args)]
struct Options {
    /// Configuration file [default: $TRIPSYNC_CONFIG, or ./tripsync.toml if it is there].
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set one key, as in --set http.listen=0.0.0.0:8080 (repeatable; wins over file and environment).
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (what happens without a subcommand).
    Serve(serve::ServeArgs),
    /// Run a server with a lively trip to look at: prints an account and commands to join in. Its data goes to `demo` in data_dir,
    /// on SQLite, whatever the real server uses.
    Demo(demo::DemoArgs),
    /// Bring the database's schema up to date and exit.
    Migrate(migrate::MigrateArgs),
    /// Show or check the configuration.
    Config(config::ConfigArgs),
    /// Ask the nodes of a cluster to share their rooms out evenly.
    Rebalance,
    /// Print the OpenAPI document as JSON.
    Openapi,
    /// Ask a running server whether it is ready; exit code 0 if it is.
    Healthcheck(healthcheck::HealthcheckArgs),
}

fn key_value(text: &str) -> Result<(String, String), String> {
    text.split_once('=').map(|(key, value)| (key.trim().to_owned(), value.to_owned())).ok_or_else(|| "write KEY=VALUE".to_owned())
}

/// Why a subcommand failed. The text is for the person at the terminal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server did not start.
    #[error("{}", explain(.0))]
    Start(#[from] StartError),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// Parses the process's arguments and runs the subcommand.
#[must_use]
#[expect(clippy::print_stderr, reason = "the last word to the person at the terminal")]
pub fn run() -> ExitCode {
    let Cli { options, command } = Cli::parse();
    let done = match command.unwrap_or(Command::Serve(serve::ServeArgs::default())) {
        Command::Serve(args) => serve::run(&options, &args),
        Command::Demo(args) => demo::run(&options, &args),
        Command::Migrate(args) => migrate::run(&options, &args),
        Command::Config(args) => config::run(&options, &args),
        Command::Rebalance => rebalance::run(&options),
        Command::Openapi => openapi::run(),
        Command::Healthcheck(args) => healthcheck::run(&options, &args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tripsync: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Options {
    fn load(&self) -> Result<Loaded, ConfigError> {
        Sources::of_process(self.config.clone(), self.set.clone()).load()
    }

    /// Loads the configuration and starts logging as it says.
    fn load_with_logging(&self) -> Result<Config, ConfigError> {
        let config = self.load()?.config;
        crate::telemetry::start_logging(&config.log);
        Ok(config)
    }
}

/// A runtime for subcommands that need one.
fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::Other(format!("the runtime did not start: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound_and_every_part_has_help() {
        let mut command = Cli::command();
        command.build();
        command.clone().debug_assert();
        for sub in command.get_subcommands() {
            assert!(sub.get_about().is_some(), "{} has no help", sub.get_name());
            for argument in sub.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {} has no help", sub.get_name(), argument.get_id());
            }
        }
    }
}
