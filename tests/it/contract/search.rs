//! Search by area, on both databases.

use super::{Store, append, record};
use crate::harness::{TestDatabase, for_each_backend};
use tripsync::store::Db;
use tripsync::store::journal::JournalOptions;
use tripsync::store::search::{CANDIDATES_MAX, Found, Groups, HitCursor, Near, Search, cell_of, plan, search};
use tripsync_actors::ports::Journal as _;
use tripsync_domain::geo::Position;
use tripsync_domain::money::{Currency, MinorUnits, Money};
use tripsync_domain::{Epoch, Group, ItemId, Listing, NodeId, Projection, RoomId, Section, Seq, Timestamp, UserId};
use uuid::Uuid;

for_each_backend!(
    near_is_within_the_radius,
    only_what_fits_is_found,
    the_nearest_section_counts,
    what_is_found_is_paged_nearest_first,
    more_candidates_than_are_looked_at_are_admitted,
    candidates_are_found_by_the_index,
    listings_follow_the_room
);

const DAY_MS: i64 = 86_400_000;

/// A metre along a meridian, in degrees.
const METRE: f64 = 180.0 / (std::f64::consts::PI * 6_371_008.8);

fn at(lat: f64, lon: f64) -> Position {
    Position::new(lat, lon).unwrap()
}

fn user() -> UserId {
    UserId(Uuid::now_v7())
}

fn section(from: Position, to: Position, seats: u8) -> Section {
    Section { from_stop: ItemId(Uuid::now_v7()), from, to_stop: ItemId(Uuid::now_v7()), to, seats }
}

fn listing(sections: Vec<Section>) -> Listing {
    Listing { group: None, owner: user(), at: Timestamp::from_ms(DAY_MS), price: None, sections }
}

fn looking(from: Position, to: Option<Position>) -> Search<'static> {
    Search {
        caller: user(),
        groups: Groups::Of(None),
        kind: None,
        from: Near::new(from),
        to: to.map(Near::new),
        earliest: Timestamp::from_ms(0),
        latest: Timestamp::from_ms(2 * DAY_MS),
        seats: 1,
        price_max: None,
    }
}

fn euros(minor: i64) -> Money {
    Money { minor: MinorUnits::new(minor).unwrap(), currency: Currency::new("EUR").unwrap() }
}

impl Store {
    async fn listed(&self, kind: &'static str, listing: Listing) -> (RoomId, Epoch) {
        let room = RoomId(Uuid::now_v7());
        self.journal.create(room, kind, Timestamp::from_ms(0)).await.unwrap();
        let epoch = self.journal.open(room, NodeId(Uuid::now_v7())).await.unwrap().unwrap().epoch;
        self.projected_at((room, epoch), 1, vec![Projection::Listing(Box::new(listing))]).await;
        (room, epoch)
    }

    async fn projected_at(&self, room: (RoomId, Epoch), seq: u64, projections: Vec<Projection>) {
        assert_eq!(self.journal.append([append(room, vec![record(seq)], projections)].into()).await.unwrap(), [Ok(())]);
    }

    async fn found(&self, what: &Search<'_>) -> Vec<RoomId> {
        let Found { hits, more, complete } = search(&self.db, what, None, 100).await.unwrap();
        assert!(complete && !more);
        hits.iter().map(|hit| hit.room).collect()
    }
}

