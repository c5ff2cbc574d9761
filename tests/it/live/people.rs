//! Accounts of tests, and how they come to a server.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tripsync_domain::Role;
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
    email: String,
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
        Self { id, name: name.to_owned(), email, token: text(&body["access_token"]) }
    }

    /// The same account with a login of its own, as on another device.
    pub(super) async fn login(&self, server: &Server) -> Self {
        let (status, body) = self.call(server, Method::POST, "/api/v1/auth/login", Some(self.credentials())).await;
        assert_eq!(status, 200, "{body}");
        self.with_token(text(&body["access_token"]))
    }

    /// The same account with another login's token.
    pub(super) fn with_token(&self, token: String) -> Self {
        Self { token, ..self.clone() }
    }

    /// The body of a login.
    pub(super) fn credentials(&self) -> Value {
        json!({"email": self.email, "password": PASSWORD})
    }

    /// A request in this user's name: the status, and the body or null.
    pub(super) async fn call(&self, server: &Server, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let request = http_client().request(method, server.url(path)).bearer_auth(&self.token);
        let request = if let Some(body) = &body { request.json(body) } else { request };
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null))
    }

    /// A new trip over REST, with other members.
    pub(super) async fn trip(&self, server: &Server, members: &[(&Self, Role)]) -> Uuid {
        let (status, body) = self.call(server, Method::POST, "/api/v1/trips", Some(json!({"title": "Lisbon"}))).await;
        assert_eq!(status, 201, "{body}");
        let trip = text(&body["id"]).parse().unwrap();
        for (user, role) in members {
            let member = json!({"user": user.id, "role": role});
            let (status, body) = self.call(server, Method::POST, &format!("/api/v1/trips/{trip}/members"), Some(member)).await;
            assert_eq!(status, 201, "{body}");
        }
        trip
    }

    /// A client that keeps to the protocol.
    pub(super) async fn client(&self, server: &Server, codec: Codec) -> Client {
        Client::connect(&server.live_url(), &self.token, codec).await
    }

    /// How this user opens plain sockets.
    pub(super) fn opening(&self, server: &Server, codec: Codec) -> Opening {
        Opening { address: server.address(), codec, token: self.token.clone(), client: None }
    }

    /// A plain socket in a room.
    pub(super) async fn joined(&self, server: &Server, codec: Codec, room: Uuid) -> Socket {
        let mut socket = self.socket(server, codec).await;
        socket.send(&json!({"t": "join", "room": room})).await;
        socket.expect("joined").await;
        socket
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
