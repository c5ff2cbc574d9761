//! What a session needs of the world.

use crate::engine::{Needs, Ready, RoomRef, Turn};
use crate::ports::Clock;
use crate::session::SessionLimits;
use async_trait::async_trait;
use std::sync::Arc;
use tripsync_domain::{Rejection, RoomId, Timestamp, UserCard, UserId};
use uuid::Uuid;

/// Rooms and users, as a session sees them.
///
/// The futures may be dropped before they are done.
#[async_trait]
pub trait Rooms: Send + Sync + 'static {
    /// The live room that a user asks for, started if need be; and made, if it is the user's own.
    ///
    /// # Errors
    /// What the client is told.
    async fn room(&self, room: RoomId, user: UserId) -> Result<RoomRef, Rejection>;

    /// The cards of those users that exist and are active.
    ///
    /// # Errors
    /// What the client is told.
    async fn cards(&self, users: &[UserId]) -> Result<Vec<UserCard>, Rejection>;

    /// Gets ready what a command of `author` to a room needs: the cards of those users that exist and are active, and what it counts
    /// against.
    ///
    /// # Errors
    /// What the client is told.
    async fn prepare(&self, room: RoomId, author: UserId, needs: &Needs) -> Result<Ready, Rejection>;

    /// Waits for leave to look for a room and join it.
    async fn turn(&self) -> Turn;
}

/// Judges fresh access tokens.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// Whose token it is and how long it holds.
    ///
    /// # Errors
    /// `unauthorized`, `token_expired`, `session_revoked` or `retry`.
    async fn check(&self, token: &str) -> Result<Credential, Rejection>;

    /// Whether the login has been ended since. Asked once more after a session is known to the hub, because a logout in between
    /// finds nothing to end.
    fn is_ended(&self, credential: &Credential) -> bool;
}

/// What an access token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Whose it is.
    pub user: UserId,
    /// The login that it came from (`sid`).
    pub login: Uuid,
    /// When it runs out.
    pub expires_at: Timestamp,
}

/// What all sessions of a node share.
pub struct Shared {
    /// Rooms and users.
    pub rooms: Arc<dyn Rooms>,
    /// Judges fresh tokens.
    pub authenticator: Arc<dyn Authenticator>,
    /// The wall clock, for tokens and for what clients are told.
    pub clock: Arc<dyn Clock>,
    /// What a session may do.
    pub limits: SessionLimits,
}
