//! Who goes the same way: ride requests with each other and with open pools, and new pools with the searches that people keep.
//!
//! Two match when both their starts and both their destinations are within 5 km of each other (great circle), they are of the same group, and
//! their times fit: ride requests while both live, a pool when it departs within the hour. Both sides are told, once per pair.

use super::App;
use super::outbox::deliver;
use crate::store::search::{self, Hit, Near, RADIUS_DEFAULT_M, Search};
use crate::store::tasks::TaskKey;
use crate::store::{StoreError, watches};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tripsync_domain::inbox::SavedSearch;
use tripsync_domain::inbox::limits::RIDE_LIVES;
use tripsync_domain::{ErrorCode, Inbox, ItemId, Pool, Rejection, RoomId, RoomKind, Timestamp, UserCard, UserId};
use uuid::Uuid;

/// A pool fits a ride request when it departs within this time of it.
const POOL_WITHIN: Duration = Duration::from_secs(3_600);

/// Counterparts that are told of one listing; the nearest. Whoever is beyond finds by searching.
const MATCHES_MAX: u32 = 20;

/// Looks for what matches a room's listing, and tells both sides. A listing that is gone matches nothing.
pub(super) async fn find(app: &App, TaskKey { room, .. }: TaskKey) -> Result<(), Rejection> {
    let Some((kind, sections)) = search::listed(&app.db, room).await.map_err(unavailable)? else { return Ok(()) };
    let mut best: BTreeMap<RoomId, (Hit, Hit)> = BTreeMap::new();
    for ours in &sections {
        for theirs in counterparts(app, &kind, ours).await.map_err(unavailable)? {
            let nearer = |(_, known): &(Hit, Hit)| theirs.cursor() < known.cursor();
            if best.get(&theirs.room).is_none_or(nearer) {
                best.insert(theirs.room, (ours.clone(), theirs));
            }
        }
    }
    for (ours, theirs) in best.into_values() {
        tell(app, &kind, &ours, &theirs).await?;
    }
    if kind == Pool::KIND { tell_watchers(app, &sections).await } else { Ok(()) }
}

/// Keeps a search for later pools, or drops it.
pub(super) async fn watch(
    app: &App,
    TaskKey { room, seq, .. }: TaskKey,
    user: UserId,
    id: ItemId,
    search: Option<&SavedSearch>,
) -> Result<(), Rejection> {
    watches::put(&app.db, room, id, seq, user, search).await.map_err(unavailable)
}

/// Tells those whose kept searches find a new pool; once each, for the section that was looked at first.
async fn tell_watchers(app: &App, sections: &[Hit]) -> Result<(), Rejection> {
    let mut told = BTreeMap::new();
    for ours in sections {
        for (user, search) in watches::along(&app.db, ours.from, ours.to).await.map_err(unavailable)? {
            let in_time = search.after.is_none_or(|after| ours.at >= after) && search.before.is_none_or(|before| ours.at <= before);
            if in_time && user != ours.owner && search.seats <= ours.seats && affordable(ours, &search) {
                told.entry(user).or_insert((ours, search));
            }
        }
    }
    let users: Vec<UserId> = told.keys().copied().chain(sections.first().map(|ours| ours.owner)).collect();
    let cards = app.rooms.engine.cards(&users).await?;
    for (user, (ours, search)) in told {
        let card = |user: UserId| cards.iter().find(|card| card.user == user);
        let (Some(watcher), Some(owner)) = (card(user), card(ours.owner)) else { continue };
        if ours.group.is_some() && ours.group != watcher.group {
            continue;
        }
        let id = ItemId(Uuid::new_v5(&user.0, format!("found/{}", ours.room).as_bytes()));
        let near = (search.from.position.distance_m(ours.from), search.to.position.distance_m(ours.to));
        let mut item = item(ours, Pool::KIND, owner, near);
        item["search"] = json!(search.id);
        item["text"] = json!(format!("{} offers a ride that your search “{}” finds", owner.name, search.name));
        deliver(&app.rooms.engine, user, id, item).await?;
    }
    Ok(())
}

