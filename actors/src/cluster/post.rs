//! What other nodes say, and to whom here it goes.

use super::desk::{self, Desk};
use super::link::RelayLink;
use super::wire::{self, RelayId, Up, Word};
use super::{Cluster, Here};
use crate::engine::{Engine, WeakEngine};
use crate::frame::Frame;
use crate::room::RoomMsg;
use crate::room::message::Own;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tripsync_domain::{NodeId, RoomId};
use uuid::Uuid;

impl Cluster {
    pub(super) async fn listen(self: Arc<Self>, engine: WeakEngine) {
        while let Some(message) = self.bus.receive().await {
            let Some(engine) = engine.upgrade() else { return };
            let Some((from, words)) = wire::read(&message) else { continue };
            if from == self.node {
                continue;
            }
            self.heard.lock().insert(from, Instant::now());
            for word in words {
                self.take(&engine, from, word);
            }
        }
    }

    fn take(self: &Arc<Self>, engine: &Engine, from: NodeId, word: Word) {
        match word {
            Word::Down { relay, n, down } => {
                let relays = self.relays.lock();
                match relays.get(&relay) {
                    Some(here) if here.owner == from => self.to_relay(here, n, down),
                    // Its word that it ended was lost. Said again when the desk asks, by a beat.
                    None if n == 0 => {
                        let bye = Word::Up { relay, room: RoomId(Uuid::nil()), n: 0, up: Box::new(Up::Bye) };
                        // The desk will ask again.
                        let _ = self.out.send(from, bye.encode());
                    }
                    Some(_) | None => {}
                }
            }
            Word::Up { relay, room, n, up } => self.at_desk(engine, (from, relay, room), n, *up),
            Word::Alive => {}
            Word::Sockets { counts } => engine.notifier_here().sockets_elsewhere(from, &counts),
            Word::Rebalance => self.rebalance(engine),
            Word::Load { rooms } => self.heard_load(from, rooms),
            Word::Take { room } => self.take_over(engine, room),
            Word::Notice { user, frame } => engine.notifier_here().notice(user, &Frame::new(frame)),
        }
    }

    /// Beyond the bound a word is lost, as on its way: the relay misses it, and its sessions look for the room again.
    fn to_relay(&self, relay: &Here, n: u64, down: Bytes) {
        let len = down.len();
        if relay.backlog.load(Ordering::Relaxed) > self.config.queue_bytes_max {
            metrics::counter!("tripsync_cluster_messages_dropped_total", "reason" => "relay_full").increment(1);
            return;
        }
        relay.backlog.fetch_add(len, Ordering::Relaxed);
        // One that has ended reads nothing more.
        let _ = relay.actor.cast(RoomMsg::Own(Own::Down { n, down }));
    }

    fn at_desk(self: &Arc<Self>, engine: &Engine, (from, relay, room): (NodeId, RelayId, RoomId), n: u64, up: Up) {
        let mut desks = self.desks.lock();
        if let Some((_, desk)) = desks.open.get(&relay) {
            if desk.try_send((n, up)).is_err() {
                metrics::counter!("tripsync_cluster_messages_dropped_total", "reason" => "desk_full").increment(1);
            }
            return;
        }
        if matches!(up, Up::Bye) {
            return;
        }
        let link = RelayLink::new(relay, from, Arc::clone(&self.out));
        if n != 1 || desks.ended.contains(&relay) {
            // The first word is missing, or this is a late one.
            // The relay will ask again.
            let _ = link.say(&wire::Down::Gone { rejection: None });
            return;
        }
        let (sender, inbox) = mpsc::channel(desk::INBOX_MAX);
        // The channel is new and empty.
        let _ = sender.try_send((n, up));
        desks.open.insert(relay, (from, sender));
        drop(desks);
        tokio::spawn(Desk::new(Arc::clone(self), engine.clone(), room, link).run(inbox));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{ClusterConfig, ClusterPorts};
    use crate::testing::MemoryCluster;
    use ractor::{Actor, ActorProcessingErr, ActorRef};

    /// A relay that reads nothing.
    struct Stuck;

    impl Actor for Stuck {
        type Msg = RoomMsg;
        type State = ();
        type Arguments = ();

        async fn pre_start(&self, _: ActorRef<RoomMsg>, (): ()) -> Result<(), ActorProcessingErr> {
            Ok(())
        }

        async fn handle(&self, _: ActorRef<RoomMsg>, _: RoomMsg, (): &mut ()) -> Result<(), ActorProcessingErr> {
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_for_a_relay_is_bounded() {
        let [node, owner] = [1, 2].map(|n| NodeId(Uuid::from_u128(n)));
        let hub = Arc::new(MemoryCluster::new(1).node(node));
        let config = ClusterConfig { queue_bytes_max: 1_000, ..ClusterConfig::default() };
        let cluster = Cluster::new(ClusterPorts { node, leases: Arc::clone(&hub) as _, bus: hub, config });
        let (actor, _) = Actor::spawn(None, Stuck, ()).await.unwrap();
        let relay = RelayId(Uuid::from_u128(3));
        let backlog = cluster.relay_started(relay, owner, &actor);
        for n in 1..=100 {
            cluster.to_relay(&cluster.relays.lock()[&relay], n, Bytes::from_static(&[0; 100]));
        }
        assert_eq!(backlog.load(Ordering::Relaxed), 1_100);
    }
}
