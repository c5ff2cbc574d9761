//! How nodes could talk through Redis: publish/subscribe against streams, measured (docs/adr/0015-transport.md).
//!
//! `cargo xtask services cargo run --release --example transport`. One sender and one receiver in this process, each with a connection of
//! its own; Redis beside it. Latency is from just before the command is handed over until the receiver has the bytes.

#![expect(clippy::print_stdout, reason = "a table for people")]

use anyhow::Context as _;
use futures_util::StreamExt as _;
use futures_util::stream;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo as _, ProtocolVersion, PushInfo, PushKind, Value};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval};

/// Messages per second when latency is measured, and how many.
const PACE: (u64, usize) = (1_000, 5_000);
/// Messages when throughput is measured, and how many may be unanswered.
const FLOOD: (usize, usize) = (200_000, 64);
/// Runs of everything.
const RUNS: usize = 5;
/// Entries that a stream keeps, roughly: what a receiver may be behind.
const KEPT: usize = 16_384;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    PubSub,
    Stream,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("TRIPSYNC_TEST_REDIS_URL").context("run it through `cargo xtask services`")?;
    println!("way      bytes   p50 us   p99 us   messages/s   redis CPU us   client CPU us (each per message)");
    for bytes in [300, 4_096] {
        for _ in 0..RUNS {
            // In turns, so that a busy machine is busy for both.
            for way in [Way::PubSub, Way::Stream] {
                measure(&url, way, bytes).await?;
            }
        }
    }
    Ok(())
}

async fn measure(url: &str, way: Way, bytes: usize) -> anyhow::Result<()> {
    let key = format!("transport:{}", uuid::Uuid::now_v7());
    let start = Instant::now();
    let (into, mut arrived) = mpsc::channel(FLOOD.0);
    let receiver = match way {
        Way::PubSub => subscribe(url, &key, into).await?,
        Way::Stream => follow(url, &key, into).await?,
    };
    let sender = connect(url, AsyncConnectionConfig::new()).await?;

    let (per_second, count) = PACE;
    let mut pace = interval(Duration::from_secs(1) / u32::try_from(per_second)?);
    let mut latencies = Vec::with_capacity(count);
    for _ in 0..count {
        pace.tick().await;
        send(&sender, way, &key, stamped(start, bytes)).await?;
        let message: Vec<u8> = arrived.recv().await.context("the receiver ended")?;
        latencies.push(nanos(start)? - u64::from_le_bytes(message[..8].try_into()?));
    }
    latencies.sort_unstable();

    let (redis_before, own_before, began) = (redis_cpu(&sender).await?, own_cpu()?, Instant::now());
    let (count, in_flight) = FLOOD;
    let sending = async {
        let sends = stream::iter(0..count).map(|_| send(&sender, way, &key, stamped(start, bytes)));
        sends.buffer_unordered(in_flight).fold(Ok(()), async |all: anyhow::Result<()>, one| all.and(one)).await
    };
    let receiving = async {
        for _ in 0..count {
            arrived.recv().await.context("the receiver ended")?;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(sending, receiving)?;
    let seconds = began.elapsed().as_secs_f64();
    let each = 1e6 / f64::from(u32::try_from(count)?);
    println!(
        "{:7} {bytes:6} {:8.0} {:8.0} {:12.0} {:14.2} {:15.2}",
        format!("{way:?}"),
        micros(latencies[latencies.len() / 2]),
        micros(latencies[latencies.len() * 99 / 100]),
        f64::from(u32::try_from(count)?) / seconds,
        (redis_cpu(&sender).await? - redis_before) * each,
        (own_cpu()? - own_before) * each,
    );
    receiver.abort();
    redis::cmd("DEL").arg(&key).query_async::<()>(&mut sender.clone()).await?;
    Ok(())
}

/// The time, and filling.
fn stamped(start: Instant, bytes: usize) -> Vec<u8> {
    let mut message = vec![0x5a; bytes];
    message[..8].copy_from_slice(&nanos(start).unwrap_or(0).to_le_bytes());
    message
}

fn nanos(start: Instant) -> anyhow::Result<u64> {
    Ok(u64::try_from(start.elapsed().as_nanos())?)
}

fn micros(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64() * 1e6
}

async fn connect(url: &str, config: AsyncConnectionConfig) -> anyhow::Result<MultiplexedConnection> {
    let info = url.into_connection_info()?;
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let tcp = redis::io::tcp::TcpSettings::default().set_nodelay(true);
    let client = Client::open(info.set_redis_settings(settings).set_tcp_settings(tcp))?;
    Ok(client.get_multiplexed_async_connection_with_config(&config.set_response_timeout(None)).await?)
}

async fn send(connection: &MultiplexedConnection, way: Way, key: &str, message: Vec<u8>) -> anyhow::Result<()> {
    let mut command = match way {
        Way::PubSub => redis::cmd("PUBLISH"),
        Way::Stream => redis::cmd("XADD"),
    };
    command.arg(key);
    if way == Way::Stream {
        command.arg("MAXLEN").arg("~").arg(KEPT).arg("*").arg("m");
    }
    Ok(command.arg(message).query_async::<()>(&mut connection.clone()).await?)
}

async fn subscribe(url: &str, channel: &str, into: mpsc::Sender<Vec<u8>>) -> anyhow::Result<tokio::task::JoinHandle<()>> {
    let on_push = move |push: PushInfo| {
        if let (PushKind::Message, Some(Value::BulkString(message))) = (push.kind, push.data.into_iter().nth(1)) {
            return into.try_send(message).map_err(|_| redis::aio::SendError);
        }
        Ok(())
    };
    let mut connection = connect(url, AsyncConnectionConfig::new().set_push_sender(on_push)).await?;
    connection.subscribe(channel).await?;
    Ok(tokio::spawn(async move {
        // The connection lives as long as this does.
        let _connection = connection;
        std::future::pending::<()>().await;
    }))
}

async fn follow(url: &str, stream: &str, into: mpsc::Sender<Vec<u8>>) -> anyhow::Result<tokio::task::JoinHandle<()>> {
    type Entries = Vec<(String, Vec<(String, Vec<u8>)>)>;
    let mut connection = connect(url, AsyncConnectionConfig::new()).await?;
    let stream = stream.to_owned();
    Ok(tokio::spawn(async move {
        let mut last = "0".to_owned();
        loop {
            let mut read = redis::cmd("XREAD");
            read.arg("COUNT").arg(512).arg("BLOCK").arg(1_000).arg("STREAMS").arg(&stream).arg(&last);
            let answer: Option<std::collections::HashMap<String, Entries>> =
                read.query_async(&mut connection).await.expect("the stream can be read");
            for (id, fields) in answer.into_iter().flatten().flat_map(|(_, entries)| entries) {
                last = id;
                for (_, message) in fields {
                    if into.send(message).await.is_err() {
                        return;
                    }
                }
            }
        }
    }))
}

/// Seconds that Redis has used.
async fn redis_cpu(connection: &MultiplexedConnection) -> anyhow::Result<f64> {
    let info: String = redis::cmd("INFO").arg("cpu").query_async(&mut connection.clone()).await?;
    let of = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
    Ok(of("used_cpu_user:").context("used_cpu_user")? + of("used_cpu_sys:").context("used_cpu_sys")?)
}

/// Seconds that this process has used (proc(5); a hundred ticks a second).
fn own_cpu() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit_once(')').context("stat")?.1.split_whitespace().collect();
    let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / 100.0)
}
