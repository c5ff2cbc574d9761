//! What is measured: a server that the tool starts, servers that are there, or the floor.

use crate::rest::Rest;
use crate::server::{Database, Server};
use anyhow::Context;
use std::path::PathBuf;
use tripsync_loadtest::floor;
use tripsync_loadtest::results::ServerKind;

/// Where the load goes.
pub(crate) struct Target {
    pub(crate) addresses: Vec<String>,
    pub(crate) kind: ServerKind,
    pub(crate) database: String,
    pub(crate) rest: Rest,
    server: Option<Server>,
    floor: Option<floor::Process>,
}

/// How to get one.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Running servers; the tool starts one when there are none.
    pub(crate) servers: Vec<String>,
    /// The program to start; built when absent.
    pub(crate) program: Option<PathBuf>,
    pub(crate) database: Database,
    /// Keeps the data in memory (`/dev/shm`), where `fdatasync` costs nothing.
    pub(crate) in_memory: bool,
}

impl Target {
    /// Starts or finds it; `settings` are for one that is started.
    pub(crate) async fn open(wanted: &Wanted, settings: Vec<(String, String)>) -> anyhow::Result<Self> {
        if !wanted.servers.is_empty() {
            let addresses: Vec<String> = wanted.servers.iter().map(|url| host(url)).collect::<anyhow::Result<_>>()?;
            let rest = Rest::new(&addresses)?;
            return Ok(Self { addresses, kind: ServerKind::Remote, database: String::new(), rest, server: None, floor: None });
        }
        let program = crate::server::program(wanted.program.clone())?;
        let server = Server::start_with(&program, wanted.database, wanted.in_memory, settings).await?;
        let addresses = vec![server.address.clone()];
        let rest = Rest::new(&addresses)?;
        let database = wanted.database.to_string();
        Ok(Self { addresses, kind: ServerKind::Own, database, rest, server: Some(server), floor: None })
    }

    /// The bare server of this tool, whose rooms have a state of so many bytes.
    pub(crate) fn floor(state_bytes: u32) -> anyhow::Result<Self> {
        let floor = floor::Process::start(state_bytes as usize)?;
        let addresses = vec![floor.address.clone()];
        let rest = Rest::new(&addresses)?;
        Ok(Self { addresses, kind: ServerKind::Floor, database: String::new(), rest, server: None, floor: Some(floor) })
    }

    /// That a server which the tool started has ended by itself.
    pub(crate) fn ended(&self) -> Option<String> {
        self.server.as_ref()?.ended().map(|how| format!("the server ended by itself: {how}"))
    }

    /// Why something went wrong: first of all because the server is no longer there.
    pub(crate) fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        match self.ended() {
            Some(how) => error.context(how),
            None => error,
        }
    }

    /// Its process; none when it is somebody else's.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Server::pid).or_else(|| self.floor.as_ref().map(floor::Process::id))
    }
}

/// `host:port` of a URL or address.
fn host(url: &str) -> anyhow::Result<String> {
    let rest = ["ws://", "http://"].iter().find_map(|scheme| url.strip_prefix(scheme)).unwrap_or(url);
    anyhow::ensure!(!rest.contains("://"), "`{url}`: only http:// and ws:// are spoken here");
    let host = rest.split('/').next().unwrap_or_default();
    host.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()).with_context(|| format!("`{url}` needs a port: host:port"))?;
    Ok(host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_ended_by_itself_is_named() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::TempDir::new().unwrap();
        let program = folder.path().join("server");
        // Says that it is ready, and ends.
        std::fs::write(&program, "#!/bin/sh\necho '{\"http\": \"127.0.0.1:1\"}' > \"$3\"\nexit 7\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let wanted = Wanted { servers: Vec::new(), program: Some(program), database: Database::Sqlite, in_memory: false };
        let target = Target::open(&wanted, Vec::new()).await.unwrap();
        while target.ended().is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(target.ended().unwrap(), "the server ended by itself: exit status: 7");
        let error = target.explain(anyhow::anyhow!("connection refused"));
        assert_eq!(format!("{error:#}"), "the server ended by itself: exit status: 7: connection refused");
    }

    #[test]
    fn addresses_are_taken_as_people_write_them() {
        for url in ["ws://127.0.0.1:8080/api/v1/live", "http://127.0.0.1:8080", "127.0.0.1:8080"] {
            assert_eq!(host(url).unwrap(), "127.0.0.1:8080");
        }
        assert!(host("https://trips.example:443").unwrap_err().to_string().contains("http://"));
        assert!(host("trips.example").is_err());
    }
}
