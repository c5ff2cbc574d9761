//! Searching among many open pools, over REST.
//!
//! The pools lie as rides do: between towns, most of them leaving from the bigger ones, each a few kilometres beside the middle of its
//! town. The same seed gives the same pools and the same searches, so that two runs can be compared.

use crate::measure::{histogram, quantiles, record, show};
use crate::server::{Account, Server};
use anyhow::ensure;
use futures_util::{StreamExt, TryStreamExt, stream};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tripsync_domain::Timestamp;
use uuid::Uuid;

/// Pools that are made at once.
const MAKERS: usize = 32;
/// Towns that rides go between.
const TOWNS: usize = 60;
/// The part of the world in which they are: latitudes and longitudes, in degrees. Some 500 km by 450 km.
const AREA: [(f64, f64); 2] = [(40.0, 44.5), (-8.0, -2.5)];
/// How far from the middle of its town a ride begins or ends, in degrees: some 4 km.
const SPREAD: f64 = 0.035;
/// Departures within so many days from now.
const DAYS: i64 = 30;
const DAY_S: i64 = 86_400;
/// A server that uses less of a core than this, over a second, is done with what making the pools left behind.
const QUIET: f64 = 0.05;
/// How long it may take to get there.
const QUIET_WITHIN: Duration = Duration::from_secs(600);
/// Searches that are not counted: they fill caches.
const WARM_UP: u32 = 50;

/// What a searcher may ask besides the places.
struct Kind {
    name: &'static str,
    radius_m: u32,
    one_day: bool,
}

const KINDS: [Kind; 3] = [
    Kind { name: "5 km, any day", radius_m: 5_000, one_day: false },
    Kind { name: "5 km, one day, 2 seats", radius_m: 5_000, one_day: true },
    Kind { name: "20 km, any day", radius_m: 20_000, one_day: false },
];

/// Makes the pools, then searches one after the other.
pub(crate) async fn run(server: &mut Server, pools: u32, searches: u32) -> anyhow::Result<()> {
    let owner = server.account("search-owner").await?;
    let finder = server.account("search-finder").await?;
    let mut random = StdRng::seed_from_u64(1);
    let world = World::new(&mut random);
    let (now, _) = Uuid::now_v7().get_timestamp().map_or((0, 0), |at| at.to_unix());
    let now = i64::try_from(now)?;
    let bodies: Vec<Value> = (0..pools).map(|_| world.pool(&mut random, now)).collect();
    let started = Instant::now();
    stream::iter(bodies.iter().map(|body| server.post("/pools", Some(&owner), body)))
        .buffer_unordered(MAKERS)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    let seconds = started.elapsed().as_secs_f64();
    show("open pools", pools);
    show("made, per second", format!("{:.0}", f64::from(pools) / seconds));
    quiet(server).await?;
    for kind in &KINDS {
        measure(server, &finder, &world, &mut random, kind, searches, now).await?;
    }
    Ok(())
}

/// Waits until nothing of the server's work is about the making of the pools any more: looking for matches, rooms that go to rest.
async fn quiet(server: &Server) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        let cpu = server.cpu_seconds()?;
        sleep(Duration::from_secs(1)).await;
        if server.cpu_seconds()? - cpu < QUIET {
            show("quiet after", format!("{:.0} s", started.elapsed().as_secs_f64()));
            return Ok(());
        }
        ensure!(started.elapsed() < QUIET_WITHIN, "the server is still busy after {} s", QUIET_WITHIN.as_secs());
    }
}

async fn measure(
    server: &Server,
    finder: &Account,
    world: &World,
    random: &mut StdRng,
    kind: &Kind,
    searches: u32,
    now: i64,
) -> anyhow::Result<()> {
    let mut latencies = histogram();
    let (mut found, mut complete) = (0, 0);
    let cpu = server.cpu_seconds()?;
    for n in 0..WARM_UP + searches {
        let query = world.query(random, kind, now);
        let started = Instant::now();
        let page = server.get(&query, finder).await?;
        if n >= WARM_UP {
            record(&mut latencies, started.elapsed());
            found += page["items"].as_array().map_or(0, Vec::len);
            complete += u32::from(page["complete"] == true);
        }
    }
    let cpu = server.cpu_seconds()? - cpu;
    ensure!(found > 0, "{}: nothing was found: {} is no real case", kind.name, kind.name);
    show(&format!("search, {}", kind.name), quantiles(&latencies));
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let each = found as f64 / f64::from(searches);
    show("  found on the first page, on average", format!("{each:.1}"));
    show("  complete (not cut at the bound)", format!("{:.1} %", f64::from(complete) / f64::from(searches) * 100.0));
    show("  server CPU per search", format!("{:.2} ms", cpu / f64::from(WARM_UP + searches) * 1e3));
    Ok(())
}

/// The towns.
struct World(Vec<(f64, f64)>);

impl World {
    fn new(random: &mut StdRng) -> Self {
        let [lat, lon] = AREA;
        Self((0..TOWNS).map(|_| (random.random_range(lat.0..lat.1), random.random_range(lon.0..lon.1))).collect())
    }

    /// A place in a town; the first towns are the big ones.
    fn place(&self, random: &mut StdRng, town: usize) -> (f64, f64) {
        let (lat, lon) = self.0[town];
        (lat + random.random_range(-SPREAD..SPREAD), lon + random.random_range(-SPREAD..SPREAD))
    }

    fn way(&self, random: &mut StdRng) -> [(f64, f64); 2] {
        // The less of two draws: the first town is in one ride of 15, the last in one of 1,800.
        let from = random.random_range(0..TOWNS).min(random.random_range(0..TOWNS));
        let to = (from + random.random_range(1..TOWNS)) % TOWNS;
        [self.place(random, from), self.place(random, to)]
    }

    fn pool(&self, random: &mut StdRng, now: i64) -> Value {
        let [from, to] = self.way(random);
        let departure = now + random.random_range(3_600..DAYS * DAY_S);
        json!({
            "stops": [
                {"name": "From here", "position": {"lat": from.0, "lon": from.1}},
                {"name": "To there", "position": {"lat": to.0, "lon": to.1}},
            ],
            "departure": {"local": instant(departure)[..16], "tz": "Etc/UTC"},
            "seats": random.random_range(1..5),
            "price": {"minor": random.random_range(300..3_000), "currency": "EUR"},
        })
    }

    fn query(&self, random: &mut StdRng, kind: &Kind, now: i64) -> String {
        let [from, to] = self.way(random);
        let mut query = format!("/pools/search?from={:.5},{:.5}&to={:.5},{:.5}&radius_m={}", from.0, from.1, to.0, to.1, kind.radius_m);
        if kind.one_day {
            let after = now + random.random_range(1..DAYS - 1) * DAY_S;
            query += &format!("&seats=2&after={}&before={}", instant(after), instant(after + DAY_S));
        }
        query
    }
}

/// As the API writes instants.
fn instant(unix_s: i64) -> String {
    Timestamp::from_ms(unix_s * 1_000).to_string()
}
