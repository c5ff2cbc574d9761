//! A server inside the test's process, on SQLite: real listeners and sockets, and its parts within reach.

use std::net::SocketAddr;

use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tripsync::app::{App, Shutdown, start};
use tripsync::config::Sources;
use tripsync::store::accounts::NewUser;
use tripsync_domain::trip::Trip;
use tripsync_domain::{RoomId, UserCard, UserId};
use uuid::Uuid;

/// A server in this process. See the module's text.
pub(crate) struct Inside {
    pub(crate) app: App,
    address: SocketAddr,
    shutdown: Shutdown,
    running: JoinHandle<()>,
    _dir: TempDir,
}

/// Somebody with a token.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) user: Uuid,
    pub(crate) token: String,
    refresh: String,
}

impl Inside {
    /// Starts it, with settings as in `[("live.heartbeat", "1s")]`.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut flags = vec![
            ("data_dir".to_owned(), dir.path().display().to_string()),
            ("http.listen".to_owned(), "127.0.0.1:0".to_owned()),
            ("metrics.listen".to_owned(), String::new()),
        ];
        flags.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        let config = Sources { flags, ..Sources::default() }.load().unwrap().config;
        let shutdown = Shutdown::default();
        let running = start(config, shutdown.clone()).await.unwrap();
        let (app, address) = (running.app.clone(), running.http);
        Self { app, address, shutdown, running: tokio::spawn(running.wait()), _dir: dir }
    }

    /// `http://…` with this path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// `ws://…` of the live protocol.
    pub(crate) fn live_url(&self) -> String {
        format!("ws://{}/api/v1/live", self.address)
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A new account.
    pub(crate) async fn account(&self, name: &str) -> Account {
        let user = NewUser {
            id: UserId(Uuid::now_v7()),
            email: format!("{name}@example.org"),
            username: Some(name.to_owned()),
            display_name: name.to_owned(),
            time_zone: None,
        };
        let tokens = self.app.auth.register(user, "correct horse battery".to_owned(), None).await.unwrap();
        Account { user: tokens.user.0, token: tokens.access_token, refresh: tokens.refresh_token }
    }

    /// A fresh token of the same login.
    pub(crate) async fn refresh(&self, account: &mut Account) {
        let tokens = self.app.auth.refresh(&account.refresh).await.unwrap();
        (account.token, account.refresh) = (tokens.access_token, tokens.refresh_token);
    }

    /// A new trip of somebody, with other members.
    pub(crate) async fn trip(&self, owner: &Account, members: &[&Account]) -> Uuid {
        let room = RoomId(Uuid::now_v7());
        let author = UserCard { user: UserId(owner.user), name: "owner".to_owned(), group: None };
        let engine = &self.app.rooms.engine;
        engine.create::<Trip>(room, author.clone(), &json!({"type": "create", "title": "Paris"}), None).await.unwrap();
        for member in members {
            let command = json!({"type": "add_member", "user": member.user, "role": "participant"});
            engine.call(room, author.clone(), &command, Default::default()).await.unwrap();
        }
        room.0
    }

    /// Begins to shut down, as SIGTERM does.
    pub(crate) fn drain(&self) {
        self.shutdown.drain.cancel();
    }

    /// Shuts down and waits for the end.
    pub(crate) async fn stop(self) {
        self.drain();
        self.running.await.unwrap();
    }
}