async fn near_is_within_the_radius(database: TestDatabase) {
    let store = Store::open(&database, JournalOptions::default()).await;
    let far_off = at(-33.0, 18.0);
    // Where one stands, and a place to the north or across the line at a distance in metres.
    type Case = (&'static str, Position, Box<dyn Fn(f64) -> Position>);
    let cases: [Case; 6] = [
        ("Lisbon", at(38.7223, -9.1393), Box::new(|m| at(38.7223 + m * METRE, -9.1393))),
        ("the antimeridian from the west", at(0.0, 179.999), Box::new(|m| at(0.0, 179.999 + m * METRE - 360.0))),
        ("the antimeridian from the east", at(0.0, -179.999), Box::new(|m| at(0.0, -179.999 - m * METRE + 360.0))),
        ("over the north pole", at(89.99, 20.0), Box::new(|m| at(90.0 - (m * METRE - 0.01), -160.0))),
        ("from the south pole", at(-90.0, 0.0), Box::new(|m| at(-90.0 + m * METRE, 133.0))),
        ("the equator and the first meridian", at(0.0, 0.0), Box::new(|m| at(-m * METRE, 0.0))),
    ];
    for (name, here, there) in cases {
        let inside = store.listed("pool", listing(vec![section(there(4_999.0), far_off, 1)])).await.0;
        let outside = store.listed("pool", listing(vec![section(there(5_001.0), far_off, 1)])).await.0;
        assert_eq!(store.found(&looking(here, None)).await, [inside], "{name}");
        assert_eq!(store.found(&looking(here, Some(far_off))).await, [inside], "{name}");
        let wider = Near { position: here, radius_m: 5_002 };
        assert_eq!(store.found(&Search { from: wider, ..looking(here, None) }).await, [inside, outside], "{name}");
        // The same at the other end of the way.
        let back = store.listed("pool", listing(vec![section(far_off, there(4_999.0), 1), section(far_off, there(5_001.0), 1)])).await.0;
        let beyond = store.listed("pool", listing(vec![section(far_off, there(5_001.0), 1)])).await.0;
        assert_eq!(store.found(&looking(far_off, Some(here))).await, [back], "{name}");
        for room in [inside, outside, back, beyond] {
            let opened = store.journal.open(room, NodeId(Uuid::now_v7())).await.unwrap().unwrap();
            store.projected_at((room, opened.epoch), 2, vec![Projection::Unlisted]).await;
        }
    }
    // As far as one can look, and no farther.
    let here = at(51.5, 0.1);
    let edge = |m: f64| section(at(51.5 + m * METRE, 0.1), far_off, 1);
    let inside = store.listed("pool", listing(vec![edge(49_999.0)])).await.0;
    store.listed("pool", listing(vec![edge(50_001.0)])).await;
    for radius_m in [50_000, u32::MAX] {
        let wide = Search { from: Near { position: here, radius_m }, ..looking(here, None) };
        assert_eq!(store.found(&wide).await, [inside]);
        let to = Some(Near { position: far_off, radius_m });
        assert_eq!(store.found(&Search { to, ..wide }).await, [inside]);
    }
    store.close().await;
}

async fn only_what_fits_is_found(database: TestDatabase) {
    let store = Store::open(&database, JournalOptions::default()).await;
    let (here, there) = (at(48.85, 2.35), at(45.76, 4.83));
    let (delft, oxford) = (Group::new("TU Delft").unwrap(), Group::new("oxford").unwrap());
    let owner = user();
    let way = |seats| vec![section(here, there, seats)];
    let plain = store.listed("pool", Listing { owner, ..listing(way(2)) }).await.0;
    let ride = store.listed("ride", listing(way(1))).await.0;
    let grouped = store.listed("pool", Listing { group: Some(delft.clone()), ..listing(way(1)) }).await.0;
    let late = store.listed("pool", Listing { at: Timestamp::from_ms(DAY_MS + 1), ..listing(way(1)) }).await.0;
    let priced = store.listed("pool", Listing { price: Some(euros(1_000)), ..listing(way(1)) }).await.0;
    let francs = Money { minor: MinorUnits::new(1).unwrap(), currency: Currency::new("CHF").unwrap() };
    let foreign = store.listed("pool", Listing { price: Some(francs), ..listing(way(1)) }).await.0;
    store.listed("pool", listing(way(0))).await;
    store.listed("pool", listing(vec![section(there, here, 9)])).await;

    let all = looking(here, Some(there));
    let found = async |what: Search<'_>| {
        let mut found = store.found(&what).await;
        found.sort_unstable();
        found
    };
    let but = |gone: &[RoomId]| [plain, ride, late, priced, foreign].into_iter().filter(|room| !gone.contains(room)).collect::<Vec<_>>();
    assert_eq!(found(all).await, but(&[]));
    assert_eq!(found(Search { caller: owner, ..all }).await, but(&[plain]));
    assert_eq!(found(Search { groups: Groups::Of(Some(&delft)), ..all }).await, [plain, ride, grouped, late, priced, foreign]);
    assert_eq!(found(Search { groups: Groups::Of(Some(&oxford)), ..all }).await, but(&[]));
    assert_eq!(found(Search { groups: Groups::All, ..all }).await, [plain, ride, grouped, late, priced, foreign]);
    assert_eq!(found(Search { kind: Some("pool"), ..all }).await, but(&[ride]));
    assert_eq!(found(Search { kind: Some("ride"), ..all }).await, [ride]);
    assert_eq!(found(Search { seats: 2, ..all }).await, [plain]);
    assert_eq!(found(Search { seats: 3, ..all }).await, []);
    assert_eq!(found(Search { latest: Timestamp::from_ms(DAY_MS), ..all }).await, but(&[late]));
    assert_eq!(found(Search { earliest: Timestamp::from_ms(DAY_MS + 1), ..all }).await, [late]);
    assert_eq!(found(Search { price_max: Some(euros(1_000)), ..all }).await, but(&[foreign]));
    assert_eq!(found(Search { price_max: Some(euros(999)), ..all }).await, but(&[priced, foreign]));

    let hit = &search(&store.db, &Search { price_max: Some(euros(1_000)), ..all }, None, 100).await.unwrap().hits;
    let hit = hit.iter().find(|hit| hit.room == priced).unwrap();
    assert_eq!((hit.price, hit.at, hit.from, hit.to, hit.seats), (Some(euros(1_000)), Timestamp::from_ms(DAY_MS), here, there, 1));
    assert_eq!((hit.from_m, hit.to_m), (0.0, Some(0.0)));
    store.close().await;
}

