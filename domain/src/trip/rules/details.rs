//! The trip itself.

use super::{Judgement, Room, not_negative};
use crate::civil::Date;
use crate::trip::command::{Create, SetStatus, UpdateDetails};
use crate::trip::event::Event;
use crate::trip::fields::{Field, Unseen};
use crate::trip::rights::Action;
use crate::trip::types::{Details, Member, TripStatus};
use crate::{Ctx, Decision, ErrorCode, Rejection, Role};

pub(super) fn create(ctx: &Ctx<'_>, command: &Create) -> Judgement {
    dates_in_order(command.start_date, command.end_date)?;
    not_negative("/budget", command.budget)?;
    let Some(card) = ctx.user(ctx.author) else {
        return Err(Rejection::not_found("There is no such user"));
    };
    let details = Details {
        title: command.title.clone(),
        description: command.description.clone(),
        destination: command.destination.clone(),
        start_date: command.start_date,
        end_date: command.end_date,
        status: TripStatus::Planning,
        trip_type: command.trip_type,
        budget: command.budget,
        privacy: command.privacy,
        trip_data: command.trip_data.clone(),
    };
    let creator = Member { user: ctx.author, name: card.name.clone(), role: Role::Organizer, joined_at: ctx.at };
    Ok(Decision::event(Event::TripCreated { room: ctx.room, details: Box::new(details), creator }))
}

pub(super) fn update(room: &Room<'_>, command: &UpdateDetails) -> Judgement {
    let tracked = &room.trip.details;
    let start = command.start_date.unwrap_or(tracked.item.start_date);
    let end = command.end_date.unwrap_or(tracked.item.end_date);
    dates_in_order(start, end)?;
    not_negative("/budget", command.budget.flatten())?;
    let changes = command.changes(&tracked.item);
    let mut unseen = Unseen::new(room.ctx, "/details".into(), &tracked.stamps);
    changes.note(&mut unseen);
    let mut events = vec![Event::DetailsUpdated { changes: Box::new(changes) }];
    let mut conflicts = unseen.conflicts;
    if let Some(status) = command.status {
        room.needs(Action::SetStatus)?;
        let judged = set_status(room, SetStatus { status })?;
        events.extend(judged.events);
        conflicts.extend(judged.conflicts);
    }
    Ok(Decision { events, conflicts })
}

pub(super) fn set_status(room: &Room<'_>, command: SetStatus) -> Judgement {
    let tracked = &room.trip.details;
    let (from, to) = (tracked.item.status, command.status);
    if !from.may_become(to) {
        let allowed: Vec<_> =
            TripStatus::ALL.iter().filter(|other| **other != from && from.may_become(**other)).map(|s| s.as_str()).collect();
        let message = format!("A trip that is {from} cannot become {to}, only {}", allowed.join(" or "));
        return Err(Rejection { pointer: Some("/status".into()), ..Rejection::new(ErrorCode::Conflict, message) });
    }
    let mut unseen = Unseen::new(room.ctx, "/details".into(), &tracked.stamps);
    if from != to {
        unseen.write(Field::Status, &from, &to);
    }
    let conflicts = unseen.conflicts;
    Ok(Decision { events: vec![Event::StatusChanged { from, to }], conflicts })
}

fn dates_in_order(start: Option<Date>, end: Option<Date>) -> Result<(), Rejection> {
    match (start, end) {
        (Some(start), Some(end)) if end < start => {
            Err(Rejection::invalid("/end_date", format!("the trip would end on {end}, before it starts on {start}")))
        }
        _ => Ok(()),
    }
}
