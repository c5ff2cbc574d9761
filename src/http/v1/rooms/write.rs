//! Writes: every one is a command to the room, judged and ordered together with those of sockets.

use super::Served;
use super::condition::{self, etag};
use crate::app::App;
use crate::auth::AuthUser;
use crate::http::json::ApiQuery;
use crate::http::problem::{FieldError, Problem};
use crate::http::v1::idempotency::KEY;
use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::header::{ETAG, LOCATION};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::marker::PhantomData;
use tripsync_actors::engine::CallOptions;
use tripsync_actors::room::Outcome;
use tripsync_domain::{ClientId, CommandNumber, Conflict, ErrorCode, ItemId, Rejection, RoomId, Seq, UserCard, UserId};
use uuid::Uuid;

/// Under which the ids of keyed requests are made (RFC 9562 §5.5); never to be changed.
const KEYED: Uuid = Uuid::from_u128(0x8f1d_5c0e_6c3b_4a5f_9d0a_2f5b_7f6c_1e43);

/// A JSON object from a client.
pub(in crate::http::v1) type Body = Map<String, Value>;

/// Fields of a command that the address says, not the body.
pub(in crate::http::v1) type Fixed<'a> = &'a [(&'static str, Value)];

/// Who writes to a room of a kind, and under which conditions.
#[derive(Debug)]
pub(in crate::http::v1) struct Writer<K> {
    /// The caller.
    pub(in crate::http::v1) user: UserId,
    /// What the caller had seen.
    base: Option<Seq>,
    /// What the caller demands.
    if_match: Option<Seq>,
    /// Derived from user and `Idempotency-Key`: the same for every sending of the request, also after a crash.
    keyed: Option<ClientId>,
    kind: PhantomData<fn() -> K>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WriteQuery {
    base: Option<Seq>,
}

impl<K: Served> FromRequestParts<App> for Writer<K> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let user = AuthUser::from_request_parts(parts, app).await?.user;
        let ApiQuery(WriteQuery { base }) = ApiQuery::from_request_parts(parts, app).await?;
        let key = parts.headers.get(KEY).filter(|_| parts.method == Method::POST);
        let keyed = key.map(|key| ClientId(Uuid::new_v5(&KEYED, &[&user.as_bytes()[..], key.as_bytes()].concat())));
        Ok(Self { user, base, if_match: condition::if_match(&parts.headers)?, keyed, kind: PhantomData })
    }
}

impl<K: Served> Writer<K> {
    /// Makes a room.
    pub(in crate::http::v1) async fn create(&self, app: &App, body: Body) -> Result<(RoomId, Outcome), Problem> {
        if self.if_match.is_some() {
            return Err(Problem::new(ErrorCode::Stale, "what is about to be made has no version yet"));
        }
        let command = compose("create", body, &[])?;
        let room = RoomId(self.keyed.map_or_else(|| app.rooms.engine.new_id(), |client| Uuid::new_v5(&client.0, K::KEYED_ROOM)));
        let author = self.card(app).await?;
        let outcome = app.rooms.engine.create::<K>(room, author, &command, self.identity()).await;
        Ok((room, outcome.map_err(|rejection| addressed(rejection, &[]))?))
    }

    /// Applies a command made of a body and of what the address says.
    pub(in crate::http::v1) async fn apply(
        &self,
        app: &App,
        room: RoomId,
        command: &'static str,
        body: Body,
        fixed: Fixed<'_>,
    ) -> Result<Outcome, Problem> {
        let command = compose(command, body, fixed)?;
        let options = CallOptions { id: self.identity(), base: self.base, if_match: self.if_match, kind: Some(K::KIND), origin: None };
        self.call(app, room, &command, options).await.map_err(|rejection| addressed(rejection, fixed))
    }

    /// Applies a command as it is. `base` and `id` come before those of the request.
    pub(in crate::http::v1) async fn send(
        &self,
        app: &App,
        room: RoomId,
        command: &Value,
        base: Option<Seq>,
        id: Option<(ClientId, CommandNumber)>,
    ) -> Result<Outcome, Rejection> {
        let (id, base) = (id.or_else(|| self.identity()), base.or(self.base));
        let options = CallOptions { id, base, if_match: self.if_match, kind: Some(K::KIND), origin: None };
        self.call(app, room, command, options).await
    }

    async fn call(&self, app: &App, room: RoomId, command: &Value, options: CallOptions) -> Result<Outcome, Rejection> {
        // Before the room is looked for: what a malformed command is told must not say whether there is such a room.
        tripsync_domain::command::parse::<K::Command>(command)?;
        let author = self.card(app).await?;
        app.rooms.engine.call(room, author, command, options).await
    }

    async fn card(&self, app: &App) -> Result<UserCard, Rejection> {
        let found = app.rooms.engine.cards(&[self.user]).await?;
        found.into_iter().next().ok_or_else(|| Rejection::new(ErrorCode::Unauthorized, "the account does not exist any more"))
    }

    fn identity(&self) -> Option<(ClientId, CommandNumber)> {
        self.keyed.map(|client| (client, CommandNumber(1)))
    }

    /// The id of the item that a body adds: the client's own, else one that is put into the body, so that the answer can name it.
    pub(in crate::http::v1) fn item_id(&self, app: &App, body: &mut Body) -> Result<ItemId, Problem> {
        let id = match body.get("id") {
            None | Some(Value::Null) => {
                ItemId(self.keyed.map_or_else(|| app.rooms.engine.new_id(), |client| Uuid::new_v5(&client.0, b"item")))
            }
            Some(id) => id.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| {
                Problem::new(ErrorCode::Invalid, "/id must be a UUID").with_error(FieldError::invalid("/id", "must be a UUID"))
            })?,
        };
        body.insert("id".into(), Value::String(id.to_string()));
        Ok(id)
    }
}

