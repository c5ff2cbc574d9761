//! `[matching]`: who goes the same way.

use super::{Secret, value};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// `[matching]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MatchingConfig {
    /// Base of an OSRM server that measures ways by road; empty for the great circle. May have a password.
    pub osrm_url: Secret,
    /// How long it may take to answer.
    #[serde(with = "value::span")]
    pub osrm_timeout: Duration,
}

impl MatchingConfig {
    /// What does not hold together.
    pub(super) fn findings(&self) -> Vec<String> {
        let mut out = Vec::new();
        let base = self.osrm_url.expose().parse::<http::Uri>();
        let good =
            base.is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() && uri.query().is_none());
        if !self.osrm_url.is_empty() && !good {
            out.push("matching.osrm_url must be http:// or https:// with a host and no query, or empty for the great circle".to_owned());
        }
        if !(Duration::from_millis(10)..=Duration::from_secs(4)).contains(&self.osrm_timeout) {
            out.push("matching.osrm_timeout must be between 10ms and 4s: matches wait for it".to_owned());
        }
        out
    }
}