async fn the_nearest_section_counts(database: TestDatabase) {
    let store = Store::open(&database, JournalOptions::default()).await;
    let stop = |m: f64| at(10.0 + m * METRE, 20.0);
    let sections = vec![
        section(stop(0.0), stop(3_000.0), 1),
        section(stop(0.0), stop(90_000.0), 1),
        section(stop(3_000.0), stop(90_000.0), 3),
        section(stop(1_000.0), stop(93_000.0), 2),
    ];
    let room = store.listed("pool", listing(sections.clone())).await.0;
    let best = async |from: f64, to: Option<f64>, seats| {
        let found = search(&store.db, &Search { seats, ..looking(stop(from), to.map(stop)) }, None, 100).await.unwrap();
        assert_eq!(found.hits.iter().map(|hit| hit.room).collect::<Vec<_>>(), [room]);
        let hit = &found.hits[0];
        let index = sections.iter().position(|section| (section.from_stop, section.to_stop) == (hit.from_stop, hit.to_stop));
        (index.unwrap(), hit.from_m.round(), hit.to_m.map(f64::round))
    };
    assert_eq!(best(100.0, Some(91_000.0), 1).await, (1, 100.0, Some(1_000.0)));
    assert_eq!(best(2_900.0, Some(90_000.0), 1).await, (2, 100.0, Some(0.0)));
    // The sum counts, and who needs more seats gets in elsewhere.
    assert_eq!(best(100.0, Some(91_000.0), 2).await, (3, 900.0, Some(2_000.0)));
    assert_eq!(best(100.0, Some(91_000.0), 3).await, (2, 2_900.0, Some(1_000.0)));
    // To anywhere: the nearest start, and from there the farthest.
    assert_eq!(best(0.0, None, 1).await, (1, 0.0, None));
    store.close().await;
}

