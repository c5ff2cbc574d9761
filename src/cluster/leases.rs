//! [`Leases`] on Redis; what is stored, and the steps, are in [`super::scripts`].

use super::RedisOptions;
use super::entries::Entries;
use super::fault::Fault;
use super::link::{Link, Nth, Purpose};
use super::scripts::Scripts;
use async_trait::async_trait;
use parking_lot::Mutex;
use redis::{FromRedisValue, Script};
use std::time::Duration;
use tokio::time::Instant;
use tripsync_actors::cluster::{LeaseError, Leases};
use tripsync_domain::{NodeId, RoomId};

/// Leases of nodes, entries of rooms.
///
/// It has a connection of its own: a renewal must not wait behind messages. The first renewal over a new connection says that the lease
/// did not live, whatever Redis says: what answers there may be a replica that took over without the last claims, or a Redis that was
/// restarted from what it had stored a moment ago.
pub struct RedisLeases {
    link: Link,
    scripts: Scripts,
    prefix: String,
    nodes: String,
    entry_ttl: Duration,
    entries: Mutex<Entries>,
}

impl RedisLeases {
    /// Begins to connect; see [`Self::ready`].
    ///
    /// # Errors
    /// [`Fault::Url`].
    pub fn new(options: &RedisOptions) -> Result<Self, Fault> {
        Ok(Self {
            link: Link::start(options.url.expose(), Purpose::calls("leases"), options.call_timeout)?,
            scripts: Scripts::new(),
            nodes: format!("{}nodes", options.prefix),
            prefix: options.prefix.clone(),
            entry_ttl: options.entry_ttl,
            entries: Mutex::new(Entries::new(options.entry_ttl)),
        })
    }

    /// Waits until there is a connection.
    pub async fn ready(&self) {
        self.link.ready().await;
    }

    fn room(&self, room: RoomId) -> String {
        format!("{}room:{room}", self.prefix)
    }

    async fn run<T: FromRedisValue>(&self, script: &Script, keys: &[&str], args: &[String]) -> Result<T, LeaseError> {
        self.run_over(script, keys, args).await.map(|(_, answer)| answer)
    }

    /// Says over which connection, too.
    async fn run_over<T: FromRedisValue>(&self, script: &Script, keys: &[&str], args: &[String]) -> Result<(Nth, T), LeaseError> {
        let mut call = script.prepare_invoke();
        call.key(keys).arg(args);
        let answer = self.link.call(async |mut connection| call.invoke_async(&mut connection).await).await;
        answer.map_err(failed)
    }

    /// A node as Redis names it.
    fn parse(key: &str, node: Option<String>) -> Result<Option<NodeId>, LeaseError> {
        let parse = |text: String| text.parse().map_err(|_| failed(Fault::Foreign(key.to_owned())));
        node.map(parse).transpose()
    }
}

#[async_trait]
impl Leases for RedisLeases {
    async fn renew(&self, node: NodeId, ttl: Duration) -> Result<bool, LeaseError> {
        let now = Instant::now();
        let due = self.entries.lock().due(node, now);
        let rooms: Vec<String> = due.iter().map(|room| self.room(*room)).collect();
        let keys: Vec<&str> = std::iter::once(&self.nodes).chain(&rooms).map(String::as_str).collect();
        let args = [node.to_string(), millis(ttl), millis(self.entry_ttl)];
        let (nth, (lived, lost)): (Nth, (bool, Vec<usize>)) = self.run_over(&self.scripts.renew, &keys, &args).await?;
        let mut entries = self.entries.lock();
        for (index, room) in due.into_iter().enumerate() {
            if lost.contains(&(index + 1)) { entries.left(node, room) } else { entries.entered(node, room, now) }
        }
        let same = entries.renewed_over(node, nth);
        // A room that is not entered any more may be another node's: all make sure.
        Ok(lived && same && lost.is_empty())
    }

    async fn resign(&self, node: NodeId) -> Result<(), LeaseError> {
        self.entries.lock().forget(node);
        let mut remove = redis::cmd("ZREM");
        remove.arg(&self.nodes).arg(node.to_string());
        self.link.call(async |mut connection| remove.query_async::<()>(&mut connection).await).await.map_err(failed)?;
        Ok(())
    }

    async fn claim(&self, room: RoomId, node: NodeId) -> Result<Option<NodeId>, LeaseError> {
        let (key, now) = (self.room(room), Instant::now());
        let args = [node.to_string(), millis(self.entry_ttl)];
        let owner = self.run(&self.scripts.claim, &[&self.nodes, &key], &args).await?;
        let owner = Self::parse(&key, owner)?;
        if owner == Some(node) {
            self.entries.lock().entered(node, room, now);
        }
        Ok(owner)
    }

    async fn owner(&self, room: RoomId) -> Result<Option<NodeId>, LeaseError> {
        let key = self.room(room);
        let owner = self.run(&self.scripts.owner, &[&self.nodes, &key], &[]).await?;
        Self::parse(&key, owner)
    }

    async fn release(&self, room: RoomId, node: NodeId) -> Result<(), LeaseError> {
        self.entries.lock().left(node, room);
        self.run(&self.scripts.release, &[&self.room(room)], &[node.to_string()]).await
    }

    async fn pass(&self, room: RoomId, from: NodeId, to: NodeId) -> Result<bool, LeaseError> {
        let args = [from.to_string(), to.to_string(), millis(self.entry_ttl)];
        let passed = self.run(&self.scripts.pass, &[&self.nodes, &self.room(room)], &args).await?;
        if passed && from != to {
            self.entries.lock().left(from, room);
        }
        Ok(passed)
    }

    async fn nodes(&self) -> Result<Vec<NodeId>, LeaseError> {
        let nodes: Vec<String> = self.run(&self.scripts.nodes, &[&self.nodes], &[]).await?;
        nodes.into_iter().filter_map(|node| Self::parse(&self.nodes, Some(node)).transpose()).collect()
    }
}

fn failed(fault: Fault) -> LeaseError {
    LeaseError(Box::new(fault))
}

/// At least one: Redis knows no life of nothing.
fn millis(span: Duration) -> String {
    span.as_millis().max(1).to_string()
}
