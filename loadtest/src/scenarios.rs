//! What is measured.

use crate::client::Client;
use crate::measure::{append_baseline, histogram, quantiles, record, show};
use crate::server::Server;
use anyhow::{Context, ensure};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

/// How long to wait for what is still on its way when the schedule is over.
const TAIL: Duration = Duration::from_secs(20);
/// Rooms and sockets are made by this many tasks at once.
const MAKERS: u32 = 16;

/// One client that waits for each answer.
pub(crate) async fn ack(server: &mut Server, commands: u32) -> anyhow::Result<()> {
    let account = server.account("ack").await?;
    let trip = server.trip(&account).await?;
    let mut client = Client::join(&server.address, &account, &trip).await?;
    let mut latencies = histogram();
    for n in 1..=u64::from(commands) {
        let started = Instant::now();
        client.say(n).await?;
        client.answered(n).await?;
        if n > 100 {
            record(&mut latencies, started.elapsed());
        }
    }
    let baseline = append_baseline(server.data.path(), commands.min(1_000))?;
    show("ack, idle", quantiles(&latencies));
    show("one 200-byte append with fdatasync", quantiles(&baseline));
    Ok(())
}

/// Commands at a fixed rate over many rooms with a number of members each.
pub(crate) async fn rate(server: &mut Server, rooms: u32, members: u32, per_second: u32, length: Duration) -> anyhow::Result<()> {
    let account = server.account("rate").await?;
    let trips = trips(server, &account, rooms).await?;
    let start = Instant::now() + Duration::from_secs(2) + Duration::from_micros(300) * (rooms * members);
    let interval = Duration::from_secs(1) * rooms / per_second;
    let per_room = u64::try_from(length.as_nanos() / interval.as_nanos())?;
    let deliveries = Arc::new(AtomicU64::new(0));
    let mut authors = JoinSet::new();
    let mut audience = JoinSet::new();
    for (index, trip) in (0..).zip(trips) {
        for _ in 1..members {
            let mut client = Client::join(&server.address, &account, &trip).await?;
            let deliveries = Arc::clone(&deliveries);
            audience.spawn(async move {
                let mut got = 0;
                let mut latencies = histogram();
                let first = start + interval * index / rooms;
                while got < per_room {
                    let frame = client.next().await?;
                    if frame.t == "events" {
                        let now = Instant::now();
                        for _ in &frame.events {
                            let due = first + interval.saturating_mul(u32::try_from(got)?);
                            record(&mut latencies, now.saturating_duration_since(due));
                            got += 1;
                        }
                        deliveries.fetch_add(frame.events.len() as u64, Ordering::Relaxed);
                    }
                }
                anyhow::Ok(latencies)
            });
        }
        let client = Client::join(&server.address, &account, &trip).await?;
        // Spread over the interval, so that rooms do not all speak at once.
        let first = start + interval * index / rooms;
        authors.spawn(author(client, first, interval, per_room, Arc::clone(&deliveries)));
    }
    ensure!(Instant::now() < start, "joining took longer than planned: use fewer members");
    sleep_until(start).await;
    let (cpu, own) = (server.cpu_seconds()?, own_cpu_seconds()?);
    let mut acks = histogram();
    let mut lags = histogram();
    while let Some(done) = authors.join_next().await {
        let (latencies, lag) = done??;
        acks.add(latencies)?;
        lags.add(lag)?;
    }
    let mut delivered = histogram();
    let gathered = timeout(TAIL, async {
        while let Some(done) = audience.join_next().await {
            delivered.add(done??)?;
        }
        anyhow::Ok(())
    });
    gathered.await.context("not every delivery arrived")??;
    let (cpu, own) = (server.cpu_seconds()? - cpu, own_cpu_seconds()? - own);
    let deliveries = deliveries.load(Ordering::Relaxed);
    show("commands per second, due", per_second);
    show("ack, from the due time", quantiles(&acks));
    if members > 1 {
        show("delivery, from the due time", quantiles(&delivered));
    }
    show("generator behind its schedule", quantiles(&lags));
    show("deliveries, authors included", deliveries);
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let millions = deliveries as f64 / 1e6;
    show("server CPU seconds per million deliveries", format!("{:.1}", cpu / millions));
    show("server CPU seconds, generator CPU seconds", format!("{cpu:.2}, {own:.2}"));
    Ok(())
}

type Latencies = (hdrhistogram::Histogram<u64>, hdrhistogram::Histogram<u64>);

/// Sends on schedule whatever comes back, and reads what comes back.
async fn author(
    mut client: Client,
    first: Instant,
    interval: Duration,
    commands: u64,
    deliveries: Arc<AtomicU64>,
) -> anyhow::Result<Latencies> {
    let (mut latencies, mut lags) = (histogram(), histogram());
    let (mut sent, mut answered, mut got) = (0_u64, 0_u64, 0_u64);
    let due = |n: u64| first + interval.saturating_mul(u32::try_from(n).unwrap_or(u32::MAX));
    let end = due(commands) + TAIL;
    while answered < commands || got < commands {
        tokio::select! {
            biased;
            () = sleep_until(due(sent)), if sent < commands => {
                record(&mut lags, due(sent).elapsed());
                sent += 1;
                client.say(sent).await?;
            }
            frame = client.next() => {
                let frame = frame?;
                match frame.t.as_str() {
                    "ack" => {
                        let n = frame.n.context("an ack without its number")?;
                        record(&mut latencies, due(n - 1).elapsed());
                        answered += 1;
                    }
                    "events" => {
                        got += frame.events.len() as u64;
                        deliveries.fetch_add(frame.events.len() as u64, Ordering::Relaxed);
                    }
                    "rejected" | "bye" | "left" | "error" => anyhow::bail!("{}: {:?}", frame.t, frame.code),
                    _ => {}
                }
            }
            () = sleep_until(end) => anyhow::bail!("{answered} of {commands} commands were answered in time"),
        }
    }
    Ok((latencies, lags))
}

