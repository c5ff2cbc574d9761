//! Where Postgres' programs are.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

/// The directory with `postgres` and `initdb`: from `PG_BIN_DIR`, else the newest of what is installed in the usual
/// places, else from `PATH`.
pub(super) fn find() -> anyhow::Result<Option<PathBuf>> {
    if let Some(dir) = std::env::var_os("PG_BIN_DIR") {
        let dir = PathBuf::from(dir);
        let version =
            major_version(&dir).with_context(|| format!("PG_BIN_DIR={} holds no working `postgres` and `initdb`", dir.display()))?;
        anyhow::ensure!(
            version >= super::OLDEST,
            "PG_BIN_DIR={} holds Postgres {version}; the tests need {} or newer",
            dir.display(),
            super::OLDEST
        );
        return Ok(Some(dir));
    }
    let newest = usual_places()
        .into_iter()
        .filter_map(|dir| Some((major_version(&dir)?, dir)))
        .filter(|(version, _)| *version >= super::OLDEST)
        .max_by_key(|(version, _)| *version);
    Ok(newest.map(|(_, dir)| dir))
}

fn usual_places() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    // Debian, Red Hat's family, Homebrew on both kinds of Mac.
    for (parent, prefix) in
        [("/usr/lib/postgresql", ""), ("/usr", "pgsql-"), ("/opt/homebrew/opt", "postgresql"), ("/usr/local/opt", "postgresql")]
    {
        let Ok(entries) = std::fs::read_dir(parent) else {
            continue;
        };
        let named = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
        places.extend(named.map(|entry| entry.path().join("bin")));
    }
    places
}

fn major_version(dir: &Path) -> Option<u32> {
    if !dir.join("initdb").is_file() {
        return None;
    }
    let output = Command::new(dir.join("postgres")).arg("--version").output().ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

/// `postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)`, `postgres (PostgreSQL) 18beta1`
fn parse_version(text: &str) -> Option<u32> {
    let number = text.split_whitespace().nth(2)?;
    let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number.get(..digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions() {
        assert_eq!(parse_version("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_version("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(parse_version("postgres"), None);
    }
}
