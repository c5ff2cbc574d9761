//! Does the configuration hold together? Every finding is a sentence that says what to change.

use super::{Config, Mode, Secret};
use crate::store::DbKind;
use std::net::SocketAddr;
use std::time::Duration;

/// Bytes of a signing key at least: as many as HMAC-SHA256 puts out (RFC 7518 §3.2).
pub(super) const KEY_BYTES_MIN: usize = 32;
/// Different bytes in a signing key at least, in production: random base64 of 32 bytes has about 28.
const KEY_DISTINCT_MIN: usize = 12;

pub(super) fn findings(config: &Config) -> Vec<String> {
    let mut out = Vec::new();
    let mut must = |holds: bool, sentence: &str| {
        if !holds {
            out.push(sentence.to_owned());
        }
    };

    must(address(&config.http.listen), "http.listen must be an address and a port, such as 127.0.0.1:8080 or [::]:8080");
    must(
        config.metrics.listen.is_empty() || address(&config.metrics.listen),
        "metrics.listen must be an address and a port, such as 127.0.0.1:9464, or empty for none",
    );
    must(
        config.http.public_url.is_empty() || origin(&config.http.public_url),
        "http.public_url must be http:// or https:// with a host, and no path or trailing slash",
    );
    must(
        config.http.cors_origins.iter().all(|entry| entry == "*" || origin(entry)),
        "http.cors_origins must list origins such as https://app.example.org, without a path or trailing slash",
    );
    must(
        config.http.trusted_hosts.iter().all(|host| !host.contains(['/', ':'])),
        "http.trusted_hosts must list bare host names, without scheme or port",
    );
    must(config.http.connections_max > 0, "http.connections_max must be at least 1");
    must((1_024..=64 << 20).contains(&config.http.body_bytes_max), "http.body_bytes_max must be between 1024 and 67108864");
    let second = Duration::from_secs(1);
    must(
        config.http.header_timeout >= second && config.http.request_timeout >= second,
        "http.header_timeout and http.request_timeout must be at least 1s",
    );
    must(
        config.database.url.is_empty() || DbKind::of_url(config.database.url.expose()).is_ok(),
        "database.url must start with postgres:// or sqlite://, or be empty for SQLite in data_dir",
    );
    must(config.database.connections_max > 0, "database.connections_max must be at least 1");
    must(!config.auth.issuer.is_empty() && !config.auth.audience.is_empty(), "auth.issuer and auth.audience must not be empty");
    must(
        config.auth.access_token_ttl >= second && config.auth.access_token_ttl <= 24 * 60 * 60 * second,
        "auth.access_token_ttl must be between 1s and 24h",
    );
    must(config.auth.session_ttl > config.auth.access_token_ttl, "auth.session_ttl must be longer than auth.access_token_ttl");
    must(config.auth.refresh_grace <= 300 * second, "auth.refresh_grace must be at most 300s: a stolen token is not noticed within it");
    must((1..=64).contains(&config.auth.password_threads), "auth.password_threads must be between 1 and 64");
    must(config.auth.password_queue_max > 0, "auth.password_queue_max must be at least 1");
    must(
        config.log.filter.parse::<tracing_subscriber::EnvFilter>().is_ok(),
        "log.filter must be a list of levels by module, such as info,tripsync=debug",
    );
    for (key, secret) in [
        ("auth.signing_key", &config.auth.signing_key),
        ("auth.previous_signing_key", &config.auth.previous_signing_key),
        ("cluster.secret", &config.cluster.secret),
    ] {
        if let Err(why) = strength(secret, config.mode) {
            out.push(format!("{key} {why}; make one with `openssl rand -base64 48`"));
        }
    }
    out.extend(config.live.findings());
    out.extend(config.matching.findings());
    out.extend(config.cluster.findings(config));
    for (key, url) in [("database.url", &config.database.url), ("cluster.redis_url", &config.cluster.redis_url)] {
        if config.mode == Mode::Production && has_default_password(url.expose()) {
            out.push(format!("{key} has a password that is a default or the user's name, which production mode refuses; take another"));
        }
    }
    if config.mode == Mode::Production && config.http.cors_origins.iter().any(|entry| entry == "*") {
        out.push("http.cors_origins must name origins in production instead of \"*\"".to_owned());
    }
    out
}

/// Whether the URL's password is one that examples and images come with. None at all (a socket, a certificate) is for the
/// database to judge.
fn has_default_password(url: &str) -> bool {
    const DEFAULTS: [&str; 12] = [
        "postgres",
        "password",
        "passwd",
        "secret",
        "changeme",
        "changethis",
        "change-me",
        "change_me",
        "example",
        "admin",
        "root",
        "tripsync",
    ];
    let Some((_, rest)) = url.split_once("://") else { return false };
    let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
    let user_and_password = before_query.rsplit_once('@').map_or("", |(whole, _)| whole);
    let (user, password) = user_and_password.split_once(':').unwrap_or((user_and_password, ""));
    let named = query.split('&').find_map(|pair| pair.strip_prefix("password="));
    [password, named.unwrap_or("")].iter().any(|password| {
        let lower = password.to_lowercase();
        !lower.is_empty() && (lower == user.to_lowercase() || DEFAULTS.contains(&lower.as_str()))
    })
}

fn address(text: &str) -> bool {
    text.parse::<SocketAddr>().is_ok()
}

fn origin(text: &str) -> bool {
    text.parse::<http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.path() == "/"
            && !text.ends_with('/')
            && uri.query().is_none()
    })
}

/// An empty secret passes here: whether it may be empty depends on the key file (see `key.rs`).
pub(super) fn strength(secret: &Secret, mode: Mode) -> Result<(), &'static str> {
    let bytes = secret.expose().as_bytes();
    if bytes.is_empty() {
        return Ok(());
    }
    if bytes.len() < KEY_BYTES_MIN {
        return Err("must have at least 32 bytes");
    }
    if mode == Mode::Development {
        return Ok(());
    }
    let mut seen = [false; 256];
    for byte in bytes {
        seen[usize::from(*byte)] = true;
    }
    let lower = secret.expose().to_lowercase();
    let placeholder = ["changeme", "change-me", "change_me", "secret", "password", "example"].iter().any(|word| lower.contains(word));
    if placeholder || seen.iter().filter(|seen| **seen).count() < KEY_DISTINCT_MIN {
        return Err("looks guessable, which production mode refuses");
    }
    Ok(())
}
