//! What answers say of the things of a pool: read from the room's view (MessagePack), written as JSON. Their schemas are in
//! [`super::schema`].

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use tripsync_domain::pool::{self, Details, Message, Phase, PoolStatus, Review, Rider, Share, Stage};
use tripsync_domain::{ItemId, Role, RoomId, Seq, Timestamp, UserId};

/// What a user is to a pool, in the view's words.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Relation {
    Owner,
    Rider,
    Claimant,
    Visitor,
}

/// A pool as its caller sees it, without long collections.
#[derive(Debug, Serialize)]
pub(super) struct Pool {
    id: RoomId,
    seq: Seq,
    role: Role,
    relation: Relation,
    owner: Option<UserId>,
    owner_name: Option<String>,
    status: PoolStatus,
    phase: Phase,
    phase_at: Timestamp,
    #[serde(flatten)]
    details: Details,
    taken: Vec<u8>,
    seats_left: u8,
    waiting: usize,
    /// The caller's own.
    claim: Option<Claim>,
    /// For those in the car.
    riders: Option<Vec<Rider>>,
    /// For those in the car.
    shares: Option<Vec<Share>>,
}

/// What [`Pool`] and others read of the view.
#[derive(Debug, Deserialize)]
pub(super) struct PoolView {
    pub(super) relation: Relation,
    pub(super) owner: Option<UserId>,
    owner_name: Option<String>,
    details: Option<Details>,
    status: PoolStatus,
    phase: Phase,
    phase_at: Timestamp,
    taken: Vec<u8>,
    waiting: usize,
    pub(super) reviews: Vec<Review>,
    pub(super) claim: Option<pool::Claim>,
    place: Option<u16>,
    riders: Option<Vec<Rider>>,
    shares: Option<Vec<Share>>,
    /// For the owner.
    pub(super) claims: Option<Vec<pool::Claim>>,
    /// For the owner.
    line: Option<Vec<ItemId>>,
}

impl PoolView {
    /// `None` for a room whose pool is not there yet.
    pub(super) fn pool(self, id: RoomId, seq: Seq, role: Role) -> Option<Pool> {
        let details = self.details?;
        let taken = self.taken.iter().max().copied().unwrap_or(0);
        Some(Pool {
            id,
            seq,
            role,
            relation: self.relation,
            owner: self.owner,
            owner_name: self.owner_name,
            status: self.status,
            phase: self.phase,
            phase_at: self.phase_at,
            seats_left: details.seats.saturating_sub(taken),
            details,
            taken: self.taken,
            waiting: self.waiting,
            claim: self.claim.map(|claim| Claim::new(claim, self.place)),
            riders: self.riders,
            shares: self.shares,
        })
    }

    /// The claims that the viewer sees, first come first: all for the owner, for others their own.
    pub(super) fn claims(self) -> Vec<Claim> {
        let Some(claims) = self.claims else { return self.claim.map(|claim| Claim::new(claim, self.place)).into_iter().collect() };
        let line = self.line.unwrap_or_default();
        let place = |claim: &pool::Claim| u16::try_from(line.iter().position(|other| *other == claim.id)? + 1).ok();
        let mut claims: Vec<_> =
            claims.into_iter().map(|claim| (place(&claim), claim)).map(|(place, claim)| Claim::new(claim, place)).collect();
        claims.sort_unstable_by_key(Claim::cursor);
        claims
    }
}

/// A claim.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Claim {
    pub(super) id: ItemId,
    user: UserId,
    name: String,
    seats: u8,
    from: ItemId,
    to: ItemId,
    message: Option<pool::Words>,
    asked_at: Timestamp,
    stage: &'static str,
    /// Of one that waits: whether a free seat is offered to it.
    approved: Option<bool>,
    /// When it ends by itself.
    until: Option<Timestamp>,
    /// On the waiting list, from 1.
    place: Option<u16>,
    boarded: Option<bool>,
}

impl Claim {
    fn new(claim: pool::Claim, place: Option<u16>) -> Self {
        let pool::Claim { id, user, name, seats, from, to, message, asked_at, stage, boarded } = claim;
        let approved = if let Stage::Waiting { approved } = stage { Some(approved) } else { None };
        let (stage, until) = (stage.as_str(), stage.until());
        Self { id, user, name, seats, from, to, message, asked_at, stage, approved, until, place, boarded }
    }

    /// Its place in the list.
    pub(super) const fn cursor(&self) -> (Timestamp, ItemId) {
        (self.asked_at, self.id)
    }
}

/// A chat message, as its stored document has it.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct ChatMessage {
    id: ItemId,
    seq: Seq,
    by: UserId,
    at: Timestamp,
    body: String,
    pub(super) to: BTreeSet<UserId>,
}

impl From<Message> for ChatMessage {
    fn from(Message { id, seq, by, at, body, to }: Message) -> Self {
        Self { id, seq, by, at, body: body.to_string(), to }
    }
}