async fn what_is_found_is_paged_nearest_first(database: TestDatabase) {
    let store = Store::open(&database, JournalOptions::default()).await;
    let (here, there) = (at(60.0, 25.0), at(61.0, 25.0));
    let mut rooms = Vec::new();
    for n in 0..23_u32 {
        // Two are equally far each time, to be told apart by id; they begin in another order than that of their distance.
        let from = at(60.0 + f64::from(n / 2) * 100.0 * METRE, 25.0);
        let at = Timestamp::from_ms(DAY_MS - i64::from(n));
        let room = store.listed("pool", Listing { at, ..listing(vec![section(from, there, 1)]) }).await;
        rooms.push((n / 2, room));
    }
    rooms.sort_unstable_by_key(|(n, (room, _))| (*n, *room));
    let what = looking(here, Some(there));
    let nearest_first: Vec<RoomId> = rooms.iter().map(|(_, (room, _))| *room).collect();
    assert_eq!(store.found(&what).await, nearest_first);
    let (mut paged, mut after) = (Vec::new(), None::<HitCursor>);
    loop {
        let page = search(&store.db, &what, after, 4).await.unwrap();
        assert!(page.complete && page.hits.len() <= 4);
        after = page.hits.last().map(tripsync::store::search::Hit::cursor);
        paged.extend(page.hits.iter().map(|hit| hit.room));
        if paged.len() == 8 {
            // What goes meanwhile does not move what is left.
            store.projected_at(rooms[2].1, 2, vec![Projection::Unlisted]).await;
        }
        if !page.more {
            break;
        }
    }
    assert_eq!(paged, nearest_first);
    store.close().await;
}

async fn more_candidates_than_are_looked_at_are_admitted(database: TestDatabase) {
    let store = Store::open(&database, JournalOptions::default()).await;
    let (here, there) = (at(1.0, 2.0), at(1.5, 2.0));
    let many = |count: usize, begins: i64| Listing {
        at: Timestamp::from_ms(begins),
        ..listing(std::iter::repeat_with(|| section(here, there, 1)).take(count).collect())
    };
    let bound = usize::try_from(CANDIDATES_MAX).unwrap();
    let first = store.listed("pool", many(bound, 1)).await.0;
    assert_eq!(store.found(&looking(here, Some(there))).await, [first]);
    let second = store.listed("pool", many(1, 2)).await.0;
    let found = search(&store.db, &looking(here, Some(there)), None, 100).await.unwrap();
    assert_eq!((found.hits.iter().map(|hit| hit.room).collect::<Vec<_>>(), found.complete), (vec![first], false));
    let narrower = Search { earliest: Timestamp::from_ms(2), ..looking(here, Some(there)) };
    assert_eq!(store.found(&narrower).await, [second]);
    store.close().await;
}

/// Among many rides between many towns no search reads them all: the planner, which is free to, takes the index.
async fn candidates_are_found_by_the_index(database: TestDatabase) {
    let store = Store::open(&database, JournalOptions::default()).await;
    let town = |n: i64| at(40.0 + f64::from(i32::try_from(n / 8).unwrap()) * 0.6, -8.0 + f64::from(i32::try_from(n % 8).unwrap()) * 0.7);
    let towns: Vec<String> = (0..64).map(|n| format!("({n}, {}, {}, {})", town(n).lat(), town(n).lon(), cell_of(town(n)))).collect();
    let (fresh, analyze) = match &store.db {
        Db::Postgres(_) => ("gen_random_uuid()", "ANALYZE listings"),
        // As it runs: nobody analyses.
        Db::Sqlite(_) => ("randomblob(16)", "SELECT 1"),
    };
    // 64 · 63 · 6 = 24,192 rides; every seventh has no seat left.
    let fill = format!(
        "WITH RECURSIVE towns (n, lat, lon, cell) AS (VALUES {}), rides (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM rides WHERE i < 5) \
         INSERT INTO listings (room, idx, kind, owner, at, from_stop, to_stop, from_lat, from_lon, to_lat, to_lon, from_cell, to_cell, seats) \
         SELECT {fresh}, 0, 'pool', {fresh}, {DAY_MS} + (a.n * 64 + b.n) * 60000 + i, {fresh}, {fresh}, \
         a.lat, a.lon, b.lat, b.lon, a.cell, b.cell, (a.n * 31 + b.n * 17 + i) % 7 \
         FROM towns a CROSS JOIN towns b CROSS JOIN rides WHERE a.n <> b.n",
        towns.join(", ")
    );
    for sql in [fill.as_str(), analyze] {
        tripsync::db_write!(&store.db, |pool| sqlx::query(sqlx::AssertSqlSafe(sql)).execute(pool).await.map(drop)).unwrap();
    }
    let (here, there) = (town(9), town(50));
    let wide = |position| Near { position, radius_m: 30_000 };
    let month = Timestamp::from_ms(31 * DAY_MS);
    let both_ends = Search { latest: month, ..looking(here, Some(there)) };
    let group = Group::new("TU Delft").unwrap();
    for (name, search) in [
        ("both ends", both_ends),
        (
            "one day, two seats, a price",
            Search { latest: Timestamp::from_ms(4 * DAY_MS), seats: 2, price_max: Some(euros(900)), ..both_ends },
        ),
        ("the start", Search { latest: month, ..looking(here, None) }),
        ("wide", Search { from: wide(here), to: Some(wide(there)), ..both_ends }),
        ("for a group", Search { groups: Groups::Of(Some(&group)), kind: Some("pool"), ..both_ends }),
        ("for whichever group", Search { groups: Groups::All, ..both_ends }),
    ] {
        let plan = plan(&store.db, &search).await.unwrap();
        let reads: Vec<_> = plan.iter().filter(|line| line.contains("listings")).collect();
        match &store.db {
            // Once planned for any values, once for these.
            Db::Postgres(_) => {
                let scans = |what: &str| plan.iter().filter(|line| line.contains(what)).count();
                assert_eq!((scans("Seq Scan"), scans("listings_cells")), (0, 2), "{name}: {plan:#?}");
                let by_cell = plan.iter().filter(|line| line.contains("Index Cond") && line.contains("from_cell = ANY")).count();
                assert_eq!(by_cell, 2, "{name}: {plan:#?}");
            }
            Db::Sqlite(_) => {
                assert!(
                    reads.len() == 1 && reads[0].starts_with("SEARCH listings USING INDEX listings_cells (from_cell=?"),
                    "{name}: {plan:#?}"
                );
            }
        }
    }
    // And it is the right one: those who go from here to there with a seat left.
    let found = store.found(&both_ends).await;
    assert_eq!(found.len(), (0..6).filter(|i| (9 * 31 + 50 * 17 + i) % 7 != 0).count());
    store.close().await;
}

