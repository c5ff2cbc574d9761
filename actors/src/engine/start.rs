//! How a room is got: the one in memory, one that is started, or a relay to where it is.

use super::registry::{Kind, Look};
use super::room_ref::RoomRef;
use super::supervisor::Nothing;
use super::{Shared, unavailable};
use crate::cluster::Claimed;
use crate::cluster::relay::{RelayActor, RelayStart};
use crate::ports::JournalError;
use crate::room::{RoomMsg, Start, StartError};
use ractor::{Actor, ActorCell, ActorRef, SpawnErr};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tripsync_domain::{ErrorCode, Rejection, RoomId};

/// Where a room may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Where {
    /// On any node: a relay will do.
    Anywhere,
    /// On this node, unless another one owns it, which is refused as `moved`.
    Here,
}

/// See [`super::Engine::room`].
pub(crate) async fn room(shared: &Arc<Shared>, supervisor: &ActorRef<Nothing>, room: RoomId, at: Where) -> Result<RoomRef, Rejection> {
    let found = get(shared, supervisor, room, at).await;
    match found {
        Ok(address) if at == Where::Here && address.is_relay() => instead_of_relay(shared, supervisor, room).await,
        // Somebody who wanted it here was first, and it is elsewhere.
        Err(refused) if at == Where::Anywhere && refused.code == ErrorCode::Moved => get(shared, supervisor, room, at).await,
        found => found,
    }
    // All who waited for the room hear the same at the same moment.
    .map_err(|refused| shared.spread(refused))
}

/// A room that is asked for where it only has a relay. If it was passed on to this node, the relay leads to an owner that is none any more, and may
/// not have been told: one that nobody uses is not.
async fn instead_of_relay(shared: &Arc<Shared>, supervisor: &ActorRef<Nothing>, room: RoomId) -> Result<RoomRef, Rejection> {
    let Some(cluster) = &shared.cluster else { return Err(moved()) };
    match cluster.claim(room).await? {
        Claimed::Of(_) => Err(moved()),
        Claimed::Ours => {
            shared.registry.supersede(room);
            let found = get(shared, supervisor, room, Where::Here).await;
            found.and_then(|address| if address.is_relay() { Err(moved()) } else { Ok(address) })
        }
    }
}

fn moved() -> Rejection {
    Rejection::new(ErrorCode::Moved, "another node owns the room").retry_after_ms(50)
}

async fn get(shared: &Arc<Shared>, supervisor: &ActorRef<Nothing>, room: RoomId, at: Where) -> Result<RoomRef, Rejection> {
    let outcome = match shared.registry.look(room)? {
        Look::Found(address) => return Ok(address),
        Look::Wait(outcome) => outcome,
        Look::Start(sender, outcome) => {
            // A task of its own: whoever asked may stop waiting, others wait too.
            let (shared, supervisor) = (Arc::clone(shared), supervisor.get_cell());
            tokio::spawn(async move {
                let started = start(&shared, supervisor, room, at).await;
                // All who asked may have stopped waiting.
                let _ = sender.send(shared.registry.started(room, started));
            });
            outcome
        }
    };
    outcome.await.unwrap_or_else(|_| Err(Rejection::new(ErrorCode::Retry, "the room could not be started").retry_after_ms(250)))
}

type Entry = (RoomRef, ActorRef<RoomMsg>);

async fn start(shared: &Arc<Shared>, supervisor: ActorCell, room: RoomId, at: Where) -> Result<Entry, Rejection> {
    let kind = kind_of(shared, room).await?;
    // A lease that began after this does not cover the claim.
    let asked = Instant::now();
    let Some(cluster) = &shared.cluster else { return start_here(shared, supervisor, room, kind, asked).await };
    match cluster.claim(room).await? {
        Claimed::Ours => {
            let started = start_here(shared, supervisor, room, kind, asked).await;
            if started.is_err() {
                cluster.release(room).await;
            }
            started
        }
        Claimed::Of(_) if at == Where::Here => Err(moved()),
        Claimed::Of(owner) => {
            let start = RelayStart { room, kind: kind.info.tag, owner, shared: Arc::clone(shared), cluster: Arc::clone(cluster) };
            let (actor, _) = Actor::spawn_linked(None, RelayActor, start, supervisor).await.map_err(|error| {
                tracing::error!(room.id = %room, %error, "a relay could not be started");
                Rejection::new(ErrorCode::Internal, "the room could not be reached")
            })?;
            let permits = Arc::new(Semaphore::new(shared.config.room_commands_max));
            Ok((RoomRef::new(room, actor.clone(), kind.info, permits).relayed(), actor))
        }
    }
}

/// The room's kind, which never changes: for rooms that were here lately the journal is not asked.
async fn kind_of(shared: &Arc<Shared>, room: RoomId) -> Result<&Kind, Rejection> {
    if let Some(kind) = shared.registry.known(room) {
        return Ok(kind);
    }
    let tag = shared.journal.kind(room).await.map_err(|error| unavailable(&error))?;
    let Some(tag) = tag else {
        return Err(Rejection::not_found("there is no such room"));
    };
    let Some(kind) = shared.registry.kind(&tag) else {
        tracing::error!(room.id = %room, kind = tag, "a room is of a kind that this server does not know");
        return Err(Rejection::new(ErrorCode::RoomUnavailable, "this server does not know the room's kind"));
    };
    shared.registry.learn(room, kind);
    Ok(kind)
}

async fn start_here(shared: &Arc<Shared>, supervisor: ActorCell, room: RoomId, kind: &Kind, asked: Instant) -> Result<Entry, Rejection> {
    let started = (kind.spawn)(Start { room, shared: Arc::clone(shared), asked }, supervisor).await;
    match started {
        Ok(actor) => {
            let permits = Arc::new(Semaphore::new(shared.config.room_commands_max));
            Ok((RoomRef::new(room, actor.clone(), kind.info, permits), actor))
        }
        Err(SpawnErr::StartupFailed(error)) => Err(match error.downcast_ref::<StartError>() {
            Some(StartError::NoSuchRoom) => Rejection::not_found("there is no such room"),
            Some(StartError::Journal(error @ JournalError::Unavailable(_))) => unavailable(error),
            Some(StartError::Journal(JournalError::Broken(_))) | None => {
                tracing::error!(room.id = %room, error = %error, "a room could not be restored");
                shared.registry.count_failure(room);
                Rejection::new(ErrorCode::RoomUnavailable, "the room cannot be restored; its stored history is untouched")
                    .retry_after_ms(5_000)
            }
        }),
        Err(error @ (SpawnErr::ActorAlreadyStarted | SpawnErr::ActorAlreadyRegistered(_))) => {
            tracing::error!(room.id = %room, %error, "a room could not be started");
            Err(Rejection::new(ErrorCode::Internal, "the room could not be started"))
        }
    }
}
