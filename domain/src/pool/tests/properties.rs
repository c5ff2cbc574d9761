//! Whatever people do and however time passes: never oversold, in order, nobody in limbo.

use super::harness::{ANA, Room};
use crate::pool::sabotage::{Sabotage, sabotage};
use crate::pool::testing::{random_command, random_pool};
use crate::pool::{Command, Ending, Event, Phase, Stage, State};
use crate::trip::testing::numbers;
use crate::{ItemId, Projection, UserId, command};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// What the events say of seats, counted without the rules: `(seats, legs)` of each claim that takes some.
#[derive(Default)]
struct Ledger {
    seats: u8,
    stops: Vec<ItemId>,
    taking: BTreeMap<ItemId, (u8, std::ops::Range<usize>)>,
    waiting: Vec<ItemId>,
    /// Those who wait and whom the owner takes, or need not be asked for.
    wanted: BTreeSet<ItemId>,
    /// Claims that are not over, and how each that is over ended.
    open: BTreeMap<ItemId, (u8, std::ops::Range<usize>)>,
    ended: BTreeMap<ItemId, Ending>,
    confirmed: BTreeSet<ItemId>,
}

impl Ledger {
    fn apply(&mut self, event: &Event) {
        match event {
            Event::PoolCreated { details, .. } | Event::DetailsUpdated { to: details, .. } => {
                self.seats = details.seats;
                self.stops = details.stops.iter().map(|stop| stop.id).collect();
            }
            Event::Claimed { claim, .. } => {
                assert!(!self.ended.contains_key(&claim.id) && !self.open.contains_key(&claim.id), "a claim begins once");
                let wants = (claim.seats, self.legs(Some(claim.from), Some(claim.to)));
                self.open.insert(claim.id, wants.clone());
                match claim.stage {
                    Stage::Waiting { approved } => {
                        self.waiting.push(claim.id);
                        self.wanted.extend(approved.then_some(claim.id));
                    }
                    Stage::Held { .. } | Stage::Offered { .. } => drop(self.taking.insert(claim.id, wants)),
                    _ => {}
                }
            }
            Event::Offered { claim, .. } => {
                for ahead in self.waiting.iter().take_while(|other| *other != claim).filter(|other| self.wanted.contains(*other)) {
                    let (seats, legs) = &self.open[ahead];
                    assert!(self.left(legs) < u32::from(*seats), "{ahead} was passed over by {claim}");
                }
                self.waiting.retain(|other| other != claim);
                let wants = self.open[claim].clone();
                assert!(self.taking.insert(*claim, wants).is_none(), "an offer is made once");
            }
            Event::Confirmed { claim, .. } => {
                let wants = (claim.seats, self.legs(Some(claim.from), Some(claim.to)));
                self.open.insert(claim.id, wants.clone());
                self.taking.insert(claim.id, wants);
                assert!(self.confirmed.insert(claim.id), "a seat is given once");
            }
            Event::ClaimEnded { claim, ending, .. } => {
                assert!(self.open.remove(claim).is_some(), "what ends was there");
                assert!(self.ended.insert(*claim, *ending).is_none(), "a claim ends once");
                self.taking.remove(claim);
                self.waiting.retain(|other| other != claim);
            }
            Event::WaitingApproved { claim, .. } => drop(self.wanted.insert(*claim)),
            _ => {}
        }
        for leg in 0..self.stops.len().saturating_sub(1) {
            let taken = self.taken(leg);
            assert!(taken <= u32::from(self.seats), "{taken} of {} seats on leg {leg} after {event:?}", self.seats);
        }
    }

    fn legs(&self, from: Option<ItemId>, to: Option<ItemId>) -> std::ops::Range<usize> {
        let index = |stop: Option<ItemId>| stop.and_then(|stop| self.stops.iter().position(|other| *other == stop));
        index(from).unwrap_or(0)..index(to).unwrap_or(self.stops.len() - 1)
    }

    fn taken(&self, leg: usize) -> u32 {
        self.taking.values().filter(|(_, legs)| legs.contains(&leg)).map(|(seats, _)| u32::from(*seats)).sum()
    }

    /// Free seats on every one of some legs.
    fn left(&self, legs: &std::ops::Range<usize>) -> u32 {
        let taken =
            |leg: usize| -> u32 { self.taking.values().filter(|(_, legs)| legs.contains(&leg)).map(|(seats, _)| u32::from(*seats)).sum() };
        let most = legs.clone().map(taken).max().unwrap_or(0);
        u32::from(self.seats).saturating_sub(most)
    }

