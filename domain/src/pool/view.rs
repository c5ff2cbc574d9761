//! The pool as a client sees it: what everybody sees, and what only those concerned do.

use super::rights::Relation;
use super::state::State;
use super::types::{Claim, Details, Message, Phase, PoolStatus, Review, Rider, Share};
use crate::{ItemId, Timestamp, UserId};
use serde::Serialize;

/// What [`crate::RoomKind::view`] encodes.
#[derive(Serialize)]
struct View<'a> {
    kind: &'static str,
    relation: &'static str,
    owner: Option<UserId>,
    owner_name: Option<&'a str>,
    details: Option<&'a Details>,
    status: PoolStatus,
    phase: Phase,
    phase_at: Timestamp,
    /// Taken seats per leg.
    taken: Vec<u8>,
    /// How many are on the waiting list.
    waiting: usize,
    reviews: &'a [Review],
    /// The viewer's own claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    claim: Option<&'a Claim>,
    /// The viewer's place on the waiting list.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<u16>,
    /// All claims; for the owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<Vec<&'a Claim>>,
    /// The waiting list in order; for the owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<&'a [ItemId]>,
    /// Who is in the car; for those in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    riders: Option<Vec<Rider>>,
    /// What riders owe; for those in the car.
    #[serde(skip_serializing_if = "Option::is_none")]
    shares: Option<&'a [Share]>,
    /// The newest messages that were written to the viewer, oldest first; for those in the car.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<&'a Message>>,
}

pub(super) fn view(state: &State, viewer: UserId) -> Vec<u8> {
    let relation = Relation::of(state, viewer);
    let (owns, rides) = (relation == Relation::Owner, matches!(relation, Relation::Owner | Relation::Rider));
    let claim = state.claim_of(viewer);
    let view = View {
        kind: super::KIND,
        relation: match relation {
            Relation::Owner => "owner",
            Relation::Rider => "rider",
            Relation::Claimant => "claimant",
            Relation::Visitor => "visitor",
        },
        owner: state.pool.as_ref().map(|pool| pool.owner),
        owner_name: state.pool.as_ref().map(|pool| pool.owner_name.as_str()),
        details: state.pool.as_ref().map(|pool| &pool.details),
        status: state.status(),
        phase: state.phase,
        phase_at: state.phase_at,
        taken: state.taken(),
        waiting: state.line.len(),
        reviews: &state.reviews,
        claim,
        place: claim.and_then(|claim| state.place(claim.id)),
        claims: owns.then(|| state.claims.values().collect()),
        line: owns.then_some(state.line.as_slice()),
        riders: rides.then(|| state.riders()),
        shares: rides.then_some(state.shares.as_slice()),
        messages: rides.then(|| state.messages.iter().filter(|message| message.to.contains(&viewer)).collect()),
    };
    rmp_serde::to_vec_named(&view).unwrap_or_default()
}

/// Visitors share one view; whoever is concerned has an own one.
pub(super) fn key(state: &State, viewer: UserId) -> u64 {
    match Relation::of(state, viewer) {
        Relation::Visitor => 0,
        Relation::Owner | Relation::Rider | Relation::Claimant => {
            let (high, low) = viewer.0.as_u64_pair();
            (high ^ low.rotate_left(32)) | 1
        }
    }
}
