//! Commands and reads for surfaces without a session, wherever the room is.

use super::{Engine, Needs, Ready, Reserved, RoomRef, Turn};
use crate::ports::{JournalError, Reservation};
use crate::room::{From, Op, Outcome, Read, RoomMsg, RoomView};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tripsync_domain::{ClientId, CommandNumber, ErrorCode, Rejection, RoomId, RoomKind, Seq, UserCard, UserId};

/// Tries of a call whose room moves away under it.
const MOVES_MAX: u32 = 5;
/// Between such tries, longer each time; the first one follows at once.
const MOVES_TAKE: Duration = Duration::from_millis(40);

/// How a command of a surface without a session is to be taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallOptions {
    /// The identity under which it is applied once.
    pub id: Option<(ClientId, CommandNumber)>,
    /// The seq that the author had seen.
    pub base: Option<Seq>,
    /// Refuse with `stale` unless the room is at exactly this seq.
    pub if_match: Option<Seq>,
    /// Only rooms of the kind with this tag; any other is not found.
    pub kind: Option<&'static str>,
    /// The room that the server made the command from ([`tripsync_domain::Ctx::origin`]).
    pub origin: Option<RoomId>,
}

impl Engine {
    /// The same for a room that may be the user's own, which is made when it is asked for first.
    ///
    /// # Errors
    /// As [`Engine::room`].
    pub async fn room_for(&self, room: RoomId, user: UserId) -> Result<RoomRef, Rejection> {
        let found = self.room(room).await;
        let Some((kind, command)) = self.shared.registry.own_room(room, user) else { return found };
        let is_missing = |refused: &Rejection| refused.code == ErrorCode::NotFound;
        let is_made = match &found {
            // Whoever made it may have died before its first command was stored.
            Ok(_) => !self.read(room, user).await.as_ref().is_err_and(is_missing),
            Err(refused) => !is_missing(refused),
        };
        if is_made {
            return found;
        }
        let made = self.shared.journal.create(room, kind, self.shared.clock.now()).await;
        made.map_err(|error| self.spread(unavailable(&error)))?;
        let server = UserCard { user: UserId::ROOM, name: String::new(), group: None };
        match self.call(room, server, &command, CallOptions::default()).await {
            // Somebody else was faster.
            Err(refused) if refused.code != ErrorCode::AlreadyExists => Err(refused),
            Ok(_) | Err(_) => self.room(room).await,
        }
    }

    /// Makes a room with its first command.
    ///
    /// Calling it again with the same room and command identity answers as the first time.
    ///
    /// # Errors
    /// As [`Engine::call`].
    pub async fn create<K: RoomKind>(
        &self,
        room: RoomId,
        author: UserCard,
        command: &Value,
        id: Option<(ClientId, CommandNumber)>,
    ) -> Result<Outcome, Rejection> {
        // Judged once on the empty state, so that a refused creation leaves no trace.
        let parsed: K::Command = tripsync_domain::command::parse(command)?;
        let users = [author.clone()];
        let ctx = tripsync_domain::Ctx {
            room,
            author: author.user,
            at: self.shared.clock.now(),
            base: None,
            new_id: tripsync_domain::ItemId(self.new_id()),
            users: &users,
            reserved: true,
            origin: None,
        };
        K::decide(&K::State::default(), &ctx, &parsed)?;
        self.shared.journal.create(room, K::KIND, self.shared.clock.now()).await.map_err(|error| self.spread(unavailable(&error)))?;
        self.call(room, author, command, CallOptions { id, kind: Some(K::KIND), ..CallOptions::default() }).await
    }

    /// Applies a command for a surface without a session, and answers once it is durable.
    ///
    /// # Errors
    /// The room's rejection; `retry` when the outcome is not known in time; as [`Engine::room`].
    pub async fn call(&self, room: RoomId, author: UserCard, command: &Value, options: CallOptions) -> Result<Outcome, Rejection> {
        let CallOptions { id, base, if_match, kind, origin } = options;
        let mut moves = 0;
        loop {
            let address = self.find(room, &mut moves).await?;
            if kind.is_some_and(|kind| kind != address.kind()) {
                return Err(Rejection::not_found("there is no such room"));
            }
            let (command, needs) = address.parse(command)?;
            let permits = vec![address.admit().map_err(|full| self.spread(full))?];
            let ready = self.prepare(room, author.user, &needs).await?;
            let (reply, answer) = oneshot::channel();
            let from = From::Caller { author: author.clone(), reply };
            let op = Op { from, id, command, base, if_match, origin, ready, permits, receipt: None };
            if let Some(outcome) = self.ask(&address, RoomMsg::Op(op), answer).await? {
                return Ok(outcome);
            }
        }
    }

    /// Whether what was refused can be had where the room is now: also when its owner goes away, unless that is this node.
    fn has_moved(&self, refused: &Rejection) -> bool {
        refused.code == ErrorCode::Moved || (refused.code == ErrorCode::Restarting && !self.shared.registry.is_draining())
    }

