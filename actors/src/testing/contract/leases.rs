//! What every [`Leases`] must do.

use super::node;
use crate::cluster::Leases;
use async_trait::async_trait;
use futures_util::future::join_all;
use std::collections::BTreeSet;
use std::time::Duration;
use tripsync_domain::{NodeId, RoomId};
use uuid::Uuid;

/// Longer than any suite takes.
const LONG: Duration = Duration::from_secs(600);
/// A lease that is meant to run out.
const SHORT: Duration = Duration::from_millis(60);
/// How often time is moved on until something has run out; ten seconds in all.
const STEPS: usize = 1_000;
const STEP: Duration = Duration::from_millis(10);

/// A place of leases under test, with its time.
#[async_trait]
pub trait LeaseSubject: Sync {
    /// The leases. Nothing else may be in them.
    fn leases(&self) -> &dyn Leases;

    /// Moves their time on: really waits, or turns a clock.
    async fn pass_time(&self, span: Duration);
}

/// Runs every check.
///
/// # Panics
/// When a check does not hold.
pub async fn leases_contract(subject: &dyn LeaseSubject) {
    a_lease_lives_until_its_end(subject).await;
    a_room_has_the_owner_that_claimed_it_first(subject.leases()).await;
    who_has_no_lease_claims_nothing(subject.leases()).await;
    a_dead_nodes_rooms_can_be_claimed(subject).await;
    a_resigned_nodes_rooms_can_be_claimed(subject.leases()).await;
    only_the_owner_releases(subject.leases()).await;
    a_room_is_passed_to_the_living_only(subject).await;
    of_many_that_claim_at_once_one_wins(subject.leases()).await;
}

async fn alive(leases: &dyn Leases, ttl: Duration) -> NodeId {
    let node = node();
    assert!(!renew(leases, node, ttl).await, "a node that was never seen has no living lease");
    node
}

async fn renew(leases: &dyn Leases, node: NodeId, ttl: Duration) -> bool {
    leases.renew(node, ttl).await.expect("answered")
}

async fn claim(leases: &dyn Leases, room: RoomId, node: NodeId) -> Option<NodeId> {
    leases.claim(room, node).await.expect("answered")
}

async fn owner(leases: &dyn Leases, room: RoomId) -> Option<NodeId> {
    leases.owner(room).await.expect("answered")
}

async fn release(leases: &dyn Leases, room: RoomId, node: NodeId) {
    leases.release(room, node).await.expect("answered");
}

async fn pass(leases: &dyn Leases, room: RoomId, from: NodeId, to: NodeId) -> bool {
    leases.pass(room, from, to).await.expect("answered")
}

async fn living(leases: &dyn Leases) -> BTreeSet<NodeId> {
    let nodes = leases.nodes().await.expect("answered");
    let set: BTreeSet<NodeId> = nodes.iter().copied().collect();
    assert_eq!(set.len(), nodes.len(), "a node is listed twice");
    set
}

/// Moves time on until the node is not among the living.
async fn outlive(subject: &dyn LeaseSubject, node: NodeId) {
    for _ in 0..STEPS {
        if !living(subject.leases()).await.contains(&node) {
            return;
        }
        subject.pass_time(STEP).await;
    }
    panic!("a lease of {SHORT:?} does not end");
}

fn room() -> RoomId {
    RoomId(Uuid::now_v7())
}

async fn a_lease_lives_until_its_end(subject: &dyn LeaseSubject) {
    let leases = subject.leases();
    let (ann, bob) = (alive(leases, LONG).await, alive(leases, LONG).await);
    assert!(living(leases).await.is_superset(&[ann, bob].into()));
    assert!(renew(leases, ann, LONG).await, "it lived when it was renewed");
    // From now, whatever was left of it.
    assert!(renew(leases, bob, SHORT).await);
    outlive(subject, bob).await;
    assert!(living(leases).await.contains(&ann));
    assert!(!renew(leases, bob, LONG).await, "it had ended");
    assert!(renew(leases, bob, LONG).await);
    leases.resign(ann).await.expect("answered");
    leases.resign(ann).await.expect("there is nothing to resign, which is no error");
    let left = living(leases).await;
    assert!(!left.contains(&ann) && left.contains(&bob));
    assert!(!renew(leases, ann, LONG).await, "it had resigned");
}

async fn a_room_has_the_owner_that_claimed_it_first(leases: &dyn Leases) {
    let (ann, bob, room, other) = (alive(leases, LONG).await, alive(leases, LONG).await, room(), room());
    assert_eq!(owner(leases, room).await, None);
    assert_eq!(claim(leases, room, ann).await, Some(ann));
    assert_eq!(claim(leases, room, ann).await, Some(ann), "it is ann's already");
    assert_eq!(claim(leases, room, bob).await, Some(ann));
    assert_eq!(owner(leases, room).await, Some(ann));
    assert_eq!(owner(leases, other).await, None);
    assert_eq!(claim(leases, other, bob).await, Some(bob));
    assert_eq!(owner(leases, room).await, Some(ann));
}

