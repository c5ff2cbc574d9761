//! What always holds of a pool's state.

use super::limits;
use super::state::State;
use super::types::{Phase, Stage};
use std::collections::BTreeSet;

pub(super) fn validate(state: &State) -> Result<(), String> {
    let Some(pool) = &state.pool else {
        return ensure(state.claims.is_empty() && state.line.is_empty(), || "claims without a pool".into());
    };
    let seats = pool.details.seats;
    let most = state.taken().into_iter().max().unwrap_or(0);
    ensure(most <= seats, || format!("{most} of {seats} seats are taken"))?;
    let users: BTreeSet<_> = state.claims.values().map(|claim| claim.user).collect();
    ensure(users.len() == state.claims.len(), || "somebody has two claims".into())?;
    ensure(!users.contains(&pool.owner), || "the owner has a claim".into())?;
    for (id, claim) in &state.claims {
        ensure(*id == claim.id, || format!("claim {id} has another id"))?;
        ensure(claim.seats >= 1, || format!("claim {id} is for no seat"))?;
        ensure(!state.legs_of(claim.from, claim.to).is_empty(), || format!("claim {id} goes nowhere"))?;
        let waits = matches!(claim.stage, Stage::Waiting { .. });
        ensure(waits == state.line.contains(id), || format!("claim {id} is {:?}, but the waiting list says otherwise", claim.stage))?;
        let over = state.phase != Phase::Scheduled;
        ensure(!over || claim.stage == (Stage::Confirmed {}), || format!("claim {id} is not settled, though the pool is {}", state.phase))?;
    }
    ensure(state.line.iter().all(|id| state.claims.contains_key(id)), || "the waiting list has a claim that is over".into())?;
    let distinct: BTreeSet<_> = state.line.iter().collect();
    ensure(distinct.len() == state.line.len(), || "a claim waits twice".into())?;
    ensure(state.phase != Phase::Cancelled || state.claims.is_empty(), || "a cancelled pool has claims".into())?;
    nobody_overtaken(state)?;
    let pending = state.claims.values().filter(|claim| claim.stage == Stage::Pending {}).count();
    ensure(pending <= limits::PENDING_MAX && state.line.len() <= limits::WAITING_MAX, || "too many claims".into())?;
    ensure(state.messages.len() <= limits::MESSAGES_IN_STATE && state.reviews.len() <= limits::REVIEWS_MAX, || "too much talk".into())
}

/// Nobody waits whom a free seat fits; and who asked first waits in front.
fn nobody_overtaken(state: &State) -> Result<(), String> {
    let mut last = None;
    for claim in state.line.iter().filter_map(|id| state.claims.get(id)) {
        let fits = state.left(claim.from, claim.to) >= claim.seats;
        let offers = claim.stage == Stage::Waiting { approved: true };
        ensure(!(fits && offers), || format!("claim {} waits though a free seat fits it", claim.id))?;
        ensure(last <= Some(claim.asked_at), || format!("claim {} waits behind somebody who asked later", claim.id))?;
        last = Some(claim.asked_at);
    }
    Ok(())
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
