//! `cargo test` with its services, and one summary over all test binaries.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use anyhow::Context;

use crate::{iproute, postgres, redis};

mod summary;

use summary::Summary;

/// Runs `cargo test --workspace --no-fail-fast` with `args` behind it and a throwaway Postgres and Redis beside it. Prints
/// what cargo prints and, as the last line, `N passed, N failed`. Gives back whether everything passed.
///
/// # Errors
/// Postgres or Redis cannot be had or started, or cargo cannot be started.
pub fn run(args: &[String]) -> anyhow::Result<bool> {
    let services = Services::start()?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut child = services
        .command(cargo)
        .args(["test", "--workspace", "--no-fail-fast"])
        .args(args)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let output = child.stdout.take().context("cargo has no output")?;
    let mut summary = Summary::default();
    let mut stdout = std::io::stdout();
    for line in BufReader::new(output).split(b'\n') {
        let mut line = line.context("cannot read cargo's output")?;
        summary.read(&String::from_utf8_lossy(&line));
        line.push(b'\n');
        stdout.write_all(&line)?;
        stdout.flush()?;
    }
    let success = child.wait().context("cannot wait for cargo")?.success();
    drop(services);
    let totals = summary.finish(success);
    writeln!(stdout, "\n{totals}")?;
    Ok(success && totals.failed == 0)
}

/// Runs a command with a throwaway Postgres, its address in the environment. Gives back whether the command succeeded.
///
/// # Errors
/// Postgres cannot be had or started, or there is no such command.
pub fn with_postgres(command_line: &[String]) -> anyhow::Result<bool> {
    Services { postgres: postgres::start()?, redis: None }.run(command_line)
}

/// As [`with_postgres`], with a throwaway Redis, too.
///
/// # Errors
/// As [`with_postgres`], or Redis cannot be had or started.
pub fn with_services(command_line: &[String]) -> anyhow::Result<bool> {
    Services::start()?.run(command_line)
}

/// What runs beside a command.
pub(crate) struct Services {
    postgres: postgres::Instance,
    redis: Option<redis::Instance>,
}

impl Services {
    /// Both of them, and `ip` for tests that can use it.
    pub(crate) fn start() -> anyhow::Result<Self> {
        iproute::provide();
        Ok(Self { postgres: postgres::start()?, redis: Some(redis::start()?) })
    }

    fn run(self, command_line: &[String]) -> anyhow::Result<bool> {
        let (program, args) = command_line.split_first().context("no command given")?;
        let status = self.command(program.into()).args(args).status();
        Ok(status.with_context(|| format!("cannot start `{program}`"))?.success())
    }

    /// A command that is told where they are.
    pub(crate) fn command(&self, program: OsString) -> Command {
        let mut command = Command::new(program);
        command.env(postgres::URL_VARIABLE, self.postgres.url("postgres")).env(postgres::BIN_VARIABLE, self.postgres.bin_dir());
        if let Some(redis) = &self.redis {
            command.env(redis::URL_VARIABLE, redis.url()).env(redis::PROGRAM_VARIABLE, redis.program());
        }
        command
    }
}
