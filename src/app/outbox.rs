//! Does what rooms have left to do outside of them: delivers to inboxes, looks for matches.
//!
//! Promises: what an event promised is done at least once after it, also after a crash; an item is in an inbox once, because each
//! delivery has an identity of its own. Items come in the order of the events, except those that had to be tried again, which come
//! later and hold up nobody. Knows nothing of what items say.

use super::{App, matching};
use crate::store::StoreError;
use crate::store::tasks::{self, PAGE_TASKS_MAX, Taken, TaskKey};
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tripsync_actors::Engine;
use tripsync_actors::engine::CallOptions;
use tripsync_domain::error_code::Advice;
use tripsync_domain::{ClientId, CommandNumber, ErrorCode, Inbox, ItemId, Rejection, Task, UserCard, UserId};
use uuid::Uuid;

/// How long the outbox waits when nobody tells it of tasks: for those of other nodes, and those that are to be tried again.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Inboxes that are delivered to at once.
const AT_ONCE: usize = 16;

/// Works until the server stops. What is under way then is done by the next start.
pub(super) async fn run(app: App, closing: CancellationToken) {
    let told = app.rooms.tasks();
    loop {
        let busy = match closing.run_until_cancelled(work(&app)).await {
            None => return,
            Some(Ok(count)) => count >= PAGE_TASKS_MAX as usize,
            Some(Err(error)) => {
                tracing::warn!(error = %crate::telemetry::chain(&error), "the outbox could not be read; it is tried again");
                false
            }
        };
        if busy {
            continue;
        }
        tokio::select! {
            () = closing.cancelled() => return,
            () = told.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Does what is due, at most a page; how many tasks that were.
async fn work(app: &App) -> Result<usize, StoreError> {
    let taken = tasks::take(&app.db, app.clock.now(), PAGE_TASKS_MAX).await?;
    let count = taken.len();
    // One after the other for each inbox, so that it gets them in their order.
    let mut lines: BTreeMap<UserId, Vec<Taken>> = BTreeMap::new();
    let mut matches = Vec::new();
    for task in taken {
        match &task.task {
            Task::Deliver { user, .. } => lines.entry(*user).or_default().push(task),
            Task::Watch { .. } | Task::Unwatch { .. } | Task::Match {} => matches.push(vec![task]),
        }
    }
    let lines = lines.into_values().chain(matches).map(|line| do_line(app, line));
    let done: Vec<Vec<TaskKey>> = stream::iter(lines).buffer_unordered(AT_ONCE).collect().await;
    tasks::done(&app.db, &done.concat()).await?;
    Ok(count)
}

/// Does tasks in their order, up to the first that fails; what was done.
async fn do_line(app: &App, line: Vec<Taken>) -> Vec<TaskKey> {
    let mut done = Vec::new();
    let mut line = line.into_iter();
    for Taken { key, task, attempts, .. } in line.by_ref() {
        let outcome = match task {
            Task::Deliver { user, item } => deliver(&app.rooms.engine, user, item_id(key), item).await,
            Task::Match {} => matching::find(app, key).await,
            Task::Watch { user, search } => matching::watch(app, key, user, search.id, Some(&search)).await,
            Task::Unwatch { search } => matching::watch(app, key, UserId::ROOM, search, None).await,
        };
        match outcome {
            Ok(()) => done.push(key),
            Err(error) => {
                tracing::warn!(room.id = %key.room, seq = key.seq.0, index = key.index, attempts, %error, "a task is tried again later");
                put_off(app, key, attempts).await;
                break;
            }
        }
    }
    // Those behind it wait with it; otherwise they would pass it.
    for Taken { key, attempts, .. } in line {
        put_off(app, key, attempts).await;
    }
    done
}

async fn put_off(app: &App, key: TaskKey, attempts: u32) {
    if let Err(error) = tasks::failed(&app.db, key, attempts, app.clock.now()).await {
        tracing::warn!(room.id = %key.room, error = %crate::telemetry::chain(&error), "a task is handed out again when its taker is forgotten");
    }
}

/// The same for every attempt, so that an inbox recognises it.
fn item_id(TaskKey { room, seq, index }: TaskKey) -> ItemId {
    ItemId(Uuid::new_v5(&room.0, format!("{seq}/{index}").as_bytes()))
}

/// Puts an item into a user's inbox, once per id.
pub(super) async fn deliver(engine: &Engine, user: UserId, id: ItemId, item: Value) -> Result<(), Rejection> {
    let room = Inbox::room_of(user);
    let command = json!({"type": "deliver", "id": id, "item": item});
    let options = CallOptions { id: Some((ClientId(id.0), CommandNumber(1))), ..CallOptions::default() };
    let mut delivered = engine.call(room, server(), &command, options).await;
    if delivered.as_ref().is_err_and(|refused| refused.code == ErrorCode::NotFound) {
        engine.room_for(room, user).await?;
        delivered = engine.call(room, server(), &command, options).await;
    }
    match delivered {
        // Said before in other words: names and distances may have changed since.
        Err(refused) if refused.code == ErrorCode::CommandIdReused => Ok(()),
        Ok(_) => {
            metrics::counter!("tripsync_inbox_items_total").increment(1);
            Ok(())
        }
        // It will not be accepted later either.
        Err(refused) if refused.code.advice() == Advice::Change => {
            tracing::error!(room.id = %room, error = %refused, "an item cannot be delivered and is dropped");
            Ok(())
        }
        Err(refused) => Err(refused),
    }
}

/// The author of what the server does by itself.
pub(super) const fn server() -> UserCard {
    UserCard { user: UserId::ROOM, name: String::new(), group: None }
}
