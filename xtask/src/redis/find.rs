//! Where Redis is, or how to get it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::OLDEST;
use crate::apt::{apt_get, ensure_usable, install_without_service};

/// The program: from `REDIS_SERVER`, else from `PATH` and the usual places. Valkey, which split off from it, is as good.
pub(super) fn find() -> anyhow::Result<Option<PathBuf>> {
    if let Some(program) = std::env::var_os("REDIS_SERVER") {
        let program = PathBuf::from(program);
        let version = major_version(&program).with_context(|| format!("REDIS_SERVER={} is no working Redis", program.display()))?;
        anyhow::ensure!(version >= OLDEST, "REDIS_SERVER={} is Redis {version}; the tests need {OLDEST} or newer", program.display());
        return Ok(Some(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/local/bin", "/usr/bin", "/opt/homebrew/bin"].map(PathBuf::from);
    let programs = std::env::split_paths(&path).chain(usual).flat_map(|dir| ["redis-server", "valkey-server"].map(|name| dir.join(name)));
    Ok(programs.filter(|program| program.is_file()).find(|program| major_version(program).is_some_and(|version| version >= OLDEST)))
}

/// Installs the distribution's Redis, without the service that its package would start, and finds it.
pub(super) fn install() -> anyhow::Result<PathBuf> {
    let help = format!(
        "the tests need Redis {OLDEST} or newer (or Valkey), and none was found in PATH or in the usual places: install it \
         (Debian: `apt-get install redis-server`), or set REDIS_SERVER to the program"
    );
    ensure_usable(&help)?;
    eprintln!("xtask: no Redis found, installing it with apt-get");
    apt_get(&["update"])?;
    install_without_service("redis-server")?;
    find()?.with_context(|| format!("apt-get installed `redis-server`, but still no Redis {OLDEST} or newer is found"))
}

fn major_version(program: &Path) -> Option<u32> {
    let output = Command::new(program).arg("--version").output().ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

/// `Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=…`; Valkey says `Valkey server v=8.0.1 …`
fn parse_version(text: &str) -> Option<u32> {
    let version = text.split_whitespace().find_map(|word| word.strip_prefix("v="))?;
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions() {
        assert_eq!(parse_version("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=9\n"), Some(7));
        assert_eq!(parse_version("Valkey server v=8.0.1 sha=00000000:0 malloc=libc bits=64\n"), Some(8));
        assert_eq!(parse_version("Redis server version 2.4.10 (00000000:0)\n"), None);
    }
}
