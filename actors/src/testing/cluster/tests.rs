use super::*;
use crate::testing::contract::{BusSubject, LeaseSubject, bus_contract, leases_contract};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::{advance, timeout};
use uuid::Uuid;

const ROOM: RoomId = RoomId(Uuid::from_u128(7));
const TTL: Duration = Duration::from_secs(1);

fn node(number: u128) -> NodeId {
    NodeId(Uuid::from_u128(number))
}

fn pair() -> (MemoryCluster, MemoryNode, MemoryNode) {
    let hub = MemoryCluster::new(1);
    let (a, b) = (hub.node(node(1)), hub.node(node(2)));
    (hub, a, b)
}

async fn heard(node: &MemoryNode) -> Vec<Bytes> {
    let mut messages = Vec::new();
    while let Ok(Some(message)) = timeout(Duration::from_secs(1), node.receive()).await {
        messages.push(message);
    }
    messages
}

struct Subject(MemoryCluster, MemoryNode);

#[async_trait]
impl LeaseSubject for Subject {
    fn leases(&self) -> &dyn Leases {
        &self.1
    }

    async fn pass_time(&self, span: Duration) {
        advance(span).await;
    }
}

#[async_trait]
impl BusSubject for Subject {
    async fn join(&self, node: NodeId) -> Arc<dyn Bus> {
        self.0.node(node).bus()
    }
}

/// The same that Redis keeps, where the simulator's findings are to hold.
#[tokio::test(start_paused = true)]
async fn memory_keeps_the_contracts() {
    let (hub, a, _) = pair();
    let subject = Subject(hub, a);
    leases_contract(&subject).await;
    bus_contract(&subject).await;
}

#[tokio::test(start_paused = true)]
async fn an_entry_counts_as_long_as_its_lease_lives() {
    let (hub, a, b) = pair();
    assert_eq!(a.claim(ROOM, node(1)).await.unwrap(), None, "without a lease");
    assert!(!a.renew(node(1), TTL).await.unwrap());
    assert!(!b.renew(node(2), TTL).await.unwrap());
    assert_eq!(a.claim(ROOM, node(1)).await.unwrap(), Some(node(1)));
    assert_eq!(b.claim(ROOM, node(2)).await.unwrap(), Some(node(1)));
    advance(TTL / 2).await;
    assert!(b.renew(node(2), TTL).await.unwrap());
    advance(TTL / 2).await;
    assert_eq!((b.owner(ROOM).await.unwrap(), b.nodes().await.unwrap()), (None, vec![node(2)]));
    assert_eq!(b.claim(ROOM, node(2)).await.unwrap(), Some(node(2)));
    assert!(!a.renew(node(1), TTL).await.unwrap(), "others may have claimed its rooms");
    assert!(!a.pass(ROOM, node(1), node(2)).await.unwrap());
    assert!(b.pass(ROOM, node(2), node(1)).await.unwrap());
    a.resign(node(1)).await.unwrap();
    assert_eq!(hub.owner(ROOM), None);
    hub.flush();
    assert!(!b.renew(node(2), TTL).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn the_place_of_leases_can_be_away() {
    let (hub, a, b) = pair();
    hub.set_leases_away(Some(node(1)), Some(Away::Hangs));
    assert!(a.renew(node(1), TTL).await.is_err() && b.renew(node(2), TTL).await.is_ok());
    hub.set_leases_away(None, Some(Away::Fails));
    b.nodes().await.unwrap_err();
    hub.set_leases_away(None, None);
    hub.set_leases_away(Some(node(1)), None);
    hub.set_leases_unanswered(1_000);
    a.renew(node(1), TTL).await.unwrap_err();
    hub.set_leases_unanswered(0);
    assert!(a.renew(node(1), TTL).await.unwrap(), "it was done, though not answered");
}

#[tokio::test(start_paused = true)]
async fn messages_arrive_in_order_unless_told_otherwise() {
    let (hub, a, b) = pair();
    let sent: Vec<_> = (0..100_u8).map(|number| Bytes::from(vec![number])).collect();
    let post = async |faults| {
        hub.set_bus_faults(faults);
        for message in &sent {
            a.send(node(2), message.clone()).await.unwrap();
        }
        heard(&b).await
    };
    let late = BusFaults { delay_ms: (1, 20), ..BusFaults::default() };
    assert_eq!(post(late).await, sent);
    assert!((1..100).contains(&post(BusFaults { lost: 300, ..late }).await.len()));
    assert!(post(BusFaults { doubled: 300, ..late }).await.len() > 100);
    let mut mixed = post(BusFaults { reordered: 300, ..late }).await;
    assert_ne!(mixed, sent);
    mixed.sort();
    assert_eq!(mixed, sent);
}

#[tokio::test(start_paused = true)]
async fn ways_are_cut_one_by_one_and_the_dead_are_silent() {
    let (hub, a, b) = pair();
    hub.set_cut(node(1), node(2), true);
    a.send(node(2), Bytes::from_static(b"lost")).await.unwrap();
    b.send_all(Bytes::from_static(b"heard")).await.unwrap();
    assert_eq!((heard(&a).await.len(), heard(&b).await.len()), (1, 0));
    hub.set_cut(node(1), node(2), false);
    a.send(node(2), Bytes::from_static(b"heard")).await.unwrap();
    assert_eq!(heard(&b).await.len(), 1);
    hub.set_bus_away(true);
    a.send(node(2), Bytes::from_static(b"refused")).await.unwrap_err();
    hub.set_bus_away(false);
    b.die();
    a.send(node(2), Bytes::from_static(b"to the dead")).await.unwrap();
    timeout(Duration::from_secs(60), b.receive()).await.unwrap_err();
    timeout(Duration::from_secs(60), b.renew(node(2), TTL)).await.unwrap_err();
}
