//! Who goes the same way: ride requests with each other and with open pools, and new pools with the searches that people keep.
//!
//! Two match when both their starts and both their destinations are within 5 km of each other, they are of the same group, and their times
//! fit: ride requests while both live, a pool when it departs within the hour. Both sides are told, once per pair, but for who offers a ride
//! to everybody: of requests in a group that is not theirs they are not told. A listing keeps the group
//! that its owner had when it was made; whoever has left that group since matches nobody by it and is matched with nothing of it.
//!
//! How far it is the great circle says, or the road when a provider is configured; then candidates are those that are near by the great
//! circle, because no road is shorter.

use super::App;
use super::outbox::deliver;
use crate::distance::{Distances, PLACES_MAX, Route};
use crate::store::search::{self, Groups, Hit, Near, RADIUS_DEFAULT_M, Search};
use crate::store::tasks::TaskKey;
use crate::store::{Db, StoreError, watches};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tripsync_actors::Engine;
use tripsync_domain::inbox::SavedSearch;
use tripsync_domain::inbox::limits::RIDE_LIVES;
use tripsync_domain::{ErrorCode, Inbox, ItemId, Pool, Rejection, RoomId, RoomKind, Timestamp, UserCard, UserId};
use uuid::Uuid;

/// A pool fits a ride request when it departs within this time of it.
const POOL_WITHIN: Duration = Duration::from_secs(3_600);

/// Counterparts that are told of one way; the nearest. Whoever is beyond finds by searching.
const MATCHES_MAX: usize = 20;

/// Candidates of one way that are looked at: as many as a provider of road distances is asked for at once.
const CANDIDATES_MAX: u32 = 99;

/// What goes the way of a room's listing.
#[derive(Debug, Clone)]
pub struct Matches {
    /// The listing's kind.
    pub kind: String,
    /// All its sections.
    pub sections: Vec<Hit>,
    /// For each counterpart the section of ours and of theirs that are nearest, and how far they are.
    pub pairs: Vec<(Hit, Hit)>,
    /// The owners of all of them.
    pub cards: Cards,
}

/// Users, as they are now.
pub type Cards = BTreeMap<UserId, UserCard>;

/// Looks for what matches a room's listing, and tells both sides. A listing that is gone matches nothing.
pub(super) async fn find(app: &App, TaskKey { room, .. }: TaskKey) -> Result<(), Rejection> {
    let found = matches(&app.db, &app.rooms.engine, app.distances.as_ref(), room).await?;
    let Some(Matches { kind, sections, pairs, cards }) = found else { return Ok(()) };
    for (ours, theirs) in pairs {
        if let (Some(me), Some(them)) = (cards.get(&ours.owner), cards.get(&theirs.owner)) {
            tell(app, &kind, (&ours, me), (&theirs, them)).await?;
        }
    }
    if kind == Pool::KIND { tell_watchers(app, &sections).await } else { Ok(()) }
}

/// What matches a room's listing now; `None` when it is not listed, or over.
///
/// # Errors
/// `retry` when the database does not answer.
pub async fn matches(db: &Db, engine: &Engine, distances: &dyn Distances, room: RoomId) -> Result<Option<Matches>, Rejection> {
    let Some((kind, sections)) = search::listed(db, room).await.map_err(unavailable)? else { return Ok(None) };
    let now = engine.clock().now();
    // A listing goes when its room notices that it is over, which may be a moment later.
    if sections.iter().all(|ours| if kind == Pool::KIND { ours.at <= now } else { ours.at.plus(RIDE_LIVES) <= now }) {
        return Ok(None);
    }
    let mut ground = Ground { db, engine, route: Route::new(distances), now, cards: Cards::new() };
    let mut best: BTreeMap<RoomId, (Hit, Hit)> = BTreeMap::new();
    for ours in &sections {
        for theirs in ground.counterparts(&kind, ours).await? {
            let nearer = |(_, known): &(Hit, Hit)| theirs.cursor() < known.cursor();
            if best.get(&theirs.room).is_none_or(nearer) {
                best.insert(theirs.room, (ours.clone(), theirs));
            }
        }
    }
    Ok(Some(Matches { kind, sections, pairs: best.into_values().collect(), cards: ground.cards }))
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

/// Where and when is looked.
struct Ground<'a> {
    db: &'a Db,
    engine: &'a Engine,
    route: Route<'a>,
    now: Timestamp,
    /// Whoever was looked up already.
    cards: Cards,
}

