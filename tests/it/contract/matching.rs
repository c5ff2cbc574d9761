//! Who goes the same way, on both databases: real rooms on a clock that stands still, and what matching makes of their listings.

use super::Store;
use crate::harness::{TestDatabase, for_each_backend};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tripsync::app::matching::matches;
use tripsync::distance::{Distances, GreatCircle};
use tripsync::store::journal::JournalOptions;
use tripsync::store::search::Hit;
use tripsync_actors::engine::CallOptions;
use tripsync_actors::hub::Hub;
use tripsync_actors::testing::{MemoryDirectory, TestClock};
use tripsync_actors::{Engine, EngineConfig, Kinds, Ports};
use tripsync_domain::geo::Position;
use tripsync_domain::{Group, Inbox, ItemId, Pool, RoomId, Timestamp, UserCard, UserId};
use uuid::Uuid;

for_each_backend!(
    five_kilometres_are_near_wherever_one_is,
    a_request_lives_a_quarter_of_an_hour,
    a_pool_matches_when_it_leaves_within_the_hour,
    groups_keep_to_themselves,
    who_has_left_a_group_is_out_of_its_matches,
    seats_must_fit,
    what_is_over_matches_nobody,
    the_nearest_twenty_are_told
);

/// A metre along a meridian, in degrees.
const METRE: f64 = 180.0 / (std::f64::consts::PI * 6_371_008.8);

/// 2027-01-15T08:00:00Z.
fn morning() -> Timestamp {
    Timestamp::from_ms(1_800_000_000_000)
}

pub(super) fn at(lat: f64, lon: f64) -> Position {
    Position::new(lat, lon).unwrap()
}

fn north(of: Position, metres: f64) -> Position {
    at(of.lat() + metres * METRE, of.lon())
}

/// Where most rides start and end.
pub(super) const LISBON: (f64, f64) = (38.7223, -9.1393);
pub(super) const SINTRA: (f64, f64) = (38.8029, -9.3817);

pub(super) fn way() -> (Position, Position) {
    (at(LISBON.0, LISBON.1), at(SINTRA.0, SINTRA.1))
}

/// Rooms without a server.
pub(super) struct Town {
    store: Store,
    engine: Engine,
    clock: TestClock,
    directory: MemoryDirectory,
}

impl Town {
    pub(super) async fn on(database: &TestDatabase) -> Self {
        let store = Store::open(database, JournalOptions::default()).await;
        let clock = TestClock::standing(morning());
        let directory = MemoryDirectory::default();
        let ports = Ports {
            journal: Arc::new(store.journal.clone()),
            clock: Arc::new(clock.clone()),
            directory: Arc::new(directory.clone()),
            notifier: Hub::new(1),
            ids: Arc::new(Uuid::now_v7),
            cluster: None,
        };
        let engine = Engine::start(ports, Kinds::default().with::<Pool>().with::<Inbox>(), EngineConfig::default()).await.unwrap();
        Self { store, engine, clock, directory }
    }

    pub(super) async fn end(self) {
        assert!(self.engine.drain(Duration::from_secs(10)).await);
        self.store.close().await;
    }

    fn after(&self, ms: u64) {
        self.clock.set(morning().plus(Duration::from_millis(ms)));
    }

    async fn ask(&self, room: RoomId, who: &UserCard, command: Value) {
        self.engine
            .call(room, who.clone(), &command, CallOptions::default())
            .await
            .unwrap_or_else(|refused| panic!("{command}: {refused}"));
    }

    /// Asks for a ride; the inbox.
    pub(super) async fn ride(&self, who: &UserCard, (from, to): (Position, Position), seats: u8) -> RoomId {
        self.directory.put_card(who.clone());
        let inbox = Inbox::room_of(who.user);
        self.engine.room_for(inbox, who.user).await.unwrap();
        let command = json!({"type": "request_ride", "from": {"position": from}, "to": {"position": to}, "seats": seats});
        self.ask(inbox, who, command).await;
        inbox
    }

