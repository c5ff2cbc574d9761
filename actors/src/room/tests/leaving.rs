//! Rooms whose node gives them up while people are in them.

use super::stage::{ANN, Hub, ROOM, Stage, card, note, pass, quiet};
use crate::config::EngineConfig;
use crate::engine::CallOptions;
use crate::ports::Detached;
use crate::testing::{Away, MemoryJournal};
use std::time::Duration;
use tokio::time::timeout;
use tripsync_domain::{NodeId, RoomId, Seq};
use uuid::Uuid;

/// What a node is called, by a room that it is given.
async fn id(hub: &Hub, stage: &Stage) -> NodeId {
    let room = RoomId(Uuid::from_u128(0x99));
    stage.open(room).await;
    hub.cluster.owner(room).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_room_works_on_while_the_snapshot_for_its_next_owner_is_kept() {
    let (hub, memory) = (Hub::new(), MemoryJournal::new());
    let (here, there) = (Stage::node(&hub, &memory).await, Stage::node(&hub, &memory).await);
    here.open(ROOM).await;
    let heir = id(&hub, &there).await;
    for _ in 0..300 {
        here.call(&note("x")).await.unwrap();
    }
    assert!(memory.snapshot(ROOM).is_none(), "none was due");
    let ann = there.seated(ANN).await;
    here.shim.snapshots.forget_permits(1_000);
    here.engine.pass_on(ROOM, heir);
    pass(Duration::from_millis(100)).await;
    there.op(&ann, 1, &note("303")).await;
    pass(Duration::from_millis(100)).await;
    assert_eq!((ann.gist(), ann.detached()), (vec!["events [303!]".to_owned(), "ack 1 at 303".into()], None));
    here.shim.snapshots.add_permits(1_000);
    pass(Duration::from_millis(100)).await;
    assert_eq!((ann.detached(), there.engine.own_rooms().contains(&ROOM)), (Some(Detached::Lost), true));
    assert_eq!((memory.snapshot(ROOM).unwrap().seq, there.last()), (Seq(302), 303), "the event after it is read from the journal");
}

#[tokio::test(start_paused = true)]
async fn a_room_without_many_events_is_handed_over_without_a_snapshot() {
    let (hub, memory) = (Hub::new(), MemoryJournal::new());
    let (here, there) = (Stage::node(&hub, &memory).await, Stage::node(&hub, &memory).await);
    here.open(ROOM).await;
    let heir = id(&hub, &there).await;
    here.engine.pass_on(ROOM, heir);
    pass(Duration::from_millis(100)).await;
    assert!(there.engine.own_rooms().contains(&ROOM) && memory.snapshot(ROOM).is_none());
}

/// A node with as many rooms as leave at once, and some more.
async fn crowded(hub: &Hub, memory: &MemoryJournal) -> (Stage, Vec<RoomId>) {
    let here = Stage::node(hub, memory).await;
    let count = EngineConfig::default().hand_over_at_once + STAY;
    let rooms: Vec<RoomId> = (0..count).map(|index| RoomId(Uuid::from_u128(0x100 + index as u128))).collect();
    for room in &rooms {
        here.open(*room).await;
    }
    (here, rooms)
}

const STAY: usize = 4;

#[tokio::test(start_paused = true)]
async fn rooms_whose_turn_to_leave_has_not_come_take_commands() {
    let (hub, memory) = (Hub::new(), MemoryJournal::new());
    let (here, rooms) = crowded(&hub, &memory).await;
    // Whoever leaves hangs at the end of it.
    hub.cluster.set_leases_away(None, Some(Away::Hangs));
    let engine = here.engine.clone();
    let drain = tokio::spawn(async move { engine.drain(Duration::from_secs(30)).await });
    quiet().await;
    let mut working = 0;
    for room in &rooms {
        let command = note("x");
        let call = here.engine.call(*room, card(ANN), &command, CallOptions::default());
        working += usize::from(matches!(timeout(Duration::from_millis(1), call).await, Ok(Ok(_))));
    }
    assert_eq!(working, STAY);
    hub.cluster.set_leases_away(None, None);
    assert!(drain.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn rooms_that_hang_do_not_keep_the_others_from_leaving() {
    let (hub, memory) = (Hub::new(), MemoryJournal::new());
    let (here, rooms) = crowded(&hub, &memory).await;
    // Those whose turn comes first have something to finish, and cannot.
    memory.freeze();
    for room in &rooms[STAY..] {
        let (engine, room) = (here.engine.clone(), *room);
        tokio::spawn(async move { engine.call(room, card(ANN), &note("x"), CallOptions::default()).await });
    }
    quiet().await;
    let engine = here.engine.clone();
    let drain = tokio::spawn(async move { engine.drain(Duration::from_secs(30)).await });
    pass(Duration::from_millis(900)).await;
    assert_eq!(here.engine.own_rooms().len(), rooms.len());
    pass(Duration::from_millis(200)).await;
    assert_eq!(here.engine.own_rooms().len(), rooms.len() - STAY);
    memory.thaw();
    assert!(drain.await.unwrap());
}
