//! A PostgreSQL connection beside the pool, for questions that must not wait for everything else that is asked.

use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgRow};
use sqlx::query::QueryAs;
use sqlx::{ConnectOptions, Connection, FromRow, Postgres};
use std::sync::Arc;
use tokio::sync::Mutex;

/// One connection, made when it is needed; questions over it wait for each other only. Cheap to clone.
///
/// Not a pool of one: that goes on waiting for a connection that hangs, and has none for others meanwhile. Here whoever gives up drops the
/// connection, and the next question makes a new one.
#[derive(Clone, Debug)]
pub struct Aside {
    options: Arc<PgConnectOptions>,
    idle: Arc<Mutex<Option<PgConnection>>>,
}

impl Aside {
    pub(super) fn new(options: Arc<PgConnectOptions>) -> Self {
        Self { options, idle: Arc::default() }
    }

    /// Asks, once more over a new connection when the old one has broken since it was used. Has no limit of its own: callers give up.
    ///
    /// # Errors
    /// As for any query.
    pub async fn ask<T>(&self, question: impl Fn() -> QueryAs<'static, Postgres, T, PgArguments>) -> sqlx::Result<Vec<T>>
    where
        T: Send + Unpin + for<'r> FromRow<'r, PgRow>,
    {
        let mut idle = self.idle.lock().await;
        if let Some(mut connection) = idle.take()
            && let Ok(answer) = question().fetch_all(&mut connection).await
        {
            *idle = Some(connection);
            return Ok(answer);
        }
        let mut connection = self.options.connect().await?;
        let answer = question().fetch_all(&mut connection).await?;
        *idle = Some(connection);
        Ok(answer)
    }

    pub(super) async fn close(&self) {
        if let Some(connection) = self.idle.lock().await.take() {
            // It is gone either way.
            let _ = connection.close().await;
        }
    }
}
