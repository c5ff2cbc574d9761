//! `ip`, with which tests make network namespaces. They do without when it is not there, so nothing fails here.

use std::ffi::OsStr;

use crate::apt::{apt_get, ensure_usable};

/// Installs it where it is missing and that is possible (Debian, as root): only root could use it.
pub(crate) fn provide() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if is_in(&path) || ensure_usable("").is_err() {
        return;
    }
    eprintln!("xtask: no `ip` found, installing it with apt-get");
    if let Err(error) = apt_get(&["update"]).and_then(|()| apt_get(&["install", "iproute2"])) {
        eprintln!("xtask: {error:#}; tests go on without network namespaces");
    }
}

fn is_in(path: &OsStr) -> bool {
    std::env::split_paths(path).any(|dir| dir.join("ip").is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_in_every_folder_of_the_path() {
        let (empty, with) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert!(!is_in(empty.path().as_os_str()) && !is_in(OsStr::new("")));
        std::fs::write(with.path().join("ip"), "").unwrap();
        assert!(is_in(&std::env::join_paths([empty.path(), with.path()]).unwrap()));
    }
}
