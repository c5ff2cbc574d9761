//! The pool itself.

use super::draft::Draft;
use super::{Judgement, Room, no_such_pool};
use crate::civil::Moment;
use crate::money::Money;
use crate::pool::command::{Create, NewStop, UpdateDetails};
use crate::pool::event::Event;
use crate::pool::limits::{
    AHEAD_MAX, DECIDE_SECONDS_DEFAULT, DECIDE_SECONDS_MAX, DECIDE_SECONDS_MIN, PREFERENCES_MAX, PRICE_MAX, SEATS_MAX, STOPS_MAX,
};
use crate::pool::types::{Departure, Details, Ending, Stop, Words};
use crate::{Ctx, Decision, ErrorCode, Rejection};
use std::collections::BTreeSet;

pub(super) fn create(ctx: &Ctx<'_>, command: &Create) -> Judgement {
    let card = ctx.user(ctx.author).ok_or_else(no_such_pool)?;
    if command.group.is_some() && command.group != card.group {
        return Err(Rejection::invalid("/group", "is not your group; set it in your profile first"));
    }
    let details = Details {
        stops: stops(ctx, &command.stops)?,
        departure: departure(ctx, &command.departure)?,
        seats: command.seats,
        price: command.price,
        car: command.car.clone(),
        preferences: command.preferences.clone(),
        notes: command.notes.clone(),
        group: command.group.clone(),
        booking: command.booking,
        hold_seconds: command.hold_seconds.unwrap_or(DECIDE_SECONDS_DEFAULT),
        offer_seconds: command.offer_seconds.unwrap_or(DECIDE_SECONDS_DEFAULT),
    };
    check(&details)?;
    Ok(Decision::event(Event::PoolCreated { room: ctx.room, details: Box::new(details), owner: card.user, name: card.name.clone() }))
}

pub(super) fn update(room: &Room<'_>, command: &UpdateDetails) -> Judgement {
    room.scheduled(false)?;
    let from = &room.pool.details;
    let mut to = from.clone();
    if let Some(wanted) = &command.stops {
        nobody_asked(room, "/stops", "the way")?;
        to.stops = stops(room.ctx, wanted)?;
    }
    if let Some(wanted) = &command.departure {
        to.departure = departure(room.ctx, wanted)?;
    }
    if let Some(price) = command.price
        && price != from.price
    {
        nobody_asked(room, "/price", "the price")?;
        to.price = price;
    }
    if let Some(seats) = command.seats {
        let taken = room.state.taken().into_iter().max().unwrap_or(0);
        if seats < taken {
            let message = format!("{taken} seats are taken already; take some back first");
            return Err(Rejection { pointer: Some("/seats".into()), ..Rejection::new(ErrorCode::Conflict, message) });
        }
        to.seats = seats;
    }
    if let Some(car) = &command.car {
        to.car.clone_from(car);
    }
    if let Some(preferences) = &command.preferences {
        to.preferences.clone_from(preferences);
    }
    if let Some(notes) = &command.notes {
        to.notes.clone_from(notes);
    }
    to.hold_seconds = command.hold_seconds.unwrap_or(from.hold_seconds);
    to.offer_seconds = command.offer_seconds.unwrap_or(from.offer_seconds);
    check(&to)?;
    let mut draft = Draft::new(room.state, room.ctx);
    let seats = to.seats;
    draft.push(Event::DetailsUpdated { from: Box::new(from.clone()), to: Box::new(to) });
    // What cannot be granted any more is answered, rather than left until the departure.
    let too_many = room.state.claims.values().filter(|claim| claim.seats > seats);
    let reason = format!("The ride has {seats} seats now; ask again for fewer").parse::<Words>().ok();
    for claim in too_many {
        draft.end(claim.id, Ending::Rejected, reason.clone());
    }
    Ok(draft.into_decision())
}

fn nobody_asked(room: &Room<'_>, pointer: &str, what: &str) -> Result<(), Rejection> {
    if room.state.claims.is_empty() {
        return Ok(());
    }
    let message = format!("People have asked for seats; {what} stays until the last of them is gone");
    Err(Rejection { pointer: Some(pointer.into()), ..Rejection::new(ErrorCode::Conflict, message) })
}

fn stops(ctx: &Ctx<'_>, wanted: &[NewStop]) -> Result<Vec<Stop>, Rejection> {
    if !(2..=STOPS_MAX).contains(&wanted.len()) {
        return Err(Rejection::invalid("/stops", format!("needs the origin and the destination, and at most {STOPS_MAX} stops")));
    }
    let mut seen = BTreeSet::new();
    let mut stops = Vec::with_capacity(wanted.len());
    for (index, stop) in wanted.iter().enumerate() {
        let id = stop.id.unwrap_or_else(|| ctx.derived_id(u16::try_from(index + 1).unwrap_or(u16::MAX)));
        if !seen.insert(id) {
            return Err(Rejection::invalid(format!("/stops/{index}/id"), "names another stop of this pool too"));
        }
        if stops.last().is_some_and(|last: &Stop| last.position == stop.position) {
            return Err(Rejection::invalid(format!("/stops/{index}/position"), "is where the stop before it is"));
        }
        stops.push(Stop { id, name: stop.name.clone(), position: stop.position });
    }
    Ok(stops)
}

fn departure(ctx: &Ctx<'_>, wanted: &Moment) -> Result<Departure, Rejection> {
    let Some(local) = wanted.known_zone() else {
        return Err(Rejection::invalid("/departure/tz", "is no time zone of the IANA database"));
    };
    let Some(at) = local.instant() else {
        return Err(Rejection::invalid("/departure", "needs a time of day: `local` and `tz`"));
    };
    if at <= ctx.at {
        return Err(Rejection::invalid("/departure", "must be in the future"));
    }
    if at > ctx.at.plus(AHEAD_MAX) {
        return Err(Rejection::invalid("/departure", "must be within the next 366 days"));
    }
    Ok(Departure { local, at })
}

fn check(details: &Details) -> Result<(), Rejection> {
    if !(1..=SEATS_MAX).contains(&details.seats) {
        return Err(Rejection::invalid("/seats", format!("must be between 1 and {SEATS_MAX}")));
    }
    if details.price.is_some_and(|Money { minor, .. }| !(0..=PRICE_MAX).contains(&minor.get())) {
        return Err(Rejection::invalid("/price/minor", format!("must be between 0 and {PRICE_MAX}")));
    }
    if details.preferences.len() > PREFERENCES_MAX {
        return Err(Rejection::invalid("/preferences", format!("at most {PREFERENCES_MAX}")));
    }
    for (pointer, seconds) in [("/hold_seconds", details.hold_seconds), ("/offer_seconds", details.offer_seconds)] {
        if !(DECIDE_SECONDS_MIN..=DECIDE_SECONDS_MAX).contains(&seconds) {
            return Err(Rejection::invalid(pointer, format!("must be between {DECIDE_SECONDS_MIN} and {DECIDE_SECONDS_MAX} seconds")));
        }
    }
    Ok(())
}