/// The most durable commands per second.
pub(crate) async fn throughput(server: &mut Server, rooms: u32, window: u32, length: Duration) -> anyhow::Result<()> {
    let account = server.account("throughput").await?;
    let mut clients = JoinSet::new();
    let end = Instant::now() + length + Duration::from_secs(3);
    let start = end - length;
    let trips = trips(server, &account, rooms).await?;
    for trip in trips {
        let mut client = Client::join(&server.address, &account, &trip).await?;
        clients.spawn(async move {
            let (mut sent, mut counted) = (0, 0_u64);
            sleep_until(start - Duration::from_secs(1)).await;
            for _ in 0..window {
                sent += 1;
                client.say(sent).await?;
            }
            while Instant::now() < end {
                let frame = client.next().await?;
                if frame.t == "rejected" {
                    anyhow::bail!("rejected: {:?}", frame.code);
                }
                if frame.t == "ack" {
                    if Instant::now() >= start {
                        counted += 1;
                    }
                    sent += 1;
                    client.say(sent).await?;
                }
            }
            anyhow::Ok(counted)
        });
    }
    ensure!(Instant::now() < start - Duration::from_secs(1), "joining took longer than planned: use fewer rooms");
    sleep_until(start).await;
    let cpu = server.cpu_seconds()?;
    sleep_until(end).await;
    let cpu = server.cpu_seconds()? - cpu;
    let mut commands = 0;
    while let Some(done) = clients.join_next().await {
        commands += done??;
    }
    #[expect(clippy::cast_precision_loss, reason = "shown without decimals")]
    let per_second = commands as f64 / length.as_secs_f64();
    show("durable commands per second", format!("{per_second:.0}"));
    #[expect(clippy::cast_precision_loss, reason = "shown without decimals")]
    let each = cpu / commands as f64 * 1e6;
    show("server CPU per command", format!("{each:.0} µs"));
    Ok(())
}

/// Memory of what does nothing.
pub(crate) async fn idle(server: &mut Server, sessions: u32, rooms: u32) -> anyhow::Result<()> {
    let account = server.account("idle").await?;
    let trip = server.trip(&account).await?;
    // What the first ones allocate once is not counted.
    let mut clients = Vec::new();
    for _ in 0..100 {
        clients.push(Client::join(&server.address, &account, &trip).await?);
    }
    let before = server.resident_bytes()?;
    for _ in 0..sessions {
        clients.push(Client::join(&server.address, &account, &trip).await?);
    }
    settle().await;
    let per_session = (server.resident_bytes()?.saturating_sub(before)) / u64::from(sessions);
    show("resident bytes per idle joined session", per_session);
    let cpu = server.cpu_seconds()?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    show("CPU while idle, percent of a core", format!("{:.1}", (server.cpu_seconds()? - cpu) * 10.0));
    drop(clients);
    settle().await;

    trips(server, &account, 100).await?;
    let before = server.resident_bytes()?;
    trips(server, &account, rooms).await?;
    settle().await;
    let per_room = (server.resident_bytes()?.saturating_sub(before)) / u64::from(rooms);
    show("resident bytes per idle room, state included", per_room);
    Ok(())
}

/// Restores a trip with a long history.
pub(crate) async fn hydrate(server: &mut Server, events: u32) -> anyhow::Result<()> {
    let account = server.account("hydrate").await?;
    let trip = server.trip(&account).await?;
    let mut client = Client::join(&server.address, &account, &trip).await?;
    let (mut sent, mut answered) = (0_u64, 0_u64);
    while answered < u64::from(events) {
        while sent < u64::from(events) && sent - answered < 100 {
            sent += 1;
            client.say(sent).await?;
        }
        if client.next().await?.t == "ack" {
            answered += 1;
        }
    }
    drop(client);
    let mut cold = histogram();
    let mut warm = histogram();
    for _ in 0..5 {
        server.restart().await?;
        // The first socket of a process pays for other things too.
        let other = server.trip(&account).await?;
        Client::join(&server.address, &account, &other).await?;
        for latencies in [&mut cold, &mut warm] {
            let started = Instant::now();
            Client::join(&server.address, &account, &trip).await?;
            record(latencies, started.elapsed());
        }
    }
    show("connect and join, room not in memory", quantiles(&cold));
    show("connect and join, room in memory", quantiles(&warm));
    Ok(())
}

/// Makes trips, several at a time.
async fn trips(server: &Server, account: &crate::server::Account, count: u32) -> anyhow::Result<Vec<String>> {
    let mut all = Vec::new();
    let mut left = count;
    while left > 0 {
        let now = left.min(MAKERS);
        let made = futures_util::future::try_join_all((0..now).map(|_| server.trip(account))).await?;
        all.extend(made);
        left -= now;
    }
    Ok(all)
}

/// Lets the server finish what follows a join.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(3)).await;
}

fn own_cpu_seconds() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit_once(')').context("no stat")?.1.split_whitespace().collect();
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0)
}
