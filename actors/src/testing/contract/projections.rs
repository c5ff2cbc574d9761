//! Lists learn what happened in the transaction of the events.

use super::{Projected, Subject, append, author, item, opened, with};
use crate::ports::Refusal;
use serde_json::json;
use tripsync_domain::{ItemId, Projection, Role, Seq, UserId};

fn row(title: &str, days: u32) -> Projection {
    Projection::Room { title: title.into(), status: "planning".into(), summary: json!({"days": days, "note": "a\u{0}b \"é\""}) }
}

fn member(user: UserId, role: Role) -> Projection {
    Projection::MemberSet { user, role }
}

fn message(id: ItemId, seq: u64, text: &str) -> Projection {
    Projection::Item { collection: "messages", id, seq: Seq(seq), doc: json!({"text": text}) }
}

pub(super) async fn projections_follow_the_events(subject: &dyn Subject) {
    let journal = subject.journal();
    let (room, other) = (opened(journal).await, opened(journal).await);
    let (ann, bob, cid) = (author().user, author().user, author().user);
    let (hello, bye) = (item(), item());

    let first = vec![
        row("Lisbon", 1),
        member(ann, Role::Organizer),
        member(bob, Role::Viewer),
        message(hello, 1, "hello"),
        // Later ones replace earlier ones, also within one append.
        row("Lisbon in May", 2),
        member(bob, Role::Participant),
        member(cid, Role::Viewer),
        Projection::MemberGone { user: cid },
    ];
    let second = vec![member(cid, Role::Viewer), message(bye, 1, "elsewhere")];
    let batch = [with(room.plain(1..=3), first), with(other.plain(1..=1), second)];
    assert_eq!(append(journal, &batch).await, [Ok(()), Ok(())]);
    let summary = |days: u32| json!({"days": days, "note": "a\u{0}b \"é\""});
    let expected = Projected {
        row: Some(("Lisbon in May".into(), "planning".into(), summary(2))),
        members: [(ann, Role::Organizer), (bob, Role::Participant)].into(),
        messages: [(hello, (Seq(1), json!({"text": "hello"})))].into(),
    };
    assert_eq!(subject.projected(room.id).await, expected);
    let elsewhere = subject.projected(other.id).await;
    assert_eq!(elsewhere.members, [(cid, Role::Viewer)].into());
    assert_eq!(elsewhere.messages, [(bye, (Seq(1), json!({"text": "elsewhere"})))].into());
    assert_eq!(elsewhere.row, Some((String::new(), String::new(), json!({}))));

    // A plain append leaves them alone; the next ones replace, remove and add.
    assert_eq!(append(journal, &[room.plain(4..=4)]).await, [Ok(())]);
    assert_eq!(subject.projected(room.id).await, expected);
    let third =
        vec![Projection::MemberGone { user: bob }, message(hello, 1, "hello, edited"), message(bye, 5, "bye"), member(ann, Role::Viewer)];
    assert_eq!(append(journal, &[with(room.plain(5..=5), third)]).await, [Ok(())]);
    let expected = Projected {
        members: [(ann, Role::Viewer)].into(),
        messages: [(hello, (Seq(1), json!({"text": "hello, edited"}))), (bye, (Seq(5), json!({"text": "bye"})))].into(),
        ..expected
    };
    assert_eq!(subject.projected(room.id).await, expected);

    // An id that is used again for something else does not overwrite what it named first.
    let again = vec![message(hello, 6, "not hello")];
    assert_eq!(append(journal, &[with(room.plain(6..=6), again)]).await, [Ok(())]);
    assert_eq!(subject.projected(room.id).await, expected);

    assert_eq!(append(journal, &[with(room.plain(7..=7), vec![Projection::RoomGone])]).await, [Ok(())]);
    assert_eq!(subject.projected(room.id).await.row, None, "a room that has ended is in no list");
    assert!(subject.projected(other.id).await.row.is_some());
}

pub(super) async fn a_refused_append_projects_nothing(subject: &dyn Subject) {
    let journal = subject.journal();
    let (fenced, repeated, good) = (opened(journal).await, opened(journal).await, opened(journal).await);
    let by = author();
    journal.open(fenced.id, super::node()).await.expect("opened");
    assert_eq!(append(journal, &[repeated.command(1, by, 1)]).await, [Ok(())]);
    let projections = |seq| vec![row("new", 1), member(by.user, Role::Organizer), message(item(), seq, "hi"), Projection::RoomGone];
    let untouched = subject.projected(fenced.id).await;
    assert_eq!(untouched.members.len() + untouched.messages.len(), 0);

    let batch = [
        with(fenced.plain(1..=1), projections(1)),
        with(repeated.command(2, by, 1), projections(2)),
        with(good.plain(1..=1), vec![member(by.user, Role::Organizer)]),
    ];
    let results = append(journal, &batch).await;
    assert_eq!(results, [Err(Refusal::Fenced), Err(Refusal::Duplicate), Ok(())]);
    assert_eq!(subject.projected(fenced.id).await, untouched);
    assert_eq!(subject.projected(repeated.id).await, untouched);
    assert_eq!(subject.projected(good.id).await.members.len(), 1);
}
