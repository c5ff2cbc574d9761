//! One connection to Redis that comes back by itself.
//!
//! A task keeps it: connects, subscribes, asks for a sign of life every second and whenever a call failed, and begins anew when there is
//! none. Meanwhile calls fail at once rather than wait. Pub/sub messages are handed to a function as they are read, so that nothing queues
//! in between (RESP3 pushes; the connection that the `redis` crate makes for RESP2 has a queue without a bound).

use super::fault::Fault;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo, ProtocolVersion, PushInfo, PushKind, RedisResult, Value};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

/// How often a quiet connection is asked for a sign of life: a half-open one never says that it is.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// How long connecting may take, names, TLS and log-in included; a lost first packet is sent again after a second.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// Pauses between attempts: doubled from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// Takes a message: its channel, its bytes. Must not block.
pub(super) type OnMessage = Arc<dyn Fn(&[u8], Vec<u8>) + Send + Sync>;

/// What a connection is for.
pub(super) struct Purpose {
    /// In logs and metrics.
    pub(super) name: &'static str,
    /// Subscribed to whenever it connects.
    pub(super) channels: Vec<String>,
    /// Where messages go.
    pub(super) on_message: OnMessage,
}

impl Purpose {
    /// Calls only.
    pub(super) fn calls(name: &'static str) -> Self {
        Self { name, channels: Vec::new(), on_message: Arc::new(|_, _| {}) }
    }
}

/// See the module's text. Dropping it closes the connection.
pub(super) struct Link {
    state: Arc<State>,
    _keeper: AbortOnDropHandle<()>,
}

/// Which of a link's connections something was done over, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nth(u64);

struct State {
    name: &'static str,
    connection: watch::Sender<Option<(Nth, MultiplexedConnection)>>,
    /// Somebody has reason to think that the connection is gone.
    doubt: Notify,
    /// It works, and is of no use: the server does not write.
    useless: AtomicBool,
    /// Signs of life: answers to calls, messages.
    signs: AtomicU64,
    call_timeout: Duration,
}

impl Link {
    /// Begins to connect.
    pub(super) fn start(url: &str, purpose: Purpose, call_timeout: Duration) -> Result<Self, Fault> {
        let client = client(url).map_err(Fault::Url)?;
        let state = Arc::new(State {
            name: purpose.name,
            connection: watch::Sender::new(None),
            doubt: Notify::new(),
            useless: AtomicBool::new(false),
            signs: AtomicU64::new(0),
            call_timeout,
        });
        let keeper = AbortOnDropHandle::new(tokio::spawn(keep(Arc::clone(&state), client, purpose)));
        Ok(Self { state, _keeper: keeper })
    }

    /// Waits until there is a connection.
    pub(super) async fn ready(&self) {
        // Fails when the sender is gone, which it is not while we are here.
        let _ = self.state.connection.subscribe().wait_for(Option::is_some).await;
    }

    /// Runs a command, within the limit of a call. Says over which connection, too.
    pub(super) async fn call<T, F>(&self, run: impl FnOnce(MultiplexedConnection) -> F) -> Result<(Nth, T), Fault>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let state = &self.state;
        let (nth, connection) = state.connection.borrow().clone().ok_or(Fault::Away)?;
        let fault = match timeout(state.call_timeout, run(connection)).await {
            Ok(Ok(answer)) => {
                state.signs.fetch_add(1, Ordering::Relaxed);
                return Ok((nth, answer));
            }
            Ok(Err(error)) => Fault::Redis(error),
            Err(_) => Fault::Silent(state.call_timeout),
        };
        if fault.is_of_a_replica() {
            state.useless.store(true, Ordering::Relaxed);
        }
        if fault.is_doubtful() || fault.is_of_a_replica() {
            state.doubt.notify_one();
        }
        Err(fault)
    }
}

/// RESP3 for pushes; no waiting for more to send (Nagle). What waits in a connection that is given up is thrown away (a linger time of
/// zero): a release that Redis got later would undo a claim over the next connection.
fn client(url: &str) -> RedisResult<Client> {
    let info = url.into_connection_info()?;
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Client::open(
        info.set_redis_settings(settings).set_tcp_settings(TcpSettings::default().set_nodelay(true).set_linger_time(Duration::ZERO)),
    )
}

async fn keep(state: Arc<State>, client: Client, purpose: Purpose) {
    let name = state.name;
    let connected = metrics::gauge!("tripsync_redis_connected", "connection" => name);
    let mut pause = PAUSES.0;
    let mut told = false;
    let mut count = 0;
    loop {
        connected.set(0.0);
        match open(&state, &client, &purpose).await {
            Ok(connection) => {
                tracing::info!(connection = name, "connected to redis");
                connected.set(1.0);
                (pause, told) = (PAUSES.0, false);
                count += 1;
                state.useless.store(false, Ordering::Relaxed);
                state.connection.send_replace(Some((Nth(count), connection.clone())));
                let fault = hold(&state, connection).await;
                state.connection.send_replace(None);
                metrics::counter!("tripsync_redis_lost_total", "connection" => name).increment(1);
                tracing::warn!(connection = name, error = %crate::telemetry::chain(&fault), "redis lost");
            }
            Err(fault) => {
                // Once, not at every attempt.
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(connection = name, error = %crate::telemetry::chain(&fault), "redis cannot be reached, trying on");
                }
            }
        }
        // Nodes that lost it together do not come back together.
        sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

async fn open(state: &Arc<State>, client: &Client, purpose: &Purpose) -> Result<MultiplexedConnection, Fault> {
    let (state, on_message) = (Arc::downgrade(state), Arc::clone(&purpose.on_message));
    let on_push = move |push: PushInfo| -> Result<(), redis::aio::SendError> {
        let Some(state) = state.upgrade() else { return Err(redis::aio::SendError) };
        // Besides these: what Redis says about subscriptions, and kinds to come.
        if push.kind == PushKind::Disconnection {
            state.doubt.notify_one();
        } else if push.kind == PushKind::Message {
            state.signs.fetch_add(1, Ordering::Relaxed);
            let mut parts = push.data.into_iter();
            if let (Some(Value::BulkString(channel)), Some(Value::BulkString(message))) = (parts.next(), parts.next()) {
                on_message(&channel, message);
            }
        }
        Ok(())
    };
    // Limits of our own stand around every call.
    let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None).set_push_sender(on_push);
    let opening = async {
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        for channel in &purpose.channels {
            connection.subscribe(channel).await?;
        }
        Ok(connection)
    };
    match timeout(CONNECT_LIMIT, opening).await {
        Ok(opened) => opened.map_err(Fault::Redis),
        Err(_) => Err(Fault::Silent(CONNECT_LIMIT)),
    }
}

/// Back when the connection is gone.
async fn hold(state: &State, mut connection: MultiplexedConnection) -> Fault {
    loop {
        // Whichever comes first: both are a reason to look.
        let _ = timeout(CHECK_EVERY, state.doubt.notified()).await;
        if state.useless.load(Ordering::Relaxed) {
            return Fault::Replica;
        }
        let signs = state.signs.load(Ordering::Relaxed);
        match timeout(state.call_timeout, redis::cmd("PING").query_async::<()>(&mut connection)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Fault::Redis(error),
            // The answer may wait behind a flood of messages, which is no reason to lose them all.
            Err(_) if state.signs.load(Ordering::Relaxed) != signs => {}
            Err(_) => return Fault::Silent(state.call_timeout),
        }
    }
}
