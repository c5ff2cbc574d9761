//! A user has no more of something, over all rooms, than is allowed.

use super::{append, author, opened, with};
use crate::ports::{Journal, RESERVED_FOR};
use futures_util::future::join_all;
use std::time::Duration;
use tripsync_domain::{Projection, Quota, RoomId, Timestamp, UserId};

const TWO: Quota = Quota { what: "tests", max: 2 };

async fn reserve(journal: &dyn Journal, room: RoomId, user: UserId, now: Timestamp) -> bool {
    journal.reserve(room, user, TWO, now).await.expect("a reservation can be made")
}

pub(super) async fn a_bound_holds_over_all_rooms(journal: &dyn Journal) {
    let (one, two, three) = (opened(journal).await, opened(journal).await, opened(journal).await);
    let (ann, bob) = (author().user, author().user);
    let now = Timestamp::from_ms(5_000_000);
    assert!(reserve(journal, one.id, ann, now).await);
    assert!(reserve(journal, two.id, ann, now).await);
    assert!(reserve(journal, two.id, ann, now).await, "once per room");
    assert!(!reserve(journal, three.id, ann, now).await);
    assert!(reserve(journal, three.id, bob, now).await, "each for themselves");

    // Given back by a refusal; made to last by an event, which a later refusal in the same room leaves alone.
    journal.release(one.id, ann, TWO).await.expect("a reservation can be given back");
    let lasts = vec![Projection::Reserved { user: ann, what: TWO.what }];
    assert_eq!(append(journal, &[with(two.plain(1..=1), lasts)]).await, [Ok(())]);
    journal.release(two.id, ann, TWO).await.expect("a reservation can be given back");
    assert!(reserve(journal, three.id, ann, now).await);
    assert!(!reserve(journal, one.id, ann, now).await);

    // What nothing came of is forgotten; what lasts is not.
    let later = now.plus(RESERVED_FOR + Duration::from_millis(1));
    assert!(reserve(journal, one.id, ann, later).await);
    assert!(!reserve(journal, three.id, ann, later).await, "two last or are fresh");
    let released = vec![Projection::Released { user: ann, what: TWO.what }, Projection::Released { user: bob, what: TWO.what }];
    assert_eq!(append(journal, &[with(two.plain(2..=2), released)]).await, [Ok(())]);
    assert!(reserve(journal, three.id, ann, later).await);
}

pub(super) async fn a_bound_holds_when_many_ask_at_once(journal: &dyn Journal) {
    let user = author().user;
    let mut rooms = Vec::new();
    for _ in 0..12 {
        rooms.push(opened(journal).await.id);
    }
    let now = Timestamp::from_ms(6_000_000);
    let answers = join_all(rooms.iter().map(|room| reserve(journal, *room, user, now))).await;
    assert_eq!(answers.iter().filter(|reserved| **reserved).count(), 2, "{answers:?}");
}
