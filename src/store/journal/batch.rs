//! A batch, made ready for SQL.

use super::Refused;
use super::extras::Extras;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use tripsync_actors::ports::{Append, Refusal};
use tripsync_domain::{ItemId, Projection, Role, Seq, UserId};

/// One room's part of a round: at least one record, with consecutive seqs.
pub(super) struct Part<'a> {
    /// Its place in the batch.
    pub(super) index: usize,
    /// What to append.
    pub(super) append: &'a Append,
    /// The seq of the first record.
    pub(super) first: i64,
    /// The seq of the last record.
    pub(super) last: i64,
    /// When the last record was judged.
    pub(super) at: i64,
    /// Its projections, folded.
    pub(super) projected: Projected<'a>,
}

/// What remains of an append's projections when later ones replace earlier ones, so that no row is written twice.
#[derive(Default)]
pub(super) struct Projected<'a> {
    /// The title, status and summary in lists.
    pub(super) row: Option<(Cow<'a, str>, Cow<'a, str>, String)>,
    /// Whether the room has ended.
    pub(super) ended: bool,
    /// Users and their roles; `None` for those who are no members any more.
    pub(super) members: BTreeMap<UserId, Option<Role>>,
    /// Documents by collection and id.
    pub(super) items: BTreeMap<(&'static str, ItemId), (Seq, String)>,
    /// What only some kinds of room have; none in the usual append.
    pub(super) extras: Option<Box<Extras<'a>>>,
}

impl<'a> Projected<'a> {
    fn fold(append: &'a Append) -> Self {
        let mut folded = Self::default();
        for projection in &append.projections {
            match projection {
                Projection::Room { title, status, summary } => {
                    folded.row = Some((text(title), text(status), summary.to_string()));
                }
                Projection::MemberSet { user, role } => {
                    folded.members.insert(*user, Some(*role));
                }
                Projection::MemberGone { user } => {
                    folded.members.insert(*user, None);
                }
                Projection::Item { collection, id, seq, doc } => {
                    folded.items.insert((collection, *id), (*seq, doc.to_string()));
                }
                Projection::RoomGone => {
                    folded.ended = true;
                    folded.extras().listing = Some(None);
                }
                Projection::Capacity { parts, total } => folded.extras().capacity = Some((*parts, *total)),
                Projection::Taken { id, from, to, count } => folded.extras().take(*id, (*from, *to, *count)),
                Projection::Freed { id } => folded.extras().free(*id),
                Projection::Listing(listing) => folded.extras().listing = Some(Some(listing)),
                Projection::Unlisted => folded.extras().listing = Some(None),
                Projection::Reserved { user, what } => {
                    folded.extras().reservations.insert((*user, what), true);
                }
                Projection::Released { user, what } => {
                    folded.extras().reservations.insert((*user, what), false);
                }
                Projection::Settled { reservation } => folded.extras().settled.push(*reservation),
                Projection::Task { seq, index, task } => {
                    folded.extras().tasks.insert((*seq, *index), task);
                }
            }
        }
        folded
    }

    fn extras(&mut self) -> &mut Extras<'a> {
        self.extras.get_or_insert_default()
    }

    /// Whether there is anything beyond the room's own row.
    pub(super) fn has_rows(&self) -> bool {
        !self.members.is_empty() || !self.items.is_empty()
    }
}

/// Cuts a batch into rounds in which every room occurs once, keeping each room's order. Nearly always one round: the engine
/// has one append per room under way. Appends that cannot be stored whatever the journal holds are refused here.
pub(super) fn rounds<'a>(batch: &'a [Append], results: &mut [Result<(), Refusal>]) -> Vec<Vec<Part<'a>>> {
    let mut rounds: Vec<(HashSet<_>, Vec<Part<'a>>)> = Vec::new();
    for ((index, append), result) in batch.iter().enumerate().zip(results) {
        let Some((first, last, at)) = extent(append) else {
            tracing::error!(room.id = %append.room, records = append.records.len(), "an append without consecutive seqs was refused");
            *result = Err(Refusal::Duplicate);
            continue;
        };
        let part = Part { index, append, first, last, at, projected: Projected::fold(append) };
        // The first round after every one that has the room.
        let place = rounds.iter().rposition(|(rooms, _)| rooms.contains(&append.room)).map_or(0, |taken| taken + 1);
        if place == rounds.len() {
            rounds.push((HashSet::new(), Vec::new()));
        }
        if let Some((rooms, parts)) = rounds.get_mut(place) {
            rooms.insert(append.room);
            parts.push(part);
        }
    }
    rounds.into_iter().map(|(_, parts)| parts).collect()
}

