//! Measurements that are no scenarios: clients that wait for each answer, or keep a window of commands unanswered (closed models).

use crate::client::Client;
use crate::measure::{append_baseline, histogram, quantiles, record, show};
use crate::server::Server;
use anyhow::ensure;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

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

/// Restores a trip with a long history.
pub(crate) async fn hydrate(server: &mut Server, events: u32) -> anyhow::Result<()> {
    let account = server.account("hydrate").await?;
    let trip = server.trip(&account).await?;
    let mut client = Client::join(&server.address, &account, &trip).await?;
    client.say_many(events).await?;
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
