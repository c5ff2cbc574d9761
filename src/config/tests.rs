use super::*;
use std::collections::BTreeSet;
use std::fs;

fn sources(environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Sources {
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    Sources { file: None, environment: environment.iter().map(own).collect(), flags: flags.iter().map(own).collect() }
}

fn findings(environment: &[(&str, &str)]) -> String {
    sources(environment, &[]).load().unwrap_err().to_string()
}

#[test]
fn the_reference_is_complete_and_loads() {
    let loaded = Sources::default().load().unwrap();
    assert_eq!(loaded.config.http.listen, "127.0.0.1:8080");
    assert_eq!(loaded.config.auth.access_token_ttl, Duration::from_secs(900));
    assert!(loaded.origin.is_empty());

    // Every field has a key in the reference and the other way round, written the same way.
    let printed: toml::Table = toml::to_string(&loaded.config).unwrap().parse().unwrap();
    let reference: toml::Table = DEFAULTS.parse().unwrap();
    assert_eq!(printed, reference);

    // Every key has a comment somewhere above it.
    let mut commented = BTreeSet::new();
    let mut seen_comment = false;
    for line in DEFAULTS.lines() {
        if line.starts_with('#') {
            seen_comment = true;
        } else if let Some((key, _)) = line.split_once(" = ") {
            assert!(seen_comment, "{key} has no comment");
            commented.insert(key);
        } else if line.is_empty() || line.starts_with('[') {
            seen_comment = false;
        }
    }
    assert!(commented.contains("data_dir"));
}

#[test]
fn later_sources_win_and_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c.toml");
    fs::write(&file, "[http]\nlisten = \"127.0.0.1:1\"\ncors_origins = [\"https://a.example\"]\n[database]\nconnections_max = 3\n")
        .unwrap();
    let key = dir.path().join("key");
    fs::write(&key, format!("{}\n", "k3y!".repeat(10))).unwrap();
    let mut sources = sources(
        &[
            ("TRIPSYNC__HTTP__LISTEN", "127.0.0.1:2"),
            ("TRIPSYNC__HTTP__TRUSTED_HOSTS", "a.example, b.example"),
            ("TRIPSYNC__AUTH__SIGNING_KEY_FILE", key.to_str().unwrap()),
            ("TRIPSYNC__DATABASE__MIGRATE", "false"),
            ("UNRELATED", "x"),
        ],
        &[("http.listen", "127.0.0.1:3")],
    );
    sources.file = Some(file);
    let loaded = sources.load().unwrap();
    assert_eq!(loaded.config.http.listen, "127.0.0.1:3");
    assert_eq!(loaded.config.http.cors_origins, ["https://a.example"]);
    assert_eq!(loaded.config.http.trusted_hosts, ["a.example", "b.example"]);
    assert_eq!(loaded.config.database.connections_max, 3);
    assert!(!loaded.config.database.migrate);
    assert_eq!(loaded.config.auth.signing_key.expose(), "k3y!".repeat(10));
    assert_eq!(loaded.origin["http.listen"], "flag --set http.listen");
    assert_eq!(loaded.origin["auth.signing_key"], "environment TRIPSYNC__AUTH__SIGNING_KEY_FILE");
}