/// A command in the wire form.
fn compose(command: &'static str, mut body: Body, fixed: Fixed<'_>) -> Result<Value, Problem> {
    let tag = ("type", Value::String(command.to_owned()));
    for (name, value) in fixed.iter().chain([&tag]) {
        if body.insert((*name).to_owned(), value.clone()).is_some() {
            return Err(unknown(name));
        }
    }
    Ok(Value::Object(body))
}

fn unknown(name: &str) -> Problem {
    let pointer = format!("/{name}");
    let detail = format!("unknown field `{name}`");
    Problem::new(ErrorCode::UnknownField, format!("there is no field {pointer}")).with_error(FieldError {
        pointer,
        code: ErrorCode::UnknownField,
        detail,
    })
}

/// A rejection as a problem of a request whose address says some of the command's fields: a pointer to one of them becomes
/// `{name}`, and what such a field names and is not there is the address's own 404. What is wrong with no field of it, such as that
/// one is missing, is wrong with the body.
fn addressed(mut rejection: Rejection, fixed: Fixed<'_>) -> Problem {
    if rejection.code == ErrorCode::Invalid {
        rejection.pointer.get_or_insert_default();
    }
    if let Some(pointer) = &rejection.pointer {
        let first = pointer.split('/').nth(1).unwrap_or("");
        if fixed.iter().any(|(name, _)| *name == first) {
            rejection.pointer = (rejection.code != ErrorCode::NotFound).then(|| format!("{{{first}}}"));
        }
    }
    rejection.into()
}

/// What became of a command.
#[derive(Debug, Serialize)]
pub(in crate::http::v1) struct Receipt {
    seq: Seq,
    repeated: bool,
    conflicts: Vec<Conflict>,
}

/// What became of a command, and what it was about.
#[derive(Debug, Serialize)]
pub(in crate::http::v1) struct Written<T> {
    id: Uuid,
    #[serde(flatten)]
    receipt: Receipt,
    item: Option<T>,
}

impl From<Outcome> for Receipt {
    fn from(Outcome { seq, repeated, conflicts }: Outcome) -> Self {
        Self { seq, repeated, conflicts }
    }
}

/// An answer about a room at a seq.
#[derive(Debug)]
pub(in crate::http::v1) struct Answer<T> {
    status: StatusCode,
    seq: Seq,
    location: Option<String>,
    body: T,
}

impl<T> Answer<T> {
    /// 200.
    pub(in crate::http::v1) const fn ok(seq: Seq, body: T) -> Self {
        Self { status: StatusCode::OK, seq, location: None, body }
    }
}

impl Answer<Receipt> {
    /// A command is stored.
    pub(in crate::http::v1) fn stored(outcome: Outcome) -> Self {
        Self::ok(outcome.seq, outcome.into())
    }
}

impl<T> Answer<Written<T>> {
    /// A command is stored; `now` is the room's seq and the thing as it is by then, if it still is.
    pub(in crate::http::v1) fn written(outcome: Outcome, id: impl Into<Uuid>, now: Option<(Seq, T)>) -> Self {
        let (seq, item) = now.map_or((outcome.seq, None), |(seq, item)| (seq, Some(item)));
        Self::ok(seq, Written { id: id.into(), receipt: outcome.into(), item })
    }

    /// 201, with the address of what was made.
    pub(in crate::http::v1) fn made(mut self, location: String) -> Self {
        self.status = StatusCode::CREATED;
        self.location = Some(location);
        self
    }
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        response.headers_mut().insert(ETAG, etag(self.seq));
        if let Some(Ok(location)) = self.location.map(|text| HeaderValue::from_str(&text)) {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    }
}
