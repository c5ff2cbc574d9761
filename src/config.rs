//! Configuration: what can be set, and where it comes from.
//!
//! [`Config`] is the whole, checked; one section per part of the program. The reference with a comment per key is
//! `config.default.toml`, compiled in as [`DEFAULTS`]; `config/load.rs` lays file, environment and flags over it and
//! remembers which source gave which value, so that an error names the place to change. Secrets never show in `Debug` or
//! in a printed configuration.

mod check;
mod cluster;
mod key;
mod live;
mod load;
mod matching;
mod value;

pub use cluster::ClusterSection;
pub use key::load_signing_key;
pub use live::LiveConfig;
pub use load::{ConfigError, Loaded, Sources};
pub use matching::MatchingConfig;
pub use value::Secret;

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// The reference: every key with its default and a comment.
pub const DEFAULTS: &str = include_str!("../config.default.toml");

/// Everything that can be set. See `config.default.toml` for the meaning of every key.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How strict to be about missing secrets.
    pub mode: Mode,
    /// Folder for the SQLite database and the signing key.
    pub data_dir: PathBuf,
    /// The API's listener.
    pub http: HttpConfig,
    /// The metrics' listener.
    pub metrics: MetricsConfig,
    /// The database.
    pub database: DatabaseConfig,
    /// Accounts and tokens.
    pub auth: AuthConfig,
    /// Rooms and sockets.
    pub live: LiveConfig,
    /// Who goes the same way.
    pub matching: MatchingConfig,
    /// Several nodes.
    pub cluster: ClusterSection,
    /// Logs.
    pub log: LogConfig,
}

/// How strict to be about missing secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Make what is missing.
    Development,
    /// Refuse weak or missing secrets.
    Production,
}

/// `[http]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// `address:port`.
    pub listen: String,
    /// Base of absolute links, without a trailing slash; empty for relative ones.
    pub public_url: String,
    /// Open connections at most.
    pub connections_max: usize,
    /// Time for a request's head to arrive.
    #[serde(with = "value::span")]
    pub header_timeout: Duration,
    /// Time for an answer.
    #[serde(with = "value::span")]
    pub request_timeout: Duration,
    /// Bytes of a request body at most.
    pub body_bytes_max: usize,
    /// Foreign origins that may call.
    pub cors_origins: Vec<String>,
    /// Host names that are answered; empty for all.
    pub trusted_hosts: Vec<String>,
    /// Time between readiness 503 and the end of accepting.
    #[serde(with = "value::span")]
    pub drain_delay: Duration,
    /// Time for what is running to finish after SIGTERM.
    #[serde(with = "value::span")]
    pub drain_timeout: Duration,
}

/// `[metrics]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsConfig {
    /// `address:port`; empty for none.
    pub listen: String,
}

/// `[database]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// Where; empty for SQLite in the data folder.
    #[serde(with = "value::url")]
    pub url: Secret,
    /// Connections at most.
    pub connections_max: u32,
    /// Wait for a free connection.
    #[serde(with = "value::span")]
    pub acquire_timeout: Duration,
    /// Wait for the database at start.
    #[serde(with = "value::span")]
    pub wait: Duration,
    /// Migrate at start.
    pub migrate: bool,
}

/// `[auth]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    /// Signs access tokens; empty for the key file in the data folder.
    pub signing_key: Secret,
    /// Still accepted, no longer used for signing; empty for none.
    pub previous_signing_key: Secret,
    /// `iss` of tokens.
    pub issuer: String,
    /// `aud` of tokens.
    pub audience: String,
    /// Life of an access token.
    #[serde(with = "value::span")]
    pub access_token_ttl: Duration,
    /// Life of a session without a refresh.
    #[serde(with = "value::span")]
    pub session_ttl: Duration,
    /// How long a used refresh token still gives the same successor.
    #[serde(with = "value::span")]
    pub refresh_grace: Duration,
    /// Life of a socket ticket.
    #[serde(with = "value::span")]
    pub ticket_ttl: Duration,
    /// Threads that hash passwords.
    pub password_threads: usize,
    /// Password checks that may wait.
    pub password_queue_max: usize,
    /// Who may register.
    pub registration: Registration,
}

/// Who may register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    /// Anyone.
    Open,
    /// Nobody.
    Closed,
}

/// `[log]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// How a line looks.
    pub format: LogFormat,
    /// `tracing-subscriber` directives.
    pub filter: String,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl Config {
    /// The database's URL, with the default filled in.
    #[must_use]
    pub fn database_url(&self) -> String {
        match self.database.url.expose() {
            "" => format!("sqlite://{}", self.data_dir.join("tripsync.db").display()),
            url => url.to_owned(),
        }
    }

    /// How to open the database.
    #[must_use]
    pub const fn db_options(&self) -> crate::store::DbOptions {
        crate::store::DbOptions {
            connections_max: self.database.connections_max,
            acquire_timeout: self.database.acquire_timeout,
            wait: self.database.wait,
        }
    }
}

#[cfg(test)]
mod tests;
