//! `[cluster]`: several nodes on one Postgres, which find and talk to each other through Redis.

use super::{Config, Secret, value};
use crate::cluster::{ENTRY_TTL, RedisOptions};
use crate::store::DbKind;
use redis::IntoConnectionInfo as _;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tripsync_actors::cluster::ClusterConfig;

/// `[cluster]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterSection {
    /// Where Redis is; empty for a single node.
    #[serde(with = "value::url")]
    pub redis_url: Secret,
    /// Seals what nodes tell each other.
    pub secret: Secret,
    /// What keys and channels in Redis begin with.
    pub prefix: String,
    /// How long Redis may take to answer.
    #[serde(with = "value::span")]
    pub call_timeout: Duration,
    /// Life of a node's lease.
    #[serde(with = "value::span")]
    pub lease_ttl: Duration,
    /// How often it is renewed.
    #[serde(with = "value::span")]
    pub renew_every: Duration,
    /// How long before its end it is not relied on.
    #[serde(with = "value::span")]
    pub lease_margin: Duration,
    /// How often the ends of a relay say how much they sent.
    #[serde(with = "value::span")]
    pub beat_every: Duration,
    /// Silence after which a relay is given up.
    #[serde(with = "value::span")]
    pub silence_max: Duration,
}

impl ClusterSection {
    /// How to reach Redis; `None` for a single node.
    #[must_use]
    pub fn redis_options(&self) -> Option<RedisOptions> {
        let bounds = ClusterConfig::default();
        (!self.redis_url.is_empty()).then(|| RedisOptions {
            url: self.redis_url.clone(),
            secret: self.secret.clone(),
            prefix: self.prefix.clone(),
            call_timeout: self.call_timeout,
            entry_ttl: ENTRY_TTL,
            inbox_max: bounds.queue_max,
            inbox_bytes_max: bounds.queue_bytes_max,
        })
    }

    /// Bounds and times of the engine's part.
    #[must_use]
    pub fn engine_config(&self) -> ClusterConfig {
        ClusterConfig {
            lease_ttl: self.lease_ttl,
            renew_every: self.renew_every,
            lease_margin: self.lease_margin,
            beat_every: self.beat_every,
            silence_max: self.silence_max,
            ..ClusterConfig::default()
        }
    }

