//! [`Bus`] on Redis' publish/subscribe: one channel per node and one for all.

use super::RedisOptions;
use super::fault::Fault;
use super::inbox::{Arrived, Inbox};
use super::link::{Link, OnMessage, Purpose};
use super::seal::{Refusal, Seal};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tripsync_actors::cluster::{Bus, BusError};
use tripsync_domain::NodeId;

/// Messages that cannot be opened are said so often; counted are all.
const WARNED_EVERY: Duration = Duration::from_secs(60);

/// Messages between nodes. Lost while a receiver's connection is away, which receivers find by gaps
/// ([ADR 15](../../../docs/adr/0015-transport.md)).
///
/// Sending and receiving have a connection each, so that a flood in one direction does not hold up the other.
pub struct RedisBus {
    node: NodeId,
    seal: Seal,
    prefix: String,
    all: String,
    inbox: Arc<Inbox>,
    sending: Link,
    receiving: Link,
    /// When it was last said that messages cannot be opened.
    warned: Mutex<Option<Instant>>,
}

impl RedisBus {
    /// Begins to connect; see [`Self::ready`].
    ///
    /// # Errors
    /// [`Fault::Url`].
    pub fn new(options: &RedisOptions, node: NodeId) -> Result<Self, Fault> {
        let inbox = Arc::new(Inbox::new(options.inbox_max, options.inbox_bytes_max));
        let (own, all) = (to(&options.prefix, node), format!("{}all", options.prefix));
        let into = Arc::clone(&inbox);
        let on_message: OnMessage = Arc::new(move |channel, sealed| take(&into, channel, sealed));
        let receiving = Purpose { name: "receive", channels: vec![own, all.clone()], on_message };
        let url = options.url.expose();
        Ok(Self {
            node,
            seal: Seal::new(&options.secret),
            prefix: options.prefix.clone(),
            all,
            inbox,
            sending: Link::start(url, Purpose::calls("send"), options.call_timeout)?,
            receiving: Link::start(url, receiving, options.call_timeout)?,
            warned: Mutex::default(),
        })
    }

    /// Waits until it can send and hears what is sent.
    pub async fn ready(&self) {
        tokio::join!(self.sending.ready(), self.receiving.ready());
    }

    async fn publish(&self, channel: &str, message: &[u8]) -> Result<(), BusError> {
        let sealed = self.seal.close(self.node, channel, message);
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(channel).arg(sealed);
        let outcome = self.sending.call(async |mut connection| publish.query_async::<u64>(&mut connection).await).await;
        let (_, heard) = outcome.map_err(|fault| BusError(Box::new(fault)))?;
        if heard == 0 {
            // No error: that somebody hears would not mean that it arrives either, and relays find gaps anyway.
            metrics::counter!("tripsync_bus_unheard_total").increment(1);
        }
        metrics::counter!("tripsync_bus_sent_total").increment(1);
        metrics::counter!("tripsync_bus_sent_bytes_total").increment(message.len() as u64);
        Ok(())
    }
}

impl RedisBus {
    /// Whoever has set up one node differently from the others sees nothing else of it than that relays do not work.
    fn warn(&self, refusal: Refusal) {
        let now = Instant::now();
        let mut warned = self.warned.lock();
        if warned.is_none_or(|at| now >= at + WARNED_EVERY) {
            *warned = Some(now);
            tracing::warn!(
                reason = refusal.reason(),
                "messages on this cluster's channels cannot be opened: cluster.secret must be the same on every node, and the version; \
                 said once a minute at most"
            );
        }
    }
}

#[async_trait]
impl Bus for RedisBus {
    async fn send(&self, to: NodeId, message: Bytes) -> Result<(), BusError> {
        self.publish(&self::to(&self.prefix, to), &message).await
    }

    async fn send_all(&self, message: Bytes) -> Result<(), BusError> {
        self.publish(&self.all, &message).await
    }

