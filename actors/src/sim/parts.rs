//! What every simulated node is made of besides its way to the journal.

use super::plan::Tuning;
use crate::config::EngineConfig;
use crate::engine::Engine;
use crate::frame::Frame;
use crate::ports::Notifier;
use crate::session::{Authenticator, Credential, SessionLimits, Shared};
use crate::testing::TestClock;
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tripsync_domain::{Rejection, Timestamp, UserId};
use uuid::Uuid;

pub(super) struct NoNotices;

impl Notifier for NoNotices {
    fn notice(&self, _: UserId, _: &Frame) {}
}

struct AnyToken;

#[async_trait]
impl Authenticator for AnyToken {
    fn is_ended(&self, _: &Credential) -> bool {
        false
    }

    async fn check(&self, _: &str) -> Result<Credential, Rejection> {
        Ok(Credential { user: UserId(Uuid::nil()), login: Uuid::nil(), expires_at: Timestamp::from_ms(i64::MAX / 4) })
    }
}

pub(super) fn next_id(ids: &AtomicU64) -> Uuid {
    let n = u128::from(ids.fetch_add(1, Ordering::Relaxed));
    Uuid::from_u128(0x0191_0000_0000_7000_8000_0000_0000_0000 + n)
}

pub(super) fn engine_config(tuning: &Tuning) -> EngineConfig {
    EngineConfig {
        ring_events_max: tuning.ring_events,
        snapshot_every: tuning.snapshot_every,
        idle_after: Duration::from_millis(tuning.idle_ms),
        // Nearly everybody waits for somebody.
        joins_at_once: 2,
        clients_max: tuning.clients_max,
        ..EngineConfig::default()
    }
}

pub(super) fn limits(tuning: &Tuning) -> SessionLimits {
    SessionLimits {
        commands_per_s: 100_000,
        commands_burst: 100_000,
        commands_in_flight_max: tuning.in_flight,
        messages_per_s: 100_000,
        errors_per_min: 100_000,
        ..SessionLimits::default()
    }
}

pub(super) fn sessions(engine: &Engine, clock: &TestClock, limits: SessionLimits) -> Arc<Shared> {
    Arc::new(Shared { rooms: Arc::new(engine.clone()), authenticator: Arc::new(AnyToken), clock: Arc::new(clock.clone()), limits })
}