impl Ground<'_> {
    /// What goes the way of a section.
    async fn counterparts(&mut self, kind: &str, ours: &Hit) -> Result<Vec<Hit>, Rejection> {
        let near = |position| Near { position, radius_m: RADIUS_DEFAULT_M };
        // Alive: at its last instant a request is over.
        let alive = before(self.now, RIDE_LIVES).plus(Duration::from_millis(1));
        let search = Search {
            caller: ours.owner,
            groups: Groups::Of(ours.group.as_ref()),
            kind: Some(Inbox::KIND),
            from: near(ours.from),
            to: Some(near(ours.to)),
            earliest: alive,
            latest: ours.at.plus(RIDE_LIVES),
            seats: 1,
            price_max: None,
        };
        if kind == Pool::KIND {
            // Requests from before the departure that fit into the car; into one without a group those of every group.
            let groups = ours.group.as_ref().map_or(Groups::All, |group| Groups::Of(Some(group)));
            let search = Search { groups, earliest: alive.max(before(ours.at, POOL_WITHIN)), latest: ours.at, ..search };
            let fits = |theirs: &Hit| theirs.seats <= ours.seats && (ours.group.is_none() || theirs.group == ours.group);
            return self.nearest(ours, &search, fits).await;
        }
        let mut hits = self.nearest(ours, &search, |theirs| theirs.group == ours.group).await?;
        let leaves = ours.at.max(self.now.plus(Duration::from_millis(1)));
        let pools = Search { kind: Some(Pool::KIND), earliest: leaves, latest: ours.at.plus(POOL_WITHIN), seats: ours.seats, ..search };
        hits.extend(self.nearest(ours, &pools, |_| true).await?);
        Ok(hits)
    }

    /// The nearest of what a search finds that fit, at most [`MATCHES_MAX`].
    async fn nearest(&mut self, ours: &Hit, search: &Search<'_>, fits: impl Fn(&Hit) -> bool) -> Result<Vec<Hit>, Rejection> {
        let mut hits = search::search(self.db, search, None, CANDIDATES_MAX).await.map_err(unavailable)?.hits;
        hits.retain(fits);
        self.meet(ours, &hits).await?;
        if !self.holds(ours) {
            return Ok(Vec::new());
        }
        hits.retain(|theirs| self.holds(theirs));
        if self.route.knows_roads() {
            hits = self.by_road(ours, hits).await;
        }
        hits.truncate(MATCHES_MAX);
        Ok(hits)
    }

    /// Looks up the owners of listings.
    async fn meet(&mut self, ours: &Hit, hits: &[Hit]) -> Result<(), Rejection> {
        let owners: BTreeSet<UserId> = hits.iter().map(|theirs| theirs.owner).chain([ours.owner]).collect();
        let unknown: Vec<UserId> = owners.into_iter().filter(|owner| !self.cards.contains_key(owner)).collect();
        let cards = self.engine.cards(&unknown).await?;
        self.cards.extend(cards.into_iter().map(|card| (card.user, card)));
        Ok(())
    }

    /// Whether a listing's owner is there, and still of the group that it is for.
    fn holds(&self, listing: &Hit) -> bool {
        self.cards.get(&listing.owner).is_some_and(|owner| listing.group.is_none() || listing.group == owner.group)
    }

    /// Those that are near by road too, nearest first.
    async fn by_road(&mut self, ours: &Hit, hits: Vec<Hit>) -> Vec<Hit> {
        let (starts, ends): (Vec<_>, Vec<_>) = hits.iter().map(|theirs| (theirs.from, theirs.to)).unzip();
        let from = self.route.metres(ours.from, &starts).await;
        let to = self.route.metres(ours.to, &ends).await;
        let near = |metres: f64| metres <= f64::from(RADIUS_DEFAULT_M);
        let measured = hits.into_iter().zip(from.into_iter().zip(to)).filter_map(|(theirs, (from, to))| {
            let (from_m, to_m) = (from.filter(|metres| near(*metres))?, to.filter(|metres| near(*metres))?);
            Some(Hit { from_m, to_m: Some(to_m), ..theirs })
        });
        let mut hits: Vec<_> = measured.collect();
        hits.sort_by_key(Hit::cursor);
        hits
    }
}

// A provider is asked for as many as may be asked for.
const _: () = assert!(CANDIDATES_MAX as usize <= PLACES_MAX);

fn before(at: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_ms(at.as_ms().saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
}

/// Tells the owners of two listings of each other.
async fn tell(app: &App, kind: &str, (ours, me): (&Hit, &UserCard), (theirs, them): (&Hit, &UserCard)) -> Result<(), Rejection> {
    // The other one is a ride request, unless it was found as a pool: pools are found by their own room.
    let their_kind = if theirs.room == Inbox::room_of(theirs.owner) { Inbox::KIND } else { Pool::KIND };
    let pair = pair(ours, theirs);
    let distances = (theirs.from_m, theirs.to_m.unwrap_or(0.0));
    for (to, who, other, other_kind, card) in [(ours.owner, me, theirs, their_kind, them), (theirs.owner, them, ours, kind, me)] {
        if !may_know(who, other) {
            continue;
        }
        let id = ItemId(Uuid::new_v5(&to.0, pair.as_bytes()));
        deliver(&app.rooms.engine, to, id, item(other, other_kind, card, distances)).await?;
    }
    Ok(())
}

/// Whether somebody may be told of a listing: what is for a group only those who are of it. A pool for everybody goes the way of requests of
/// every group; they are told of it, its owner of those of the own group.
fn may_know(who: &UserCard, of: &Hit) -> bool {
    of.group.is_none() || of.group == who.group
}

/// Names two listings, whoever of them was first.
fn pair(one: &Hit, other: &Hit) -> String {
    // Users choose the ids of their ride requests, so one is a name only together with the inbox that it is in.
    let name = |hit: &Hit| match hit.room {
        inbox if inbox == Inbox::room_of(hit.owner) => Uuid::new_v5(&inbox.0, hit.from_stop.as_bytes()),
        pool => pool.0,
    };
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