    /// Offers a ride that leaves so many milliseconds after the morning; the pool.
    pub(super) async fn pool(&self, who: &UserCard, (from, to): (Position, Position), leaves: u64, seats: u8) -> RoomId {
        self.directory.put_card(who.clone());
        let pool = RoomId(Uuid::now_v7());
        let local: String = morning().plus(Duration::from_millis(leaves)).to_string().chars().take(19).collect();
        let command = json!({
            "type": "create", "stops": [{"name": "A", "position": from}, {"name": "B", "position": to}],
            "departure": {"local": local, "tz": "UTC"}, "seats": seats, "group": who.group, "booking": "instant",
        });
        self.engine.create::<Pool>(pool, who.clone(), &command, None).await.unwrap_or_else(|refused| panic!("{command}: {refused}"));
        pool
    }

    pub(super) async fn matched(&self, room: RoomId) -> Vec<RoomId> {
        self.matched_by(&GreatCircle, room).await
    }

    pub(super) async fn matched_by(&self, distances: &dyn Distances, room: RoomId) -> Vec<RoomId> {
        self.found(distances, room).await.into_iter().map(|theirs| theirs.room).collect()
    }

    /// How far the counterparts are at both ends.
    pub(super) async fn metres_by(&self, distances: &dyn Distances, room: RoomId) -> Vec<(f64, Option<f64>)> {
        self.found(distances, room).await.into_iter().map(|theirs| (theirs.from_m, theirs.to_m)).collect()
    }

    async fn found(&self, distances: &dyn Distances, room: RoomId) -> Vec<Hit> {
        let found = matches(&self.store.db, &self.engine, distances, room).await.unwrap();
        found.map_or_else(Vec::new, |found| found.pairs.into_iter().map(|(_, theirs)| theirs).collect())
    }

    /// Whether two match, whoever of them looks.
    #[track_caller]
    fn both(&self, one: RoomId, other: RoomId) -> impl Future<Output = bool> {
        let at = std::panic::Location::caller();
        async move {
            let (ours, theirs) = (self.matched(one).await, self.matched(other).await);
            assert_eq!(ours.contains(&other), theirs.contains(&one), "{at}: only one of them is told: {ours:?} {theirs:?}");
            assert!(!ours.contains(&one) && !theirs.contains(&other), "{at}: matched with oneself");
            ours.contains(&other)
        }
    }
}

pub(super) fn somebody() -> UserCard {
    UserCard { user: UserId(Uuid::now_v7()), name: "Somebody".into(), group: None }
}

fn member(group: &str) -> UserCard {
    UserCard { group: Some(Group::new(group).unwrap()), ..somebody() }
}

