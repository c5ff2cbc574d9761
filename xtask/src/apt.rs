//! Installing what is missing where that can be done without asking: on Debian and its descendants, as root.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context;

/// What package scripts ask before they start a service; its answer 101 means no (policy-rc.d(8)).
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Whether packages can be installed here; otherwise the error is `help`, which says what to install.
pub(crate) fn ensure_usable(help: &str) -> anyhow::Result<()> {
    anyhow::ensure!(Path::new("/usr/bin/apt-get").exists() && we_are_root()?, "{help}");
    Ok(())
}

/// Runs `apt-get` with these arguments, its output beside the test run's.
pub(crate) fn apt_get(args: &[&str]) -> anyhow::Result<()> {
    let status = Command::new("apt-get")
        .args(["--quiet", "--yes", "--no-install-recommends"])
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        // The test run's own output is for the tests.
        .stdout(std::io::stderr())
        .status()
        .context("cannot start apt-get")?;
    anyhow::ensure!(status.success(), "`apt-get {}` failed", args.join(" "));
    Ok(())
}

/// Installs a package whose service is not wanted running.
pub(crate) fn install_without_service(package: &str) -> anyhow::Result<()> {
    let policy = Path::new(POLICY);
    // Somebody's own policy stays, and decides.
    let ours = !policy.exists();
    if ours {
        std::fs::write(policy, "#!/bin/sh\nexit 101\n").with_context(|| format!("cannot write {POLICY}"))?;
        std::fs::set_permissions(policy, std::fs::Permissions::from_mode(0o755))?;
    }
    let outcome = apt_get(&["install", package]);
    if ours {
        std::fs::remove_file(policy).with_context(|| format!("cannot remove {POLICY}"))?;
    }
    outcome
}

/// The owner of what we create is who we are; asking the system directly would need `unsafe` or a further crate.
pub(crate) fn we_are_root() -> anyhow::Result<bool> {
    let file = tempfile::tempfile().context("cannot make a temporary file")?;
    Ok(file.metadata()?.uid() == 0)
}
