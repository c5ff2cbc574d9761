//! `tripsync migrate`

use super::{CliError, Options, runtime};
use crate::app;
use crate::store::{Db, StoreError};
use crate::telemetry::chain;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct MigrateArgs {
    /// Change nothing; exit code 1 when migrations are missing.
    #[arg(long)]
    check: bool,
}

#[expect(clippy::print_stdout, reason = "the answer")]
pub(super) fn run(options: &Options, args: &MigrateArgs) -> Result<(), CliError> {
    let config = options.load_with_logging()?;
    app::prepare_folder(&config.data_dir, "data_dir")?;
    let migrated = runtime()?.block_on(async {
        let db = Db::connect(&config.database_url(), &config.db_options()).await?;
        let before = db.schema_state().await?;
        if !args.check {
            db.migrate().await?;
        }
        db.close().await;
        Ok::<_, StoreError>(before)
    });
    match migrated {
        Ok(before) if args.check && before.pending > 0 => {
            Err(CliError::Other(format!("{} migrations are missing: run `tripsync migrate`", before.pending)))
        }
        Ok(before) => {
            let applied = if args.check { 0 } else { before.pending };
            println!("{applied} migrations applied; the schema is up to date");
            Ok(())
        }
        Err(error) => Err(CliError::Other(chain(&error))),
    }
}