async fn five_kilometres_are_near_wherever_one_is(database: TestDatabase) {
    let town = Town::on(&database).await;
    let far_off = at(-33.0, 18.0);
    type Case = (&'static str, Position, Box<dyn Fn(f64) -> Position>);
    let cases: [Case; 6] = [
        ("Lisbon", way().0, Box::new(|m| north(way().0, m))),
        ("the antimeridian from the west", at(0.0, 179.999), Box::new(|m| at(0.0, 179.999 + m * METRE - 360.0))),
        ("the antimeridian from the east", at(0.0, -179.999), Box::new(|m| at(0.0, -179.999 - m * METRE + 360.0))),
        ("over the north pole", at(89.99, 20.0), Box::new(|m| at(90.0 - (m * METRE - 0.01), -160.0))),
        ("from the south pole", at(-90.0, 0.0), Box::new(|m| at(-90.0 + m * METRE, 133.0))),
        ("the equator and the first meridian", at(0.0, 0.0), Box::new(|m| at(-m * METRE, 0.0))),
    ];
    for (name, here, there) in cases {
        for (metres, near) in [(2_000.0, true), (4_999.0, true), (5_001.0, false), (10_000.0, false)] {
            let ways =
                [("the start", (here, far_off), (there(metres), far_off)), ("the destination", (far_off, here), (far_off, there(metres)))];
            for (end, mine, theirs) in ways {
                let (ana, ben, cid) = (somebody(), somebody(), somebody());
                let one = town.ride(&ana, mine, 1).await;
                let other = town.ride(&ben, theirs, 1).await;
                assert_eq!(town.both(one, other).await, near, "{name}: requests, {end} {metres} m away");
                let pool = town.pool(&cid, theirs, 600_000, 2).await;
                assert_eq!(town.both(one, pool).await, near, "{name}: a pool, {end} {metres} m away");
                // One's own are nobody to share with.
                let own = town.pool(&ana, mine, 600_000, 2).await;
                assert!(!town.both(one, own).await, "{name}: one's own");
                for (who, pool) in [(&cid, pool), (&ana, own)] {
                    town.ask(pool, who, json!({"type": "cancel"})).await;
                }
                for (who, room) in [(&ana, one), (&ben, other)] {
                    town.take_back(who, room).await;
                }
            }
        }
    }
    // Both ends together: each for itself, not their sum.
    let (from, to) = way();
    let one = town.ride(&somebody(), (from, to), 1).await;
    let (ben, cid) = (somebody(), somebody());
    let near = town.ride(&ben, (north(from, 4_999.0), north(to, 4_999.0)), 1).await;
    let beyond = town.ride(&cid, (north(from, 4_999.0), north(to, 5_001.0)), 1).await;
    assert!(town.both(one, near).await && !town.both(one, beyond).await);
    // The way back is another way.
    let back = town.ride(&somebody(), (to, from), 1).await;
    assert!(!town.both(one, back).await);
    town.end().await;
}

impl Town {
    /// Takes the ride request back.
    async fn take_back(&self, who: &UserCard, inbox: RoomId) {
        let view = self.engine.read(inbox, who.user).await.unwrap();
        #[derive(serde::Deserialize)]
        struct Rides {
            ride: Option<Ride>,
        }
        #[derive(serde::Deserialize)]
        struct Ride {
            id: ItemId,
        }
        let ride = rmp_serde::from_slice::<Rides>(view.state.packed()).unwrap().ride.unwrap().id;
        self.ask(inbox, who, json!({"type": "cancel_ride", "ride": ride})).await;
    }
}

async fn a_request_lives_a_quarter_of_an_hour(database: TestDatabase) {
    let town = Town::on(&database).await;
    const QUARTER: u64 = 900_000;
    let ana = somebody();
    let first = town.ride(&ana, way(), 1).await;
    // The other one comes a moment before the first is over, and at that moment.
    town.after(QUARTER - 1);
    let second = town.ride(&somebody(), way(), 1).await;
    assert!(town.both(first, second).await);
    town.after(QUARTER);
    assert_eq!((town.matched(first).await, town.matched(second).await), (vec![], vec![]));
    let third = town.ride(&somebody(), way(), 1).await;
    assert_eq!(town.matched(third).await, [second], "what is over is not told, whether its room has noticed or not");
    // Somebody who looks again begins anew.
    town.ride(&ana, way(), 1).await;
    assert!(town.both(first, third).await && town.both(first, second).await);
    town.after(2 * QUARTER - 1);
    assert!(!town.both(second, first).await, "second came before and is over");
    assert!(town.both(first, third).await);
    town.after(2 * QUARTER);
    assert!(!town.both(first, third).await);
    town.end().await;
}

async fn a_pool_matches_when_it_leaves_within_the_hour(database: TestDatabase) {
    let town = Town::on(&database).await;
    const HOUR: u64 = 3_600_000;
    let request = town.ride(&somebody(), way(), 1).await;
    for (leaves, fits) in [(60_000, true), (HOUR, true), (HOUR + 1_000, false), (30 * HOUR, false)] {
        let pool = town.pool(&somebody(), way(), leaves, 1).await;
        assert_eq!(town.both(request, pool).await, fits, "{leaves}");
    }
    // At its departure it is gone, whether its room has noticed or not.
    let soon = town.pool(&somebody(), way(), 2_000, 1).await;
    town.after(1_999);
    assert!(town.both(request, soon).await);
    town.after(2_000);
    assert!(!town.both(request, soon).await);
    // Who asks later counts from then on.
    town.after(1_000);
    let later = town.ride(&somebody(), way(), 1).await;
    let pool = town.pool(&somebody(), way(), HOUR + 1_000, 1).await;
    assert!(town.both(later, pool).await && !town.both(request, pool).await);
    town.end().await;
}

async fn groups_keep_to_themselves(database: TestDatabase) {
    let town = Town::on(&database).await;
    let kinds = [None, Some("TU Delft"), Some("Oxford")];
    let people = |group: Option<&str>| group.map_or_else(somebody, member);
    let mut rides = Vec::new();
    let mut pools = Vec::new();
    for group in kinds {
        rides.push((group, town.ride(&people(group), way(), 1).await));
        pools.push((group, town.pool(&people(group), way(), 600_000, 1).await));
    }
    for (group, ride) in &rides {
        let twin = town.ride(&people(*group), way(), 1).await;
        for (other, theirs) in &rides {
            assert_eq!(town.both(twin, *theirs).await, group == other, "requests of {group:?} and {other:?}");
        }
        for (other, pool) in &pools {
            // A pool of a group is for its members, one without for everybody.
            assert_eq!(town.both(*ride, *pool).await, other.is_none() || group == other, "a request of {group:?}, a pool of {other:?}");
        }
    }
    town.end().await;
}

/// What was asked for or offered in a group stays listed for the group; its owner may be of another one by now.
async fn who_has_left_a_group_is_out_of_its_matches(database: TestDatabase) {
    let town = Town::on(&database).await;
    let (ana, ben, cid) = (member("TU Delft"), member("TU Delft"), member("TU Delft"));
    let now_of = |who: &UserCard, group: Option<&str>| {
        town.directory.put_card(UserCard { group: group.map(|group| Group::new(group).unwrap()), ..who.clone() });
    };
    let (one, other) = (town.ride(&ana, way(), 1).await, town.ride(&ben, way(), 1).await);
    let pool = town.pool(&cid, way(), 600_000, 1).await;
    let open = town.pool(&somebody(), way(), 600_000, 1).await;
    // Who is of which group now, and whether the requests match each other, the pool of the group, and the one for everybody.
    let delft = Some("TU Delft");
    for (of_ana, of_ben, of_cid, requests, pools) in [
        (delft, delft, delft, true, (true, true)),
        (None, delft, delft, false, (false, true)),
        (Some("Oxford"), delft, delft, false, (false, true)),
        (delft, None, delft, false, (true, false)),
        (delft, Some("Oxford"), delft, false, (true, false)),
        (delft, delft, None, true, (false, false)),
        (delft, delft, Some("Oxford"), true, (false, false)),
        // Both have left, even for the same one.
        (Some("Oxford"), Some("Oxford"), Some("Oxford"), false, (false, false)),
        (delft, delft, delft, true, (true, true)),
    ] {
        for (who, group) in [(&ana, of_ana), (&ben, of_ben), (&cid, of_cid)] {
            now_of(who, group);
        }
        let case = format!("{of_ana:?} {of_ben:?} {of_cid:?}");
        assert_eq!(town.both(one, other).await, requests, "{case}: requests");
        assert_eq!((town.both(one, pool).await, town.both(other, pool).await), pools, "{case}: the pool of the group");
        // By a request that was made in a former group nobody is matched at all, not even with what is for everybody.
        assert_eq!((town.both(one, open).await, town.both(other, open).await), (of_ana == delft, of_ben == delft), "{case}: the open pool");
    }
    // Who asks again asks in the group of now.
    let moved = UserCard { group: Some(Group::new("Oxford").unwrap()), ..ana.clone() };
    town.ride(&moved, way(), 1).await;
    assert!(!town.both(one, other).await && town.both(one, open).await);
    // Those who have left take no place of the nearest twenty.
    let (from, to) = way();
    for _ in 0..25 {
        let left = member("Oxford");
        town.ride(&left, way(), 1).await;
        now_of(&left, None);
    }
    let stays = town.ride(&member("Oxford"), (north(from, 3_000.0), to), 1).await;
    assert!(town.both(one, stays).await);
    town.end().await;
}

async fn seats_must_fit(database: TestDatabase) {
    let town = Town::on(&database).await;
    let (driver, guest) = (somebody(), somebody());
    let pool = town.pool(&driver, way(), 600_000, 3).await;
    let requests = [town.ride(&somebody(), way(), 1).await, town.ride(&somebody(), way(), 3).await, town.ride(&somebody(), way(), 4).await];
    let fits = async || {
        let mut fits = Vec::new();
        for request in requests {
            fits.push(town.both(request, pool).await);
        }
        fits
    };
    assert_eq!(fits().await, [true, true, false]);
    // Seats that are taken do not fit anybody, seats that come back do.
    let claim = ItemId(Uuid::now_v7());
    town.ask(pool, &guest, json!({"type": "request", "id": claim, "seats": 2})).await;
    assert_eq!(fits().await, [true, false, false]);
    let last = ItemId(Uuid::now_v7());
    town.ask(pool, &somebody(), json!({"type": "request", "id": last, "seats": 1})).await;
    assert_eq!(fits().await, [false; 3], "full");
    town.ask(pool, &guest, json!({"type": "withdraw", "claim": claim})).await;
    assert_eq!(fits().await, [true, false, false]);
    town.end().await;
}

async fn what_is_over_matches_nobody(database: TestDatabase) {
    let town = Town::on(&database).await;
    let (from, to) = way();
    let request = town.ride(&somebody(), way(), 1).await;
    for over in ["cancel", "depart"] {
        let driver = somebody();
        let pool = town.pool(&driver, way(), 600_000, 3).await;
        assert!(town.both(request, pool).await);
        town.ask(pool, &driver, json!({"type": over})).await;
        assert!(!town.both(request, pool).await, "{over}");
    }
    // A request replaces the one before, with another way, too.
    let ben = somebody();
    let other = town.ride(&ben, (from, to), 1).await;
    assert!(town.both(request, other).await);
    town.ride(&ben, (north(from, 20_000.0), to), 1).await;
    assert!(!town.both(request, other).await, "replaced");
    town.ride(&ben, (from, to), 1).await;
    assert!(town.both(request, other).await);
    town.take_back(&ben, other).await;
    assert!(!town.both(request, other).await, "taken back");
    // A room that there is not, and one that was never listed.
    assert_eq!(town.matched(RoomId(Uuid::now_v7())).await, []);
    town.end().await;
}

async fn the_nearest_twenty_are_told(database: TestDatabase) {
    let town = Town::on(&database).await;
    let (from, to) = way();
    // Nearer ones that do not fit keep nobody out.
    for _ in 0..25 {
        town.ride(&somebody(), (from, to), 4).await;
    }
    let mut rooms = Vec::new();
    for n in 0..22_u32 {
        rooms.push(town.ride(&somebody(), (north(from, 4_000.0 - 100.0 * f64::from(n)), to), 2).await);
    }
    let pool = town.pool(&somebody(), (from, to), 600_000, 2).await;
    let mut found = town.matched(pool).await;
    found.sort_unstable();
    let mut nearest = rooms.split_off(2);
    nearest.sort_unstable();
    assert_eq!(found, nearest);
    town.end().await;
}
