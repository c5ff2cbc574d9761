//! A room acts by itself: once, at the right time, in memory or not, whatever the clock does.

use super::kind::{Event, panics};
use super::stage::{ANN, BEN, ROOM, Stage, card, note, pass, quiet};
use crate::config::EngineConfig;
use crate::engine::CallOptions;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;
use tripsync_domain::protocol::EventRecord;
use tripsync_domain::{ErrorCode, RoomId, Timestamp, UserId};
use uuid::Uuid;

fn alarm(after_s: u64) -> Value {
    json!({"type": "set_alarm", "after_s": after_s})
}

impl Stage {
    /// When the alarm rang, in the journal.
    fn rang(&self) -> Vec<Timestamp> {
        let records = self.memory.records(ROOM);
        let decoded = records.iter().map(|stored| EventRecord::<Event>::decode(&stored.bytes).unwrap());
        let rang = decoded.filter(|record| matches!(record.ev, Event::AlarmRang));
        rang.map(|record| {
            assert_eq!(record.by, UserId::ROOM);
            record.at
        })
        .collect()
    }
}

#[tokio::test(start_paused = true)]
async fn an_alarm_rings_once_and_on_time() {
    let stage = Stage::new().await;
    let ann = stage.seated(ANN).await;
    let start = Instant::now();
    stage.call(&alarm(30)).await.unwrap();
    quiet().await;
    ann.heard();
    pass(Duration::from_secs(29)).await;
    assert_eq!(ann.gist(), [""; 0]);
    pass(Duration::from_secs(2)).await;
    assert_eq!(ann.gist().len(), 1);
    let due = Timestamp::from_ms(1_800_000_000_000).plus(start.elapsed());
    let rang = stage.rang();
    assert!(rang.len() == 1 && due.since(rang[0]) < Duration::from_secs(2), "{rang:?}");
    pass(Duration::from_secs(3_600)).await;
    assert_eq!((stage.rang().len(), stage.memory.deadline(ROOM)), (1, None));
}

#[tokio::test(start_paused = true)]
async fn a_room_that_rests_is_woken_for_its_alarm() {
    let stage = Stage::new().await;
    stage.call(&alarm(600)).await.unwrap();
    let due = stage.memory.deadline(ROOM).unwrap();
    pass(Duration::from_secs(120)).await;
    assert_eq!(stage.engine.rooms(), 0, "nobody needs it for now");
    pass(Duration::from_secs(481)).await;
    assert_eq!(stage.rang(), [due], "to the millisecond");
}

#[tokio::test(start_paused = true)]
async fn an_alarm_is_set_anew_and_survives_a_crash() {
    let stage = Stage::new().await;
    stage.call(&alarm(100)).await.unwrap();
    stage.call(&alarm(300)).await.unwrap();
    pass(Duration::from_secs(200)).await;
    assert_eq!(stage.rang(), []);
    stage.engine.crash();
    let other = stage.another().await;
    pass(Duration::from_secs(101)).await;
    assert_eq!((stage.rang().len(), other.rooms()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_jump_of_the_clock_is_noticed() {
    let stage = Stage::new().await;
    stage.call(&alarm(7_200)).await.unwrap();
    stage.clock.advance(Duration::from_secs(7_300));
    pass(Duration::from_secs(3)).await;
    assert_eq!(stage.rang().len(), 1, "forward");
    // Backwards: it rings when the clock says so, not when the timer thinks so.
    stage.call(&alarm(60)).await.unwrap();
    let due = stage.memory.deadline(ROOM).unwrap();
    stage.clock.set(Timestamp::from_ms(1_800_000_000_000));
    pass(Duration::from_secs(90)).await;
    assert_eq!(stage.rang().len(), 1);
    pass(due.since(Timestamp::from_ms(1_800_000_000_000))).await;
    assert_eq!(stage.rang().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn no_command_meets_a_state_that_is_out_of_time() {
    let stage = Stage::with(EngineConfig { lookout_every: Duration::from_secs(86_400), ..EngineConfig::default() }).await;
    stage.call(&alarm(10)).await.unwrap();
    stage.clock.advance(Duration::from_secs(20));
    stage.call(&note("late")).await.unwrap();
    let events: Vec<_> = stage.memory.records(ROOM).iter().map(|stored| EventRecord::<Event>::decode(&stored.bytes).unwrap()).collect();
    assert!(
        matches!(&events[events.len() - 2..], [rang, noted] if matches!((&rang.ev, &noted.ev), (Event::AlarmRang, Event::Noted { .. })))
    );
    // Nor does a reader or somebody who joins.
    stage.call(&alarm(10)).await.unwrap();
    stage.clock.advance(Duration::from_secs(20));
    let view = stage.engine.read(ROOM, ANN).await.unwrap();
    assert_eq!((view.seq.0, stage.rang().len()), (stage.last(), 2));
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_breaks_the_rules_harms_nothing_else() {
    let stage = Stage::new().await;
    stage.call(&json!({"type": "break", "at": "expire"})).await.unwrap();
    stage.call(&alarm(5)).await.unwrap();
    pass(Duration::from_secs(30)).await;
    assert_eq!((stage.rang().len(), panics()), (0, 1), "it is not tried again and again");
    stage.call(&note("still here")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_a_refused_command_reserved_is_given_back() {
    let stage = Stage::new().await;
    let other = RoomId(Uuid::from_u128(0x200));
    stage.open(other).await;
    let reserve = |accept: bool| json!({"type": "reserve", "accept": accept});
    stage.call(&reserve(false)).await.unwrap_err();
    quiet().await;
    // One in each room at a time is the bound: the refused one does not count.
    stage.engine.call(other, card(ANN), &reserve(true), CallOptions::default()).await.unwrap();
    let refused = stage.call(&reserve(true)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::LimitReached);
    stage.engine.call(ROOM, card(BEN), &reserve(true), CallOptions::default()).await.unwrap();
}
