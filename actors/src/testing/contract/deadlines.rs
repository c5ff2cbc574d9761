//! Rooms that must act by themselves are found.

use super::{Room, append, opened, with};
use crate::ports::{Append, Journal};
use tripsync_domain::{Projection, RoomId, Timestamp};

/// Far from what other checks use, so that rooms of theirs do not matter.
const BASE_MS: i64 = 1_000_000;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(BASE_MS + ms)
}

fn due_at(room: Room, seq: u64, deadline: Option<i64>) -> Append {
    Append { deadline: deadline.map(at), ..room.plain(seq..=seq) }
}

async fn due(journal: &dyn Journal, until: i64, ours: &[RoomId]) -> Vec<(Timestamp, RoomId)> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = journal.due(at(until), after, 2).await.expect("rooms that are due can be read");
        assert!(page.len() <= 2, "a page is bounded");
        let Some(last) = page.last() else { break };
        assert!(after.is_none_or(|after| *last > after), "pages go on");
        after = Some(*last);
        found.extend(page);
    }
    found.retain(|(_, room)| ours.contains(room));
    found
}

pub(super) async fn rooms_are_found_by_their_deadline(journal: &dyn Journal) {
    let (one, two, three, never) = (opened(journal).await, opened(journal).await, opened(journal).await, opened(journal).await);
    let ours = [one.id, two.id, three.id, never.id];
    let batch = [due_at(one, 1, Some(30)), due_at(two, 1, Some(10)), due_at(three, 1, Some(20)), due_at(never, 1, None)];
    assert_eq!(append(journal, &batch).await, vec![Ok(()); 4]);
    assert_eq!(due(journal, 9, &ours).await, []);
    assert_eq!(due(journal, 20, &ours).await, [(at(10), two.id), (at(20), three.id)]);
    assert_eq!(due(journal, 99, &ours).await, [(at(10), two.id), (at(20), three.id), (at(30), one.id)]);
    // Each append says anew; one without a deadline, and the end of the room, take it away.
    let gone = with(due_at(three, 2, Some(5)), vec![Projection::RoomGone]);
    let batch = [due_at(one, 2, Some(15)), due_at(two, 2, None), gone];
    assert_eq!(append(journal, &batch).await, vec![Ok(()); 3]);
    assert_eq!(due(journal, 99, &ours).await, [(at(15), one.id)]);
}
