//! The database refuses what would exceed a room's capacity, whatever the rules say.

use super::{append, item, opened, with};
use crate::ports::{Journal, Refusal};
use tripsync_domain::{ItemId, Projection};

fn capacity(parts: u16, total: u16) -> Projection {
    Projection::Capacity { parts, total }
}

fn taken(id: ItemId, parts: std::ops::Range<u16>, count: u16) -> Projection {
    Projection::Taken { id, from: parts.start, to: parts.end, count }
}

pub(super) async fn more_than_there_is_is_refused_and_the_others_are_stored(journal: &dyn Journal) {
    let (room, other) = (opened(journal).await, opened(journal).await);
    let (ann, bob, cid) = (item(), item(), item());
    let first = [with(room.plain(1..=1), vec![capacity(3, 2), taken(ann, 0..2, 1), taken(bob, 1..3, 1)]), with(other.plain(1..=1), vec![])];
    assert_eq!(append(journal, &first).await, [Ok(()), Ok(())]);

    // Part 1 is full. Nothing of the refused append stays; its neighbour in the batch does.
    let too_much =
        [with(room.plain(2..=2), vec![taken(cid, 1..2, 1)]), with(other.plain(2..=2), vec![capacity(1, 1), taken(cid, 0..1, 1)])];
    assert_eq!(append(journal, &too_much).await, [Err(Refusal::Duplicate), Ok(())]);
    // Beyond the parts there is nothing to take.
    assert_eq!(append(journal, &[with(room.plain(2..=2), vec![taken(cid, 2..4, 1)])]).await, [Err(Refusal::Duplicate)]);
    // Taking again under the same id changes nothing, and what is free can be taken.
    let fits = vec![taken(ann, 0..2, 1), taken(cid, 0..1, 1)];
    assert_eq!(append(journal, &[with(room.plain(2..=2), fits)]).await, [Ok(())]);
    assert_eq!(append(journal, &[with(room.plain(3..=3), vec![taken(item(), 0..1, 1)])]).await, [Err(Refusal::Duplicate)]);
    // Freed in the same append as taken by somebody else, in either order.
    let swap = vec![taken(item(), 1..2, 1), Projection::Freed { id: bob }, Projection::Freed { id: item() }];
    assert_eq!(append(journal, &[with(room.plain(3..=3), swap)]).await, [Ok(())]);
    assert_eq!(append(journal, &[with(room.plain(4..=4), vec![taken(item(), 1..2, 1)])]).await, [Err(Refusal::Duplicate)]);
    assert_eq!(append(journal, &[with(room.plain(4..=4), vec![taken(item(), 2..3, 2)])]).await, [Ok(())]);
}

pub(super) async fn capacity_grows_and_shrinks(journal: &dyn Journal) {
    let room = opened(journal).await;
    let ann = item();
    assert_eq!(append(journal, &[with(room.plain(1..=1), vec![capacity(2, 1), taken(ann, 0..2, 1)])]).await, [Ok(())]);
    assert_eq!(append(journal, &[with(room.plain(2..=2), vec![capacity(2, 3), taken(item(), 0..1, 2)])]).await, [Ok(())]);
    assert_eq!(append(journal, &[with(room.plain(3..=3), vec![capacity(2, 2)])]).await, [Err(Refusal::Duplicate)]);
    // Fewer parts, once nobody needs them.
    assert_eq!(append(journal, &[with(room.plain(3..=3), vec![capacity(1, 3)])]).await, [Err(Refusal::Duplicate)]);
    let fewer = vec![Projection::Freed { id: ann }, capacity(1, 2)];
    assert_eq!(append(journal, &[with(room.plain(3..=3), fewer)]).await, [Ok(())]);
    assert_eq!(append(journal, &[with(room.plain(4..=4), vec![taken(item(), 0..1, 1)])]).await, [Err(Refusal::Duplicate)]);
}
