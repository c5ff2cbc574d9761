//! For suites that drive whole pools: commands by chance, most sensible, some refused; and a count without the rules.

#[expect(clippy::wildcard_enum_match_arm, reason = "only some events count")]
mod ledger;

pub use ledger::Ledger;

use super::command::{
    Accept, Approve, Board, Cancel, Command, Complete, Create, Depart, Hold, NewStop, Reject, Remove, Request, SendMessage, UpdateDetails,
    Withdraw, WriteReview,
};
use super::state::State;
use super::types::{Booking, Stage};
use crate::civil::Moment;
use crate::geo::Position;
use crate::money::{Currency, MinorUnits, Money};
use crate::text::{Line, Text};
use crate::{ItemId, Timestamp, UserId};
use std::collections::BTreeSet;
use uuid::Uuid;

/// A pool that departs two hours after `now`: two to four stops, one to four seats, by the numbers.
pub fn random_pool(rng: &mut impl FnMut() -> u64, now: Timestamp) -> Command {
    let mut dice = Dice { rng };
    let stops = 2 + dice.below(3);
    let stop = |index: u32| NewStop {
        id: None,
        name: line(&format!("Stop {index}")),
        position: Position::new(48.0 + f64::from(index), 11.0).unwrap_or_else(|| unreachable!("in range")),
    };
    Command::Create(Box::new(Create {
        stops: (0..stops).map(stop).collect(),
        departure: departs(now.plus(std::time::Duration::from_secs(7_200))),
        seats: u8::try_from(1 + dice.below(4)).unwrap_or(1),
        price: Some(Money {
            minor: MinorUnits::new(1_250).unwrap_or_default(),
            currency: Currency::new("EUR").unwrap_or_else(|| unreachable!()),
        }),
        car: None,
        preferences: BTreeSet::new(),
        notes: None,
        group: None,
        booking: if dice.below(3) == 0 { Booking::Approval } else { Booking::Instant },
        hold_seconds: Some(60 + dice.below(600)),
        offer_seconds: Some(60 + dice.below(600)),
    }))
}

/// The moment of an instant, in UTC.
fn departs(at: Timestamp) -> Moment {
    // 2027-05-02T09:30:00.123Z without its milliseconds and zone.
    let text: String = at.to_string().chars().take(19).collect();
    let local = text.parse().unwrap_or_else(|_| unreachable!("an instant has a local time"));
    Moment::At { local, tz: "UTC".into() }
}

/// A command of a user to a pool.
pub fn random_command(rng: &mut impl FnMut() -> u64, state: &State, user: UserId) -> Command {
    let mut dice = Dice { rng };
    let own = state.claim_of(user);
    if state.pool.as_ref().is_some_and(|pool| pool.owner == user) {
        return owner_command(&mut dice, state);
    }
    let claim = own.map_or_else(|| dice.some_claim(state), |claim| claim.id);
    match (dice.below(20), own.map(|claim| claim.stage)) {
        (0..=14, None) => ask(&mut dice, state),
        (0..=9, Some(Stage::Held { .. } | Stage::Offered { .. })) => Command::Accept(Accept { claim }),
        (0..=5, Some(_)) => Command::Withdraw(Withdraw { claim }),
        (15, _) => ask(&mut dice, state),
        (16, _) => Command::Accept(Accept { claim }),
        (17, _) => Command::Approve(Approve { claim }),
        (18, _) => {
            let of = state.pool.as_ref().map_or(user, |pool| pool.owner);
            Command::Review(WriteReview { of, stars: 4, text: None })
        }
        _ => Command::SendMessage(SendMessage { id: None, body: text("on my way") }),
    }
}

fn owner_command<R: FnMut() -> u64>(dice: &mut Dice<'_, R>, state: &State) -> Command {
    let claim = dice.some_claim(state);
    match dice.below(60) {
        0..=24 => Command::Approve(Approve { claim: dice.claim_at(state, "pending").unwrap_or(claim) }),
        25..=34 => Command::Reject(Reject { claim, reason: None }),
        35..=39 => Command::Remove(Remove { claim, reason: Some(text("no room for the dog")) }),
        40..=47 => {
            let seats = u8::try_from(1 + dice.below(4)).ok();
            Command::UpdateDetails(Box::new(UpdateDetails { seats, ..UpdateDetails::default() }))
        }
        48..=52 => Command::Board(Board { claim, boarded: dice.below(2) == 0 }),
        53 => Command::Depart(Depart {}),
        54 => Command::Complete(Complete {}),
        55 if dice.below(4) == 0 => Command::Cancel(Cancel { reason: None }),
        _ => Command::SendMessage(SendMessage { id: None, body: text("leaving soon") }),
    }
}

fn ask<R: FnMut() -> u64>(dice: &mut Dice<'_, R>, state: &State) -> Command {
    let stops: Vec<ItemId> = state.pool.iter().flat_map(|pool| pool.details.stops.iter().map(|stop| stop.id)).collect();
    let (from, to) = (dice.one_of(&stops), dice.one_of(&stops));
    // Mostly the whole way or a part of it in the right direction.
    let order = |stop: Option<ItemId>| stop.and_then(|stop| stops.iter().position(|other| *other == stop));
    let (from, to) = if order(from) < order(to) { (from, to) } else { (None, None) };
    let seats = u8::try_from(1 + dice.below(2)).unwrap_or(1);
    if dice.below(4) == 0 {
        return Command::Hold(Hold { id: None, seats, from, to });
    }
    Command::Request(Box::new(Request { id: None, seats, from, to, message: None, wait: dice.below(4) != 0 }))
}

struct Dice<'a, R> {
    rng: &'a mut R,
}

impl<R: FnMut() -> u64> Dice<'_, R> {
    /// 0 to `end` − 1.
    fn below(&mut self, end: u32) -> u32 {
        u32::try_from((self.rng)() % u64::from(end.max(1))).unwrap_or(0)
    }

    fn one_of<T: Copy>(&mut self, things: &[T]) -> Option<T> {
        let index = self.below(u32::try_from(things.len()).unwrap_or(u32::MAX));
        things.get(usize::try_from(index).unwrap_or(0)).copied()
    }

    /// A claim of the pool, or one that is not there.
    fn some_claim(&mut self, state: &State) -> ItemId {
        let claims: Vec<_> = state.claims.keys().copied().collect();
        self.one_of(&claims).unwrap_or_else(|| ItemId(Uuid::from_u64_pair((self.rng)(), (self.rng)())))
    }

    fn claim_at(&mut self, state: &State, stage: &str) -> Option<ItemId> {
        let claims: Vec<_> = state.claims.values().filter(|claim| claim.stage.as_str() == stage).map(|claim| claim.id).collect();
        self.one_of(&claims)
    }
}

fn line<const MAX: usize>(words: &str) -> Line<MAX> {
    Line::new(words).unwrap_or_else(|_| unreachable!("words are short lines"))
}

fn text<const MAX: usize>(words: &str) -> Text<MAX> {
    Text::new(words).unwrap_or_else(|_| unreachable!("words are short texts"))
}
