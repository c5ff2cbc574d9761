//! Rooms that move to other nodes because an operator asks for it.

use super::stage::{ANN, Hub, Socket, Stage, note, pass, quiet};
use crate::cluster::rebalance_request;
use crate::ports::Detached;
use crate::testing::{Away, BusFaults, MemoryJournal};
use std::time::Duration;
use tripsync_domain::{NodeId, RoomId, Seq};
use uuid::Uuid;

const ROOMS: u128 = 9;

fn room(index: u128) -> RoomId {
    RoomId(Uuid::from_u128(0x100 + index))
}

/// Three nodes, of which the first owns all rooms.
async fn three() -> (Hub, [Stage; 3]) {
    let (hub, memory) = (Hub::new(), MemoryJournal::new());
    let nodes = [Stage::node(&hub, &memory).await, Stage::node(&hub, &memory).await, Stage::node(&hub, &memory).await];
    // Each knows all of them.
    pass(Duration::from_millis(600)).await;
    for index in 0..ROOMS {
        nodes[0].open(room(index)).await;
    }
    (hub, nodes)
}

/// Asks as `tripsync rebalance` does, and waits until the nodes have listened to each other and passed on what they pass on.
async fn ask(hub: &Hub) {
    ask_at(hub, Duration::from_millis(700)).await;
}

/// The same, and waits for so long.
async fn ask_at(hub: &Hub, wait: Duration) {
    let operator = NodeId(Uuid::from_u128(0xffff));
    let way = hub.cluster.node(operator);
    way.bus().send_all(rebalance_request(operator)).await.unwrap();
    way.die();
    pass(wait).await;
}

fn owned(nodes: &[Stage; 3]) -> [usize; 3] {
    nodes.each_ref().map(|node| node.engine.own_rooms().len())
}

async fn seated(node: &Stage, index: u128) -> Socket {
    let socket = node.socket(ANN);
    node.join_room(room(index), &socket, None).await;
    quiet().await;
    assert_eq!(socket.heard()[0]["t"], "joined");
    socket
}

#[tokio::test(start_paused = true)]
async fn rooms_are_shared_out_evenly_and_go_on() {
    let (hub, nodes) = three().await;
    let sockets = [seated(&nodes[0], 0).await, seated(&nodes[1], 0).await, seated(&nodes[2], 0).await];
    assert_eq!(owned(&nodes), [9, 0, 0]);
    ask(&hub).await;
    assert_eq!(owned(&nodes), [3, 3, 3]);
    assert_ne!(hub.cluster.owner(room(0)), hub.cluster.owner(room(8)));
    for socket in &sockets {
        assert_eq!(socket.detached(), Some(Detached::Lost), "led to where the room is now");
    }
    for (node, socket) in nodes.iter().zip(&sockets) {
        let again = socket.reconnected(node);
        node.join_room(room(0), &again, Some((1, 2))).await;
        quiet().await;
        assert_eq!(again.gist(), ["resumed 2 []"]);
    }
    // Where everything is even, nothing moves.
    let epochs = || (0..ROOMS).map(|index| nodes[0].memory.epoch(room(index)).unwrap()).collect::<Vec<_>>();
    let before = epochs();
    ask(&hub).await;
    assert_eq!((owned(&nodes), epochs()), ([3, 3, 3], before));
    nodes[2].call(&note("3")).await.unwrap();
    assert_eq!(nodes[0].engine.read(room(0), ANN).await.unwrap().seq, Seq(3));
}

#[tokio::test(start_paused = true)]
async fn who_is_given_a_room_opens_it_though_it_had_a_relay_that_nobody_uses() {
    for told in [true, false] {
        let (hub, nodes) = three().await;
        // Everybody has asked for everything once; nobody will again for a while.
        for node in &nodes {
            for index in 0..ROOMS {
                node.engine.read(room(index), ANN).await.unwrap();
            }
        }
        assert_eq!(owned(&nodes), [9, 0, 0]);
        let faults = BusFaults { lost: 1_000, ..BusFaults::default() };
        // The word that asks the next owner to open the room may be lost; then it is the first to be asked for it who does.
        ask_at(&hub, Duration::from_millis(400)).await;
        if !told {
            hub.cluster.set_bus_faults(faults);
        }
        pass(Duration::from_millis(300)).await;
        hub.cluster.set_bus_faults(BusFaults::default());
        assert_eq!(owned(&nodes), if told { [3, 3, 3] } else { [3, 0, 0] });
        for index in 0..ROOMS {
            assert_eq!(nodes[0].engine.read(room(index), ANN).await.unwrap().seq, Seq(2), "room {index}, told: {told}");
        }
        assert_eq!(owned(&nodes), [3, 3, 3], "told: {told}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_entered_for_another_node_can_be_had_by_anybody() {
    let (hub, nodes) = three().await;
    // Asked while the place of leases answers nobody: rooms end here, and their entries stay until it can be told.
    hub.cluster.set_leases_away(None, Some(Away::Fails));
    ask(&hub).await;
    hub.cluster.set_leases_away(None, None);
    pass(Duration::from_secs(3)).await;
    for node in &nodes {
        for index in 0..ROOMS {
            assert_eq!(node.engine.read(room(index), ANN).await.unwrap().seq, Seq(2), "room {index}");
        }
    }
    assert_eq!(owned(&nodes).iter().sum::<usize>(), 9);
}
