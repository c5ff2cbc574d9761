//! Accounts of tests, and how they come to a server.

use std::time::Duration;

use serde_json::{Value, json};
use tripsync_domain::protocol::Codec;
use uuid::Uuid;

use super::socket::{Opening, Socket};
use crate::harness::{Client, Server, http_client};

/// The password of every account.
const PASSWORD: &str = "correct horse battery";

/// Somebody with an account and a login.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) token: String,
}

impl User {
    /// A new account with this name.
    pub(super) async fn register(server: &Server, name: &str) -> Self {
        let email = format!("{}@example.org", Uuid::now_v7().simple());
        let body = json!({"email": email, "password": PASSWORD, "display_name": name});
        let answer = http_client().post(server.url("/api/v1/auth/register")).json(&body).send().await.unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert_eq!(status, 201, "{body}");
        let id = text(&body["user"]["id"]).parse().unwrap();
        Self { id, name: name.to_owned(), token: text(&body["access_token"]) }
    }

    /// A client that keeps to the protocol.
    pub(super) async fn client(&self, server: &Server, codec: Codec) -> Client {
        Client::connect(&server.live_url(), &self.token, codec).await
    }

    /// How this user opens plain sockets.
    pub(super) fn opening(&self, server: &Server, codec: Codec) -> Opening {
        Opening { address: server.address(), codec, token: self.token.clone(), client: None }
    }

    /// A plain socket, after its `welcome`.
    pub(super) async fn socket(&self, server: &Server, codec: Codec) -> Socket {
        let mut socket = Socket::open(&self.opening(server, codec)).await.unwrap();
        socket.expect("welcome").await;
        socket
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

/// Waits where the moment itself is what counts, not what happens by then.
pub(super) async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
