//! Judging commands: what is common to all, then one file per topic.

mod claims;
mod details;
mod draft;
mod ride;
mod time;

pub(super) use time::{deadline, expire};

use super::command::Command;
use super::event::Event;
use super::rights::{Action, Relation, may};
use super::state::{Pool, State};
use super::types::{Claim, Phase};
use crate::{Ctx, Decision, ErrorCode, ItemId, Rejection};

type Judgement = Result<Decision<Event>, Rejection>;

pub(super) fn decide(state: &State, ctx: &Ctx<'_>, command: &Command) -> Judgement {
    let Some(pool) = &state.pool else {
        return if let Command::Create(create) = command { details::create(ctx, create) } else { Err(no_such_pool()) };
    };
    let room = Room { state, ctx, pool, relation: Relation::of(state, ctx.author) };
    room.needs(command)?;
    match command {
        Command::Create(_) => Err(Rejection::new(ErrorCode::AlreadyExists, "The pool exists already")),
        Command::UpdateDetails(command) => details::update(&room, command),
        Command::Request(command) => claims::request(&room, command),
        Command::Hold(command) => claims::hold(&room, *command),
        Command::Invite(command) => claims::invite(&room, *command),
        Command::Accept(command) => claims::accept(&room, command.claim),
        Command::Withdraw(command) => claims::withdraw(&room, command.claim),
        Command::Approve(command) => claims::approve(&room, command.claim),
        Command::Reject(command) => claims::reject(&room, command),
        Command::Remove(command) => claims::remove(&room, command),
        Command::Depart(_) => ride::depart(&room),
        Command::Board(command) => ride::board(&room, *command),
        Command::Complete(_) => ride::complete(&room),
        Command::Cancel(command) => ride::cancel(&room, command),
        Command::SendMessage(command) => ride::send_message(&room, command),
        Command::Review(command) => ride::review(&room, command),
    }
}

/// The right that a command needs.
pub(super) const fn action(command: &Command) -> Action {
    match command {
        // Only to learn that the pool exists.
        Command::Create(_) => Action::View,
        Command::UpdateDetails(_) => Action::Edit,
        Command::Request(_) | Command::Hold(_) => Action::Ask,
        Command::Accept(_) => Action::Accept,
        Command::Withdraw(_) => Action::Withdraw,
        Command::Invite(_) | Command::Approve(_) | Command::Reject(_) | Command::Remove(_) => Action::Answer,
        Command::Depart(_) | Command::Board(_) | Command::Complete(_) => Action::Drive,
        Command::Cancel(_) => Action::Cancel,
        Command::SendMessage(_) => Action::Ride,
        Command::Review(_) => Action::Review,
    }
}

fn no_such_pool() -> Rejection {
    Rejection::not_found("There is no such pool")
}

/// A pool, who asks, and what the command may know.
struct Room<'a> {
    state: &'a State,
    ctx: &'a Ctx<'a>,
    pool: &'a Pool,
    relation: Relation,
}

impl<'a> Room<'a> {
    fn needs(&self, command: &Command) -> Result<(), Rejection> {
        let action = action(command);
        if may(self.relation, action) {
            return Ok(());
        }
        Err(match (action, self.relation) {
            (Action::Ask, Relation::Owner) => Rejection::forbidden("It is your own pool; you drive"),
            (Action::Ask, _) => {
                Rejection::new(ErrorCode::AlreadyExists, "You have asked in this pool already; withdraw first to ask for something else")
            }
            // What was there may have ended a moment ago, which the rider has to learn.
            (Action::Accept | Action::Withdraw, _) => no_such_claim(),
            (Action::Ride | Action::Review, _) => Rejection::forbidden("This is for those who ride along"),
            _ => Rejection::forbidden("Only the pool's owner may do this"),
        })
    }

    /// Before departure only, and not after the time of departure when `in_time`.
    fn scheduled(&self, in_time: bool) -> Result<(), Rejection> {
        let said = match self.state.phase {
            Phase::Scheduled if in_time && self.ctx.at >= self.pool.details.departure.at => "its time of departure has passed",
            Phase::Scheduled => return Ok(()),
            Phase::Departed => "it has departed",
            Phase::Completed => "it is over",
            Phase::Cancelled => "it was cancelled",
        };
        Err(closed(said))
    }

    fn claim(&self, id: ItemId) -> Result<&'a Claim, Rejection> {
        self.state.claims.get(&id).ok_or_else(no_such_claim)
    }

    /// A claim of the author's.
    fn own_claim(&self, id: ItemId) -> Result<&'a Claim, Rejection> {
        self.claim(id).and_then(|claim| if claim.user == self.ctx.author { Ok(claim) } else { Err(no_such_claim()) })
    }

    /// The id of a new claim or message: the one that the client made, else a fresh one.
    fn new_id(&self, wanted: Option<ItemId>) -> Result<ItemId, Rejection> {
        let id = wanted.unwrap_or(self.ctx.new_id);
        if self.state.claims.contains_key(&id) || self.state.messages.iter().any(|message| message.id == id) {
            let message = "The id is taken; make a new one";
            return Err(Rejection { pointer: Some("/id".into()), ..Rejection::new(ErrorCode::AlreadyExists, message) });
        }
        Ok(id)
    }
}

fn no_such_claim() -> Rejection {
    let message = "There is no such claim; it may have been answered, withdrawn or have run out of time";
    Rejection { pointer: Some("/claim".into()), ..Rejection::not_found(message) }
}

fn closed(why: &str) -> Rejection {
    Rejection::new(ErrorCode::PoolClosed, format!("The pool does not take this any more: {why}"))
}