    /// The ledger and the state agree, and once it is over nothing is left open but seats.
    fn agrees(&self, state: &State) {
        assert_eq!(self.waiting, state.line);
        assert_eq!(self.open.keys().collect::<Vec<_>>(), state.claims.keys().collect::<Vec<_>>());
        if state.phase != Phase::Scheduled {
            assert!(state.claims.values().all(|claim| claim.stage == Stage::Confirmed {}), "somebody is in limbo");
        }
    }
}

fn run(seed: u64, steps: usize) {
    let mut rng = numbers(seed);
    let people: Vec<UserId> = (0x20..0x29).map(|n| UserId(Uuid::from_u128(n))).chain([ANA]).collect();
    let mut room = Room::empty();
    let create = crate::command::to_wire(&random_pool(&mut rng, room.now));
    room.ok(ANA, create);
    let mut ledger = Ledger::default();
    let mut counted = 0;
    for _ in 0..steps {
        // Time passes in steps that fall on deadlines, just before, and far beyond them.
        let jump = match rng() % 12 {
            0 => 700,
            1 => 3_600,
            2 if rng().is_multiple_of(6) => 86_400,
            3..=5 => rng() % 60,
            _ => 0,
        };
        room.wait(jump);
        let author = people[usize::try_from(rng() % 10).unwrap()];
        let command = crate::command::to_wire(&random_command(&mut rng, &room.state, author));
        let accepted = room.check(author, &command);
        for (_, event) in &room.journal[counted..] {
            ledger.apply(event);
        }
        counted = room.journal.len();
        ledger.agrees(&room.state);
        // A refusal for want of seats is true.
        if let Err(refused) = accepted
            && refused.code == crate::ErrorCode::SeatsTaken
        {
            let wire = command::parse::<Command>(&command).unwrap();
            let (seats, legs) = match wire {
                Command::Request(asked) => (asked.seats, ledger.legs(asked.from, asked.to)),
                Command::Hold(asked) => (asked.seats, ledger.legs(asked.from, asked.to)),
                Command::Approve(asked) => ledger.open[&asked.claim].clone(),
                other => panic!("{other:?} is refused for want of seats"),
            };
            assert_eq!(refused.details.unwrap()["seats_left"], ledger.left(&legs), "{command}");
            assert!(ledger.left(&legs) < u32::from(seats), "{command} is refused though the seats are free");
        }
    }
    // In the end everything is answered, whatever was going on.
    room.wait(3 * 86_400);
    for (_, event) in &room.journal[counted..] {
        ledger.apply(event);
    }
    ledger.agrees(&room.state);
    assert!(matches!(room.state.phase, Phase::Completed | Phase::Cancelled));
    projections_agree(&room);
    replay_agrees(&room);
}

/// What the database counts, by what it was told.
fn projections_agree(room: &Room) {
    let mut taken = BTreeMap::new();
    let mut reserved = BTreeSet::new();
    for projection in &room.projections {
        match projection {
            Projection::Taken { id, from, to, count } => drop(taken.insert(*id, (*from, *to, *count))),
            Projection::Freed { id } => drop(taken.remove(id)),
            Projection::Reserved { user, .. } => drop(reserved.insert(*user)),
            Projection::Released { user, .. } => drop(reserved.remove(user)),
            _ => {}
        }
    }
    let seated: BTreeSet<_> = room.state.claims.keys().copied().collect();
    assert_eq!(taken.keys().copied().collect::<BTreeSet<_>>(), seated);
    assert!(reserved.is_empty(), "a reservation outlives the ride");
}

fn replay_agrees(room: &Room) {
    let mut state = State::default();
    room.journal.iter().for_each(|(meta, event)| state.evolve(meta, event));
    assert_eq!(state, room.state);
    let kept: State = rmp_serde::from_slice(&rmp_serde::to_vec_named(&state).unwrap()).unwrap();
    assert_eq!(kept, state);
}

#[test]
fn two_thousand_pools_are_never_oversold() {
    for seed in 0..2_000 {
        run(seed, 60);
    }
}

#[test]
fn broken_rules_are_noticed() {
    for how in [Sabotage::TakesTwice, Sabotage::ExpiryKeeps, Sabotage::LastComeFirstServed] {
        let caught = std::thread::spawn(move || {
            sabotage(how);
            (0..200).for_each(|seed| run(seed, 60));
        });
        assert!(caught.join().is_err(), "{how:?} was not noticed");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn nor_is_any_other(seed in any::<u64>(), steps in 1_usize..150) {
        run(seed, steps);
    }
}