async fn listings_follow_the_room(database: TestDatabase) {
    let store = Store::open(&database, JournalOptions::default()).await;
    let (here, there, elsewhere) = (at(1.0, 2.0), at(1.5, 2.0), at(7.0, 7.0));
    let list = |sections| Projection::Listing(Box::new(listing(sections)));
    let two = vec![section(here, there, 1), section(there, elsewhere, 1)];
    let room = store.listed("pool", listing(two)).await;
    assert_eq!(store.found(&looking(there, Some(elsewhere))).await, [room.0]);
    // Fewer sections, elsewhere: nothing is left of the others.
    store.projected_at(room, 2, vec![list(vec![section(elsewhere, here, 1)])]).await;
    assert_eq!(store.found(&looking(there, None)).await, []);
    assert_eq!(store.found(&looking(here, None)).await, []);
    assert_eq!(store.found(&looking(elsewhere, Some(here))).await, [room.0]);
    // Of several in one append the last counts.
    let there_again = vec![list(vec![section(here, there, 1)]), Projection::Unlisted, list(vec![section(there, here, 1)])];
    store.projected_at(room, 3, there_again).await;
    assert_eq!(store.found(&looking(there, Some(here))).await, [room.0]);
    assert_eq!(store.found(&looking(here, None)).await, []);
    store.projected_at(room, 4, vec![Projection::Unlisted]).await;
    assert_eq!(store.found(&looking(there, None)).await, []);
    // A refused append lists nothing; one whose room has ended lists nothing either.
    let fenced = [append((room.0, Epoch(0)), vec![record(5)], vec![list(vec![section(here, there, 1)])])];
    assert!(store.journal.append(fenced.into()).await.unwrap()[0].is_err());
    assert_eq!(store.found(&looking(here, None)).await, []);
    store.projected_at(room, 5, vec![list(vec![section(here, there, 1)])]).await;
    assert_eq!(store.found(&looking(here, None)).await, [room.0]);
    store.projected_at(room, 6, vec![Projection::RoomGone]).await;
    assert_eq!(store.found(&looking(here, None)).await, []);
    assert_eq!(store.journal.read(room.0, Seq(0), Seq(99), 99).await.unwrap().len(), 6);
    store.close().await;
}