    async fn receive(&self) -> Option<Bytes> {
        loop {
            let Arrived { channel, sealed } = self.inbox.take().await;
            // Here rather than where it is read from the socket: that task has enough to do.
            match self.seal.open(&channel, &sealed) {
                // Redis tells everybody, the sender included.
                Ok((sender, _)) if sender == self.node && channel == self.all => dropped("own"),
                Ok((_, body)) => {
                    metrics::counter!("tripsync_bus_received_total").increment(1);
                    return Some(body);
                }
                Err(refusal) => {
                    dropped(refusal.reason());
                    self.warn(refusal);
                }
            }
        }
    }
}

/// Takes what Redis handed out.
fn take(into: &Inbox, channel: &[u8], sealed: Vec<u8>) {
    if !into.push(Arrived { channel: Bytes::copy_from_slice(channel), sealed: sealed.into() }) {
        dropped("full");
    }
}

fn to(prefix: &str, node: NodeId) -> String {
    format!("{prefix}to:{node}")
}

fn dropped(reason: &'static str) {
    metrics::counter!("tripsync_bus_dropped_total", "reason" => reason).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;
    use metrics::{Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
    use std::collections::BTreeMap;
    use uuid::Uuid;

    /// Counters by reason.
    #[derive(Clone, Default)]
    struct Counts(Arc<Mutex<BTreeMap<String, u64>>>);

    struct One(Counts, String);

    impl CounterFn for One {
        fn increment(&self, value: u64) {
            *self.0.0.lock().entry(self.1.clone()).or_default() += value;
        }

        fn absolute(&self, _: u64) {}
    }

    impl Recorder for Counts {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            match key.labels().next() {
                Some(label) if key.name() == "tripsync_bus_dropped_total" => {
                    Counter::from_arc(Arc::new(One(self.clone(), label.value().to_owned())))
                }
                _ => Counter::noop(),
            }
        }

        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    #[test]
    fn whatever_is_dropped_is_counted_by_reason() {
        let options = RedisOptions {
            // Nobody is there, and nobody is needed.
            url: Secret::new("redis://127.0.0.1:1"),
            secret: Secret::new("good"),
            prefix: "t:".to_owned(),
            call_timeout: Duration::from_secs(1),
            entry_ttl: Duration::from_secs(1),
            inbox_max: 7,
            inbox_bytes_max: 10_000,
        };
        let (own, other) = (NodeId(Uuid::from_u128(1)), NodeId(Uuid::from_u128(2)));
        let counts = Counts::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let received = metrics::with_local_recorder(&counts, || {
            runtime.block_on(async {
                let bus = RedisBus::new(&options, own).unwrap();
                let (mine, all) = (to("t:", own), "t:all");
                let sealed = |sender, channel: &str| bus.seal.close(sender, channel, b"body");
                let mut of_another_version = sealed(other, &mine);
                of_another_version[0] += 1;
                let evil = Seal::new(&Secret::new("evil")).close(other, &mine, b"body");
                for (channel, message) in [
                    (&*mine, b"short".to_vec()),
                    (&*mine, of_another_version),
                    (&*mine, evil),
                    (all, sealed(other, &mine)),
                    (all, sealed(own, all)),
                    (all, sealed(other, all)),
                    (&*mine, sealed(own, &mine)),
                    (&*mine, sealed(other, &mine)),
                ] {
                    take(&bus.inbox, channel.as_bytes(), message);
                }
                (bus.receive().await, bus.receive().await)
            })
        });
        assert_eq!(received, (Some("body".into()), Some("body".into())), "from another node to all, from itself to itself");
        let counted: Vec<(String, u64)> = counts.0.lock().clone().into_iter().collect();
        let expected = [("forged", 2), ("full", 1), ("malformed", 1), ("own", 1), ("version", 1)];
        assert_eq!(counted, expected.map(|(reason, count)| (reason.to_owned(), count)));
    }
}