/// Whether a seat costs at most what the search says; what is for nothing does.
fn affordable(ours: &Hit, search: &SavedSearch) -> bool {
    match (ours.price, search.price_max) {
        (Some(price), Some(max)) => price.currency == max.currency && price.minor <= max.minor,
        (None, _) | (_, None) => true,
    }
}

/// What goes the way of a section.
async fn counterparts(app: &App, kind: &str, ours: &Hit) -> Result<Vec<Hit>, StoreError> {
    let near = |position| Near { position, radius_m: RADIUS_DEFAULT_M };
    let search = Search {
        caller: ours.owner,
        group: ours.group.as_ref(),
        kind: Some(Inbox::KIND),
        from: near(ours.from),
        to: Some(near(ours.to)),
        earliest: before(ours.at, RIDE_LIVES),
        latest: ours.at.plus(RIDE_LIVES),
        seats: 1,
        price_max: None,
    };
    if kind == Pool::KIND {
        // Requests from before the departure that fit into the car.
        let search = Search { earliest: before(ours.at, POOL_WITHIN), latest: ours.at, ..search };
        let mut hits = search::search(&app.db, &search, None, MATCHES_MAX).await?.hits;
        hits.retain(|theirs| theirs.seats <= ours.seats && (ours.group.is_none() || theirs.group == ours.group));
        return Ok(hits);
    }
    let mut hits = search::search(&app.db, &search, None, MATCHES_MAX).await?.hits;
    hits.retain(|theirs| theirs.group == ours.group);
    let pools = Search { kind: Some(Pool::KIND), earliest: ours.at, latest: ours.at.plus(POOL_WITHIN), seats: ours.seats, ..search };
    hits.extend(search::search(&app.db, &pools, None, MATCHES_MAX).await?.hits);
    Ok(hits)
}

fn before(at: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_ms(at.as_ms().saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
}

/// Tells the owners of two listings of each other.
async fn tell(app: &App, kind: &str, ours: &Hit, theirs: &Hit) -> Result<(), Rejection> {
    let cards = app.rooms.engine.cards(&[ours.owner, theirs.owner]).await?;
    let card = |user: UserId| cards.iter().find(|card| card.user == user);
    let (Some(me), Some(them)) = (card(ours.owner), card(theirs.owner)) else { return Ok(()) };
    // The other one is a ride request, unless it was found as a pool: pools are found by their own room.
    let their_kind = if theirs.room == Inbox::room_of(theirs.owner) { Inbox::KIND } else { Pool::KIND };
    let pair = pair(ours, theirs);
    let distances = (theirs.from_m, theirs.to_m.unwrap_or(0.0));
    for (to, other, other_kind, card) in [(ours.owner, theirs, their_kind, them), (theirs.owner, ours, kind, me)] {
        let id = ItemId(Uuid::new_v5(&to.0, pair.as_bytes()));
        deliver(&app.rooms.engine, to, id, item(other, other_kind, card, distances)).await?;
    }
    Ok(())
}

/// Names two listings, whoever of them was first.
fn pair(one: &Hit, other: &Hit) -> String {
    let name = |hit: &Hit| if hit.room == Inbox::room_of(hit.owner) { hit.from_stop.0 } else { hit.room.0 };
    let (one, other) = (name(one), name(other));
    format!("match/{}/{}", one.min(other), one.max(other))
}

/// What one side is told of the other.
fn item(other: &Hit, kind: &str, card: &UserCard, (from_m, to_m): (f64, f64)) -> Value {
    let pool = kind == Pool::KIND;
    let text = if pool { format!("{} offers a ride your way", card.name) } else { format!("{} goes your way now", card.name) };
    json!({
        "type": "match",
        "text": text,
        "room": pool.then_some(other.room),
        "kind": kind,
        "title": "",
        "by": card.user,
        "match": {
            "user": card.user,
            "name": card.name,
            "pool": pool.then_some(other.room),
            "ride": (!pool).then_some(other.from_stop),
            "at": other.at,
            "from": other.from,
            "to": other.to,
            "from_m": from_m.round(),
            "to_m": to_m.round(),
            "seats": other.seats,
        },
    })
}

fn unavailable(error: StoreError) -> Rejection {
    tracing::warn!(error = %crate::telemetry::chain(&error), "matches could not be looked for");
    Rejection::new(ErrorCode::Retry, "the database is not available")
}
