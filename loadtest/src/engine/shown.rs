//! Snapshots that clients were sent: who is shown a room at the same event is shown the same.

use super::harvest::Fault;
use super::member::Member;
use super::shard::Shard;
use crate::scenario::RoomKind;
use crate::wire::Codec;
use std::collections::BTreeMap;

/// Snapshots of a room that are remembered; the oldest go.
const KEPT_MAX: usize = 1_000;

/// A hash of each state that was shown, by seq and by whether it was JSON, which has other bytes.
#[derive(Debug, Default)]
pub(crate) struct Shown(BTreeMap<(u64, bool), u64>);

impl Shown {
    /// Notes what somebody was shown; whether it could be compared.
    ///
    /// # Errors
    /// When somebody else was shown something else at the same event.
    pub(crate) fn note(&mut self, seq: u64, json: bool, hash: u64) -> Result<bool, String> {
        if let Some(before) = self.0.get(&(seq, json)) {
            return if *before == hash { Ok(true) } else { Err(format!("two were shown different states at {seq}")) };
        }
        if self.0.len() >= KEPT_MAX {
            self.0.pop_first();
        }
        self.0.insert((seq, json), hash);
        Ok(false)
    }

    pub(crate) fn into_entries(self) -> Vec<(u64, bool, u64)> {
        self.0.into_iter().map(|((seq, json), hash)| (seq, json, hash)).collect()
    }
}

impl Shard {
    /// A client was sent a snapshot.
    pub(crate) fn was_shown(&self, member: &mut Member, seq: u64, hash: u64) {
        member.shown = Some(seq);
        // A pool shows everybody what is theirs.
        if self.job.rooms[member.client.room as usize].kind == RoomKind::Pool {
            return;
        }
        let noted = self.logs[self.log_of(member)].borrow_mut().shown.note(seq, member.codec == Codec::Json, hash);
        self.compared(noted, |how| self.broken(Fault::Snapshots, member, how));
    }

    /// What came of holding a snapshot against others'.
    pub(crate) fn compared(&self, noted: Result<bool, String>, broken: impl Fn(&str)) {
        match noted {
            Ok(compared) => self.checked(Fault::Snapshots, u64::from(compared)),
            Err(how) => {
                self.checked(Fault::Snapshots, 1);
                broken(&how);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_who_are_shown_different_states_at_the_same_event_are_noticed() {
        let mut shown = Shown::default();
        assert_eq!(shown.note(7, false, 1), Ok(false));
        assert_eq!((shown.note(7, true, 2), shown.note(8, false, 3)), (Ok(false), Ok(false)), "another codec, another event");
        assert_eq!(shown.note(7, false, 1), Ok(true));
        assert!(shown.note(7, false, 2).is_err());
        for seq in 0..10_000 {
            shown.note(100 + seq, false, seq).unwrap();
        }
        assert_eq!(shown.into_entries().len(), KEPT_MAX);
    }
}
