//! Many rooms are due at once, none of them in memory: each acts once, in time, whatever becomes of the others.

use super::kind::Event;
use super::stage::{ANN, ROOM, Stage, card, pass};
use crate::engine::CallOptions;
use futures_util::{StreamExt as _, stream};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use tripsync_domain::protocol::EventRecord;
use tripsync_domain::{RoomId, Timestamp};
use uuid::Uuid;

const ROOMS: u128 = 3_000;

/// What a room takes to open: a slow database.
const OPENS_IN: Duration = Duration::from_millis(4);

/// [`ROOMS`] rooms of which each has an alarm at the same time, a while after the last of them went to rest; that time.
async fn due_together(stage: &Stage) -> (Vec<RoomId>, Timestamp) {
    let rooms: Vec<_> = (0..ROOMS).map(|n| RoomId(Uuid::from_u128(0x1_0000 + n))).collect();
    stream::iter(&rooms)
        .for_each_concurrent(64, |room| async {
            stage.open(*room).await;
            stage.engine.call(*room, card(ANN), &json!({"type": "set_alarm", "after_s": 900}), CallOptions::default()).await.unwrap();
        })
        .await;
    let due = rooms.iter().map(|room| stage.memory.deadline(*room).unwrap()).max().unwrap();
    pass(Duration::from_secs(300)).await;
    assert_eq!(stage.engine.rooms(), 0, "all rest");
    *stage.shim.open_takes.lock() = OPENS_IN;
    (rooms, due)
}

impl Stage {
    /// How often each room's alarm rang, and when the last one did.
    fn rang_in(&self, rooms: &[RoomId]) -> (BTreeMap<RoomId, usize>, Option<Timestamp>) {
        let (mut times, mut last) = (BTreeMap::new(), None);
        for room in rooms {
            let records = self.memory.records(*room);
            let records = records.iter().map(|stored| EventRecord::<Event>::decode(&stored.bytes).unwrap());
            let rang: Vec<_> = records.filter(|record| matches!(record.ev, Event::AlarmRang)).map(|record| record.at).collect();
            times.insert(*room, rang.len());
            last = last.max(rang.into_iter().max());
        }
        (times, last)
    }
}

#[tokio::test(start_paused = true)]
async fn thousands_that_are_due_at_once_act_once_each_and_in_time() {
    let stage = Stage::new().await;
    let (rooms, due) = due_together(&stage).await;
    // Past the time of all of them, and of whatever a second waking would do.
    pass(Duration::from_secs(700)).await;
    let (times, last) = stage.rang_in(&rooms);
    assert_eq!(times.values().filter(|times| **times != 1).count(), 0, "{:?}", times.values().collect::<Vec<_>>());
    let late = last.unwrap().since(due);
    assert!(late < Duration::from_secs(1), "the last one was {late:?} late");
    assert!(rooms.iter().all(|room| stage.memory.deadline(*room).is_none()));
}

#[tokio::test(start_paused = true)]
async fn rooms_that_do_not_open_keep_no_others_from_acting() {
    let stage = Stage::new().await;
    let (rooms, due) = due_together(&stage).await;
    // More than are waked at once, on every page, and those that are looked at first among them.
    let (hanging, well): (Vec<_>, Vec<_>) = rooms.iter().enumerate().partition(|(n, _)| n % 60 == 0);
    let ids = |rooms: Vec<(usize, &RoomId)>| rooms.into_iter().map(|(_, room)| *room).collect::<Vec<_>>();
    let (hanging, well) = (ids(hanging), ids(well));
    assert_eq!(hanging.len(), 50);
    stage.shim.hanging.lock().extend(&hanging);
    pass(Duration::from_secs(700)).await;
    let (times, last) = stage.rang_in(&well);
    assert!(times.values().all(|times| *times == 1));
    let late = last.unwrap().since(due);
    assert!(late < Duration::from_secs(1), "the last one was {late:?} late");
    assert!(stage.rang_in(&hanging).0.values().all(|times| *times == 0));
}

#[tokio::test(start_paused = true)]
async fn a_room_that_was_woken_a_moment_ago_is_woken_for_a_later_deadline_when_the_clock_jumps() {
    let stage = Stage::new().await;
    let set_alarm = |after_s: u64| json!({"type": "set_alarm", "after_s": after_s});
    stage.call(&set_alarm(1)).await.unwrap();
    pass(Duration::from_secs(2)).await;
    stage.call(&set_alarm(600)).await.unwrap();
    stage.clock.advance(Duration::from_secs(700));
    pass(Duration::from_secs(2)).await;
    assert_eq!(stage.rang_in(&[ROOM]).0[&ROOM], 2);
}
