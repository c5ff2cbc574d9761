//! Simulated pools.

use super::{Seen, Simulated};
use crate::testing::{MemoryJournal, Random};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tripsync_domain::command::to_wire;
use tripsync_domain::pool::testing::{Ledger, random_command};
use tripsync_domain::pool::{Ending, Event, Pool, Stage, State};
use tripsync_domain::protocol::EventRecord;
use tripsync_domain::{ItemId, RoomId, Timestamp, UserId};

impl Simulated for Pool {
    const UNSIGNED: Option<&'static str> = Some("seats_changed");

    /// About what the journal has, which its author may not have seen yet.
    fn command(random: &mut Random, state: &State, user: UserId, _: &[Seen]) -> Value {
        to_wire(&random_command(&mut || random.next(), state, user))
    }

    fn concerned(state: &State) -> BTreeSet<UserId> {
        state.pool.iter().map(|pool| pool.owner).chain(state.claims.values().map(|claim| claim.user)).collect()
    }

    /// Seats are never sold twice, nobody is passed over, what runs out does so once and at its time, and the database counts the same.
    fn audit(journal: &MemoryJournal, room: RoomId, records: &[EventRecord<Event>], state: &State) {
        let mut ledger = Ledger::default();
        let mut until: BTreeMap<ItemId, Timestamp> = BTreeMap::new();
        let mut claimants = BTreeSet::new();
        for record in records {
            ledger.apply(&record.ev);
            match &record.ev {
                Event::Claimed { claim, .. } => {
                    claimants.insert(claim.user);
                    until.extend(claim.stage.until().map(|at| (claim.id, at)));
                }
                Event::Offered { claim, until: at, .. } => drop(until.insert(*claim, *at)),
                Event::Confirmed { claim, .. } => {
                    assert!(until.remove(&claim.id).is_none_or(|until| record.at < until), "{} was accepted too late", claim.id);
                }
                Event::ClaimEnded { claim, ending: Ending::Expired, .. } => {
                    assert!(until.remove(claim).is_some_and(|until| record.at >= until), "{claim} ran out too early");
                    assert_eq!((record.by, record.client), (UserId::ROOM, None));
                }
                _ => {}
            }
        }
        ledger.agrees(state);
        let takes = state.claims.values().filter(|claim| claim.stage.takes_seats());
        let takes = takes.map(|claim| {
            let legs = state.legs_of(claim.from, claim.to);
            (claim.id, (part(legs.start), part(legs.end), u16::from(claim.seats)))
        });
        assert_eq!(journal.takers(room), takes.collect(), "the database counts other seats than the rules");
        for user in claimants {
            let asks =
                state.claim_of(user).is_some_and(|claim| matches!(claim.stage, Stage::Pending {} | Stage::Waiting { approved: false }));
            assert_eq!(journal.reserved(user, "pool_requests"), asks.then_some(room).as_slice(), "{user} has reserved something else");
        }
    }
}

fn part(leg: usize) -> u16 {
    u16::try_from(leg).unwrap()
}
