//! The signing key: from the configuration, or from `signing.key` in the data folder.
//!
//! Development makes the file when it is missing. Production does not: a node that invents a key logs everybody out and
//! disagrees with its neighbours; but a file made beforehand, readable by its owner only, is as good as a configured key.

use super::check::strength;
use super::{Config, ConfigError, Mode, Secret};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rand::Rng;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

/// The file's name in the data folder.
const FILE: &str = "signing.key";

/// The secret that signs access tokens and from which all other keys are derived.
///
/// # Errors
/// [`ConfigError`] when it is missing in production, weak, readable by others, or cannot be read or written.
pub fn load_signing_key(config: &Config) -> Result<Secret, ConfigError> {
    if !config.auth.signing_key.is_empty() {
        return Ok(config.auth.signing_key.clone());
    }
    let path = config.data_dir.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => from_file(config, &path, &text),
        Err(error) if error.kind() == ErrorKind::NotFound => match config.mode {
            Mode::Development => make(config, &path),
            Mode::Production => refuse(format!(
                "production needs a signing key: set auth.signing_key (TRIPSYNC__AUTH__SIGNING_KEY_FILE reads it from a file), \
                 or put one into {} (0600)",
                path.display()
            )),
        },
        Err(error) => refuse(format!("{} cannot be read: {error}", path.display())),
    }
}

fn from_file(config: &Config, path: &Path, text: &str) -> Result<Secret, ConfigError> {
    let key = Secret::new(text.trim());
    if key.is_empty() {
        return refuse(format!("{} is empty: delete it, or put a key into it", path.display()));
    }
    if let Err(why) = strength(&key, config.mode) {
        return refuse(format!("the key in {} {why}", path.display()));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path).map_or(0, |meta| meta.permissions().mode());
        if mode & 0o077 != 0 {
            return refuse(format!(
                "{path} can be read by others (mode {:o}): run `chmod 600 {path}`",
                mode & 0o777,
                path = path.display()
            ));
        }
    }
    Ok(key)
}

fn make(config: &Config, path: &Path) -> Result<Secret, ConfigError> {
    let mut bytes = [0_u8; 48];
    rand::rng().fill_bytes(&mut bytes);
    let text = STANDARD_NO_PAD.encode(bytes);
    match write_new(path, &text) {
        Ok(()) => {
            tracing::info!(file = %path.display(), "signing key made");
            Ok(Secret::new(text))
        }
        // Another process was faster: its key counts.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => match fs::read_to_string(path) {
            Ok(text) => from_file(config, path, &text),
            Err(error) => refuse(format!("{} cannot be read: {error}", path.display())),
        },
        Err(error) => refuse(format!("{} cannot be written: {error}", path.display())),
    }
}

/// Writes beside and links into place, so that nobody ever reads half a key, and never over an existing file.
fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    let beside = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    let linked = fs::hard_link(&beside, path);
    fs::remove_file(&beside)?;
    linked
}

fn refuse(sentence: String) -> Result<Secret, ConfigError> {
    Err(ConfigError(vec![sentence]))
}
