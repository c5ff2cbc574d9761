//! What every [`Bus`] must do while nothing disturbs it. (What may go wrong is that messages are lost; nothing follows from that here.)

use super::node;
use crate::cluster::Bus;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tripsync_domain::NodeId;

/// Far more than a message takes.
const LIMIT: Duration = Duration::from_secs(20);

/// A bus under test.
#[async_trait]
pub trait BusSubject: Sync {
    /// A node's end of it, which hears whatever is sent from now on. Nobody else is on this bus but those that were made here.
    async fn join(&self, node: NodeId) -> Arc<dyn Bus>;
}

/// Runs every check.
///
/// # Panics
/// When a check does not hold.
pub async fn bus_contract(subject: &dyn BusSubject) {
    a_message_reaches_its_addressee_and_nobody_else(subject).await;
    all_but_the_sender_hear_what_is_for_all(subject).await;
    bytes_arrive_as_they_were_sent(subject).await;
    many_messages_from_many_nodes_all_arrive(subject).await;
    waiting_for_a_message_can_be_given_up(subject).await;
}

async fn joined(subject: &dyn BusSubject) -> (NodeId, Arc<dyn Bus>) {
    let node = node();
    (node, subject.join(node).await)
}

async fn send(bus: &Arc<dyn Bus>, to: NodeId, message: &'static str) {
    bus.send(to, Bytes::from_static(message.as_bytes())).await.expect("sent");
}

async fn next(bus: &Arc<dyn Bus>) -> Bytes {
    tokio::time::timeout(LIMIT, bus.receive()).await.expect("a message arrives").expect("the bus goes on")
}

async fn a_message_reaches_its_addressee_and_nobody_else(subject: &dyn BusSubject) {
    let ((ann, at_ann), (bob, at_bob), (cid, at_cid)) = (joined(subject).await, joined(subject).await, joined(subject).await);
    // An addressee that is not there is not an error that the sender must know of; it may be one.
    let _ = at_ann.send(node(), Bytes::from_static(b"nobody")).await;
    send(&at_ann, bob, "for bob").await;
    send(&at_ann, cid, "for cid").await;
    send(&at_bob, ann, "for ann").await;
    assert_eq!(next(&at_bob).await, "for bob");
    assert_eq!(next(&at_cid).await, "for cid", "cid has heard what was for bob");
    assert_eq!(next(&at_ann).await, "for ann", "ann has heard what she sent");
}

async fn all_but_the_sender_hear_what_is_for_all(subject: &dyn BusSubject) {
    let ((ann, at_ann), (_, at_bob), (_, at_cid)) = (joined(subject).await, joined(subject).await, joined(subject).await);
    at_ann.send_all(Bytes::from_static(b"for all")).await.expect("sent");
    assert_eq!(next(&at_bob).await, "for all");
    assert_eq!(next(&at_cid).await, "for all");
    send(&at_bob, ann, "for ann").await;
    assert_eq!(next(&at_ann).await, "for ann", "the sender has heard itself");
}

async fn bytes_arrive_as_they_were_sent(subject: &dyn BusSubject) {
    let ((_, at_ann), (bob, at_bob)) = (joined(subject).await, joined(subject).await);
    for len in [0, 1, 49, 255, 4_096, 70_000, 1 << 20] {
        let message: Bytes = (0..len).map(|at: usize| at.wrapping_mul(31).to_le_bytes()[0]).collect();
        at_ann.send(bob, message.clone()).await.expect("sent");
        assert!(next(&at_bob).await == message, "{len} bytes arrived differently");
    }
}

async fn many_messages_from_many_nodes_all_arrive(subject: &dyn BusSubject) {
    const SENDERS: usize = 4;
    const EACH: usize = 250;
    let (bob, at_bob) = joined(subject).await;
    let mut senders = Vec::new();
    for _ in 0..SENDERS {
        senders.push(joined(subject).await.1);
    }
    let sending = join_all(senders.iter().enumerate().map(|(sender, bus)| async move {
        for n in 0..EACH {
            bus.send(bob, Bytes::from(format!("{sender} {n}"))).await.expect("sent");
        }
    }));
    let receiving = async {
        let mut heard = BTreeSet::new();
        while heard.len() < SENDERS * EACH {
            assert!(heard.insert(next(&at_bob).await), "heard twice");
        }
    };
    tokio::join!(sending, receiving);
}

async fn waiting_for_a_message_can_be_given_up(subject: &dyn BusSubject) {
    let ((_, at_ann), (bob, at_bob)) = (joined(subject).await, joined(subject).await);
    for _ in 0..20 {
        let given_up = tokio::time::timeout(Duration::from_millis(1), at_bob.receive()).await;
        assert!(given_up.is_err(), "heard what nobody sent");
    }
    send(&at_ann, bob, "after all").await;
    assert_eq!(next(&at_bob).await, "after all");
}
