//! Commands are stored once and found for ever.

use super::{append, author, bytes, opened, stored};
use crate::ports::{Journal, Refusal};
use tripsync_domain::{CommandNumber, Seq};

pub(super) async fn a_repeated_command_is_refused_and_the_others_are_stored(journal: &dyn Journal) {
    let (room, one, two) = (opened(journal).await, opened(journal).await, opened(journal).await);
    let by = author();
    assert_eq!(append(journal, &[room.command(1, by, 7)]).await, [Ok(())]);
    let batch = [one.plain(1..=2), room.command(2, by, 7), two.command(1, by, 7)];
    assert_eq!(append(journal, &batch).await, [Ok(()), Err(Refusal::Duplicate), Ok(())]);
    assert_eq!(room.all(journal).await, stored(1..=1));
    assert_eq!(one.all(journal).await, stored(1..=2));
    assert_eq!(two.all(journal).await, stored(1..=1), "the number counts per room");

    // The same number by another client or another user is another command.
    let client = super::Author { client: author().client, ..by };
    let user = super::Author { user: author().user, ..by };
    assert_eq!(append(journal, &[room.command(2, client, 7)]).await, [Ok(())]);
    assert_eq!(append(journal, &[room.command(3, user, 7)]).await, [Ok(())]);

    // Twice within one append.
    let mut twice = room.command(4, by, 8);
    twice.records.extend(room.command(5, by, 8).records);
    assert_eq!(append(journal, &[twice]).await, [Err(Refusal::Duplicate)]);
    assert_eq!(append(journal, &[room.command(4, by, 8)]).await, [Ok(())]);
    assert_eq!(room.all(journal).await, stored(1..=4));
}

pub(super) async fn commands_are_found_at_any_age(journal: &dyn Journal) {
    let room = opened(journal).await;
    let (by, other) = (author(), author());
    let old = (1_u64 << 53) - 1;
    assert_eq!(append(journal, &[room.command(1, by, 3)]).await, [Ok(())]);
    assert_eq!(append(journal, &[room.command(2, other, old)]).await, [Ok(())]);
    assert_eq!(append(journal, &[room.plain(3..=2_002)]).await, [Ok(())]);
    assert_eq!(append(journal, &[room.command(2_003, by, 10)]).await, [Ok(())]);
    assert_eq!(append(journal, &[room.command(2_004, by, 5)]).await, [Ok(())], "the order of numbers is the room's business");

    assert_eq!(journal.last_command(room.id, by.user, by.client).await.expect("answered"), Some(CommandNumber(10)));
    assert_eq!(journal.last_command(room.id, other.user, other.client).await.expect("answered"), Some(CommandNumber(old)));
    assert_eq!(journal.last_command(room.id, other.user, by.client).await.expect("answered"), None);

    for (who, n, seq) in [(by, 3, 1), (other, old, 2), (by, 10, 2_003), (by, 5, 2_004)] {
        let found = journal.find_command(room.id, who.user, who.client, CommandNumber(n)).await.expect("answered").expect("found");
        assert_eq!((found.seq, found.fingerprint, found.bytes), (Seq(seq), u64::MAX - n, bytes(seq)));
    }
    assert_eq!(journal.find_command(room.id, by.user, by.client, CommandNumber(4)).await.expect("answered"), None);
}
