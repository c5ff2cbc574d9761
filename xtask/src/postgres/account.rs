//! Whose name Postgres runs under: it refuses to run as root.

use std::fs::{Metadata, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use tempfile::TempDir;

use crate::apt::we_are_root;

/// A user that Postgres may run as when we are root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// `None` when we are not root and simply stay who we are.
    pub(super) fn choose() -> anyhow::Result<Option<Self>> {
        if !we_are_root()? {
            return Ok(None);
        }
        let users = std::fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| find_user(&users, name))
            .map(Some)
            .context("Postgres refuses to run as root, and there is neither a user `postgres` nor a user `nobody` to run it as")
    }

    /// Lets the command run as this user, with no further groups (the standard library drops them).
    pub(super) fn apply(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }
}

/// A new directory that belongs to `account` and that it can reach.
pub(super) fn private_dir(account: Option<Account>) -> anyhow::Result<TempDir> {
    let parent = match account {
        None => std::env::temp_dir(),
        Some(_) => [std::env::temp_dir(), PathBuf::from("/tmp"), PathBuf::from("/var/tmp")]
            .into_iter()
            .find(|dir| everybody_may_enter(dir))
            .context("found no temporary directory that other users may enter")?,
    };
    let dir = tempfile::Builder::new()
        .prefix("tripsync-postgres-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(&parent)
        .with_context(|| format!("cannot make a directory in {}", parent.display()))?;
    if let Some(Account { uid, gid }) = account {
        std::os::unix::fs::chown(dir.path(), Some(uid), Some(gid)).context("cannot hand the directory to Postgres' user")?;
    }
    Ok(dir)
}

fn find_user(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [user, _, uid, gid, ..] = fields.as_slice() else {
            return None;
        };
        (*user == name).then_some(Account { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
    })
}

fn everybody_may_enter(dir: &Path) -> bool {
    const OTHERS_ENTER: u32 = 0o001;
    let open = |metadata: Metadata| metadata.is_dir() && metadata.permissions().mode() & OTHERS_ENTER != 0;
    dir.canonicalize().is_ok_and(|dir| dir.ancestors().all(|dir| dir.metadata().is_ok_and(open)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_user() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\npostgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\n";
        assert_eq!(find_user(passwd, "postgres"), Some(Account { uid: 101, gid: 104 }));
        assert_eq!(find_user(passwd, "nobody"), None);
    }

    #[test]
    fn a_private_directory_is_not_for_everybody() {
        let dir = private_dir(None).unwrap();
        assert!(!everybody_may_enter(dir.path()));
        assert!(everybody_may_enter(Path::new("/")));
    }
}
