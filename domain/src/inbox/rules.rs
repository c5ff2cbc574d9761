//! Judging commands.

use super::command::{CancelRide, Command, Deliver, MarkRead, RequestRide, SaveSearch};
use super::event::Event;
use super::limits::{ITEM_BYTES_MAX, MARKS_MAX, RADIUS_MAX_M, RIDE_LIVES, SEARCHES_MAX};
use super::state::State;
use super::types::{RideEnding, RideRequest, SavedSearch, Spot};
use crate::{Ctx, Decision, ErrorCode, Rejection, UserId};
use serde_json::Value;

type Judgement = Result<Decision<Event>, Rejection>;

pub(super) fn decide(state: &State, ctx: &Ctx<'_>, command: &Command) -> Judgement {
    let Some(owner) = state.user else {
        return if let Command::Open(open) = command { self::open(ctx, open.user) } else { Err(no_such_inbox()) };
    };
    let server = ctx.author == UserId::ROOM;
    if !server && ctx.author != owner {
        return Err(no_such_inbox());
    }
    match command {
        Command::Open(_) => Err(Rejection::new(ErrorCode::AlreadyExists, "The inbox exists already")),
        Command::Deliver(command) if server => deliver(command),
        Command::Deliver(_) => Err(Rejection::forbidden("Only the server delivers")),
        Command::MarkRead(command) => mark_read(state, command),
        Command::RequestRide(command) => request_ride(state, ctx, command),
        Command::CancelRide(command) => cancel_ride(state, *command, server),
        Command::SaveSearch(command) => save_search(state, ctx, command),
        Command::DeleteSearch(command) => match state.searches.get(&command.search) {
            Some(search) => Ok(Decision::event(Event::SearchDeleted { search: search.id })),
            None => Err(Rejection { pointer: Some("/search".into()), ..Rejection::not_found("There is no such search") }),
        },
    }
}

fn no_such_inbox() -> Rejection {
    Rejection::not_found("There is no such inbox")
}

fn open(ctx: &Ctx<'_>, user: Option<UserId>) -> Judgement {
    let user = match user {
        Some(user) if ctx.author == UserId::ROOM || ctx.author == user => user,
        None if ctx.author != UserId::ROOM => ctx.author,
        Some(_) | None => return Err(no_such_inbox()),
    };
    if super::Inbox::room_of(user) != ctx.room {
        return Err(no_such_inbox());
    }
    Ok(Decision::event(Event::InboxOpened { user }))
}

fn deliver(command: &Deliver) -> Judgement {
    if !command.item.get("type").is_some_and(Value::is_string) {
        return Err(Rejection::invalid("/item/type", "an item has a type"));
    }
    if command.item.to_string().len() > ITEM_BYTES_MAX {
        return Err(Rejection::invalid("/item", format!("an item has at most {ITEM_BYTES_MAX} bytes")));
    }
    Ok(Decision::event(Event::Delivered { id: command.id, item: Box::new(command.item.clone()) }))
}

fn mark_read(state: &State, command: &MarkRead) -> Judgement {
    if command.items.len() > MARKS_MAX {
        return Err(Rejection::invalid("/items", format!("at most {MARKS_MAX} items")));
    }
    let up_to = command.up_to.unwrap_or(state.read_up_to);
    if up_to > state.seq {
        return Err(Rejection::invalid("/up_to", format!("the inbox is at seq {}", state.seq)));
    }
    Ok(Decision::event(Event::ReadMarked { up_to: up_to.max(state.read_up_to), items: command.items.clone() }))
}

fn request_ride(state: &State, ctx: &Ctx<'_>, command: &RequestRide) -> Judgement {
    seats(command.seats)?;
    apart(&command.from, &command.to)?;
    let group = ctx.user(ctx.author).and_then(|card| card.group.clone());
    let ride = RideRequest {
        id: command.id.unwrap_or(ctx.new_id),
        from: command.from.clone(),
        to: command.to.clone(),
        seats: command.seats,
        group,
        at: ctx.at,
        until: ctx.at.plus(RIDE_LIVES),
    };
    let replaced = state.ride.iter().map(|old| Event::RideEnded { ride: old.id, ending: RideEnding::Replaced });
    let events = replaced.chain([Event::RideRequested { ride: Box::new(ride) }]).collect();
    Ok(Decision { events, conflicts: Vec::new() })
}

fn cancel_ride(state: &State, command: CancelRide, server: bool) -> Judgement {
    let Some(ride) = state.ride.as_ref().filter(|ride| ride.id == command.ride) else {
        let message = "There is no such ride request; it may have run out, been replaced or taken back";
        return Err(Rejection { pointer: Some("/ride".into()), ..Rejection::not_found(message) });
    };
    if command.pooled && !server {
        return Err(Rejection::invalid("/pooled", "only the server knows"));
    }
    let ending = if command.pooled { RideEnding::Pooled } else { RideEnding::Cancelled };
    Ok(Decision::event(Event::RideEnded { ride: ride.id, ending }))
}

fn save_search(state: &State, ctx: &Ctx<'_>, command: &SaveSearch) -> Judgement {
    seats(command.seats)?;
    let id = command.id.unwrap_or(ctx.new_id);
    if state.searches.len() >= SEARCHES_MAX && !state.searches.contains_key(&id) {
        return Err(Rejection::new(ErrorCode::LimitReached, format!("At most {SEARCHES_MAX} searches are kept")));
    }
    let radius_m = command.radius_m.unwrap_or(5_000);
    if !(100..=RADIUS_MAX_M).contains(&radius_m) {
        return Err(Rejection::invalid("/radius_m", format!("must be between 100 and {RADIUS_MAX_M} metres")));
    }
    if let (Some(after), Some(before)) = (command.after, command.before)
        && after > before
    {
        return Err(Rejection::invalid("/before", "must not be earlier than `after`"));
    }
    let search = SavedSearch {
        id,
        name: command.name.clone(),
        from: command.from.clone(),
        to: command.to.clone(),
        radius_m,
        after: command.after,
        before: command.before,
        seats: command.seats,
        price_max: command.price_max,
    };
    Ok(Decision::event(Event::SearchSaved { search: Box::new(search) }))
}

fn seats(seats: u8) -> Result<(), Rejection> {
    let max = crate::pool::limits::SEATS_MAX;
    if (1..=max).contains(&seats) { Ok(()) } else { Err(Rejection::invalid("/seats", format!("must be between 1 and {max}"))) }
}

fn apart(from: &Spot, to: &Spot) -> Result<(), Rejection> {
    if from.position == to.position { Err(Rejection::invalid("/to/position", "is where the ride starts")) } else { Ok(()) }
}
