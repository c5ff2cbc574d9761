//! Reads `Cargo.lock`. Its form is fixed (Cargo writes it), so no TOML parser is needed.

/// One `[[package]]`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    /// `None` for the workspace's own packages.
    pub(super) source: Option<String>,
}

/// All packages of a lock file.
pub(super) fn parse(text: &str) -> Vec<Package> {
    text.split("[[package]]").skip(1).map(parse_package).collect()
}

fn parse_package(block: &str) -> Package {
    let mut package = Package::default();
    for line in block.lines() {
        let Some((key, value)) = line.split_once(" = ") else {
            continue;
        };
        let value = value.trim_matches('"').to_owned();
        match key {
            "name" => package.name = value,
            "version" => package.version = value,
            "source" => package.source = Some(value),
            _ => {}
        }
    }
    package
}

/// The three numbers of a version; what follows them (pre-release, build) is left out.
pub(super) fn numbers(version: &str) -> [u64; 3] {
    let mut numbers = [0; 3];
    let core = version.split(['-', '+']).next().unwrap_or_default();
    for (number, text) in numbers.iter_mut().zip(core.split('.')) {
        *number = text.parse().unwrap_or(0);
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_packages_with_and_without_a_source() {
        let text = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.2.3\"\nsource = \"registry+x\"\n\
                    dependencies = [\n \"b\",\n]\n\n[[package]]\nname = \"b\"\nversion = \"0.1.0\"\n";
        let [a, b] = parse(text).try_into().unwrap();
        assert_eq!(a, Package { name: "a".into(), version: "1.2.3".into(), source: Some("registry+x".into()) });
        assert_eq!(b, Package { name: "b".into(), version: "0.1.0".into(), source: None });
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(numbers("0.16.10-rc.1") > numbers("0.16.5"));
        assert_eq!(numbers("1.19.0+sqlite3.51"), [1, 19, 0]);
    }
}