    /// The room's durable state as a user sees it.
    ///
    /// # Errors
    /// `not_found` when there is none that the user may know of; `overloaded`; as [`Engine::room`].
    pub async fn read(&self, room: RoomId, user: UserId) -> Result<RoomView, Rejection> {
        // Most may see a room by name; whether somebody belongs to its group is looked up only when that is what is left.
        let unknown = UserCard { user, name: String::new(), group: None };
        match self.read_as(room, unknown).await {
            Err(refused) if refused.code == ErrorCode::NotFound => {
                let card = self.cards(&[user]).await?.pop().filter(|card| card.group.is_some());
                match card {
                    Some(card) => self.read_as(room, card).await,
                    None => Err(refused),
                }
            }
            read => read,
        }
    }

    async fn read_as(&self, room: RoomId, who: UserCard) -> Result<RoomView, Rejection> {
        let mut moves = 0;
        loop {
            let address = self.find(room, &mut moves).await?;
            let permit = address.admit().map_err(|full| self.spread(full))?;
            let (reply, answer) = oneshot::channel();
            let read = Read { who: who.clone(), reply, permit };
            if let Some(view) = self.ask(&address, RoomMsg::Read(read), answer).await? {
                return Ok(view);
            }
        }
    }

    /// The room where it is now, for somebody who has looked for it so often.
    async fn find(&self, room: RoomId, tried: &mut u32) -> Result<RoomRef, Rejection> {
        while *tried < MOVES_MAX {
            *tried += 1;
            if *tried > 1 {
                tokio::time::sleep(MOVES_TAKE * (*tried - 2)).await;
            }
            match self.room(room).await {
                Err(refused) if self.has_moved(&refused) => {}
                found => return found,
            }
        }
        Err(self.spread(Rejection::new(ErrorCode::Retry, "the room keeps moving").retry_after_ms(250)))
    }

    /// The room's answer; `None` when it has moved away under the question.
    async fn ask<T>(
        &self,
        address: &RoomRef,
        message: RoomMsg,
        answer: oneshot::Receiver<Result<T, Rejection>>,
    ) -> Result<Option<T>, Rejection> {
        if address.tell(message).is_err() {
            return Ok(None);
        }
        let unknown = match tokio::time::timeout(self.shared.config.call_timeout, answer).await {
            Ok(Ok(Err(refused))) if self.has_moved(&refused) => return Ok(None),
            Ok(Ok(answer)) => return answer.map(Some),
            Ok(Err(_)) => Rejection::new(ErrorCode::Retry, "the room failed; the outcome is not known").retry_after_ms(500),
            Err(_) => Rejection::new(ErrorCode::Retry, "the journal takes too long; the outcome is not known").retry_after_ms(1_000),
        };
        Err(self.spread(unknown))
    }

    /// The cards of users that a command names.
    ///
    /// # Errors
    /// `retry` when the accounts cannot be read now.
    pub async fn cards(&self, users: &[UserId]) -> Result<Vec<UserCard>, Rejection> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        self.shared.directory.cards(users).await.map_err(|error| self.spread(unavailable(&error)))
    }

    /// Gets ready what a command needs: cards, and a reservation of what it counts against.
    ///
    /// # Errors
    /// `retry` when the database cannot answer.
    pub async fn prepare(&self, room: RoomId, author: UserId, needs: &Needs) -> Result<Ready, Rejection> {
        let users = self.cards(&needs.users).await?;
        let Some(quota) = needs.quota else { return Ok(Ready { users, ..Ready::default() }) };
        let reservation = Reservation { id: self.new_id(), room, user: author, quota };
        // Before the journal is asked: what it keeps for a command that is given up meanwhile is given back too.
        let kept = Reserved::new(Arc::clone(&self.shared.journal), reservation);
        let reserved =
            self.shared.journal.reserve(reservation, self.shared.clock.now()).await.map_err(|error| self.spread(unavailable(&error)))?;
        Ok(Ready { users, reserved, kept: Some(kept) })
    }
}

#[async_trait::async_trait]
impl crate::session::Rooms for Engine {
    async fn room(&self, room: RoomId, user: UserId) -> Result<RoomRef, Rejection> {
        self.room_for(room, user).await
    }

    async fn cards(&self, users: &[UserId]) -> Result<Vec<UserCard>, Rejection> {
        Self::cards(self, users).await
    }

    async fn prepare(&self, room: RoomId, author: UserId, needs: &Needs) -> Result<Ready, Rejection> {
        Self::prepare(self, room, author, needs).await
    }

    async fn turn(&self) -> Turn {
        self.shared.admission.turn().await
    }
}

pub(crate) fn unavailable(error: &JournalError) -> Rejection {
    tracing::warn!(error = %crate::error_chain(error), "the database did not answer");
    Rejection::new(ErrorCode::Retry, "the database is not available").retry_after_ms(500)
}
