//! Whatever people do and however time passes: never oversold, in order, nobody in limbo.

use super::harness::{ANA, Room};
use crate::pool::sabotage::{Sabotage, sabotage};
use crate::pool::testing::{Ledger, random_command, random_pool};
use crate::pool::{Command, Phase, Stage, State};
use crate::trip::testing::numbers;
use crate::{Projection, UserId, command};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

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
    let claims = || room.state.claims.values();
    let seated: BTreeSet<_> = claims().filter(|claim| claim.stage.takes_seats()).map(|claim| claim.id).collect();
    assert_eq!(taken.keys().copied().collect::<BTreeSet<_>>(), seated);
    let unanswered = |stage: Stage| matches!(stage, Stage::Pending {} | Stage::Waiting { approved: false });
    let asking: BTreeSet<_> = claims().filter(|claim| unanswered(claim.stage)).map(|claim| claim.user).collect();
    assert_eq!(reserved, asking, "who waits for an answer, and whose reservation lasts");
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
