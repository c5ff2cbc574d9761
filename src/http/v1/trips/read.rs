//! Reads: of a room's durable state through its actor, of long collections from the tables that are written with its events.

use super::condition::{etag, is_known};
use crate::app::App;
use crate::auth::AuthUser;
use crate::http::problem::Problem;
use crate::http::v1::page::List;
use crate::store::StoreError;
use crate::store::rooms::{self, Membership};
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::header::ETAG;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use tripsync_actors::room::RoomView;
use tripsync_domain::trip::Trip;
use tripsync_domain::{Rejection, Role, RoomId, RoomKind, Seq, UserId};

/// Who reads, and what the caller has already.
#[derive(Debug)]
pub(super) struct Reader {
    /// The caller.
    pub(super) user: UserId,
    headers: HeaderMap,
}

impl FromRequestParts<App> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let user = AuthUser::from_request_parts(parts, app).await?.user;
        Ok(Self { user, headers: parts.headers.clone() })
    }
}

/// Why a read has no answer with a body.
#[derive(Debug)]
pub(super) enum Stop {
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
pub(super) struct Seen<T> {
    pub(super) seq: Seq,
    pub(super) role: Role,
    pub(super) state: T,
}

impl Reader {
    /// Lets members in: everybody else is told that there is no such trip. A member who has the present version is told so
    /// without the room being woken.
    pub(super) async fn enter(&self, app: &App, room: RoomId) -> Result<Membership, Stop> {
        let found = member(app, room, self.user).await?;
        if is_known(&self.headers, found.last_seq) {
            return Err(Stop::Known(found.last_seq));
        }
        Ok(found)
    }

    /// The state of a room, for a member.
    pub(super) async fn see<T: DeserializeOwned>(&self, app: &App, room: RoomId) -> Result<Seen<T>, Stop> {
        self.enter(app, room).await?;
        Ok(see(app, room, self.user).await?)
    }

    /// A list of a room, or of the caller.
    pub(super) fn list<'a>(&self, app: &'a App, name: &'static str, room: Option<RoomId>) -> List<'a> {
        List { sealer: app.auth.sealer(), name, user: self.user, room }
    }
}

/// A member's place in a trip.
///
/// # Errors
/// `not_found` for everybody else.
pub(super) async fn member(app: &App, room: RoomId, user: UserId) -> Result<Membership, Problem> {
    let found = rooms::membership(&app.db, room, user).await?;
    found.filter(|found| found.kind == Trip::KIND).ok_or_else(|| Problem::not_found("there is no such trip"))
}

/// The durable state of a room through its actor.
pub(super) async fn see<T: DeserializeOwned>(app: &App, room: RoomId, user: UserId) -> Result<Seen<T>, Problem> {
    let RoomView { kind, seq, role, state, .. } = app.rooms.engine.read(room, user).await?;
    if kind != Trip::KIND {
        return Err(Rejection::not_found("there is no such trip").into());
    }
    let state = rmp_serde::from_slice(&state).map_err(|error| Problem::internal(&StoreError::decode(error)))?;
    Ok(Seen { seq, role, state })
}
