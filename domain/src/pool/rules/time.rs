//! What happens because time has passed.

use super::draft::Draft;
use super::ride::{arrive, call_off};
use crate::pool::event::Event;
use crate::pool::limits::LINGER;
use crate::pool::state::State;
use crate::pool::types::{Ending, Phase, Stage};
use crate::{Ctx, Timestamp};

/// When time changes the pool next.
///
/// - Holds and offers run out.
/// - At the time of departure whatever is not settled ends.
/// - A pool that has not departed a day after that is cancelled; one that has departed is completed a day after departing.
pub(in crate::pool) fn deadline(state: &State) -> Option<Timestamp> {
    let pool = state.pool.as_ref()?;
    match state.phase {
        Phase::Completed | Phase::Cancelled => None,
        Phase::Departed => Some(state.phase_at.plus(LINGER)),
        Phase::Scheduled => {
            let departure = pool.details.departure.at;
            let decisions = state.claims.values().filter_map(|claim| claim.stage.until()).min();
            let unsettled = state.claims.values().any(|claim| claim.stage != Stage::Confirmed {}).then_some(departure);
            [decisions, unsettled, Some(departure.plus(LINGER))].into_iter().flatten().min()
        }
    }
}

/// Everything that is due at `ctx.at`.
pub(in crate::pool) fn expire(state: &State, ctx: &Ctx<'_>) -> Vec<Event> {
    let mut draft = Draft::new(state, ctx);
    let Some(pool) = &state.pool else { return Vec::new() };
    match state.phase {
        Phase::Completed | Phase::Cancelled => {}
        Phase::Departed => {
            if state.phase_at.plus(LINGER) <= ctx.at {
                arrive(&mut draft);
            }
        }
        Phase::Scheduled => {
            let departure = pool.details.departure.at;
            let mut late: Vec<_> = state
                .claims
                .values()
                .filter_map(|claim| Some((claim.stage.until()?, claim.id)))
                .filter(|(until, _)| *until <= ctx.at)
                .collect();
            late.sort_unstable();
            for (_, claim) in late {
                draft.end(claim, Ending::Expired, None);
            }
            if departure <= ctx.at {
                draft.settle(Ending::Departed);
            }
            if departure.plus(LINGER) <= ctx.at {
                call_off(&mut draft, None);
            }
        }
    }
    draft.finish()
}