async fn who_has_no_lease_claims_nothing(leases: &dyn Leases) {
    let (ann, nobody, free, taken) = (alive(leases, LONG).await, node(), room(), room());
    assert_eq!(claim(leases, free, nobody).await, None);
    assert_eq!(owner(leases, free).await, None);
    assert_eq!(claim(leases, taken, ann).await, Some(ann));
    assert_eq!(claim(leases, taken, nobody).await, None);
    assert_eq!(owner(leases, taken).await, Some(ann));
    // Not even what it had before.
    leases.resign(ann).await.expect("answered");
    assert_eq!(claim(leases, taken, ann).await, None);
}

async fn a_dead_nodes_rooms_can_be_claimed(subject: &dyn LeaseSubject) {
    let leases = subject.leases();
    let (ann, bob, room) = (alive(leases, LONG).await, alive(leases, LONG).await, room());
    assert_eq!(claim(leases, room, ann).await, Some(ann));
    assert!(renew(leases, ann, SHORT).await);
    outlive(subject, ann).await;
    assert_eq!(owner(leases, room).await, None);
    assert_eq!(claim(leases, room, bob).await, Some(bob));
    assert!(!renew(leases, ann, LONG).await);
    assert_eq!(owner(leases, room).await, Some(bob), "who comes back does not get back what was claimed");
    assert_eq!(claim(leases, room, ann).await, Some(bob));
}

async fn a_resigned_nodes_rooms_can_be_claimed(leases: &dyn Leases) {
    let (ann, bob, room) = (alive(leases, LONG).await, alive(leases, LONG).await, room());
    assert_eq!(claim(leases, room, ann).await, Some(ann));
    leases.resign(ann).await.expect("answered");
    assert_eq!(owner(leases, room).await, None);
    assert_eq!(claim(leases, room, bob).await, Some(bob));
}

async fn only_the_owner_releases(leases: &dyn Leases) {
    let (ann, bob, room) = (alive(leases, LONG).await, alive(leases, LONG).await, room());
    release(leases, room, ann).await;
    assert_eq!(claim(leases, room, ann).await, Some(ann));
    release(leases, room, bob).await;
    assert_eq!(owner(leases, room).await, Some(ann));
    release(leases, room, ann).await;
    assert_eq!(owner(leases, room).await, None);
    assert_eq!(claim(leases, room, bob).await, Some(bob));
    release(leases, room, ann).await;
    assert_eq!(owner(leases, room).await, Some(bob), "a late release does not touch the next owner's entry");
}

async fn a_room_is_passed_to_the_living_only(subject: &dyn LeaseSubject) {
    let leases = subject.leases();
    let (ann, bob, cid, room) = (alive(leases, LONG).await, alive(leases, LONG).await, alive(leases, LONG).await, room());
    assert!(!pass(leases, room, ann, bob).await, "nobody owns it");
    assert_eq!(owner(leases, room).await, None);
    assert_eq!(claim(leases, room, ann).await, Some(ann));
    assert!(!pass(leases, room, cid, bob).await, "it is not cid's");
    assert!(!pass(leases, room, ann, node()).await, "never lived");
    assert!(renew(leases, cid, SHORT).await);
    outlive(subject, cid).await;
    assert!(!pass(leases, room, ann, cid).await, "dead");
    assert_eq!(owner(leases, room).await, Some(ann));
    assert!(pass(leases, room, ann, bob).await);
    assert_eq!(owner(leases, room).await, Some(bob));
    assert!(!pass(leases, room, ann, bob).await, "it is bob's already");
    release(leases, room, ann).await;
    leases.resign(ann).await.expect("answered");
    assert_eq!(owner(leases, room).await, Some(bob), "it does not hang on the one who passed it");
}

async fn of_many_that_claim_at_once_one_wins(leases: &dyn Leases) {
    let mut nodes = Vec::new();
    for _ in 0..8 {
        nodes.push(alive(leases, LONG).await);
    }
    for _ in 0..20 {
        let room = room();
        let winners = join_all(nodes.iter().map(|node| claim(leases, room, *node))).await;
        let winner = owner(leases, room).await;
        assert!(winner.is_some_and(|winner| nodes.contains(&winner)), "{winner:?}");
        assert!(winners.iter().all(|told| *told == winner), "{winners:?}, but it is {winner:?}");
    }
}
