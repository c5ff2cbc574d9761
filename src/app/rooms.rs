//! The live engine of a server: its journal, its node's sessions, its rooms.

use super::StartError;
use crate::cluster;
use crate::config::Config;
use crate::store::accounts::{Gathered, UserDirectory};
use crate::store::journal::{DbJournal, JournalOptions};
use crate::store::{Db, DbKind};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tripsync_actors::cluster::Leases;
use tripsync_actors::hub::Hub;
use tripsync_actors::ports::Clock;
use tripsync_actors::{Engine, EngineConfig, Kinds, Ports};
use tripsync_domain::{Inbox, NodeId, Pool, Trip};
use uuid::Uuid;

/// How often what is left over is deleted.
const SWEEP: Duration = Duration::from_secs(3_600);

/// The engine, with what must be closed after it.
pub struct Rooms {
    /// Commands to rooms and reads from them.
    pub engine: Engine,
    /// The sockets of this node.
    pub hub: Arc<Hub>,
    /// Where this node's lease is, when it is one of several; to ask whether it can be reached.
    pub leases: Option<Arc<dyn Leases>>,
    /// What this node is called; only when it is one of several.
    pub node: Option<NodeId>,
    journal: DbJournal,
}

impl Rooms {
    pub(super) async fn start(config: &Config, db: &Db, clock: &Arc<dyn Clock>, users: &UserDirectory) -> Result<Self, StartError> {
        let options = if config.cluster.redis_url.is_empty() { JournalOptions::default() } else { JournalOptions::one_of_several() };
        let lanes = match db.kind() {
            DbKind::Postgres => options.connections.try_into().unwrap_or(1),
            // It has one writing connection.
            DbKind::Sqlite => 1,
        };
        let journal = DbJournal::new(db, options);
        let hub = Hub::new(config.live.sockets_per_user_max);
        let node = NodeId(Uuid::now_v7());
        let cluster = cluster::connect(config, node)
            .await
            .map_err(|fault| super::io_error("the cluster cannot be joined (cluster.redis_url)", io::Error::other(fault)))?;
        let node = cluster.is_some().then_some(node);
        let ports = Ports {
            journal: Arc::new(journal.clone()),
            clock: Arc::clone(clock),
            directory: Arc::new(Gathered::new(Arc::new(users.clone()))),
            notifier: Arc::clone(&hub) as _,
            ids: Arc::new(Uuid::now_v7),
            cluster,
        };
        let leases = ports.cluster.as_ref().map(|cluster| Arc::clone(&cluster.leases));
        let defaults = EngineConfig::default();
        // A request whose command is not durable in time says so itself, before the request's own time limit strikes.
        let call_timeout = defaults.call_timeout.min(config.http.request_timeout.mul_f32(0.9));
        let live = &config.live;
        let config = EngineConfig {
            lanes,
            call_timeout,
            snapshot_every: live.snapshot_every,
            idle_after: live.idle_after,
            presence_grace: live.presence_grace,
            joins_at_once: live.joins_at_once.try_into().unwrap_or(usize::MAX),
            ..defaults
        };
        let kinds = Kinds::default().with::<Trip>().with::<Pool>().with::<Inbox>();
        #[cfg(not(debug_assertions))]
        let engine = Engine::start(ports, kinds, config).await;
        #[cfg(debug_assertions)]
        let engine = match sabotage()? {
            Some(sabotage) => Engine::start_sabotaged(ports, kinds, config, sabotage).await,
            None => Engine::start(ports, kinds, config).await,
        };
        let engine = engine.map_err(|error| super::io_error("the engine did not start", io::Error::other(error)))?;
        Ok(Self { engine, hub, leases, node, journal })
    }

    /// Is told whenever events have left tasks.
    #[must_use]
    pub fn tasks(&self) -> Arc<Notify> {
        self.journal.tasks()
    }

    /// Deletes what nobody needs any more, every hour, until `stop`.
    pub(super) async fn sweep(journal: DbJournal, clock: Arc<dyn Clock>, stop: CancellationToken) {
        loop {
            if let Err(error) = journal.sweep(clock.now()).await {
                tracing::warn!(error = %crate::telemetry::chain(&error), "old reservations not deleted");
            }
            if stop.run_until_cancelled(tokio::time::sleep(SWEEP)).await.is_none() {
                return;
            }
        }
    }

    /// What [`Self::sweep`] sweeps.
    pub(super) fn journal(&self) -> DbJournal {
        self.journal.clone()
    }

    /// Lets every room finish what is decided and keep a snapshot, then closes the journal. To be called when nobody sends
    /// commands any more, before the database is closed.
    pub(super) async fn end(&self, limit: Duration) {
        if !self.engine.drain(limit).await {
            tracing::warn!(left = self.engine.rooms(), "not every room ended in time; the journal has what they decided");
        }
        self.journal.close().await;
    }
}

/// What `TRIPSYNC_SABOTAGE` asks to break, so that the load test's verdict can be tried; debug builds only.
#[cfg(debug_assertions)]
fn sabotage() -> Result<Option<tripsync_actors::Sabotage>, StartError> {
    let Ok(name) = std::env::var("TRIPSYNC_SABOTAGE") else { return Ok(None) };
    let Some(sabotage) = tripsync_actors::Sabotage::from_name(&name) else {
        let text = format!("TRIPSYNC_SABOTAGE={name} is none of {:?}", tripsync_actors::Sabotage::ALL);
        return Err(super::io_error("the engine did not start", io::Error::other(text)));
    };
    tracing::warn!(?sabotage, "the engine is broken on purpose");
    Ok(Some(sabotage))
}
