//! `tripsync openapi`

use super::CliError;

#[expect(clippy::print_stdout, reason = "the answer")]
pub(super) fn run() -> Result<(), CliError> {
    let text = crate::http::openapi::json().map_err(|error| CliError::Other(error.to_string()))?;
    print!("{text}");
    Ok(())
}
