//! Three nodes of the real server on a Postgres and a Redis of their own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

use super::plan::Plan;
use super::wiring::{Wires, Wiring};
use crate::harness::{Cut, Launch, PrivatePostgres, PrivateRedis, Server, TestDatabase, address, eventually, through};

/// Nodes of a fleet.
pub(super) const NODES: usize = 3;
/// Metrics by which a node says that it can show its lease, and reaches the database.
pub(super) const LEASE_HELD: &str = "tripsync_lease_held";
pub(super) const DATABASE_REACHED: &str = "tripsync_database_reached";
/// How long rooms may take to be another node's.
const TAKEOVER_LIMIT: Duration = Duration::from_secs(30);
/// How long nodes may take to notice what is away or back.
const NOTICE_LIMIT: Duration = Duration::from_secs(30);

/// See the module's text.
pub(super) struct Fleet {
    pub(super) servers: Vec<Server>,
    /// What runs through them can be cut; none with [`Wiring::Direct`].
    wires: Vec<Wires>,
    pub(super) redis: PrivateRedis,
    pub(super) postgres: PrivatePostgres,
    pool: PgPool,
    _database: TestDatabase,
}

/// Where a room is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) room: Uuid,
    pub(super) epoch: i64,
}

impl Fleet {
    pub(super) async fn start(plan: &Plan, wiring: Wiring) -> Self {
        Self::start_with(plan, wiring, &[]).await
    }

    /// With settings that all nodes have in common.
    pub(super) async fn start_with(plan: &Plan, wiring: Wiring, settings: &[(&str, &str)]) -> Self {
        let (postgres, redis) = tokio::join!(PrivatePostgres::start(), PrivateRedis::start());
        let database = postgres.database().await;
        let mut wires = Vec::new();
        let mut servers = Vec::new();
        // One after the other: the first makes the tables.
        for _ in 0..NODES {
            let mut launch = launch(plan, &database).set("cluster.redis_url", redis.url());
            if let Some(own) = Wires::lay(wiring, address(database.url()), address(redis.url())).await {
                launch = launch.set("database.url", through(database.url(), own.postgres()));
                launch = own.lead_to(launch.set("cluster.redis_url", through(redis.url(), own.redis())));
                wires.push(own);
            }
            let launch = settings.iter().fold(launch, |launch, (key, value)| launch.set(key, value));
            servers.push(launch.start().await);
        }
        // Connections are made when they are needed: after a restart of Postgres the old ones are no good.
        let options = PgPoolOptions::new().max_connections(2).acquire_timeout(Duration::from_secs(30)).test_before_acquire(true);
        let pool = options.connect_lazy(database.url()).unwrap();
        Self { servers, wires, redis, postgres, pool, _database: database }
    }

    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(Server::address).collect()
    }

    /// Which of these rooms each node owns, by what the database has: a hint, but a good one when nothing happens.
    pub(super) async fn owned(&self, rooms: &[Uuid]) -> Vec<Vec<Owned>> {
        let rows: Vec<(Uuid, i64, Option<Uuid>)> =
            sqlx::query_as("SELECT id, epoch, node FROM rooms WHERE id = ANY($1)").bind(rooms).fetch_all(&self.pool).await.unwrap();
        let owned = |server: &Server| {
            let of = |(_, _, node): &&(Uuid, i64, Option<Uuid>)| *node == Some(server.node());
            rows.iter().filter(of).map(|(room, epoch, _)| Owned { room: *room, epoch: *epoch }).collect()
        };
        self.servers.iter().map(owned).collect()
    }

    /// Which node owns a room, by the same.
    pub(super) async fn owner(&self, room: Uuid) -> Option<usize> {
        self.owned(&[room]).await.iter().position(|owned| !owned.is_empty())
    }

    /// Waits until all of these rooms have a later epoch.
    ///
    /// # Panics
    /// Some have none after half a minute.
    pub(super) async fn taken_over(&self, owned: &[Owned]) {
        let rooms: Vec<Uuid> = owned.iter().map(|owned| owned.room).collect();
        eventually("every room is another node's", TAKEOVER_LIMIT, async || {
            let query = sqlx::query_as("SELECT id, epoch FROM rooms WHERE id = ANY($1)").bind(&rooms);
            let rows: Vec<(Uuid, i64)> = query.fetch_all(&self.pool).await.map_err(|error| error.to_string())?;
            let epochs: BTreeMap<Uuid, i64> = rows.into_iter().collect();
            let left = owned.iter().filter(|owned| epochs.get(&owned.room).is_none_or(|epoch| *epoch <= owned.epoch)).count();
            if left == 0 { Ok(()) } else { Err(format!("{left} of {} are not", owned.len())) }
        })
        .await;
    }

    /// Waits until some nodes say this of a metric.
    ///
    /// # Panics
    /// One does not within half a minute.
    pub(super) async fn says(&self, nodes: impl IntoIterator<Item = usize>, metric: &str, value: f64) {
        for node in nodes {
            let server = &self.servers[node];
            eventually(&format!("node {node} says {metric} {value}"), NOTICE_LIMIT, async || server.metric(metric).await == Some(value))
                .await;
        }
    }

    /// Waits until every node has its lease, knows all others and reaches the database.
    pub(super) async fn is_whole(&self) {
        for (metric, value) in [(LEASE_HELD, 1.0), (DATABASE_REACHED, 1.0), ("tripsync_cluster_nodes", NODES as f64)] {
            self.says(0..NODES, metric, value).await;
        }
    }

    /// The last seq of each room.
    pub(super) async fn last_seqs(&self, rooms: &[Uuid]) -> BTreeMap<Uuid, u64> {
        let rows: Vec<(Uuid, i64)> = sqlx::query_as("SELECT room, max(seq) FROM events WHERE room = ANY($1) GROUP BY room")
            .bind(rooms)
            .fetch_all(&self.pool)
            .await
            .unwrap();
        rows.into_iter().map(|(room, seq)| (room, seq.try_into().unwrap())).collect()
    }

    /// A room's rows in order: seq, epoch, record.
    pub(super) async fn rows(&self, room: Uuid) -> Vec<(i64, i64, Vec<u8>)> {
        sqlx::query_as("SELECT seq, epoch, bytes FROM events WHERE room = $1 ORDER BY seq").bind(room).fetch_all(&self.pool).await.unwrap()
    }

    /// Cuts what a node has to Postgres and to Redis.
    pub(super) fn cut(&self, node: usize, postgres: Cut, redis: Cut) {
        self.wires[node].cut(postgres, redis);
    }
}

fn launch(plan: &Plan, database: &TestDatabase) -> Launch {
    let launch = match &plan.program {
        Some(program) => Server::of(program, database),
        None => Server::on(database),
    };
    let launch = launch.set("auth.signing_key", "one key for all nodes of the fleet under test").set("auth.access_token_ttl", "24h");
    let launch = launch.set("cluster.secret", "one secret for all nodes of the fleet under test");
    launch
        .set("log.filter", "warn")
        .set("live.commands_per_s", 1_000_000)
        .set("live.commands_burst", 1_000_000)
        .set("live.messages_per_s", 1_000_000)
}
