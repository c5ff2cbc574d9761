//! Road distances by a server that speaks the `table` service of OSRM
//! (<https://project-osrm.org/docs/v5.24.0/api/#table-service>): one place to many, in metres.

use super::{DistanceError, Distances};
use async_trait::async_trait;
use reqwest::redirect::Policy;
use serde::Deserialize;
use std::fmt::Write as _;
use std::time::Duration;
use tripsync_domain::geo::Position;

/// Places that are asked for at once, beside the one to start from: OSRM takes 100 by default (`--max-table-size`).
pub const PLACES_MAX: usize = 99;

/// Bytes of an answer at most; 99 distances are some 2 KiB, with the names of roads 20.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// A server that speaks OSRM.
#[derive(Clone)]
pub struct Osrm {
    client: reqwest::Client,
    /// Without a trailing slash.
    base: String,
}

impl std::fmt::Debug for Osrm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The address may hold a password.
        f.write_str("Osrm")
    }
}

/// What is read of an answer.
#[derive(Deserialize)]
struct Table {
    code: String,
    /// A row per source.
    distances: Option<Vec<Vec<Option<f64>>>>,
}

impl Osrm {
    /// A server at a base URL, each of whose answers takes at most `timeout`.
    ///
    /// # Errors
    /// When the HTTP client cannot be made.
    pub fn new(base: &str, timeout: Duration) -> Result<Self, DistanceError> {
        // What is asked for goes to the configured server and nowhere else: it is where people live.
        let client = reqwest::Client::builder().timeout(timeout).redirect(Policy::none()).no_proxy().build();
        Ok(Self { client: client.map_err(unreachable)?, base: base.trim_end_matches('/').to_owned() })
    }

    fn url(&self, from: Position, to: &[Position]) -> String {
        let mut url = format!("{}/table/v1/driving/{:.6},{:.6}", self.base, from.lon(), from.lat());
        for place in to {
            // Writing to a string cannot fail.
            let _ = write!(url, ";{:.6},{:.6}", place.lon(), place.lat());
        }
        url.push_str("?sources=0&annotations=distance");
        url
    }
}

#[async_trait]
impl Distances for Osrm {
    async fn metres(&self, from: Position, to: &[Position]) -> Result<Vec<Option<f64>>, DistanceError> {
        let mut answer = self.client.get(self.url(from, to)).send().await.map_err(unreachable)?;
        let status = answer.status();
        if !status.is_success() {
            return Err(DistanceError::Nonsense(format!("with status {}", status.as_u16())));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(DistanceError::Nonsense(format!("more than {ANSWER_BYTES_MAX} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        // What serde_json says may repeat parts of the answer.
        let table: Table = serde_json::from_slice(&body).map_err(|_| DistanceError::Nonsense("no table".into()))?;
        if table.code != "Ok" {
            return Err(DistanceError::Nonsense("another code than Ok".into()));
        }
        // The first is the start itself.
        let row = table.distances.unwrap_or_default().into_iter().next().unwrap_or_default();
        if row.len() != to.len() + 1 {
            return Err(DistanceError::Nonsense(format!("{} distances instead of {}", row.len(), to.len() + 1)));
        }
        if row.iter().flatten().any(|metres| !metres.is_finite() || *metres < 0.0) {
            return Err(DistanceError::Nonsense("distances that are none".into()));
        }
        Ok(row.into_iter().skip(1).collect())
    }

    fn knows_roads(&self) -> bool {
        true
    }
}

fn unreachable(error: reqwest::Error) -> DistanceError {
    if error.is_timeout() { DistanceError::Slow } else { DistanceError::Unreachable(error.without_url()) }
}
