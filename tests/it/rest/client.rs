//! A small client: JSON in, status, headers and JSON out.

use std::sync::atomic::{AtomicU32, Ordering};

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::spec;
use crate::harness::{Server, http_client};

/// The password of every account that [`Api::account`] makes.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// Calls one server, in nobody's name or in somebody's.
#[derive(Clone)]
pub(crate) struct Api {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// An account that was just made.
#[derive(Clone)]
pub(crate) struct Account {
    /// Calls in its name.
    pub(crate) api: Api,
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Null when there was no JSON.
    pub(crate) body: Value,
    /// Bytes of the body.
    pub(crate) length: usize,
}

impl Answer {
    /// The body of a success.
    ///
    /// # Panics
    /// It is another status.
    #[track_caller]
    pub(crate) fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.body
    }

    /// Checks that it is a well-formed problem with this code and the status that belongs to it; gives its body.
    #[track_caller]
    pub(crate) fn problem(self, code: &str) -> Value {
        let known = tripsync_domain::ErrorCode::ALL.iter().find(|known| known.as_str() == code).expect("a known code");
        assert_eq!(self.body["code"], code, "{self:?}");
        assert_eq!(self.status, known.http_status(), "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        assert_eq!(self.body["status"], known.http_status(), "{self:?}");
        assert_eq!(self.body["title"], known.title(), "{self:?}");
        assert_eq!(self.body["type"], format!("/problems/{code}"), "{self:?}");
        assert_eq!(self.body["request_id"], self.headers["x-request-id"].to_str().unwrap(), "{self:?}");
        assert_eq!(self.headers.contains_key("www-authenticate"), self.status == 401, "{self:?}");
        assert_eq!(
            self.headers.contains_key("retry-after"),
            matches!(self.status.as_u16(), 429 | 503) || code.ends_with("in_use"),
            "{self:?}"
        );
        self.body
    }

    /// The header's value, if it is there.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Api {
    /// In nobody's name.
    pub(crate) fn of(server: &Server) -> Self {
        Self { http: http_client(), base: server.url(""), token: None }
    }

    /// In the name of whoever the token belongs to.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// A request to be completed with headers and body.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::POST, path).json(&body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::PATCH, path).json(&body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::PUT, path).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        send(self.request(Method::DELETE, path)).await
    }

    /// Registers a new account with a name of its own.
    pub(crate) async fn account(&self, name: &str) -> Account {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let email = format!("{name}{}@example.org", NUMBER.fetch_add(1, Ordering::Relaxed));
        let answer = self.post("/api/v1/auth/register", json!({"email": email, "password": PASSWORD, "display_name": name}));
        let body = answer.await.ok(201);
        let access_token = text(&body["access_token"]);
        Account {
            api: self.with_token(&access_token),
            id: text(&body["user"]["id"]),
            email,
            access_token,
            refresh_token: text(&body["refresh_token"]),
        }
    }
}

/// Sends and reads the whole answer, which must be one that the OpenAPI document announces.
pub(crate) async fn send(request: reqwest::RequestBuilder) -> Answer {
    let (client, request) = request.build_split();
    let request = request.unwrap();
    let (method, path) = (request.method().clone(), request.url().path().to_owned());
    let response = client.execute(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes().await.unwrap();
    let answer = Answer { status, headers, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null), length: bytes.len() };
    spec::check(&method, &path, &answer);
    answer
}

/// A JSON string's text.
#[track_caller]
pub(crate) fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}
