//! Installs Postgres where that can be done without asking: on Debian and its descendants, as root.

use std::path::PathBuf;

use anyhow::Context;

use crate::apt::{apt_get, ensure_usable};

const CLUSTER_CONFIG: &str = "/etc/postgresql-common/createcluster.conf";

/// Installs the distribution's Postgres and finds it.
pub(super) fn install() -> anyhow::Result<PathBuf> {
    let help = format!(
        "the tests need Postgres {} or newer, and none was found in PATH or in the usual places: install it \
         (Debian: `apt-get install postgresql`), or set PG_BIN_DIR to the directory that holds `postgres` and `initdb`",
        super::OLDEST
    );
    ensure_usable(&help)?;
    eprintln!("xtask: no Postgres found, installing it with apt-get");
    apt_get(&["update"])?;
    apt_get(&["install", "postgresql-common"])?;
    // Debian's package would make a cluster and leave it running; ours is the only one wanted here.
    keep_from_making_a_cluster().with_context(|| format!("cannot edit {CLUSTER_CONFIG}"))?;
    apt_get(&["install", "postgresql"])?;
    super::find::find()?.context("apt-get installed `postgresql`, but still no Postgres 14 or newer is found")
}

fn keep_from_making_a_cluster() -> std::io::Result<()> {
    let config = std::fs::read_to_string(CLUSTER_CONFIG)?;
    std::fs::write(CLUSTER_CONFIG, without_main_cluster(&config))
}

fn without_main_cluster(config: &str) -> String {
    let kept = config.lines().filter(|line| !line.trim_start().starts_with("create_main_cluster"));
    kept.chain(["create_main_cluster = false"]).fold(String::new(), |text, line| text + line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packaged_cluster_is_switched_off_whatever_stood_there() {
        assert_eq!(
            without_main_cluster("# notes\n#create_main_cluster = true\ncreate_main_cluster = true\nstart_conf = 'auto'\n"),
            "# notes\n#create_main_cluster = true\nstart_conf = 'auto'\ncreate_main_cluster = false\n"
        );
    }
}
