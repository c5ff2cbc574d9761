//! A room's address.

use crate::engine::Reserved;
use crate::room::message::{Parsed, RoomMsg};
use ractor::{ActorRef, ActorStatus};
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tripsync_domain::command::{fingerprint, parse};
use tripsync_domain::{ErrorCode, Quota, Rejection, RoomId, RoomKind, UserCard, UserId};

/// A live room's address. Cheap to clone; goes stale when the room rests, fails or moves ([`Gone`]), after which a new one is got from the
/// engine.
#[derive(Clone)]
pub struct RoomRef {
    id: RoomId,
    actor: ActorRef<RoomMsg>,
    kind: &'static KindInfo,
    /// Whether the room is another node's, and this is the address of its relay here.
    is_relay: bool,
    /// Bounds the mailbox, which ractor does not.
    permits: Arc<Semaphore>,
}

/// A command of the room's kind, and what has to be known or reserved before it is judged.
pub type ParsedFor = (Parsed, Needs);

/// What a command needs of the world before it is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Users whose cards it needs.
    pub users: Vec<UserId>,
    /// A bound over all rooms that it counts against.
    pub quota: Option<Quota>,
}

/// What was got ready for a command.
#[derive(Debug)]
pub struct Ready {
    /// Cards of the users that it names, as far as they exist.
    pub users: Vec<UserCard>,
    /// Whether what it counts against had room; true when it counts against nothing.
    pub reserved: bool,
    /// What was reserved for it.
    pub kept: Option<Reserved>,
}

impl Default for Ready {
    fn default() -> Self {
        Self { users: Vec::new(), reserved: true, kept: None }
    }
}

impl Needs {
    /// Whether it needs nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.users.is_empty() && self.quota.is_none()
    }
}

/// What the engine must know of a kind without knowing its types.
pub(crate) struct KindInfo {
    pub(crate) tag: &'static str,
    pub(crate) parse: fn(&Value) -> Result<ParsedFor, Rejection>,
}

/// The [`KindInfo`] of a kind.
pub(crate) const fn kind_info<K: RoomKind>() -> KindInfo {
    KindInfo { tag: K::KIND, parse: parse_for::<K> }
}

fn parse_for<K: RoomKind>(value: &Value) -> Result<ParsedFor, Rejection> {
    let command: K::Command = parse(value)?;
    let needs = Needs { users: K::users_needed(&command), quota: K::quota(&command) };
    Ok((Parsed { command: Box::new(command), fingerprint: fingerprint(value) }, needs))
}

/// The room's actor is gone; ask the engine for the room again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl RoomRef {
    pub(crate) fn new(id: RoomId, actor: ActorRef<RoomMsg>, kind: &'static KindInfo, permits: Arc<Semaphore>) -> Self {
        Self { id, actor, kind, is_relay: false, permits }
    }

    /// The address of a relay.
    pub(crate) fn relayed(self) -> Self {
        Self { is_relay: true, ..self }
    }

    /// Whether it is the address of a relay.
    pub(crate) const fn is_relay(&self) -> bool {
        self.is_relay
    }

    /// Whether nobody will read what is sent there any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.actor.get_status() >= ActorStatus::Draining
    }

    /// Which room.
    #[must_use]
    pub const fn id(&self) -> RoomId {
        self.id
    }

    /// Its kind's tag.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        self.kind.tag
    }

    /// Reads a command of the room's kind, and says what it needs.
    ///
    /// # Errors
    /// As [`tripsync_domain::command::parse`].
    pub fn parse(&self, command: &Value) -> Result<ParsedFor, Rejection> {
        let (parsed, needs) = (self.kind.parse)(command)?;
        // A relay passes it on as it came.
        let parsed = if self.is_relay { Parsed { command: Box::new(command.clone()), ..parsed } } else { parsed };
        Ok((parsed, needs))
    }

    /// Puts a message into the room's mailbox.
    ///
    /// # Errors
    /// [`Gone`] when nobody will read it.
    pub fn tell(&self, message: RoomMsg) -> Result<(), Gone> {
        self.actor.cast(message).map_err(|_| Gone)
    }

    /// A place in front of the room for one command or read; hold it until that is answered.
    ///
    /// # Errors
    /// `overloaded` when as many commands as the room takes are waiting.
    pub fn admit(&self) -> Result<tokio::sync::OwnedSemaphorePermit, Rejection> {
        Arc::clone(&self.permits).try_acquire_owned().map_err(|_| {
            Rejection::new(ErrorCode::Overloaded, "too many commands wait for this room; send it again under the same number")
                .retry_after_ms(250)
        })
    }
}
