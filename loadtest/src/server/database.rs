//! A Postgres database for one server alone, so that no run finds what another left behind.

use anyhow::Context;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use uuid::Uuid;

/// Made empty, and dropped with this.
#[derive(Debug)]
pub(super) struct Own {
    /// URL of the database through which it was made.
    server: String,
    name: String,
}

impl Own {
    /// # Errors
    /// The server cannot be reached, or the user may not make databases.
    pub(super) async fn make(server: &str) -> anyhow::Result<Self> {
        let name = format!("tripsync_load_{}", Uuid::now_v7().simple());
        // `template0`, since nobody can be connected to it: that would make the command fail.
        run(server, format!("CREATE DATABASE {name} TEMPLATE template0")).await.context("a database of its own could not be made")?;
        Ok(Self { server: server.to_owned(), name })
    }

    /// The same server and user.
    pub(super) fn url(&self) -> anyhow::Result<String> {
        let (server, _) = self.server.rsplit_once('/').context("a Postgres URL ends in /database")?;
        Ok(format!("{server}/{}", self.name))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let (server, name) = (std::mem::take(&mut self.server), std::mem::take(&mut self.name));
        // A runtime of its own, since the tool's cannot be waited on from inside a destructor. What cannot be dropped stays: its name says
        // whose it was.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            // By force: the server may just have been killed.
            runtime.block_on(run(&server, format!("DROP DATABASE {name} WITH (FORCE)")))
        });
        dropping.join().ok();
    }
}

async fn run(server: &str, statement: String) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(server).await?;
    connection.execute(AssertSqlSafe(statement)).await?;
    connection.close().await?;
    Ok(())
}
