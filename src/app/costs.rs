//! What a ride cost, as an expense of a trip.
//!
//! The pool says who owes what, the trip's rules say who may write it there; this only carries it over. There is one expense per pool in a
//! trip, so that asking again, also after a crash in between, finds what the first time made. Its id says so, and is a keyed hash: ids of
//! expenses are for members to choose, and whoever could tell this one in advance could use it up.

use super::App;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use tripsync_actors::engine::CallOptions;
use tripsync_domain::pool::{Details, Phase, Share};
use tripsync_domain::trip::limits::TITLE_CHARS_MAX;
use tripsync_domain::{ErrorCode, ItemId, Pool, Rejection, RoomId, RoomKind, Trip, UserCard, UserId};
use uuid::Builder;

/// Where the costs of a pool are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The expense in the trip.
    pub expense: ItemId,
    /// Whether it was there already.
    pub repeated: bool,
}

/// What a pool is asked for; the view has shares for those in the car alone.
#[derive(Deserialize)]
struct Ride {
    owner: Option<UserId>,
    details: Option<Details>,
    phase: Phase,
    riders: Option<IgnoredAny>,
    shares: Option<Vec<Share>>,
}

/// What a trip is asked for.
#[derive(Deserialize)]
struct Account {
    members: BTreeMap<String, IgnoredAny>,
    expenses: BTreeMap<ItemId, OfPool>,
}

#[derive(Deserialize)]
struct OfPool {
    pool: Option<RoomId>,
}

/// Brings what a completed pool cost into a trip: paid by its owner, shared as the ride settled it.
///
/// # Errors
/// `not_found` when the caller may not know of the pool or the trip; `forbidden` for who was not in the car or may not edit the trip;
/// `conflict` when the pool is not completed, cost nothing, or somebody in its costs is no member of the trip; `already_exists` when the
/// expense was removed from the trip; as [`tripsync_actors::Engine::call`].
pub async fn export(app: &App, me: UserCard, pool: RoomId, trip: RoomId) -> Result<Exported, Rejection> {
    let ride: Ride = read::<Pool, _>(app, pool, me.user, "pool").await?;
    let (Some(owner), Some(details)) = (ride.owner, &ride.details) else { return Err(Rejection::not_found("there is no such pool")) };
    if ride.riders.is_none() {
        return Err(Rejection::forbidden("What a ride costs is for its owner and its riders"));
    }
    if ride.phase != Phase::Completed {
        let message = format!("A pool that is {} has not cost anything yet; its owner completes it after the ride", ride.phase);
        return Err(Rejection::new(ErrorCode::Conflict, message));
    }
    let shares = ride.shares.unwrap_or_default();
    let total: i64 = shares.iter().map(|share| share.minor.get()).sum();
    let Some(price) = details.price.filter(|_| total > 0) else {
        return Err(Rejection::new(ErrorCode::Conflict, "The ride cost nobody anything"));
    };
    let id = expense_of(app, pool, trip);
    let command = json!({
        "type": "add_expense",
        "id": id,
        "title": title(details),
        "payer": owner,
        "amount": {"minor": total, "currency": price.currency},
        "shares": shares.iter().map(|share| json!({"user": share.user, "minor": share.minor})).collect::<Vec<_>>(),
        "date": details.departure.local.date(),
    });
    let user = me.user;
    let options = CallOptions { kind: Some(Trip::KIND), origin: Some(pool), ..CallOptions::default() };
    let refused = match app.rooms.engine.call(trip, me, &command, options).await {
        Ok(_) => return Ok(Exported { expense: id, repeated: false }),
        Err(refused) => refused,
    };
    if refused.code == ErrorCode::AlreadyExists {
        let account: Account = read::<Trip, _>(app, trip, user, "trip").await?;
        let known = account.expenses.iter().find(|(_, expense)| expense.pool == Some(pool));
        let (expense, _) = known.ok_or_else(|| {
            Rejection::new(ErrorCode::AlreadyExists, "What the pool cost was in the trip and was removed; add it as any other expense")
        })?;
        return Ok(Exported { expense: *expense, repeated: true });
    }
    // What this command says is the pool's, so that the rules find fault with the people in it or with the sum.
    if refused.code == ErrorCode::Invalid {
        let account: Account = read::<Trip, _>(app, trip, user, "trip").await?;
        let concerned: BTreeSet<UserId> = shares.iter().map(|share| share.user).chain([owner]).collect();
        let outside: Vec<UserId> = concerned.into_iter().filter(|user| !account.members.contains_key(&user.to_string())).collect();
        return Err(strangers(app, refused, &outside).await);
    }
    if refused.code == ErrorCode::NotFound {
        return Err(Rejection { pointer: Some("/trip".into()), ..Rejection::not_found("there is no such trip") });
    }
    Err(Rejection { pointer: None, ..refused })
}

/// The id of a pool's expense in a trip. The key is derived from `auth.signing_key`; under another key the trip still knows the expense by
/// its pool, until it is removed.
fn expense_of(app: &App, pool: RoomId, trip: RoomId) -> ItemId {
    let hash = app.auth.sealer().fingerprint(&[b"expense of a pool", pool.0.as_bytes(), trip.0.as_bytes()]);
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(hash).for_each(|(byte, of)| *byte = of);
    ItemId(Builder::from_custom_bytes(bytes).into_uuid())
}

/// Names those who must become members first. The caller was in the car with them and sees the members of the trip.
async fn strangers(app: &App, refused: Rejection, outside: &[UserId]) -> Rejection {
    if outside.is_empty() {
        // They joined meanwhile, or the sum is beyond what an expense may be.
        return Rejection { code: ErrorCode::Conflict, pointer: None, ..refused };
    }
    let names = match app.rooms.engine.cards(outside).await {
        Ok(cards) => cards.into_iter().map(|card| card.name).collect::<Vec<_>>().join(", "),
        Err(refused) => return refused,
    };
    let message = format!("Not in the trip: {names}. Costs go into a trip where all whom they concern are members; add them first");
    Rejection { details: Some(Box::new(json!({"not_members": outside}))), ..Rejection::new(ErrorCode::Conflict, message) }
}

fn title(details: &Details) -> String {
    let name = |stop: Option<&tripsync_domain::pool::Stop>| stop.map(|stop| stop.name.to_string()).unwrap_or_default();
    let title = format!("Ride from {} to {}", name(details.stops.first()), name(details.stops.last()));
    title.chars().take(TITLE_CHARS_MAX).collect::<String>().trim_end().to_owned()
}

/// A room of a kind, as far as the user sees it.
async fn read<K: RoomKind, T: for<'de> Deserialize<'de>>(app: &App, room: RoomId, user: UserId, noun: &str) -> Result<T, Rejection> {
    let nothing = || Rejection::not_found(format!("there is no such {noun}"));
    let view = match app.rooms.engine.read(room, user).await {
        Ok(view) if view.kind == K::KIND => view,
        Ok(_) => return Err(nothing()),
        Err(refused) if refused.code == ErrorCode::NotFound => return Err(nothing()),
        Err(refused) => return Err(refused),
    };
    rmp_serde::from_slice(view.state.packed()).map_err(|error| {
        tracing::error!(%error, room.kind = K::KIND, "the state of a room cannot be read");
        Rejection::new(ErrorCode::Internal, "the room cannot be read")
    })
}
