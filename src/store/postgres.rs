//! Opening PostgreSQL.

use super::{Aside, DbOptions, StoreError};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// Pause between two attempts while the server cannot be reached.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// A connection that does not answer for so long is given up. Nobody may say that it is gone: when the other machine or the network between is away,
/// nothing comes back, and the system goes on trying for a quarter of an hour.
const SILENCE_MAX: Duration = Duration::from_secs(2);

/// What Postgres is to do about this node when it says nothing; stricter settings of the operator stay. In the middle of a transaction it holds
/// locks, perhaps on rooms that others have to take over: those end with the transaction. And a connection to a node whose machine is gone is
/// noticed within a minute instead of two hours.
const SILENT_NODES: &str = "SELECT set_config(name, wanted, false) FROM pg_settings \
     JOIN (VALUES ('idle_in_transaction_session_timeout', '5000'), ('tcp_keepalives_idle', '30'), \
     ('tcp_keepalives_interval', '10'), ('tcp_keepalives_count', '3')) AS w (name, wanted) USING (name) \
     WHERE setting::int = 0 OR setting::int > wanted::int";

/// A pool of connections, and two beside it for what must be known however busy the pool is. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PostgresDb {
    pool: PgPool,
    alive: Aside,
    ended: Aside,
}

impl PostgresDb {
    /// For everything else.
    #[must_use]
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// For signs of life. Strangers may ask for those, so nothing else waits with them.
    pub(super) const fn alive(&self) -> &Aside {
        &self.alive
    }

    /// For logins that have ended.
    pub(super) const fn ended(&self) -> &Aside {
        &self.ended
    }

    pub(super) async fn close(&self) {
        tokio::join!(self.pool.close(), self.alive.close(), self.ended.close());
    }
}

pub(super) async fn connect(url: &str, options: &DbOptions) -> Result<PostgresDb, StoreError> {
    let connect = PgConnectOptions::from_str(url)
        .map_err(|_| StoreError::Url("a PostgreSQL URL looks like postgres://user:secret@host:5432/name"))?
        .application_name("tripsync");
    let where_to = format!("{}:{}/{}", connect.get_host(), connect.get_port(), connect.get_database().unwrap_or(""));
    wait_for(&connect, &where_to, options).await?;
    let aside = Arc::new(connect.clone());
    let pool = PgPoolOptions::new()
        .max_connections(options.connections_max)
        .acquire_timeout(options.acquire_timeout)
        // The pool's own tests have no limit. That before use is replaced; that after use comes after ours.
        .test_before_acquire(false)
        .before_acquire(|connection, _| Box::pin(answers(connection)))
        .after_release(|connection, _| Box::pin(answers(connection)))
        .after_connect(|connection, _| {
            Box::pin(async move {
                // An answer of "committed" must survive a crash of the server: with `off`, 557 of 208,984 acknowledged
                // writes were lost in 10 kills. Any stricter setting of the operator stays.
                sqlx::query(
                    "SELECT set_config('synchronous_commit', 'on', false) \
                     WHERE current_setting('synchronous_commit') = 'off'",
                )
                .execute(&mut *connection)
                .await?;
                sqlx::query(SILENT_NODES).execute(&mut *connection).await?;
                Ok(())
            })
        })
        .connect_lazy_with(connect);
    Ok(PostgresDb { pool, alive: Aside::new(Arc::clone(&aside)), ended: Aside::new(aside) })
}

/// Fails for a connection that is gone, or silent.
pub(super) async fn answers(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    match tokio::time::timeout(SILENCE_MAX, connection.ping()).await {
        Ok(answer) => answer.map(|()| true),
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

/// Waits until the server takes a connection. Not by way of the pool, which keeps to itself why it got none.
async fn wait_for(connect: &PgConnectOptions, where_to: &str, options: &DbOptions) -> Result<(), StoreError> {
    let deadline = tokio::time::Instant::now() + options.wait;
    loop {
        let error = match tokio::time::timeout(options.acquire_timeout, connect.connect()).await {
            Ok(Ok(connection)) => return Ok(connection.close().await?),
            Ok(Err(error)) => StoreError::from(error),
            Err(_) => StoreError::Unavailable { why: "no answer in time", source: None },
        };
        if !error.is_unavailable() || tokio::time::Instant::now() + RETRY_PAUSE > deadline {
            return Err(error);
        }
        tracing::warn!(database = %where_to, "waiting for the database: {}", crate::telemetry::chain(&error));
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}