    /// What does not hold together. How good the secret is, is judged with the other secrets.
    pub(super) fn findings(&self, config: &Config) -> Vec<String> {
        let mut out = Vec::new();
        let mut must = |holds: bool, sentence: &str| {
            if !holds {
                out.push(sentence.to_owned());
            }
        };
        let url = self.redis_url.expose();
        if !url.is_empty() {
            must(
                (url.starts_with("redis://") || url.starts_with("rediss://")) && url.into_connection_info().is_ok(),
                "cluster.redis_url must be redis:// or rediss:// (TLS) with a host, such as redis://:secret@host:6379/0, or empty for a single node",
            );
            must(
                !self.secret.is_empty(),
                "cluster.redis_url needs cluster.secret, the same on every node; make one with `openssl rand -base64 48`",
            );
            // A node that makes its own would refuse everybody who logged in elsewhere.
            must(
                !config.auth.signing_key.is_empty(),
                "cluster.redis_url needs auth.signing_key, the same on every node; make one with `openssl rand -base64 48`",
            );
            must(
                !matches!(DbKind::of_url(&config.database_url()), Ok(DbKind::Sqlite)),
                "a cluster needs Postgres: set database.url to a postgres:// URL, the same on every node, or leave cluster.redis_url empty",
            );
        }
        must(
            (1..=64).contains(&self.prefix.len()) && self.prefix.bytes().all(|byte| byte.is_ascii_graphic()),
            "cluster.prefix must be 1 to 64 printable ASCII characters without blanks",
        );
        let millis = Duration::from_millis;
        must(
            (millis(200)..=millis(60_000)).contains(&self.lease_ttl),
            "cluster.lease_ttl must be between 200ms and 1m: a dead node's rooms wait for its end",
        );
        must(
            self.renew_every >= millis(20) && self.renew_every * 2 + self.lease_margin <= self.lease_ttl,
            "cluster.renew_every must be at least 20ms, and twice that and cluster.lease_margin must fit into cluster.lease_ttl",
        );
        must((millis(10)..=millis(10_000)).contains(&self.call_timeout), "cluster.call_timeout must be between 10ms and 10s");
        must(
            self.beat_every >= millis(20) && self.beat_every * 2 <= self.silence_max,
            "cluster.beat_every must be at least 20ms and at most half of cluster.silence_max",
        );
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    const SECRET: &str = "9fX2mQ7LrT0vYbZkW4cJhN8sDgP1uEaR5oIxK3yVtM6B";
    const POSTGRES: (&str, &str) = ("database.url", "postgres://ann@db/x");
    const KEY: (&str, &str) = ("auth.signing_key", SECRET);

    fn load(flags: &[(&str, &str)]) -> Result<Config, String> {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let sources = Sources { flags: flags.iter().map(own).collect(), ..Sources::default() };
        sources.load().map(|loaded| loaded.config).map_err(|error| error.to_string())
    }

    fn refused(flags: &[(&str, &str)]) -> String {
        load(flags).expect_err("it was accepted")
    }

    #[test]
    fn without_redis_there_is_no_cluster() {
        let config = load(&[]).unwrap();
        assert!(config.cluster.redis_options().is_none());
    }

    #[test]
    fn the_defaults_are_the_engines() {
        let config = load(&[]).unwrap().cluster.engine_config();
        assert_eq!(format!("{config:?}"), format!("{:?}", ClusterConfig::default()));
    }

    #[test]
    fn a_cluster_is_two_urls_and_a_secret() {
        let url = ("cluster.redis_url", "redis://:hunter2@cache:6379/3");
        let config = load(&[POSTGRES, KEY, url, ("cluster.secret", SECRET)]).unwrap();
        assert!(config.cluster.redis_options().is_some());
        let shown = format!("{config:?}{}", toml::to_string(&config).unwrap());
        assert!(!shown.contains("hunter2") && !shown.contains(SECRET), "{shown}");
        assert!(shown.contains("redis://:(hidden)@cache:6379/3"), "{shown}");
        let options = format!("{:?}", config.cluster.redis_options());
        assert!(!options.contains("hunter2") && !options.contains(SECRET), "{options}");
        load(&[POSTGRES, KEY, ("cluster.redis_url", "rediss://cache"), ("cluster.secret", SECRET)]).unwrap();
    }

    #[test]
    fn what_is_missing_is_named() {
        let url = ("cluster.redis_url", "redis://:hunter2@cache");
        let text = refused(&[POSTGRES, url]);
        assert!(text.contains("needs cluster.secret") && text.contains("needs auth.signing_key"), "{text}");
        for sqlite in ["", "sqlite://a.db"] {
            let text = refused(&[("database.url", sqlite), url, ("cluster.secret", SECRET)]);
            assert!(text.contains("a cluster needs Postgres"), "{text}");
        }
        for wrong in ["cache:6379", "http://cache", "redis://:hunter2@cache:port", "redis+cluster://a", "unix:///redis"] {
            let text = refused(&[POSTGRES, ("cluster.redis_url", wrong), ("cluster.secret", SECRET)]);
            assert!(text.contains("cluster.redis_url must be") && !text.contains("hunter2"), "{wrong}: {text}");
        }
    }

    #[test]
    fn weak_secrets_are_refused() {
        let redis = ("cluster.redis_url", "redis://cache");
        let text = refused(&[POSTGRES, redis, ("cluster.secret", "0123456789012345678901234567890")]);
        assert!(text.contains("cluster.secret must have at least 32 bytes"), "{text}");
        let production = [("mode", "production"), ("auth.signing_key", SECRET), POSTGRES];
        let guessable = "a".repeat(64);
        let text = refused(&[&production[..], &[redis, ("cluster.secret", &guessable)]].concat());
        assert!(text.contains("cluster.secret looks guessable"), "{text}");
        let url = ("cluster.redis_url", "redis://:changeme@cache");
        let text = refused(&[&production[..], &[url, ("cluster.secret", SECRET)]].concat());
        assert!(text.contains("cluster.redis_url has a password that is a default"), "{text}");
        load(&[&production[..], &[redis, ("cluster.secret", SECRET)]].concat()).unwrap();
    }

    #[test]
    fn times_that_do_not_fit_together_are_named() {
        for (key, value) in [
            ("cluster.lease_ttl", "100ms"),
            ("cluster.lease_ttl", "2m"),
            ("cluster.lease_margin", "600ms"),
            ("cluster.renew_every", "5ms"),
            ("cluster.renew_every", "400ms"),
            ("cluster.call_timeout", "1ms"),
            ("cluster.beat_every", "600ms"),
            ("cluster.silence_max", "300ms"),
            ("cluster.prefix", ""),
            ("cluster.prefix", "a b"),
        ] {
            let text = refused(&[(key, value)]);
            assert!(text.contains(key), "{key} = {value}: {text}");
        }
    }
}
