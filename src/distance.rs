//! How far it is from one place to another: by the great circle, or by road when a provider is configured.
//!
//! Owns the port [`Distances`] and its two implementations. Promises that an answer is never shorter than the great circle, so that whoever
//! looks for what is near may look by the great circle first; and that a provider which is away, slow or answers nonsense costs no match:
//! the great circle stands in ([`Route::metres`]). Does not know who asks or why.

mod osrm;

pub use osrm::{Osrm, PLACES_MAX};

use crate::config::MatchingConfig;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tripsync_domain::geo::Position;

/// How long all questions of one look for matches may take together. Less than [`crate::store::tasks::TAKEN_FOR`], so that nobody else
/// begins the same.
const BUDGET: Duration = Duration::from_secs(4);

/// Measures ways.
#[async_trait]
pub trait Distances: Send + Sync + 'static {
    /// Metres from one place to each of others, at most [`PLACES_MAX`], in their order; `None` where no way leads.
    ///
    /// # Errors
    /// [`DistanceError`] when it is not known now.
    async fn metres(&self, from: Position, to: &[Position]) -> Result<Vec<Option<f64>>, DistanceError>;

    /// Whether it knows better than the great circle.
    fn knows_roads(&self) -> bool;
}

/// Why a distance is not known. Never says between which places: that is where people live.
#[derive(Debug, thiserror::Error)]
pub enum DistanceError {
    /// The provider did not answer.
    #[error("the provider of road distances cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// The provider took too long.
    #[error("the provider of road distances did not answer in time")]
    Slow,
    /// The provider answered, but no distances.
    #[error("the provider of road distances answered {0}")]
    Nonsense(String),
}

/// The way of birds.
#[derive(Debug, Clone, Copy)]
pub struct GreatCircle;

#[async_trait]
impl Distances for GreatCircle {
    async fn metres(&self, from: Position, to: &[Position]) -> Result<Vec<Option<f64>>, DistanceError> {
        Ok(by_great_circle(from, to))
    }

    fn knows_roads(&self) -> bool {
        false
    }
}

/// What the configuration asks for.
///
/// # Errors
/// When the HTTP client cannot be made, which only a defect causes.
pub fn configured(config: &MatchingConfig) -> Result<Arc<dyn Distances>, DistanceError> {
    if config.osrm_url.is_empty() {
        return Ok(Arc::new(GreatCircle));
    }
    Ok(Arc::new(Osrm::new(config.osrm_url.expose(), config.osrm_timeout)?))
}

/// The questions of one look for matches, which are answered in a bounded time.
pub struct Route<'a> {
    distances: &'a dyn Distances,
    until: Instant,
    given_up: bool,
}

impl std::fmt::Debug for Route<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Route")
    }
}

impl<'a> Route<'a> {
    /// Begins to ask.
    #[must_use]
    pub fn new(distances: &'a dyn Distances) -> Self {
        Self { distances, until: Instant::now() + BUDGET, given_up: false }
    }

    /// Whether answers may be longer than the great circle.
    #[must_use]
    pub fn knows_roads(&self) -> bool {
        self.distances.knows_roads()
    }

    /// Metres from one place to others, at most [`PLACES_MAX`]; `None` where no way leads. By the great circle when the provider fails, and
    /// from then on without asking it again.
    pub async fn metres(&mut self, from: Position, to: &[Position]) -> Vec<Option<f64>> {
        let straight = by_great_circle(from, to);
        if to.is_empty() || self.given_up || !self.knows_roads() {
            return straight;
        }
        let asked = tokio::time::timeout_at(self.until, self.distances.metres(from, to)).await;
        let outcome = match asked.unwrap_or(Err(DistanceError::Slow)) {
            Ok(roads) if roads.len() == to.len() => Ok(roads),
            Ok(roads) => Err(DistanceError::Nonsense(format!("{} distances instead of {}", roads.len(), to.len()))),
            Err(error) => Err(error),
        };
        match outcome {
            // A provider moves places to the next road, which may bring two closer than they are.
            Ok(roads) => roads.into_iter().zip(straight).map(|(road, straight)| Some(road?.max(straight?))).collect(),
            Err(error) => {
                self.given_up = true;
                metrics::counter!("tripsync_road_distances_failed_total").increment(1);
                tracing::warn!(error = %crate::telemetry::chain(&error), "matches are looked for by the great circle");
                straight
            }
        }
    }
}

fn by_great_circle(from: Position, to: &[Position]) -> Vec<Option<f64>> {
    to.iter().map(|to| Some(from.distance_m(*to))).collect()
}
