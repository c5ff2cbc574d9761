//! A user has no more of something, over all rooms, than is allowed.

use super::{append, author, opened, with};
use crate::ports::{Journal, RESERVED_FOR, Reservation};
use futures_util::future::join_all;
use std::time::Duration;
use tripsync_domain::{Projection, Quota, RoomId, Timestamp, UserId};
use uuid::Uuid;

const TWO: Quota = Quota { what: "tests", max: 2 };

fn reservation(room: RoomId, user: UserId) -> Reservation {
    Reservation { id: Uuid::now_v7(), room, user, quota: TWO }
}

async fn reserve(journal: &dyn Journal, room: RoomId, user: UserId, now: Timestamp) -> bool {
    journal.reserve(reservation(room, user), now).await.expect("a reservation can be made")
}

async fn release(journal: &dyn Journal, reservation: Reservation) {
    journal.release(reservation).await.expect("a reservation can be given back");
}

pub(super) async fn a_bound_holds_over_all_rooms(journal: &dyn Journal) {
    let (one, two, three) = (opened(journal).await, opened(journal).await, opened(journal).await);
    let (ann, bob) = (author().user, author().user);
    let now = Timestamp::from_ms(5_000_000);
    let first = reservation(one.id, ann);
    assert!(journal.reserve(first, now).await.expect("a reservation can be made"));
    assert!(reserve(journal, two.id, ann, now).await);
    assert!(reserve(journal, two.id, ann, now).await, "once per room");
    assert!(!reserve(journal, three.id, ann, now).await);
    assert!(reserve(journal, three.id, bob, now).await, "each for themselves");

    // Given back by a refusal; made to last by an event, which a later refusal in the same room leaves alone.
    release(journal, first).await;
    let lasts = vec![Projection::Reserved { user: ann, what: TWO.what }];
    assert_eq!(append(journal, &[with(two.plain(1..=1), lasts)]).await, [Ok(())]);
    let again = reservation(two.id, ann);
    assert!(journal.reserve(again, now).await.expect("a reservation can be made"));
    release(journal, again).await;
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

/// Two commands of one user in one room: what becomes of one must not give away the place that the other is judged with.
pub(super) async fn a_bound_holds_for_commands_that_overtake_each_other(journal: &dyn Journal) {
    let (one, two, three) = (opened(journal).await, opened(journal).await, opened(journal).await);
    let (ann, now) = (author().user, Timestamp::from_ms(7_000_000));
    let commands = [reservation(one.id, ann), reservation(one.id, ann)];
    for command in commands {
        assert!(journal.reserve(command, now).await.expect("a reservation can be made"));
    }
    release(journal, commands[0]).await;
    assert!(reserve(journal, two.id, ann, now).await);
    assert!(!reserve(journal, three.id, ann, now).await, "the other command in the first room is under way");
    // What lasted ends, as by a withdrawal, while the next request of the same room is under way.
    let event = |what: fn(UserId) -> Projection| vec![what(ann)];
    let lasts = event(|user| Projection::Reserved { user, what: TWO.what });
    assert_eq!(append(journal, &[with(one.plain(1..=1), lasts)]).await, [Ok(())]);
    let ends = event(|user| Projection::Released { user, what: TWO.what });
    assert_eq!(append(journal, &[with(one.plain(2..=2), ends)]).await, [Ok(())]);
    assert!(!reserve(journal, three.id, ann, now).await, "it still is");
    let settled = vec![Projection::Settled { reservation: commands[1].id }];
    assert_eq!(append(journal, &[with(one.plain(3..=3), settled)]).await, [Ok(())]);
    assert!(reserve(journal, three.id, ann, now).await);
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
