//! What users have reserved in rooms.

use crate::ports::{Append, RESERVED_FOR, Reservation};
use std::collections::{BTreeMap, BTreeSet};
use tripsync_domain::{Projection, RoomId, Timestamp, UserId};
use uuid::Uuid;

#[derive(Debug, Default)]
pub(super) struct Reservations {
    /// What events made to last.
    lasting: BTreeSet<(UserId, &'static str, RoomId)>,
    /// For commands under way, by id: when it was reserved.
    held: BTreeMap<Uuid, (Reservation, Timestamp)>,
}

impl Reservations {
    pub(super) fn reserve(&mut self, reservation: Reservation, now: Timestamp) -> bool {
        let Reservation { id, room, user, quota } = reservation;
        self.held.retain(|_, (_, at)| at.plus(RESERVED_FOR) > now);
        let held = self.held(user, quota.what).into_iter();
        let others: BTreeSet<_> = held.chain(self.lasting(user, quota.what)).filter(|other| *other != room).collect();
        let fits = others.len() < usize::from(quota.max);
        if fits {
            self.held.insert(id, (reservation, now));
        }
        fits
    }

    pub(super) fn release(&mut self, id: Uuid) {
        self.held.remove(&id);
    }

    pub(super) fn project(&mut self, append: &Append) {
        for projection in &append.projections {
            match projection {
                Projection::Reserved { user, what } => {
                    self.lasting.insert((*user, what, append.room));
                }
                Projection::Released { user, what } => {
                    self.lasting.remove(&(*user, *what, append.room));
                }
                Projection::Settled { reservation } => self.release(*reservation),
                Projection::Room { .. }
                | Projection::MemberSet { .. }
                | Projection::MemberGone { .. }
                | Projection::Item { .. }
                | Projection::RoomGone
                | Projection::Capacity { .. }
                | Projection::Taken { .. }
                | Projection::Freed { .. }
                | Projection::Listing(_)
                | Projection::Unlisted
                | Projection::Task { .. } => {}
            }
        }
    }

    pub(super) fn held(&self, user: UserId, what: &'static str) -> Vec<RoomId> {
        self.held.values().filter(|(held, _)| (held.user, held.quota.what) == (user, what)).map(|(held, _)| held.room).collect()
    }

    pub(super) fn lasting(&self, user: UserId, what: &'static str) -> Vec<RoomId> {
        self.lasting.iter().filter(|(by, kind, _)| (*by, *kind) == (user, what)).map(|(.., room)| *room).collect()
    }
}
