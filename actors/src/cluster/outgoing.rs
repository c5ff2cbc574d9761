//! What waits to be sent to other nodes: one queue and one task per node, and one for what is for all, so that what is said to one node at the same time travels in one
//! message.

use super::wire::Batch;
use super::{Bus, ClusterConfig};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tripsync_domain::NodeId;

/// A queue that nothing came into for this long is given up.
const UNUSED: Duration = Duration::from_secs(60);

/// The way to every other node.
pub(crate) struct Outgoing {
    node: NodeId,
    bus: Arc<dyn Bus>,
    config: ClusterConfig,
    /// By node; that of `None` is for all of them.
    queues: Mutex<HashMap<Option<NodeId>, Queue>>,
}

#[derive(Clone)]
struct Queue {
    sender: mpsc::Sender<Bytes>,
    waiting_bytes: Arc<AtomicUsize>,
}

/// The queue is full: what was to be said is lost, and whoever it was for finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Outgoing {
    pub(crate) fn new(node: NodeId, bus: Arc<dyn Bus>, config: ClusterConfig) -> Arc<Self> {
        Arc::new(Self { node, bus, config, queues: Mutex::default() })
    }

    /// Queues an encoded word for a node. Never waits.
    pub(crate) fn send(self: &Arc<Self>, to: NodeId, word: Bytes) -> Result<(), Full> {
        self.queue(Some(to), word)
    }

    /// Queues an encoded word for every other node, best effort.
    pub(crate) fn send_all(self: &Arc<Self>, word: Bytes) {
        // Said by the metrics.
        let _ = self.queue(None, word);
    }

    fn queue(self: &Arc<Self>, to: Option<NodeId>, word: Bytes) -> Result<(), Full> {
        let mut queues = self.queues.lock();
        let queue = queues.entry(to).or_insert_with(|| self.open(to));
        let (len, waiting) = (word.len(), queue.waiting_bytes.load(Ordering::Relaxed));
        // A long one that finds the queue empty would never find it better.
        let fits = waiting == 0 || waiting + len <= self.config.queue_bytes_max;
        if !fits || queue.sender.try_send(word).is_err() {
            metrics::counter!("tripsync_cluster_messages_dropped_total", "reason" => "queue_full").increment(1);
            return Err(Full);
        }
        queue.waiting_bytes.fetch_add(len, Ordering::Relaxed);
        Ok(())
    }

    fn open(self: &Arc<Self>, to: Option<NodeId>) -> Queue {
        let (sender, words) = mpsc::channel(self.config.queue_max);
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        tokio::spawn(Arc::clone(self).run(to, words, Arc::clone(&waiting_bytes)));
        Queue { sender, waiting_bytes }
    }

    async fn run(self: Arc<Self>, to: Option<NodeId>, mut words: mpsc::Receiver<Bytes>, waiting_bytes: Arc<AtomicUsize>) {
        loop {
            let first = match timeout(UNUSED, words.recv()).await {
                Ok(Some(first)) => first,
                Ok(None) => return,
                Err(_) => {
                    let mut queues = self.queues.lock();
                    // Under the lock nothing comes in.
                    if words.is_empty() {
                        queues.remove(&to);
                        return;
                    }
                    continue;
                }
            };
            let mut batch = Batch::new(self.node);
            let mut next = Some(first);
            while let Some(word) = next {
                waiting_bytes.fetch_sub(word.len(), Ordering::Relaxed);
                batch.push(&word);
                next = if batch.len() < self.config.batch_bytes_max { words.try_recv().ok() } else { None };
            }
            metrics::counter!("tripsync_cluster_messages_sent_total").increment(1);
            metrics::counter!("tripsync_cluster_bytes_sent_total").increment(batch.len() as u64);
            let sent = match to {
                Some(node) => self.bus.send(node, batch.finish()).await,
                None => self.bus.send_all(batch.finish()).await,
            };
            if let Err(error) = sent {
                metrics::counter!("tripsync_cluster_messages_dropped_total", "reason" => "bus").increment(1);
                tracing::debug!(node = ?to, error = %crate::error_chain(&error), "a message to another node was not sent");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::MemoryCluster;
    use uuid::Uuid;

    #[tokio::test(start_paused = true)]
    async fn a_long_word_finds_its_way_when_nothing_else_waits() {
        let [here, there] = [1, 2].map(|n| NodeId(Uuid::from_u128(n)));
        let hub = MemoryCluster::new(1);
        let config = ClusterConfig { queue_bytes_max: 10, ..ClusterConfig::default() };
        let (to, out) = (hub.node(there), Outgoing::new(here, Arc::new(hub.node(here)), config));
        let long = Bytes::from_static(&[0xc0; 100]);
        assert_eq!((out.send(there, long.clone()), out.send(there, long.clone())), (Ok(()), Err(Full)));
        assert!(to.receive().await.is_some_and(|message| message.len() > 100));
        assert_eq!(out.send(there, long), Ok(()));
    }
}
