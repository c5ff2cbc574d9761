//! What every simulated node is made of besides its way to the journal.

use super::kinds::{Kind, kind};
use super::names::{ROOMS, card, room, user};
use super::plan::Tuning;
use crate::config::EngineConfig;
use crate::engine::{CallOptions, Engine, Kinds};
use crate::frame::Frame;
use crate::ports::Notifier;
use crate::session::{Authenticator, Credential, SessionLimits, Shared};
use crate::testing::TestClock;
use async_trait::async_trait;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tripsync_domain::command::to_wire;
use tripsync_domain::pool::testing::random_pool;
use tripsync_domain::pool::{Command, Pool};
use tripsync_domain::trip::Trip;
use tripsync_domain::trip::testing::numbers;
use tripsync_domain::{ErrorCode, Rejection, Timestamp, UserId};
use uuid::Uuid;

/// When everything begins: 2027-01-15T08:00:00Z.
pub(super) const START_MS: i64 = 1_800_000_000_000;

pub(super) fn kinds() -> Kinds {
    Kinds::default().with::<Trip>().with::<Pool>()
}

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

/// Makes the rooms. The pool is one by the seed, and departs two hours after the time at which everything begins.
///
/// # Errors
/// One was refused.
pub(super) async fn make_rooms(engine: &Engine, seed: u64) -> Result<(), Rejection> {
    // The first lease of a node in a cluster may be on its way.
    while let Err(refused) = make_room(engine, 0, seed).await {
        if refused.code != ErrorCode::Retry {
            return Err(refused);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for index in 1..ROOMS {
        make_room(engine, index, seed).await?;
    }
    Ok(())
}

async fn make_room(engine: &Engine, index: usize, seed: u64) -> Result<(), Rejection> {
    match kind(index) {
        Kind::Pool => {
            let mut create = random_pool(&mut numbers(seed), Timestamp::from_ms(START_MS));
            if let Command::Create(create) = &mut create {
                // So few people would not fight for more.
                create.seats = create.seats.min(2);
            }
            engine.create::<Pool>(room(index), card(0), &to_wire(&create), None).await?;
        }
        Kind::Trip => {
            engine.create::<Trip>(room(index), card(0), &json!({"type": "create", "title": "A trip"}), None).await?;
            for (index_of, role) in [(1, "participant"), (2, "viewer")] {
                let add = json!({"type": "add_member", "user": user(index_of), "role": role});
                engine.call(room(index), card(0), &add, CallOptions::default()).await?;
            }
        }
    }
    Ok(())
}
