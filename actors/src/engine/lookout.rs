//! Wakes rooms whose deadline comes or has passed: those that are not in memory, and those whose timers a jump of the clock made wrong.

use super::{Engine, Shared};
use crate::room::RoomMsg;
use crate::room::message::Own;
use ractor::ActorStatus;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tripsync_domain::{ErrorCode, RoomId, Timestamp};

/// Rooms read at once.
const PAGE: u32 = 256;
/// Pages per look: what is beyond waits for the next one.
const PAGES_MAX: usize = 40;
/// A room that was woken and is still due as before, because it fails, is left alone this long.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Rooms that are woken at once, over all looks.
const WAKERS: usize = 16;
/// How long a room that loads counts as one of those; most load within milliseconds. One that hangs goes on by itself, and the next ones
/// have their turn.
const LOADS_FOR: Duration = Duration::from_millis(250);

/// Looks out until the engine is gone or drains.
pub(super) fn start(engine: &Engine) {
    let every = engine.shared.config.lookout_every;
    let (shared, supervisor) = (Arc::downgrade(&engine.shared), engine.supervisor.clone());
    tokio::spawn(async move {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let wakers = Arc::new(Semaphore::new(WAKERS));
        let mut woken = HashMap::new();
        loop {
            ticks.tick().await;
            let is_over = supervisor.get_status() >= ActorStatus::Stopping;
            let Some(shared) = Weak::upgrade(&shared).filter(|shared| !is_over && !shared.registry.is_draining()) else { return };
            let engine = Engine { shared, supervisor: supervisor.clone() };
            woken.retain(|_, (at, _): &mut (Instant, Timestamp)| at.elapsed() < AGAIN_AFTER);
            if let Err(error) = look(&engine, every, &wakers, &mut woken).await {
                tracing::warn!(error = %crate::error_chain(&error), "rooms with a deadline could not be looked for; the next look will find them");
            }
        }
    });
}

/// One look: wakes what is due before the next one; a room in memory sets its own timer. Done when the last one has its turn.
async fn look(
    engine: &Engine,
    every: Duration,
    wakers: &Arc<Semaphore>,
    woken: &mut HashMap<RoomId, (Instant, Timestamp)>,
) -> Result<(), crate::ports::JournalError> {
    let Shared { journal, clock, .. } = &*engine.shared;
    let until = clock.now().plus(every * 2);
    let mut after: Option<(Timestamp, RoomId)> = None;
    for _ in 0..PAGES_MAX {
        let page = journal.due(until, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(*last);
        let full = page.len() == PAGE as usize;
        for (due, room) in page {
            // One that is still being loaded has its deadline when that is done; asking again would only take up a turn.
            if woken.get(&room).is_some_and(|(_, known)| *known == due) || engine.shared.registry.is_starting(room) {
                continue;
            }
            // Never closed.
            let Ok(turn) = Arc::clone(wakers).acquire_owned().await else { return Ok(()) };
            woken.insert(room, (Instant::now(), due));
            let engine = engine.clone();
            tokio::spawn(async move {
                wake(&engine, room).await;
                drop(turn);
            });
        }
        if !full {
            break;
        }
    }
    Ok(())
}

async fn wake(engine: &Engine, room: RoomId) {
    match timeout(LOADS_FOR, engine.room_here(room)).await {
        Ok(Ok(address)) => {
            // One that ended meanwhile is found by the next look.
            let _ = address.tell(RoomMsg::Own(Own::Wake));
        }
        // Its owner wakes it.
        Ok(Err(refused)) if refused.code == ErrorCode::Moved => {}
        Ok(Err(error)) => tracing::warn!(room.id = %room, %error, "a room with a deadline could not be woken yet"),
        // It goes on loading, and has its deadline when it is done.
        Err(_) => tracing::info!(room.id = %room, "a room with a deadline takes long to load"),
    }
}
