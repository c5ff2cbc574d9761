//! The ride: departure, boarding, arrival or its cancellation, the talk in the car, and what people think of it.

use super::draft::Draft;
use super::{Judgement, Room, closed};
use crate::money::MinorUnits;
use crate::pool::command::{Board, Cancel, SendMessage, WriteReview};
use crate::pool::event::Event;
use crate::pool::state::State;
use crate::pool::types::{Ending, Phase, Review, Share, Stage};
use crate::{Decision, ErrorCode, Rejection};

pub(super) fn depart(room: &Room<'_>) -> Judgement {
    become_phase(room, Phase::Departed)?;
    let mut draft = Draft::new(room.state, room.ctx);
    draft.push(Event::PoolDeparted {});
    draft.settle(Ending::Departed);
    Ok(draft.into_decision())
}

pub(super) fn board(room: &Room<'_>, command: Board) -> Judgement {
    let claim = room.claim(command.claim)?;
    if room.state.phase != Phase::Departed && room.state.phase != Phase::Scheduled {
        return Err(closed("the ride is over"));
    }
    if claim.stage != (Stage::Confirmed {}) {
        return Err(Rejection::new(ErrorCode::Conflict, "Only riders with a confirmed seat get in"));
    }
    let (claim, user) = (claim.id, claim.user);
    Ok(Decision::event(Event::Boarded { claim, user, boarded: command.boarded, to: room.state.car() }))
}

pub(super) fn complete(room: &Room<'_>) -> Judgement {
    become_phase(room, Phase::Completed)?;
    let mut draft = Draft::new(room.state, room.ctx);
    arrive(&mut draft);
    Ok(draft.into_decision())
}

/// The ride is over, and everybody in the car learns what it costs.
pub(super) fn arrive(draft: &mut Draft<'_>) {
    draft.push(Event::PoolCompleted {});
    let shares = shares(&draft.state);
    if !shares.is_empty() {
        let to = draft.state.car();
        draft.push(Event::CostsShared { shares, to });
    }
}

/// The price of each seat of everybody who is not known to have stayed behind.
fn shares(state: &State) -> Vec<Share> {
    let Some(price) = state.pool.as_ref().and_then(|pool| pool.details.price) else { return Vec::new() };
    let rode = state.confirmed().filter(|claim| claim.boarded != Some(false));
    let share = |user, seats: u8| {
        let minor = MinorUnits::new(price.minor.get().saturating_mul(i64::from(seats)))?;
        Some(Share { user, seats, minor })
    };
    rode.filter_map(|claim| share(claim.user, claim.seats)).collect()
}

pub(super) fn cancel(room: &Room<'_>, command: &Cancel) -> Judgement {
    become_phase(room, Phase::Cancelled)?;
    let mut draft = Draft::new(room.state, room.ctx);
    call_off(&mut draft, command.reason.clone());
    Ok(draft.into_decision())
}

/// The pool is off: every claim ends, the confirmed ones too.
pub(super) fn call_off(draft: &mut Draft<'_>, reason: Option<crate::pool::types::Words>) {
    draft.push(Event::PoolCancelled { reason });
    draft.settle(Ending::Cancelled);
    let riders: Vec<_> = draft.state.claims.keys().copied().collect();
    for claim in riders {
        draft.end(claim, Ending::Cancelled, None);
    }
}

fn become_phase(room: &Room<'_>, to: Phase) -> Result<(), Rejection> {
    let from = room.state.phase;
    if from.may_become(to) {
        return Ok(());
    }
    Err(Rejection::new(ErrorCode::Conflict, format!("A pool that is {from} cannot become {to}")))
}

pub(super) fn send_message(room: &Room<'_>, command: &SendMessage) -> Judgement {
    let id = room.new_id(command.id)?;
    Ok(Decision::event(Event::MessageSent { id, body: command.body.clone(), to: room.state.car() }))
}

pub(super) fn review(room: &Room<'_>, command: &WriteReview) -> Judgement {
    let by = room.ctx.author;
    if !(1..=5).contains(&command.stars) {
        return Err(Rejection::invalid("/stars", "must be between 1 and 5"));
    }
    if room.state.phase != Phase::Completed {
        return Err(Rejection::new(ErrorCode::Conflict, "Reviews are written after the ride"));
    }
    if !room.state.rode_together(by, command.of) {
        return Err(Rejection::invalid("/of", "you did not ride together; riders review the driver, the driver reviews riders"));
    }
    if room.state.reviews.iter().any(|review| (review.by, review.of) == (by, command.of)) {
        return Err(Rejection::new(ErrorCode::AlreadyExists, "You have reviewed this person for this ride already"));
    }
    let review = Review { by, of: command.of, stars: command.stars, text: command.text.clone(), at: room.ctx.at };
    Ok(Decision::event(Event::Reviewed { review: Box::new(review) }))
}
