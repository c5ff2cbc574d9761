//! Reads: of a room's durable state through its actor, of long collections from the tables that are written with its events.

use super::condition::{etag, is_known};
use super::{Door, Served, no_such_room};
use crate::app::App;
use crate::auth::AuthUser;
use crate::http::problem::Problem;
use crate::http::v1::page::List;
use crate::store::StoreError;
use crate::store::rooms::{self, Membership};
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, ETAG};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::marker::PhantomData;
use std::time::Duration;
use tripsync_actors::room::RoomView;
use tripsync_domain::{ErrorCode, Role, RoomId, Seq, UserId};

/// How long the members table is waited for before a room is asked that it would have kept from being woken; the room knows too.
const KNOCK_MAX: Duration = Duration::from_millis(500);

/// Who reads a room of a kind, and what the caller has already.
#[derive(Debug)]
pub(in crate::http::v1) struct Reader<K> {
    /// The caller.
    pub(in crate::http::v1) user: UserId,
    headers: HeaderMap,
    kind: PhantomData<fn() -> K>,
}

impl<K: Served> FromRequestParts<App> for Reader<K> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let user = AuthUser::from_request_parts(parts, app).await?.user;
        Ok(Self { user, headers: parts.headers.clone(), kind: PhantomData })
    }
}

/// Why a read has no answer with a body.
#[derive(Debug)]
pub(in crate::http::v1) enum Stop {
    /// The caller has this version.
    Known(Seq),
    /// Something is wrong.
    Problem(Problem),
}

impl<E: Into<Problem>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Problem(error.into())
    }
}

impl IntoResponse for Stop {
    fn into_response(self) -> Response {
        match self {
            Self::Known(seq) => (StatusCode::NOT_MODIFIED, [(ETAG, etag(seq))]).into_response(),
            Self::Problem(problem) => problem.into_response(),
        }
    }
}

/// A room's state as the caller sees it, as far as `T` wants to know it.
#[derive(Debug)]
pub(in crate::http::v1) struct Seen<T> {
    pub(in crate::http::v1) seq: Seq,
    pub(in crate::http::v1) role: Role,
    pub(in crate::http::v1) state: T,
}

/// Where the caller stands in a room, and where the room stands.
#[derive(Clone, Copy, Debug)]
pub(in crate::http::v1) struct Here {
    pub(in crate::http::v1) role: Role,
    pub(in crate::http::v1) seq: Seq,
}

impl<K: Served> Reader<K> {
    /// Lets in whoever may know of the room: everybody else is told that there is none. Whoever has the present version is told so;
    /// where the members table says who may know, without the room being woken.
    pub(in crate::http::v1) async fn enter(&self, app: &App, room: RoomId) -> Result<Here, Stop> {
        let here = match K::DOOR {
            Door::Members => {
                let Membership { role, last_seq, .. } = member::<K>(app, room, self.user).await?;
                Here { role, seq: last_seq }
            }
            Door::Room => {
                let RoomView { role, seq, .. } = view::<K>(app, room, self.user).await?;
                Here { role, seq }
            }
        };
        self.wants(here.seq)?;
        Ok(here)
    }

    /// The state of a room, for whoever may know of it.
    pub(in crate::http::v1) async fn see<T: DeserializeOwned>(&self, app: &App, room: RoomId) -> Result<Seen<T>, Stop> {
        self.knock(app, room).await?;
        let seen = see::<K, T>(app, room, self.user).await?;
        self.wants(seen.seq)?;
        Ok(seen)
    }

    /// The state of a room as a socket that joins gets it.
    pub(in crate::http::v1) async fn state(&self, app: &App, room: RoomId) -> Result<Response, Stop> {
        self.knock(app, room).await?;
        let RoomView { kind, epoch, seq, role, state } = view::<K>(app, room, self.user).await?;
        self.wants(seq)?;
        let state = state.json().map_err(|error| Problem::internal(&error))?;
        // The state's bytes are JSON already: they are put in, not read again.
        let mut body = json!({"room": room, "kind": kind, "epoch": epoch, "seq": seq, "role": role}).to_string();
        body.pop();
        let body = [body.as_bytes(), b",\"state\":", state, b"}"].concat();
        let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/json")), (ETAG, etag(seq))];
        Ok((headers, body).into_response())
    }

    /// As [`Self::enter`], before a read that asks the room anyway; so it goes on when the database does not answer.
    async fn knock(&self, app: &App, room: RoomId) -> Result<(), Stop> {
        if K::DOOR == Door::Room {
            return Ok(());
        }
        match tokio::time::timeout(KNOCK_MAX, self.enter(app, room)).await {
            Ok(Ok(_)) | Err(_) => Ok(()),
            Ok(Err(Stop::Problem(problem))) if problem.code() == ErrorCode::Retry => Ok(()),
            Ok(Err(stop)) => Err(stop),
        }
    }

    fn wants(&self, seq: Seq) -> Result<(), Stop> {
        if is_known(&self.headers, seq) { Err(Stop::Known(seq)) } else { Ok(()) }
    }

    /// A list of a room, or of the caller.
    pub(in crate::http::v1) fn list<'a>(&self, app: &'a App, name: &'static str, room: Option<RoomId>) -> List<'a> {
        List { sealer: app.auth.sealer(), name, user: self.user, room }
    }
}

/// A member's place in a room.
///
/// # Errors
/// `not_found` for everybody else.
pub(in crate::http::v1) async fn member<K: Served>(app: &App, room: RoomId, user: UserId) -> Result<Membership, Problem> {
    let found = rooms::membership(&app.db, room, user).await?;
    found.filter(|found| found.kind == K::KIND).ok_or_else(no_such_room::<K>)
}

/// The durable state of a room through its actor.
pub(in crate::http::v1) async fn see<K: Served, T: DeserializeOwned>(app: &App, room: RoomId, user: UserId) -> Result<Seen<T>, Problem> {
    let RoomView { seq, role, state, .. } = view::<K>(app, room, user).await?;
    let state = rmp_serde::from_slice(state.packed()).map_err(|error| Problem::internal(&StoreError::decode(error)))?;
    Ok(Seen { seq, role, state })
}

async fn view<K: Served>(app: &App, room: RoomId, user: UserId) -> Result<RoomView, Problem> {
    match app.rooms.engine.read(room, user).await {
        Ok(view) if view.kind == K::KIND => Ok(view),
        // The same, whether there is no room, one of another kind, or one that the caller may not know of.
        Ok(_) => Err(no_such_room::<K>()),
        Err(refused) if refused.code == ErrorCode::NotFound => Err(no_such_room::<K>()),
        Err(refused) => Err(refused.into()),
    }
}