/// Notes what a round was refused.
pub(super) fn refuse(round: &[Part<'_>], refused: &Refused, results: &mut [Result<(), Refusal>]) {
    for part in round {
        if let (Some(why), Some(result)) = (refused.get(&part.append.room), results.get_mut(part.index)) {
            *result = Err(*why);
        }
    }
}

/// First seq, last seq, and time of the last; `None` unless the seqs are consecutive from at least 1.
fn extent(append: &Append) -> Option<(i64, i64, i64)> {
    let (first, last) = (append.records.first()?, append.records.last()?);
    let consecutive = append.records.windows(2).all(|pair| matches!(pair, [one, two] if one.seq.next() == two.seq));
    (consecutive && first.seq > Seq(0)).then(|| (first.seq.to_db(), last.seq.to_db(), last.at.as_ms()))
}

/// PostgreSQL's TEXT cannot hold U+0000, and one such title must not fail the batch it travels in.
fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use tripsync_actors::ports::NewRecord;
    use tripsync_domain::{Epoch, RoomId, Timestamp};
    use uuid::Uuid;

    fn append(room: u128, seqs: &[u64]) -> Append {
        let record = |seq: &u64| NewRecord {
            seq: Seq(*seq),
            at: Timestamp::from_ms(5),
            by: UserId(Uuid::nil()),
            tag: "t",
            entity: None,
            command: None,
            bytes: Bytes::new(),
        };
        Append {
            room: RoomId(Uuid::from_u128(room)),
            epoch: Epoch(1),
            records: seqs.iter().map(record).collect(),
            projections: Vec::new(),
            deadline: None,
        }
    }

    #[test]
    fn a_room_that_occurs_twice_gets_two_rounds_in_order() {
        let batch = [append(1, &[1]), append(2, &[1, 2]), append(1, &[2, 3]), append(3, &[1])];
        let mut results = vec![Ok(()); 4];
        let rounds = rounds(&batch, &mut results);
        let indices: Vec<Vec<usize>> = rounds.iter().map(|parts| parts.iter().map(|part| part.index).collect()).collect();
        assert_eq!(indices, [vec![0, 1, 3], vec![2]]);
        assert_eq!(rounds[1][0].first, 2);
        assert_eq!(rounds[1][0].last, 3);
    }

    #[test]
    fn gaps_inside_an_append_are_refused_without_asking_the_database() {
        for seqs in [&[][..], &[0], &[1, 3], &[2, 1]] {
            let batch = [append(1, seqs)];
            let mut results = [Ok(())];
            assert!(rounds(&batch, &mut results).is_empty());
            assert_eq!(results, [Err(Refusal::Duplicate)]);
        }
    }

    #[test]
    fn later_projections_replace_earlier_ones() {
        let (ann, bob) = (UserId(Uuid::from_u128(1)), UserId(Uuid::from_u128(2)));
        let row = |title: &str| Projection::Room { title: title.into(), status: "s".into(), summary: serde_json::json!({}) };
        let projections = vec![
            row("one"),
            Projection::MemberSet { user: ann, role: Role::Viewer },
            Projection::MemberSet { user: bob, role: Role::Viewer },
            Projection::MemberGone { user: bob },
            Projection::MemberSet { user: ann, role: Role::Organizer },
            row("t\0wo"),
        ];
        let append = Append { projections, ..append(1, &[1]) };
        let folded = Projected::fold(&append);
        assert_eq!(folded.members.into_iter().collect::<Vec<_>>(), [(ann, Some(Role::Organizer)), (bob, None)]);
        assert_eq!(folded.row.unwrap().0, "t\u{fffd}wo");
    }
}
