//! `tripsync demo`

use super::serve::{self, ServeArgs};
use super::{CliError, Options, runtime};
use crate::app::{self, Shutdown};
use crate::config::{Config, ConfigError};
use crate::demo;
use clap::Args;
use std::time::Duration;

/// How long the companions may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

#[derive(Debug, Default, Args)]
pub(super) struct DemoArgs {
    #[command(flatten)]
    serve: ServeArgs,
}

pub(super) fn run(options: &Options, args: &DemoArgs) -> Result<(), CliError> {
    let config = config(options)?;
    crate::telemetry::start_logging(&config.log);
    let runtime = runtime()?;
    let served = runtime.block_on(Box::pin(run_demo(config, &args.serve)));
    runtime.shutdown_background();
    served
}

/// The demo's own surroundings: whatever is configured for the real server, its data is not touched. Flags given to this very
/// command win.
fn config(options: &Options) -> Result<Config, ConfigError> {
    let real = options.load()?;
    let data_dir = real.config.data_dir.join("demo");
    let mut own = vec![
        ("mode".to_owned(), "development".to_owned()),
        ("data_dir".to_owned(), data_dir.display().to_string()),
        ("database.url".to_owned(), String::new()),
        ("http.public_url".to_owned(), String::new()),
        ("http.trusted_hosts".to_owned(), "[]".to_owned()),
        ("metrics.listen".to_owned(), String::new()),
        ("auth.signing_key".to_owned(), String::new()),
        ("auth.previous_signing_key".to_owned(), String::new()),
        ("auth.registration".to_owned(), "open".to_owned()),
        ("cluster.redis_url".to_owned(), String::new()),
        ("cluster.secret".to_owned(), String::new()),
    ];
    if !real.origin.contains_key("log.filter") {
        // The terminal is for the newcomer.
        own.push(("log.filter".to_owned(), "warn".to_owned()));
    }
    own.extend(options.set.iter().cloned());
    Ok(Options { config: options.config.clone(), set: own }.load()?.config)
}

#[expect(clippy::print_stdout, reason = "what the newcomer came for")]
async fn run_demo(config: Config, args: &ServeArgs) -> Result<(), CliError> {
    let shutdown = Shutdown::default();
    let signals = tokio::spawn(serve::end_on_signals(shutdown.clone()));
    let folder = config.data_dir.clone();
    let Some(started) = shutdown.drain.run_until_cancelled(app::start(config, shutdown.clone())).await else {
        return Ok(());
    };
    let running = started?;
    let failed = match shutdown.drain.run_until_cancelled(demo::start(running.http, &folder, &shutdown.drain)).await {
        Some(Ok(demo)) => {
            serve::tell_ready(args, &running)?;
            println!("{}", demo.guide);
            shutdown.drain.cancelled().await;
            // While the server still listens to them.
            if tokio::time::timeout(GOODBYE, demo.companions.wait()).await.is_err() {
                tracing::warn!("a companion did not leave in time");
            }
            None
        }
        Some(Err(error)) => {
            shutdown.drain.cancel();
            Some(CliError::Other(format!("the demo could not be made: {error}")))
        }
        None => None,
    };
    running.wait().await;
    signals.abort();
    failed.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn with(set: &[(&str, &str)], file: Option<&Path>) -> Config {
        let set = set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        config(&Options { config: file.map(Path::to_owned), set }).unwrap()
    }

    #[test]
    fn the_data_of_the_real_server_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tripsync.toml");
        std::fs::write(
            &file,
            "data_dir = \"/srv/trips\"\n[database]\nurl = \"postgres://db/trips\"\n[metrics]\nlisten = \"127.0.0.1:9\"\n\
             [auth]\nsigning_key = \"12345678901234567890123456789012\"\n\
             [cluster]\nredis_url = \"redis://cache\"\nsecret = \"abcdefghijabcdefghijabcdefghijab\"\n",
        )
        .unwrap();
        let config = with(&[], Some(&file));
        assert_eq!(config.database_url(), "sqlite:///srv/trips/demo/tripsync.db");
        assert_eq!(config.metrics.listen, "");
    }

    #[test]
    fn flags_of_the_command_itself_win() {
        let config = with(&[("data_dir", "/tmp/x"), ("metrics.listen", "127.0.0.1:0")], None);
        assert_eq!(config.data_dir, Path::new("/tmp/x"));
        assert_eq!(config.metrics.listen, "127.0.0.1:0");
    }
}
