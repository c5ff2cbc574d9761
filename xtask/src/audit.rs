//! The dependency audit: what may be in `Cargo.lock` and in the build for this machine. Needs no network.
//!
//! It stands in for `cargo deny` and `cargo audit`, which take minutes to build and whose advisory database has to be
//! fetched. It does not know advisories by itself: the list of watched versions in `policy` is kept by hand.

use std::ffi::OsString;
use std::process::Command;

use anyhow::Context;

mod licence;
mod lock;
mod policy;

use lock::Package;

/// Prints every breach of the policy; gives back whether there was none.
///
/// # Errors
/// `Cargo.lock` cannot be read, or `cargo tree` fails (for example since the lock file is out of date).
pub fn run() -> anyhow::Result<bool> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let text = std::fs::read_to_string(format!("{root}/Cargo.lock")).context("cannot read Cargo.lock")?;
    let packages = lock::parse(&text);
    anyhow::ensure!(!packages.is_empty(), "found no packages in Cargo.lock");
    let built = built_here(root)?;

    let breaches = breaches(&packages, &built);
    for breach in &breaches {
        eprintln!("audit: {breach}");
    }
    eprintln!("audit: {} packages locked, {} built here, {} breaches", packages.len(), built.len(), breaches.len());
    Ok(breaches.is_empty())
}

/// A package that is compiled for this machine, tests included.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Built {
    name: String,
    licence: String,
}

fn built_here(root: &str) -> anyhow::Result<Vec<Built>> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")))
        .current_dir(root)
        .args(["tree", "--workspace", "--locked", "--edges", "normal,build,dev", "--prefix", "none", "--format", "{p}|{l}"])
        .output()
        .context("cannot start cargo tree")?;
    anyhow::ensure!(output.status.success(), "cargo tree failed:\n{}", String::from_utf8_lossy(&output.stderr));
    let built = parse_tree(&String::from_utf8_lossy(&output.stdout));
    anyhow::ensure!(!built.is_empty(), "cargo tree named no packages");
    Ok(built)
}

/// Lines like `axum v0.8.9|MIT`, or with ` (*)` at the end when named before; packages are parted by empty lines.
fn parse_tree(tree: &str) -> Vec<Built> {
    let mut built: Vec<Built> = tree
        .lines()
        .filter_map(|line| {
            let (package, licence) = line.split_once('|')?;
            let name = package.split_whitespace().next()?.to_owned();
            Some(Built { name, licence: licence.trim_end_matches(" (*)").to_owned() })
        })
        .collect();
    built.sort();
    built.dedup();
    built
}

fn breaches(packages: &[Package], built: &[Built]) -> Vec<String> {
    let mut breaches = Vec::new();
    for name in policy::ONCE {
        let versions: Vec<&str> = packages.iter().filter(|p| p.name == *name).map(|p| p.version.as_str()).collect();
        if versions.len() > 1 {
            breaches.push(format!("{name} is locked more than once: {}", versions.join(", ")));
        }
    }
    for package in packages {
        if let Some(source) = package.source.as_deref().filter(|source| *source != policy::SOURCE) {
            breaches.push(format!("{} comes from {source}; only crates.io is allowed", package.name));
        }
        for (name, least, reason) in policy::WATCHED {
            if package.name == *name && lock::numbers(&package.version) < *least {
                let least = least.map(|number| number.to_string()).join(".");
                breaches.push(format!("{name} {} is older than {least}: {reason}", package.version));
            }
        }
    }
    for package in built {
        for (name, reason) in policy::BANNED {
            if package.name == *name {
                breaches.push(format!("{name} is built: {reason}"));
            }
        }
        if !licence::is_allowed(&package.licence, policy::LICENCES) {
            breaches.push(format!("{} has the licence `{}`, which is not on the list", package.name, package.licence));
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str, source: &str) -> Package {
        Package { name: name.to_owned(), version: version.to_owned(), source: Some(source.to_owned()) }
    }

    fn built(name: &str, licence: &str) -> Built {
        Built { name: name.to_owned(), licence: licence.to_owned() }
    }

    #[test]
    fn every_kind_of_breach_is_found() {
        let packages = [
            package("hyper", "1.0.0", policy::SOURCE),
            package("hyper", "1.1.0", policy::SOURCE),
            package("patched", "1.0.0", "git+https://example.org/patched"),
            package("jsonwebtoken", "10.2.0", policy::SOURCE),
        ];
        let found = breaches(&packages, &[built("openssl-sys", "MIT"), built("viral", "AGPL-3.0")]);
        let starts = [
            "hyper is locked more than once: 1.0.0, 1.1.0",
            "patched comes from git+",
            "jsonwebtoken 10.2.0 is older than 11.0.0",
            "openssl-sys is built",
            "viral has the licence `AGPL-3.0`",
        ];
        assert_eq!(found.len(), starts.len(), "{found:#?}");
        for (breach, start) in found.iter().zip(starts) {
            assert!(breach.starts_with(start), "{breach}");
        }
    }

    #[test]
    fn what_is_in_order_passes() {
        let packages = [package("jsonwebtoken", "11.1.0", policy::SOURCE)];
        assert_eq!(breaches(&packages, &[built("jsonwebtoken", "MIT")]), Vec::<String>::new());
    }

    #[test]
    fn reads_the_tree() {
        let tree = "tripsync v0.1.0 (/somewhere)|MIT OR Apache-2.0\nanyhow v1.0.0|MIT\n\nanyhow v1.0.0|MIT (*)\n";
        assert_eq!(parse_tree(tree), [built("anyhow", "MIT"), built("tripsync", "MIT OR Apache-2.0")]);
    }
}