#[test]
fn mistakes_name_the_key_and_the_source() {
    let text = findings(&[("TRIPSYNC__HTTP__LISTN", "x")]);
    assert!(text.contains("no key http.listn (from environment TRIPSYNC__HTTP__LISTN)"), "{text}");
    let text = findings(&[("TRIPSYNC__HTTP__CONNECTIONS_MAX", "many")]);
    assert!(text.contains("http.connections_max (from environment") && text.contains("integer"), "{text}");
    let text = findings(&[("TRIPSYNC__HTTP__REQUEST_TIMEOUT", "5 parsecs")]);
    assert!(text.contains("http.request_timeout (from environment") && text.contains("15m"), "{text}");
    let text = findings(&[("TRIPSYNC__MODE", "prod")]);
    assert!(text.contains("mode (from environment TRIPSYNC__MODE)"), "{text}");
    let text = findings(&[("TRIPSYNC__AUTH__SIGNING_KEY_FILE", "/nonexistent/key")]);
    assert!(text.contains("/nonexistent/key cannot be read"), "{text}");
    // All at once, not one after the other.
    let text = findings(&[
        ("TRIPSYNC__HTTP__LISTEN", "localhost"),
        ("TRIPSYNC__DATABASE__URL", "mysql://x"),
        ("TRIPSYNC__HTTP__CORS_ORIGINS", "https://a.example/"),
    ]);
    for key in ["http.listen", "database.url", "http.cors_origins"] {
        assert!(text.contains(key), "{text}");
    }
}

#[test]
fn secrets_are_never_shown() {
    let config = sources(
        &[
            ("TRIPSYNC__AUTH__SIGNING_KEY", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"),
            ("TRIPSYNC__DATABASE__URL", "postgres://ann:hunter2@db/x?password=hunter2"),
        ],
        &[],
    )
    .load()
    .unwrap()
    .config;
    let shown = format!("{config:?}{}", toml::to_string(&config).unwrap());
    assert!(!shown.contains("zzzz") && !shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("postgres://ann:(hidden)@db/x"), "{shown}");
}

#[test]
fn production_refuses_weak_keys() {
    for key in ["short", &"a".repeat(64), "this-is-a-secret-with-enough-length-0123456789"] {
        let text = findings(&[("TRIPSYNC__MODE", "production"), ("TRIPSYNC__AUTH__SIGNING_KEY", key)]);
        assert!(text.contains("auth.signing_key"), "{key}: {text}");
    }
    sources(&[("TRIPSYNC__MODE", "production"), ("TRIPSYNC__AUTH__SIGNING_KEY", "9fX2mQ7LrT0vYbZkW4cJhN8sDgP1uEaR5oIxK3yVtM6B")], &[])
        .load()
        .unwrap();
}

#[test]
fn production_refuses_default_database_passwords() {
    let key = ("TRIPSYNC__AUTH__SIGNING_KEY", "9fX2mQ7LrT0vYbZkW4cJhN8sDgP1uEaR5oIxK3yVtM6B");
    let load = |mode, url| sources(&[("TRIPSYNC__MODE", mode), key, ("TRIPSYNC__DATABASE__URL", url)], &[]).load();
    for url in [
        "postgres://postgres:postgres@db/x",
        "postgres://ann:Ann@db/x",
        "postgres://ann:changethis@db/x",
        "postgresql://ann@db/x?sslmode=require&password=secret",
    ] {
        let text = load("production", url).unwrap_err().to_string();
        assert!(text.contains("database.url has a password") && !text.contains("changethis"), "{url}: {text}");
        load("development", url).unwrap();
    }
    for url in ["postgres://ann:kT3-vvq9@db/x", "postgres://ann@db/x", "postgres:///x?host=/run/postgresql", "sqlite://a.db", ""] {
        load("production", url).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn the_key_file_is_made_once_private_and_checked() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let mut config = Sources::default().load().unwrap().config;
    config.data_dir = dir.path().to_owned();
    let path = dir.path().join("signing.key");

    config.mode = Mode::Production;
    let text = load_signing_key(&config).unwrap_err().to_string();
    assert!(text.contains("auth.signing_key") && !path.exists(), "{text}");

    config.mode = Mode::Development;
    let key = load_signing_key(&config).unwrap();
    assert!(key.expose().len() >= 32);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(load_signing_key(&config).unwrap(), key);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);

    config.mode = Mode::Production;
    assert_eq!(load_signing_key(&config).unwrap(), key);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let text = load_signing_key(&config).unwrap_err().to_string();
    assert!(text.contains("chmod 600"), "{text}");
}
