//! `tripsync config`

use super::{CliError, Options};
use crate::config::{DEFAULTS, load_signing_key};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    /// Print the reference instead: every key with its default and a comment.
    #[arg(long)]
    default: bool,
    /// Print nothing but whether a server would start with this configuration (its signing key included).
    #[arg(long, conflicts_with = "default")]
    check: bool,
}

#[expect(clippy::print_stdout, reason = "the answer")]
pub(super) fn run(options: &Options, args: &ConfigArgs) -> Result<(), CliError> {
    if args.default {
        print!("{DEFAULTS}");
        return Ok(());
    }
    let loaded = options.load()?;
    if args.check {
        let key_is_made_at_start = loaded.config.mode == crate::config::Mode::Development;
        if !key_is_made_at_start {
            load_signing_key(&loaded.config)?;
        }
        println!("the configuration is good");
        return Ok(());
    }
    println!("# What is in force; secrets are hidden.");
    for (key, origin) in &loaded.origin {
        println!("# {key} comes from {origin}");
    }
    let text = toml::to_string(&loaded.config).map_err(|error| CliError::Other(format!("the configuration cannot be printed: {error}")))?;
    print!("{text}");
    Ok(())
}
