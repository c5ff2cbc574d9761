//! Seats: asked for, held, given, taken back.

use super::draft::Draft;
use super::{Judgement, Room, closed, no_such_claim};
use crate::pool::command::{Hold, Invite, Reject, Remove, Request};
use crate::pool::event::Event;
use crate::pool::limits::{PENDING_MAX, PENDING_PER_PERSON_MAX, WAITING_MAX};
use crate::pool::types::{Booking, Claim, Ending, Stage, Words};
use crate::{Decision, ErrorCode, ItemId, Rejection, UserCard};
use std::time::Duration;

pub(super) fn request(room: &Room<'_>, command: &Request) -> Judgement {
    room.scheduled(true)?;
    let wanted = Wanted { id: command.id, seats: command.seats, from: command.from, to: command.to };
    let mut claim = new_claim(room, wanted, command.message.clone())?;
    let instant = room.pool.details.booking == Booking::Instant;
    let left = room.state.left(claim.from, claim.to);
    let mut draft = Draft::new(room.state, room.ctx);
    if left < claim.seats {
        if !command.wait {
            return Err(seats_taken(left, "set `wait` to be put on the waiting list"));
        }
        if room.state.line.len() >= WAITING_MAX {
            return Err(Rejection::new(ErrorCode::LimitReached, format!("The waiting list has at most {WAITING_MAX} people")));
        }
        if !instant {
            reserved(room)?;
        }
        claim.stage = Stage::Waiting { approved: instant };
        let place = u16::try_from(room.state.line.len() + 1).ok();
        draft.push(Event::Claimed { owner: room.pool.owner, claim: Box::new(claim), place });
    } else if instant {
        draft.confirm(claim);
    } else {
        reserved(room)?;
        let pending = room.state.claims.values().filter(|claim| claim.stage == Stage::Pending {}).count();
        if pending >= PENDING_MAX {
            return Err(Rejection::new(ErrorCode::LimitReached, format!("At most {PENDING_MAX} requests wait for the owner's answer")));
        }
        draft.push(Event::Claimed { owner: room.pool.owner, claim: Box::new(claim), place: None });
    }
    Ok(draft.into_decision())
}

/// Whether the author may have one more request that waits for an owner's answer.
fn reserved(room: &Room<'_>) -> Result<(), Rejection> {
    if room.ctx.reserved {
        return Ok(());
    }
    let message = format!("You have {PENDING_PER_PERSON_MAX} requests that wait for an answer, in all pools together; withdraw one first");
    Err(Rejection::new(ErrorCode::LimitReached, message))
}

pub(super) fn hold(room: &Room<'_>, command: Hold) -> Judgement {
    room.scheduled(true)?;
    if room.pool.details.booking != Booking::Instant {
        return Err(Rejection::new(ErrorCode::Conflict, "The owner of this pool answers each request; send a request instead of a hold"));
    }
    let mut claim = new_claim(room, Wanted { id: command.id, seats: command.seats, from: command.from, to: command.to }, None)?;
    let left = room.state.left(claim.from, claim.to);
    if left < claim.seats {
        return Err(seats_taken(left, "send a request with `wait` to be put on the waiting list"));
    }
    let mut draft = Draft::new(room.state, room.ctx);
    let until = room.ctx.at.plus(Duration::from_secs(u64::from(room.pool.details.hold_seconds)));
    claim.stage = Stage::Held { until: draft.before_departure(until) };
    draft.push(Event::Claimed { owner: room.pool.owner, claim: Box::new(claim), place: None });
    Ok(draft.into_decision())
}

pub(super) fn invite(room: &Room<'_>, command: Invite) -> Judgement {
    room.scheduled(true)?;
    let Some(card) = room.ctx.user(command.user) else {
        return Err(Rejection { pointer: Some("/user".into()), ..Rejection::not_found("There is no such user") });
    };
    if card.user == room.pool.owner || room.state.claim_of(card.user).is_some() {
        let message = "This person drives, or has a claim already";
        return Err(Rejection { pointer: Some("/user".into()), ..Rejection::new(ErrorCode::AlreadyExists, message) });
    }
    if room.pool.details.group.is_some() && room.pool.details.group != card.group {
        return Err(Rejection::invalid("/user", "does not belong to the group of this pool"));
    }
    let wanted = Wanted { id: command.id, seats: command.seats, from: command.from, to: command.to };
    let mut claim = claim_for(room, card, wanted, None)?;
    let left = room.state.left(claim.from, claim.to);
    if left < claim.seats {
        return Err(seats_taken(left, "take a seat back first"));
    }
    let mut draft = Draft::new(room.state, room.ctx);
    let until = room.ctx.at.plus(Duration::from_secs(u64::from(room.pool.details.offer_seconds)));
    claim.stage = Stage::Offered { until: draft.before_departure(until) };
    draft.push(Event::Claimed { owner: room.pool.owner, claim: Box::new(claim), place: None });
    Ok(draft.into_decision())
}

