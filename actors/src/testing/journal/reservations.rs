//! What users have reserved in rooms.

use crate::ports::{Append, RESERVED_FOR};
use std::collections::BTreeMap;
use tripsync_domain::{Projection, Quota, RoomId, Timestamp, UserId};

/// By user, kind and room: when it was reserved; none for one that lasts.
#[derive(Debug, Default)]
pub(super) struct Reservations(BTreeMap<(UserId, &'static str, RoomId), Option<Timestamp>>);

impl Reservations {
    pub(super) fn reserve(&mut self, room: RoomId, user: UserId, quota: Quota, now: Timestamp) -> bool {
        let counts = |at: &Option<Timestamp>| at.is_none_or(|at| at.plus(RESERVED_FOR) > now);
        let key = (user, quota.what, room);
        if !self.0.get(&key).is_some_and(counts) {
            let others = self.0.iter().filter(|((by, what, _), at)| (*by, *what) == (user, quota.what) && counts(at)).count();
            if others >= usize::from(quota.max) {
                return false;
            }
            self.0.insert(key, Some(now));
        }
        true
    }

    pub(super) fn release(&mut self, room: RoomId, user: UserId, what: &'static str, lasting: bool) {
        let key = (user, what, room);
        if lasting || self.0.get(&key).is_some_and(Option::is_some) {
            self.0.remove(&key);
        }
    }

    pub(super) fn project(&mut self, append: &Append) {
        for projection in &append.projections {
            match projection {
                Projection::Reserved { user, what } => {
                    self.0.insert((*user, what, append.room), None);
                }
                Projection::Released { user, what } => self.release(append.room, *user, what, true),
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

    pub(super) fn lasting(&self, user: UserId, what: &'static str) -> Vec<RoomId> {
        let lasts =
            |((by, kind, _), at): &(&(UserId, &'static str, RoomId), &Option<Timestamp>)| (*by, *kind) == (user, what) && at.is_none();
        self.0.iter().filter(lasts).map(|((.., room), _)| *room).collect()
    }
}