pub(super) fn accept(room: &Room<'_>, claim: ItemId) -> Judgement {
    let claim = room.own_claim(claim)?;
    room.scheduled(true)?;
    match claim.stage {
        Stage::Held { .. } | Stage::Offered { .. } => {
            let mut draft = Draft::new(room.state, room.ctx);
            draft.confirm(claim.clone());
            Ok(draft.into_decision())
        }
        Stage::Pending {} | Stage::Waiting { .. } => {
            Err(Rejection::new(ErrorCode::Conflict, "Nothing is held for you or offered to you yet"))
        }
        Stage::Confirmed {} => Err(Rejection::new(ErrorCode::Conflict, "The seats are yours already")),
    }
}

pub(super) fn withdraw(room: &Room<'_>, claim: ItemId) -> Judgement {
    let claim = room.own_claim(claim)?;
    room.scheduled(false)?;
    end(room, claim, Ending::Withdrawn, None)
}

pub(super) fn approve(room: &Room<'_>, claim: ItemId) -> Judgement {
    let claim = room.claim(claim)?;
    room.scheduled(true)?;
    let mut draft = Draft::new(room.state, room.ctx);
    match claim.stage {
        Stage::Pending {} => {
            let left = room.state.left(claim.from, claim.to);
            if left < claim.seats {
                return Err(seats_taken(left, "take a seat back or reject the request"));
            }
            draft.confirm(claim.clone());
        }
        Stage::Waiting { approved: false } => {
            draft.push(Event::WaitingApproved { owner: room.pool.owner, claim: claim.id, user: claim.user });
        }
        Stage::Waiting { approved: true } | Stage::Held { .. } | Stage::Offered { .. } | Stage::Confirmed {} => {
            return Err(Rejection::new(ErrorCode::Conflict, "This needs no approval, or has it already"));
        }
    }
    Ok(draft.into_decision())
}

pub(super) fn reject(room: &Room<'_>, command: &Reject) -> Judgement {
    let claim = room.claim(command.claim)?;
    match claim.stage {
        Stage::Pending {} | Stage::Waiting { .. } => end(room, claim, Ending::Rejected, command.reason.clone()),
        Stage::Held { .. } | Stage::Offered { .. } | Stage::Confirmed {} => {
            Err(Rejection::new(ErrorCode::Conflict, "The rider has the seats already; remove the rider instead"))
        }
    }
}

pub(super) fn remove(room: &Room<'_>, command: &Remove) -> Judgement {
    let claim = room.claim(command.claim)?;
    room.scheduled(false)?;
    match claim.stage {
        Stage::Held { .. } | Stage::Offered { .. } | Stage::Confirmed {} => end(room, claim, Ending::Removed, command.reason.clone()),
        Stage::Pending {} | Stage::Waiting { .. } => {
            Err(Rejection::new(ErrorCode::Conflict, "The rider has no seats yet; reject the request instead"))
        }
    }
}

fn end(room: &Room<'_>, claim: &Claim, ending: Ending, reason: Option<Words>) -> Judgement {
    let mut draft = Draft::new(room.state, room.ctx);
    draft.end(claim.id, ending, reason);
    Ok(draft.into_decision())
}

/// What a request and a hold have in common.
struct Wanted {
    id: Option<ItemId>,
    seats: u8,
    from: Option<ItemId>,
    to: Option<ItemId>,
}

/// A pending claim of the author's.
fn new_claim(room: &Room<'_>, wanted: Wanted, message: Option<Words>) -> Result<Claim, Rejection> {
    let Some(card) = room.ctx.user(room.ctx.author) else { return Err(closed("your account is not known")) };
    claim_for(room, card, wanted, message)
}

fn claim_for(room: &Room<'_>, card: &UserCard, wanted: Wanted, message: Option<Words>) -> Result<Claim, Rejection> {
    let details = &room.pool.details;
    if !(1..=details.seats).contains(&wanted.seats) {
        return Err(Rejection::invalid("/seats", format!("must be between 1 and {}, the seats of this pool", details.seats)));
    }
    let stop = |pointer: &str, stop: Option<ItemId>, otherwise: usize| match stop {
        Some(stop) => details.index_of(stop).ok_or_else(|| Rejection::invalid(pointer, "is no stop of this pool")),
        None => Ok(otherwise),
    };
    let (from, to) = (stop("/from", wanted.from, 0)?, stop("/to", wanted.to, details.legs())?);
    let (Some(from_stop), Some(to_stop)) = (details.stops.get(from), details.stops.get(to)) else {
        return Err(no_such_claim());
    };
    if from >= to {
        return Err(Rejection::invalid("/to", "the way goes from `from` to `to`, not back"));
    }
    Ok(Claim {
        id: room.new_id(wanted.id)?,
        user: card.user,
        name: card.name.clone(),
        seats: wanted.seats,
        from: from_stop.id,
        to: to_stop.id,
        message,
        asked_at: room.ctx.at,
        stage: Stage::Pending {},
        boarded: None,
    })
}

fn seats_taken(left: u8, what_to_do: &str) -> Rejection {
    let seats = match left {
        0 => "No seat is left".to_owned(),
        1 => "One seat is left".to_owned(),
        left => format!("{left} seats are left"),
    };
    let rejection = Rejection::new(ErrorCode::SeatsTaken, format!("{seats} on this part of the way; {what_to_do}"));
    rejection.with_details(serde_json::json!({"seats_left": left}))
}

impl Draft<'_> {
    pub(super) fn into_decision(self) -> Decision<Event> {
        Decision { events: self.finish(), conflicts: Vec::new() }
    }
}
